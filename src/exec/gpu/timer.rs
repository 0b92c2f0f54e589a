//! Times the launches of a run with the device's timestamps, on devices that have them.
//!
//! A timer's queries and memory are made once. They are resolved after a run has ended, in a submit of their own, so that
//! nothing but the timestamps themselves is added to the run.

use web_time::Instant;

use super::memory::buffer;
use super::wait::{Mapping, map};
use super::{Gpu, GpuError};
use crate::exec::{ClockLink, HostMarks, RunTiming, TimingMethod};

/// Queries of one set: an even number that every device allows.
const SET_QUERIES: u32 = 4096;
/// Bytes of one timestamp.
const QUERY_BYTES: u64 = wgpu::QUERY_SIZE as u64;
/// Empty submits of which the shortest links the clocks.
const LINK_ATTEMPTS: usize = 3;

/// Queries and memory that time up to a number of launches a run.
pub struct Timer {
    method: TimingMethod,
    epoch: Instant,
    /// Nanoseconds of one tick.
    period: f64,
    launches: u32,
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
    pub(super) marks: HostMarks,
}

impl Gpu {
    /// How this device times launches.
    pub fn timing_method(&self) -> TimingMethod {
        let features = self.device.features();
        if features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES) {
            TimingMethod::InsidePass
        } else if features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            TimingMethod::PassBoundaries
        } else {
            TimingMethod::WholeRuns
        }
    }

    /// Whether shaders may compute with half floats.
    pub fn has_f16(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Nanoseconds from submitting nothing to hearing that it is done.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn empty_submit(&self) -> Result<f64, GpuError> {
        let (sender, done) = futures_channel::oneshot::channel();
        let begin = Instant::now();
        let after = self.queue.submit([]);
        self.queue.on_submitted_work_done(move || drop(sender.send(Ok(()))));
        self.wait(&mut Mapping { done, after }).await?;
        Ok(begin.elapsed().as_nanos() as f64)
    }
}

impl Timer {
    /// A timer for runs of up to `launches` launches.
    ///
    /// # Errors
    /// When the device refuses the queries.
    pub async fn new(gpu: &Gpu, launches: u32) -> Result<Self, GpuError> {
        Self::with_method(gpu, launches, gpu.timing_method()).await
    }

    /// As [`Timer::new`], with a method that the device offers beside its best.
    ///
    /// # Errors
    /// When the device does not offer it, or refuses the queries.
    pub async fn with_method(gpu: &Gpu, launches: u32, method: TimingMethod) -> Result<Self, GpuError> {
        let doing = || String::from("making a timer");
        let best = gpu.timing_method();
        let offered = match method {
            TimingMethod::WholeRuns => true,
            TimingMethod::PassBoundaries => best != TimingMethod::WholeRuns,
            TimingMethod::InsidePass => best == method,
            TimingMethod::HostClock => false,
        };
        if !offered {
            return Err(GpuError::Device { doing: doing(), reason: format!("the device cannot time by {method:?}") });
        }
        // One more pair links the clocks.
        let queries = if method == TimingMethod::WholeRuns {
            Some(0)
        } else {
            launches.checked_add(1).and_then(|n| n.checked_mul(2))
        };
        let too_many =
            || GpuError::Device { doing: doing(), reason: format!("{launches} launches are too many to be timed") };
        let queries = queries.ok_or_else(too_many)?;
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let sets = (0..queries).step_by(SET_QUERIES as usize).map(|first| {
            gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("dynaconv.timer"),
                ty: wgpu::QueryType::Timestamp,
                count: SET_QUERIES.min(queries - first),
            })
        });
        let sets = sets.collect();
        let bytes = u64::from(queries) * QUERY_BYTES;
        let resolve_usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let readback_usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let timer = Self {
            method,
            epoch: Instant::now(),
            period: f64::from(gpu.queue.get_timestamp_period()),
            launches,
            sets,
            resolved: buffer(gpu, "timestamps", bytes, resolve_usage, false),
            readback: buffer(gpu, "timestamps readback", bytes, readback_usage, false),
            marks: HostMarks::default(),
        };
        match scope.pop().await {
            Some(error) => Err(GpuError::Device { doing: doing(), reason: error.to_string() }),
            None => Ok(timer),
        }
    }

    /// How launches are timed.
    pub fn method(&self) -> TimingMethod {
        self.method
    }

    /// Nanoseconds of one tick of the device's clock.
    pub fn period(&self) -> f64 {
        self.period
    }

    /// Launches of one run, at most.
    pub fn capacity(&self) -> u32 {
        self.launches
    }

    /// Nanoseconds on the host's clock since the timer was made.
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// The set of a launch's two queries, and the first of them in it.
    fn place(&self, launch: u32) -> (&wgpu::QuerySet, u32) {
        let query = 2 * launch;
        (&self.sets[(query / SET_QUERIES) as usize], query % SET_QUERIES)
    }

    /// What a pass of one launch writes at its boundaries.
    pub(super) fn boundaries(&self, launch: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        let (query_set, first) = self.place(launch);
        wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Writes the timestamp before (`edge` 0) or after (1) a launch.
    pub(super) fn stamp(&self, pass: &mut wgpu::ComputePass<'_>, launch: u32, edge: u32) {
        if self.method == TimingMethod::InsidePass {
            let (set, first) = self.place(launch);
            pass.write_timestamp(set, first + edge);
        }
    }

    /// The last run's times, of its first `launches` launches.
    pub(super) async fn read(&self, gpu: &Gpu, launches: u32) -> Result<RunTiming, GpuError> {
        let launches = if self.sets.is_empty() { Vec::new() } else { self.ticks(gpu, 0, launches).await? };
        Ok(RunTiming { host: self.marks, launches })
    }

    /// Links the device's clock to the host's through the shortest of a few empty submits; none where there are no
    /// timestamps, or the device leaves none.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn link(&self, gpu: &Gpu) -> Result<Option<ClockLink>, GpuError> {
        let mut best: Option<ClockLink> = None;
        for _ in 0..if self.sets.is_empty() { 0 } else { LINK_ATTEMPTS } {
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let timestamp_writes = Some(self.boundaries(self.launches));
            drop(encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes }));
            let commands = encoder.finish();
            let before = self.now();
            let after = gpu.queue.submit([commands]);
            // The only way to hear of the end on every platform; its cost widens the link's uncertainty.
            gpu.wait(&mut map(&self.readback, wgpu::MapMode::Read, QUERY_BYTES, after)).await?;
            let after = self.now();
            self.readback.unmap();
            if let [Some([device, _])] = self.ticks(gpu, self.launches, 1).await?[..] {
                let link = ClockLink { before, device, after };
                best = best.filter(|best| best.uncertainty() <= link.uncertainty()).or(Some(link));
            }
        }
        Ok(best)
    }

    /// Begin and end of `count` launches from the `first` on, in nanoseconds of the device's clock.
    async fn ticks(&self, gpu: &Gpu, first: u32, count: u32) -> Result<Vec<Option<[u64; 2]>>, GpuError> {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        // A buffer of timestamps begins at a multiple of 256 bytes, so whole sets are resolved.
        for (index, set) in (0u64..).zip(&self.sets) {
            let offset = index * u64::from(SET_QUERIES) * QUERY_BYTES;
            let end =
                (2 * u64::from(self.launches + 1) * QUERY_BYTES - offset).min(u64::from(SET_QUERIES) * QUERY_BYTES);
            encoder.resolve_query_set(set, 0..(end / QUERY_BYTES) as u32, &self.resolved, offset);
        }
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, self.readback.size());
        let after = gpu.queue.submit([encoder.finish()]);
        gpu.wait(&mut map(&self.readback, wgpu::MapMode::Read, self.readback.size(), after)).await?;
        let ticks = {
            let view = self.readback.get_mapped_range(..);
            let view =
                view.map_err(|error| GpuError::Device { doing: "reading times".into(), reason: error.to_string() })?;
            let ticks: &[u64] = bytemuck::cast_slice(&view);
            let pairs = ticks.chunks_exact(2).skip(first as usize).take(count as usize);
            let nanoseconds = |ticks: u64| nanoseconds(ticks, self.period);
            // A query that was not written is zero; a clock that was reset goes backwards.
            let sound = |pair: &[u64]| pair[0] != 0 && pair[1] >= pair[0];
            pairs.map(|pair| sound(pair).then(|| [nanoseconds(pair[0]), nanoseconds(pair[1])])).collect()
        };
        self.readback.unmap();
        gpu.check()?;
        Ok(ticks)
    }
}

/// Nanoseconds of so many ticks, each of which takes `period` nanoseconds. Some devices count from 1970, of which a float would lose
/// hundreds of nanoseconds.
fn nanoseconds(ticks: u64, period: f64) -> u64 {
    const FRACTION: u32 = 32;
    let period = (period * f64::from(FRACTION).exp2()).round() as u128;
    u64::try_from((u128::from(ticks) * period + (1 << (FRACTION - 1))) >> FRACTION).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn clocks_that_count_from_1970_keep_each_nanosecond() {
        let now = 1_764_331_000_123_456_789;
        assert_eq!(nanoseconds(now, 1.0), now);
        assert_eq!(nanoseconds(now + 3, 1.0) - nanoseconds(now, 1.0), 3);
        assert_eq!(nanoseconds(12, 1e9 / 12e6), 1000);
        assert_eq!(nanoseconds(now / 40 + 12, 40.0) - nanoseconds(now / 40, 40.0), 480);
        assert_eq!(nanoseconds(u64::MAX, 1e3), u64::MAX);
    }
}
