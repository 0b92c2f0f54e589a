//! Prepares a plan on a device and runs it.

use std::sync::Arc;

use web_time::Instant;

use super::frame::Frame;
use super::memory::{Buffers, appending, textures_of};
use super::parallel::both;
use super::pipelines::{Compiler, Sources, Weights};
use super::prepare::{Launches, Preparation};
use super::readback::Reading;
use super::record::{Ahead, Step};
use super::scopes::{Scopes, sound};
use super::texels::Texels;
use super::{Gpu, GpuError, Timer};
use crate::exec::{Compilation, HostMarks, HostTimes, Preparing, RunTiming};
use crate::kernels::{Kernel, Precision, has_texels};
use crate::picture::{Picture, Preprocess};
use crate::plan::{Pass, Plan, View};

/// A plan with everything that it needs on a device.
pub struct GpuExecutor {
    pub(super) gpu: Gpu,
    pub(super) plan: Arc<Plan>,
    pub(super) pipelines: Vec<wgpu::ComputePipeline>,
    compilations: Vec<Compilation>,
    preparing: Preparing,
    pub(super) steps: Vec<Step>,
    pub(super) buffers: Buffers,
    preparation: Option<Preparation>,
    /// The network's launches, recorded while the device computed the run before.
    ahead: Option<Ahead>,
    /// Launches of the run started last.
    pub(super) launched: usize,
    times: HostTimes,
}

/// How much of the plan is run, and what times it.
struct Extent<'a> {
    launches: usize,
    timer: Option<&'a mut Timer>,
}

/// What a run gives back.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// For each picture the pairs of class and probability, best first, `[pictures][top][2]`.
    pub best: Vec<f32>,
    /// The class scores in the channels-last layout, where they were asked for.
    pub scores: Option<Vec<f32>>,
}

/// A submitted run whose results are on their way. Its executor may be used meanwhile.
pub struct Pending {
    reading: Reading,
    best_values: usize,
    first_score: usize,
    /// Number of scores, where they were asked for.
    score_values: Option<usize>,
}

impl Pending {
    /// Waits for the results.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn results(self) -> Result<Results, GpuError> {
        let values = self.reading.values().await?;
        let (best, scores) = values.split_at(self.first_score);
        let scores = self.score_values.map(|count| scores[..count].to_vec());
        Ok(Results { best: best[..self.best_values].to_vec(), scores })
    }
}

impl GpuExecutor {
    /// Compiles the plan's pipelines and makes all its memory; with `preprocess` also what prepares pictures.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn new(gpu: &Gpu, plan: impl Into<Arc<Plan>>, preprocess: Option<&Preprocess>) -> Result<Self, GpuError> {
        let plan = plan.into();
        let (own, weights) = own_texts(gpu, &plan, gpu.loads_texels());
        Self::prepare(gpu, plan, preprocess, Compiler::new(&own, weights), None).await
    }

    /// As [`GpuExecutor::new`], but compiles the text that `sources` gives for a kernel instead of the kernel's own.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn with_sources(
        gpu: &Gpu,
        plan: impl Into<Arc<Plan>>,
        preprocess: Option<&Preprocess>,
        sources: Sources<'_>,
    ) -> Result<Self, GpuError> {
        Self::prepare(gpu, plan.into(), preprocess, Compiler::new(sources, Weights::AsGiven), None).await
    }

    /// As [`GpuExecutor::new`] without a preparation, but compiles `text`, where there is one, for the launch of that index.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn with_candidate(gpu: &Gpu, plan: Plan, launch: usize, text: Option<String>) -> Result<Self, GpuError> {
        // What a launch assembles and another loads lies in the same place for both.
        let texels = gpu.loads_texels() && text.as_ref().is_none_or(|text| has_texels(text));
        let (own, weights) = own_texts(gpu, &plan, texels);
        Self::prepare(gpu, plan.into(), None, Compiler::new(&own, weights), text.map(|text| (launch, text))).await
    }

    async fn prepare(
        gpu: &Gpu,
        plan: Arc<Plan>,
        preprocess: Option<&Preprocess>,
        mut compiler: Compiler<'_>,
        candidate: Option<(usize, String)>,
    ) -> Result<Self, GpuError> {
        plan.validate()?;
        let scopes = Scopes::open(gpu);
        let mut resolve = |(index, pass): (usize, &Pass)| {
            let text = candidate.as_ref().filter(|(launch, _)| *launch == index).map(|(_, text)| text.as_str());
            compiler.resolve(gpu, &pass.dispatch, text)
        };
        let resolved: Vec<_> = plan.passes.iter().enumerate().map(&mut resolve).collect();
        let preprocess =
            preprocess.map(|preprocess| (preprocess, Preparation::resolve(gpu, &plan, preprocess, &mut compiler)));
        let layouts = ((), scopes.close());
        let begin = Instant::now();
        #[cfg(target_arch = "wasm32")]
        let _warm = compiler.warm_up(gpu).await;
        let (compiled, made) = both(
            || (compiler.compile(gpu), begin.elapsed()),
            || {
                let scopes = Scopes::open(gpu);
                let buffers = Buffers::create(gpu, &plan, &resolved);
                let steps =
                    plan.passes.iter().zip(&buffers.params_offsets).zip(&resolved).map(|((pass, offset), resolved)| {
                        Step {
                            pipeline: resolved.pipeline,
                            bind_group: buffers.bind(gpu, pass, resolved),
                            params_offset: *offset,
                            workgroups: pass.dispatch.workgroups,
                            textures: textures_of(pass, resolved).collect(),
                        }
                    });
                let steps: Vec<_> = steps.collect();
                let input = buffers.of(plan.input.view.memory);
                let preparation = preprocess
                    .map(|(preprocess, resolved)| Preparation::create(gpu, &plan, preprocess, input, resolved));
                (((buffers, steps, preparation), scopes.close()), begin.elapsed())
            },
        );
        let doing = format!("preparing the plan of {}", plan.name);
        sound(layouts, &doing).await?;
        let ((compiled, compiling), (made, filling)) = (compiled, made);
        let (buffers, steps, preparation) = sound(made, &doing).await?;
        let (pipelines, compilations) = sound(compiled, &doing).await?.into_iter().unzip();
        gpu.check()?;
        let preparing = Preparing { pipelines: compiling, memory: filling };
        let gpu = gpu.clone();
        Ok(Self {
            gpu,
            plan,
            pipelines,
            compilations,
            preparing,
            steps,
            buffers,
            preparation,
            ahead: None,
            launched: 0,
            times: HostTimes::default(),
        })
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The device that runs it.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// What it took to make each pipeline, in the order in which they were made.
    pub fn compilations(&self) -> &[Compilation] {
        &self.compilations
    }

    /// Where the time of the preparation went.
    pub fn preparing(&self) -> Preparing {
        self.preparing
    }

    /// What the run started last cost the host.
    pub fn host_times(&self) -> HostTimes {
        self.times
    }

    /// Runs the plan on `pictures` prepared pictures (channels-last values, at most the plan's batch of pictures).
    ///
    /// # Errors
    /// When the input has another size, or the device fails.
    pub async fn run(&mut self, pictures: u32, input: &[f32], scores: bool) -> Result<Results, GpuError> {
        self.start_values(pictures, input, scores).await?.results().await
    }

    /// Runs the first `launches` launches alone, so that what the last of them wrote can be read before it is overwritten.
    ///
    /// # Errors
    /// As [`GpuExecutor::run`].
    pub async fn run_first(&mut self, launches: usize, pictures: u32, input: &[f32]) -> Result<(), GpuError> {
        self.send_values(pictures, input, false, Extent { launches, timer: None }).await?.results().await.map(drop)
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
        let whole = Extent { launches: self.steps.len(), timer: Some(&mut *timer) };
        let results = self.send_values(pictures, input, false, whole).await?.results().await?;
        timer.marks.end = timer.now();
        let launches = timer.capacity().min(self.steps.len() as u32);
        Ok((results, timer.read(&self.gpu, launches).await?))
    }

    /// Starts the plan on `pictures` prepared pictures. Two runs may be under way at once; before a third the first must have
    /// been waited for.
    ///
    /// # Errors
    /// As [`GpuExecutor::run`], and when two runs are under way.
    pub async fn start_values(&mut self, pictures: u32, input: &[f32], scores: bool) -> Result<Pending, GpuError> {
        let whole = Extent { launches: self.steps.len(), timer: None };
        self.send_values(pictures, input, scores, whole).await
    }

    async fn send_values(
        &mut self,
        pictures: u32,
        input: &[f32],
        scores: bool,
        extent: Extent<'_>,
    ) -> Result<Pending, GpuError> {
        let expected = pictures as usize * self.plan.input.map.padded_values();
        if pictures == 0 || pictures > self.plan.batch || input.len() != expected {
            return Err(GpuError::InputSize { pictures, expected, found: input.len() });
        }
        let readback = self.buffers.results.take()?;
        let begin = Instant::now();
        let target = self.plan.input.view;
        let bytes = input.len() as u64 * target.precision.bytes();
        let fill = |view: &mut wgpu::BufferViewMut| target.precision.encode(input, &mut appending(view));
        let upload = self.buffers.uploads.write(&self.gpu, bytes, fill).await?.clone();
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(&upload, 0, self.buffers.of(target.memory), target.offset, bytes);
        let (pending, submitted) = self.submit(encoder, begin, readback, pictures, scores, extent);
        self.buffers.uploads.reclaim(Some(submitted));
        self.record_ahead(pictures);
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
    /// plan's batch, or the device fails.
    pub async fn run_pictures(&mut self, pictures: &[&Picture], scores: bool) -> Result<Results, GpuError> {
        self.start_pictures(pictures, scores).await?.results().await
    }

    /// As [`GpuExecutor::run_pictures`], but comes back once the work is submitted. Two runs may be under way at once.
    ///
    /// # Errors
    /// As [`GpuExecutor::run_pictures`], and when two runs are under way.
    pub async fn start_pictures(&mut self, pictures: &[&Picture], scores: bool) -> Result<Pending, GpuError> {
        let count = pictures.len() as u32;
        let input = self.buffers.of(self.plan.input.view.memory).clone();
        let preparation = match &mut self.preparation {
            Some(preparation) if count >= 1 && count <= self.plan.batch && preparation.fits(&self.gpu, pictures) => {
                preparation
            }
            _ => return Err(GpuError::CannotPrepare { pictures: count, batch: self.plan.batch }),
        };
        let readback = self.buffers.results.take()?;
        let begin = Instant::now();
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("dynaconv") };
        let mut encoder = self.gpu.device.create_command_encoder(&descriptor);
        let launches = preparation.send(&self.gpu, &self.plan, &input, pictures, &mut encoder).await?;
        self.prepare_pictures(&mut encoder, &launches);
        let extent = Extent { launches: self.steps.len(), timer: None };
        let (pending, submitted) = self.submit(encoder, begin, readback, count, scores, extent);
        if let Some(preparation) = &mut self.preparation {
            preparation.reclaim(Some(submitted));
        }
        self.record_ahead(count);
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
        let begin = Instant::now();
        let mut encoder = self.encoder();
        let input = self.buffers.of(self.plan.input.view.memory);
        let launches = match &mut self.preparation {
            Some(preparation) => preparation.send_frame(&self.gpu, &self.plan, input, frame, &mut encoder)?,
            None => return Err(GpuError::CannotPrepare { pictures: 1, batch: self.plan.batch }),
        };
        let readback = self.buffers.results.take()?;
        self.prepare_pictures(&mut encoder, &launches);
        Ok(self.start_one(encoder, begin, readback, scores))
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
        let begin = Instant::now();
        let readback = self.buffers.results.take()?;
        self.write(self.plan.input.view, input);
        Ok(self.start_one(self.encoder(), begin, readback, scores))
    }

    fn start_one(
        &mut self,
        encoder: wgpu::CommandEncoder,
        begin: Instant,
        readback: wgpu::Buffer,
        scores: bool,
    ) -> Pending {
        let extent = Extent { launches: self.steps.len(), timer: None };
        let (pending, _) = self.submit(encoder, begin, readback, 1, scores, extent);
        self.record_ahead(1);
        pending
    }

    /// Asks for the heads of all dynamic layers that the plan keeps, one after another, as the run started last leaves them.
    ///
    /// # Errors
    /// When they are being read already, or the device fails.
    pub fn start_insight(&mut self) -> Result<Reading, GpuError> {
        let readback = self.buffers.heads.take()?;
        let mut encoder = self.encoder();
        let mut bytes = 0;
        for View { memory, offset, bytes: length, .. } in self.plan.dynamic.iter().map(|layer| layer.heads) {
            encoder.copy_buffer_to_buffer(self.buffers.of(memory), offset, &readback, bytes, length);
            bytes += length;
        }
        let submitted = self.gpu.queue.submit([encoder.finish()]);
        Ok(self.buffers.heads.read(&self.gpu, readback, bytes, submitted))
    }

    /// Submits the input's way, the network and the way of the results; asks for the best classes and, where wanted, the
    /// scores.
    fn submit(
        &mut self,
        input: wgpu::CommandEncoder,
        begin: Instant,
        readback: wgpu::Buffer,
        pictures: u32,
        scores: bool,
        Extent { launches, mut timer }: Extent<'_>,
    ) -> (Pending, wgpu::SubmissionIndex) {
        self.launched = launches;
        let ahead = self.ahead.take().filter(|ahead| ahead.pictures == pictures);
        let network = match ahead {
            Some(ahead) if timer.is_none() && launches == self.steps.len() => ahead.commands,
            _ => self.record(pictures, launches, timer.as_deref()),
        };
        let mut output = self.encoder();
        let mut copy = |view: View, target: u64| {
            output.copy_buffer_to_buffer(self.buffers.of(view.memory), view.offset, &readback, target, view.bytes);
            target + view.bytes
        };
        let mut bytes = copy(self.plan.best, 0);
        if scores {
            bytes = copy(self.plan.scores.view, bytes);
        }
        let commands = [input.finish(), network, output.finish()];
        let encoded = begin.elapsed();
        if let Some(timer) = timer.as_deref_mut() {
            timer.marks.encoded = timer.now();
        }
        let submitted = self.gpu.queue.submit(commands);
        self.times = HostTimes { encode: encoded, submit: begin.elapsed() - encoded, ahead: self.times.ahead };
        if let Some(timer) = timer {
            timer.marks.submitted = timer.now();
        }
        let reading = self.buffers.results.read(&self.gpu, readback, bytes, submitted.clone());
        let score_values = pictures as usize * self.plan.scores.map.padded_values();
        let pending = Pending {
            reading,
            best_values: 2 * (pictures * self.plan.top) as usize,
            first_score: self.plan.best.bytes as usize / size_of::<f32>(),
            score_values: scores.then_some(score_values),
        };
        (pending, submitted)
    }

    /// Records the network for the next run, which most likely has as many pictures, while the device computes this one.
    fn record_ahead(&mut self, pictures: u32) {
        let begin = Instant::now();
        self.ahead = Some(Ahead { pictures, commands: self.record(pictures, self.steps.len(), None) });
        self.times.ahead = begin.elapsed();
    }

    /// Records the preparation of the pictures sent last.
    fn prepare_pictures(&self, encoder: &mut wgpu::CommandEncoder, launches: &Launches) {
        if let Some(preparation) = &self.preparation {
            self.encode(encoder, preparation.steps(launches), None);
        }
    }
}

/// The device's texts for a plan, and where they have its weights: in textures where those are wanted and large enough.
fn own_texts(gpu: &Gpu, plan: &Plan, texels: bool) -> (impl Fn(Kernel, Precision) -> String + Sync + use<>, Weights) {
    let texels = texels && Texels::fit(gpu, plan);
    (gpu.texts_with(texels), if texels { Weights::Textures } else { Weights::Buffers })
}
