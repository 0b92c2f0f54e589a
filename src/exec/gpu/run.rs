//! Runs a prepared plan: the input is written, the run is submitted, and its results are on their way.

use web_time::{Duration, Instant};

use super::frame::Frame;
use super::memory::appending;
use super::prepare::Launches;
use super::readback::{Reading, Taken};
use super::record::Course;
use super::results::{Pending, Results};
use super::{GpuError, GpuExecutor, Timer};
use crate::exec::{HostMarks, HostTimes, RunTiming};
use crate::picture::Picture;
use crate::plan::View;

impl GpuExecutor {
    /// Runs the plan on `pictures` prepared pictures, at most the plan's batch: `input` is
    /// `[pictures][height][width][4·⌈channels/4⌉]`, whose padding lanes are zero.
    ///
    /// # Errors
    /// When there are no pictures or more than the plan's batch, the input has another size, the results of two runs have not been
    /// waited for, or the device fails.
    pub async fn run(&mut self, pictures: u32, input: &[f32], scores: bool) -> Result<Results, GpuError> {
        self.start_values(pictures, input, scores).await?.results().await
    }

    /// Runs the first `launches` launches alone, so that what the last of them wrote can be read before it is overwritten.
    ///
    /// # Errors
    /// As [`GpuExecutor::run`].
    pub async fn run_first(&mut self, launches: usize, pictures: u32, input: &[f32]) -> Result<(), GpuError> {
        self.send_values(pictures, input, false, launches, None).await?.results().await.map(drop)
    }

    /// Goes on with the run that was started last, up to the first `launches` launches. It leaves no results, and does nothing where
    /// no run was started or it has come so far.
    pub fn run_on(&mut self, launches: usize) {
        let launches = launches.min(self.steps.len());
        let Some(last) = self.last.filter(|last| last.launches < launches) else { return };
        let mut encoder = self.encoder();
        let steps = self.steps[last.launches..launches].iter().map(|step| step.launch(last.pictures));
        self.encode(&mut encoder, steps, None);
        self.gpu.queue.submit([encoder.finish()]);
        self.last = Some(Course { launches, ..last });
    }

    /// As [`GpuExecutor::run`], and says when each launch ran. `timer` must have been made for as many launches as the
    /// plan has; those past its capacity have no time.
    ///
    /// # Errors
    /// As [`GpuExecutor::run`].
    pub async fn run_timed(
        &mut self,
        pictures: u32,
        input: &[f32],
        timer: &mut Timer,
    ) -> Result<(Results, RunTiming), GpuError> {
        timer.marks = HostMarks { begin: timer.now(), ..HostMarks::default() };
        let whole = self.steps.len();
        let results = self.send_values(pictures, input, false, whole, Some(&mut *timer)).await?.results().await?;
        timer.marks.end = timer.now();
        let launches = timer.capacity().min(whole as u32);
        Ok((results, timer.read(&self.gpu, launches).await?))
    }

    /// Starts the plan on `pictures` prepared pictures. Two runs may be under way at once; before a third the first must have
    /// been waited for.
    ///
    /// # Errors
    /// As [`GpuExecutor::run`].
    pub async fn start_values(&mut self, pictures: u32, input: &[f32], scores: bool) -> Result<Pending, GpuError> {
        self.send_values(pictures, input, scores, self.steps.len(), None).await
    }

    async fn send_values(
        &mut self,
        pictures: u32,
        input: &[f32],
        scores: bool,
        launches: usize,
        timer: Option<&mut Timer>,
    ) -> Result<Pending, GpuError> {
        let expected = pictures as usize * self.plan.input.map.padded_values();
        if !(1..=self.plan.batch).contains(&pictures) {
            return Err(GpuError::Pictures { found: pictures, batch: self.plan.batch });
        }
        if input.len() != expected {
            return Err(GpuError::InputSize { pictures, expected, found: input.len() });
        }
        let readback = self.buffers.results.take(&self.gpu)?;
        let mut clock = HostClock::start();
        let bytes = self.input_bytes(pictures);
        let precision = self.plan.input.view.precision;
        let fill = |view: &mut wgpu::BufferViewMut| precision.encode(input, &mut appending(view));
        self.buffers.uploads.write(&self.gpu, bytes, fill).await?;
        clock.written();
        let upload = Some(self.buffers.uploads.current());
        let course = Course { pictures, upload, launches, scores, readback: readback.index() };
        let (pending, submitted) = self.submit(None, &course, readback, clock, timer);
        self.buffers.uploads.reclaim(submitted);
        self.record_ahead(course);
        Ok(pending)
    }

    /// Whether [`GpuExecutor::run_pictures`] can prepare these pictures: the device has room for each.
    pub fn can_prepare(&self, pictures: &[&Picture]) -> bool {
        self.preparation.as_ref().is_some_and(|preparation| preparation.fits(&self.gpu, pictures))
    }

    /// Prepares pictures on the GPU and runs the plan on them, in one submit.
    ///
    /// # Errors
    /// When the executor was made without a preparation, a picture is too large for it, there are more pictures than the
    /// plan's batch, the results of two runs have not been waited for, or the device fails.
    pub async fn run_pictures(&mut self, pictures: &[&Picture], scores: bool) -> Result<Results, GpuError> {
        self.start_pictures(pictures, scores).await?.results().await
    }

    /// As [`GpuExecutor::run_pictures`], but comes back once the work is submitted. Two runs may be under way at once.
    ///
    /// # Errors
    /// As [`GpuExecutor::run_pictures`].
    pub async fn start_pictures(&mut self, pictures: &[&Picture], scores: bool) -> Result<Pending, GpuError> {
        let count = pictures.len() as u32;
        let input = self.buffers.of(self.plan.input.view.memory).clone();
        let mut encoder = self.encoder();
        let preparation = match &mut self.preparation {
            Some(preparation) if count >= 1 && count <= self.plan.batch && preparation.fits(&self.gpu, pictures) => {
                preparation
            }
            _ => return Err(GpuError::CannotPrepare { pictures: count, batch: self.plan.batch }),
        };
        let readback = self.buffers.results.take(&self.gpu)?;
        let mut clock = HostClock::start();
        let launches = preparation.send(&self.gpu, &self.plan, &input, pictures, &mut encoder).await?;
        clock.written();
        self.prepare_pictures(&mut encoder, &launches);
        let course = self.course_of_pictures(count, scores, &readback);
        let (pending, submitted) = self.submit(Some(encoder), &course, readback, clock, None);
        if let Some(preparation) = &mut self.preparation {
            preparation.reclaim(submitted);
        }
        self.record_ahead(course);
        Ok(pending)
    }

    /// Whether [`GpuExecutor::start_frame`] can prepare a frame of this size: the device has room for it.
    pub fn can_prepare_frame(&self, width: u32, height: u32) -> bool {
        self.preparation.as_ref().is_some_and(|preparation| preparation.fits_frame(&self.gpu, width, height))
    }

    /// Prepares a frame on the GPU and starts the plan on it, in one submit. Two runs may be under way at once.
    ///
    /// # Errors
    /// When the executor was made without a preparation, the frame is not what it says or too large, two runs are under
    /// way, or the device fails.
    pub fn start_frame(&mut self, frame: &Frame<'_>, scores: bool) -> Result<Pending, GpuError> {
        let mut clock = HostClock::start();
        let mut encoder = self.encoder();
        let input = self.buffers.of(self.plan.input.view.memory);
        let launches = match &mut self.preparation {
            Some(preparation) => preparation.send_frame(&self.gpu, &self.plan, input, frame, &mut encoder)?,
            None => return Err(GpuError::CannotPrepare { pictures: 1, batch: self.plan.batch }),
        };
        let readback = self.buffers.results.take(&self.gpu)?;
        clock.written();
        self.prepare_pictures(&mut encoder, &launches);
        let course = self.course_of_pictures(1, scores, &readback);
        let (pending, _) = self.submit(Some(encoder), &course, readback, clock, None);
        self.record_ahead(course);
        Ok(pending)
    }

    /// Starts the plan on one prepared picture (channels-last values). Two runs may be under way at once.
    ///
    /// # Errors
    /// When the input has another size, two runs are under way, or the device fails.
    pub fn start(&mut self, input: &[f32], scores: bool) -> Result<Pending, GpuError> {
        let expected = self.plan.input.map.padded_values();
        if input.len() != expected {
            return Err(GpuError::InputSize { pictures: 1, expected, found: input.len() });
        }
        let readback = self.buffers.results.take(&self.gpu)?;
        let mut clock = HostClock::start();
        self.write(self.plan.input.view, input);
        clock.written();
        let course = self.course_of_pictures(1, scores, &readback);
        let (pending, _) = self.submit(None, &course, readback, clock, None);
        self.record_ahead(course);
        Ok(pending)
    }

    /// Asks for the heads of all dynamic layers that the plan keeps, one after another, as the run started last leaves them.
    ///
    /// # Errors
    /// When they are being read already, or the device fails.
    pub fn start_insight(&mut self) -> Result<Reading, GpuError> {
        let readback = self.buffers.heads.take(&self.gpu)?;
        let mut encoder = self.encoder();
        let mut bytes = 0;
        for View { memory, offset, bytes: length, .. } in self.plan.dynamic.iter().map(|layer| layer.heads) {
            let heads = self.buffers.heads.buffer(readback.index());
            encoder.copy_buffer_to_buffer(self.buffers.of(memory), offset, heads, bytes, length);
            bytes += length;
        }
        let submitted = self.gpu.queue.submit([encoder.finish()]);
        Ok(self.buffers.heads.read(&self.gpu, readback, bytes, submitted))
    }

    /// A whole run on pictures that are on the device when it begins.
    fn course_of_pictures(&self, pictures: u32, scores: bool, readback: &Taken) -> Course {
        Course { pictures, upload: None, launches: self.steps.len(), scores, readback: readback.index() }
    }

    /// Submits a run, behind what prepares its pictures, and asks for its results.
    fn submit(
        &mut self,
        preparing: Option<wgpu::CommandEncoder>,
        course: &Course,
        readback: Taken,
        clock: HostClock,
        mut timer: Option<&mut Timer>,
    ) -> (Pending, wgpu::SubmissionIndex) {
        self.last = Some(*course);
        let ahead = self.ahead.take().filter(|ahead| ahead.course == *course && timer.is_none());
        let run = ahead.map_or_else(|| self.record(course, timer.as_deref()), |ahead| ahead.commands);
        let preparing = preparing.map(wgpu::CommandEncoder::finish);
        let recorded = clock.begin.elapsed();
        if let Some(timer) = timer.as_deref_mut() {
            timer.marks.encoded = timer.now();
        }
        let submitted = self.gpu.queue.submit(preparing.into_iter().chain([run]));
        self.times = HostTimes {
            write: clock.write,
            encode: recorded - clock.write,
            submit: clock.begin.elapsed() - recorded,
            ahead: self.times.ahead,
        };
        if let Some(timer) = timer {
            timer.marks.submitted = timer.now();
        }
        let bytes = self.results(course.scores).map(|view| view.bytes).sum();
        let score_values = course.pictures as usize * self.plan.scores.map.padded_values();
        let pending = Pending {
            reading: self.buffers.results.read(&self.gpu, readback, bytes, submitted.clone()),
            best_values: 2 * (course.pictures * self.plan.top) as usize,
            first_score: self.plan.best.bytes as usize / size_of::<f32>(),
            score_values: course.scores.then_some(score_values),
        };
        (pending, submitted)
    }

    /// Records the next run while the device computes this one.
    fn record_ahead(&mut self, course: Course) {
        let begin = Instant::now();
        self.ahead = Some(self.record_after(course));
        self.times.ahead = begin.elapsed();
    }

    /// Records the preparation of the pictures sent last.
    fn prepare_pictures(&self, encoder: &mut wgpu::CommandEncoder, launches: &Launches) {
        if let Some(preparation) = &self.preparation {
            self.encode(encoder, preparation.steps(launches), None);
        }
    }
}

/// When the host began with a run, and how long it wrote the run's input.
struct HostClock {
    begin: Instant,
    write: Duration,
}

impl HostClock {
    fn start() -> Self {
        Self { begin: Instant::now(), write: Duration::ZERO }
    }

    /// The input is written.
    fn written(&mut self) {
        self.write = self.begin.elapsed();
    }
}
