//! Takes a profile: runs a prepared plan again and again, plain and timed in turns.

use web_time::Instant;

use super::cost_model::Work;
use super::data::{
    BufferProfile, Device, DispatchProfile, Method, Part, Parts, Profile, Runs, SCHEMA, Timeline, block_of,
};
use super::roof::Roof;
use super::samples::Samples;
use super::{ProfileError, Profiler};
use crate::exec::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use crate::exec::gpu::{GpuExecutor, Timer};
use crate::exec::{ClockLink, Compilation, HostMarks, RunTiming, TimingMethod};
use crate::kernels::{Dispatch, Precision};
use crate::plan::{Pass, Plan};

/// What is profiled.
pub(super) enum Subject<'a> {
    Cpu(&'a mut CpuExecutor),
    #[cfg(feature = "gpu")]
    Gpu(&'a mut GpuExecutor, Box<Timer>),
}

impl Subject<'_> {
    fn plan(&self) -> &Plan {
        match self {
            Self::Cpu(executor) => executor.plan(),
            #[cfg(feature = "gpu")]
            Self::Gpu(executor, _) => executor.plan(),
        }
    }

    fn device(&self) -> Device {
        match self {
            Self::Cpu(_) => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let name = format!("CPU, {cores} core(s)");
                Device { name, api: "cpu".into(), kind: "cpu".into(), ..Device::default() }
            }
            #[cfg(feature = "gpu")]
            Self::Gpu(executor, _) => executor.gpu().info().into(),
        }
    }

    fn compilations(&self) -> Vec<Compilation> {
        match self {
            Self::Cpu(_) => Vec::new(),
            #[cfg(feature = "gpu")]
            Self::Gpu(executor, _) => executor.compilations().to_vec(),
        }
    }

    /// How launches are timed, and nanoseconds of one tick.
    fn timing(&self) -> (TimingMethod, f64) {
        match self {
            Self::Cpu(_) => (TimingMethod::HostClock, 1.0),
            #[cfg(feature = "gpu")]
            Self::Gpu(_, timer) => (timer.method(), timer.period()),
        }
    }

    /// Nanoseconds of a run as it always is.
    async fn plain(&mut self, pictures: u32, input: &[f32]) -> Result<i64, ProfileError> {
        let begin = Instant::now();
        match self {
            Self::Cpu(executor) => {
                executor.input_mut()[..input.len()].copy_from_slice(input);
                executor.run(pictures);
            }
            #[cfg(feature = "gpu")]
            Self::Gpu(executor, _) => drop(executor.run(pictures, input, false).await?),
        }
        Ok(begin.elapsed().as_nanos() as i64)
    }

    async fn timed(&mut self, pictures: u32, input: &[f32]) -> Result<(RunTiming, Option<ClockLink>), ProfileError> {
        match self {
            Self::Cpu(executor) => {
                executor.input_mut()[..input.len()].copy_from_slice(input);
                Ok((executor.run_timed(pictures), Some(ClockLink { before: 0, device: 0, after: 0 })))
            }
            #[cfg(feature = "gpu")]
            Self::Gpu(executor, timer) => {
                let (_, timing) = executor.run_timed(pictures, input, timer).await?;
                Ok((timing, timer.link(executor.gpu()).await?))
            }
        }
    }
}

pub(super) async fn measure(
    mut subject: Subject<'_>,
    profiler: &Profiler,
    pictures: u32,
    input: &[f32],
    roof: Option<Roof>,
) -> Result<Profile, ProfileError> {
    let plan = subject.plan();
    let expected = pictures as usize * plan.input.map.padded_values();
    if pictures == 0 || pictures > plan.batch || input.len() != expected {
        return Err(ProfileError::Input { pictures, batch: plan.batch, expected, found: input.len() });
    }
    let (timing, period) = subject.timing();
    let first = subject.plain(pictures, input).await?;
    for _ in 0..profiler.warm_up {
        subject.plain(pictures, input).await?;
        subject.timed(pictures, input).await?;
    }
    let (mut plain, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..profiler.repeats.max(1) {
        plain.push(subject.plain(pictures, input).await?);
        runs.push(subject.timed(pictures, input).await?);
    }
    let wall = |run: &RunTiming| run.host.end.saturating_sub(run.host.begin) as i64;
    let timed = Samples::new(runs.iter().map(|(run, _)| wall(run)).collect());
    let (Some(plain), Some(timed)) = (Samples::new(plain), timed) else { unreachable!("one repeat at least") };

    let taken = runs.len();
    let launches = subject.plan().passes.len();
    runs.retain(|(run, _)| run.launches.len() == launches && run.launches.iter().all(Option::is_some));
    let resolution = runs.iter().filter_map(|(run, _)| smallest_step(run)).min();
    let times: Vec<Vec<[u64; 2]>> =
        runs.iter().map(|(run, _)| run.launches.iter().filter_map(|time| *time).collect()).collect();
    let dropped = if timing == TimingMethod::WholeRuns { 0 } else { taken - runs.len() } as u32;
    let repeats = profiler.repeats.max(1);
    let method = Method { timing, period, resolution, warm_up: profiler.warm_up, repeats, dropped };
    let plan = subject.plan();
    let dispatches = plan.passes.iter().enumerate().map(|(index, pass)| {
        let time = Samples::new(times.iter().map(|run| (run[index][1] - run[index][0]) as i64).collect());
        dispatch(plan, index, pass, pictures, time, resolution, roof.as_ref())
    });
    let mut by_length: Vec<_> = runs.iter().collect();
    by_length.sort_by_key(|(run, _)| wall(run));
    let timeline = by_length
        .get(runs.len() / 2)
        .map(|(run, link)| Timeline { run: run.clone(), link: link.map(|link| link.within(run)) });
    Ok(Profile {
        schema: SCHEMA,
        program: concat!("dynaconv ", env!("CARGO_PKG_VERSION")).into(),
        network: plan.name.clone(),
        pictures,
        device: subject.device(),
        method,
        compilations: subject.compilations(),
        runs: Runs { first, plain, timed, parts: parts(&runs, &times) },
        dispatches: dispatches.collect(),
        roof,
        timeline,
    })
}

/// The smallest step between any two moments of a run that differ.
fn smallest_step(run: &RunTiming) -> Option<i64> {
    let mut moments: Vec<u64> = run.launches.iter().flatten().flatten().copied().collect();
    moments.sort_unstable();
    moments.windows(2).map(|pair| (pair[1] - pair[0]) as i64).filter(|step| *step > 0).min()
}

/// What the timed runs consist of.
fn parts(runs: &[(RunTiming, Option<ClockLink>)], times: &[Vec<[u64; 2]>]) -> Option<Parts> {
    let each = |part: &dyn Fn(&HostMarks, &[[u64; 2]]) -> i64| {
        Samples::new(runs.iter().zip(times).map(|((run, _), times)| part(&run.host, times)).collect())
    };
    let step = |from: u64, to: u64| to as i64 - from as i64;
    let launches = |times: &[[u64; 2]]| times.iter().map(|[begin, end]| step(*begin, *end)).sum::<i64>();
    // From the begin of the first to the end of the last.
    let span = |times: &[[u64; 2]]| {
        let first = times.iter().map(|time| time[0]).min().unwrap_or(0);
        let last = times.iter().map(|time| time[1]).max().unwrap_or(0);
        step(first, last)
    };
    Some(Parts {
        encode: each(&|host, _| step(host.begin, host.encoded))?,
        submit: each(&|host, _| step(host.encoded, host.submitted))?,
        launches: each(&|_, times| launches(times))?,
        gaps: each(&|_, times| span(times) - launches(times))?,
        latency: each(&|host, times| step(host.submitted, host.end) - span(times))?,
        bubble: each(&|host, times| step(host.begin, host.end) - launches(times))?,
    })
}

fn dispatch(
    plan: &Plan,
    index: usize,
    pass: &Pass,
    pictures: u32,
    time: Option<Samples>,
    resolution: Option<i64>,
    roof: Option<&Roof>,
) -> DispatchProfile {
    let launch = &pass.dispatch;
    let spec = launch.kernel.spec();
    let buffers = pass.bound().filter(|(name, ..)| !launch.ignores(name));
    let buffers = buffers.map(|(name, access, view)| BufferProfile::new(name, access, view.bytes)).collect();
    let work = Work::of(pass, pictures);
    let Work { flops, bytes_read, bytes_written, .. } = work;
    let bytes = work.bytes();
    let controls = |dispatch: &Dispatch| {
        let part = Part::of(dispatch.kernel, dispatch.entry, false);
        matches!(part, Part::Controller | Part::Assembly | Part::Dynamic)
    };
    let in_dynamic_layer = plan.passes.iter().any(|other| other.node == pass.node && controls(&other.dispatch));
    let median = time.as_ref().map(Samples::median).filter(|median| *median >= resolution.unwrap_or(1) as f64);
    let rate = |amount: u64| median.map(|nanoseconds| 1e9 * amount as f64 / nanoseconds);
    let precision = Some("f16".to_string()).filter(|_| launch.precision == Precision::F16);
    let prediction = roof.map(|roof| roof.predict(&work)).filter(|prediction| prediction.total().is_finite());
    let overrides = launch.overrides.iter().map(|(name, value)| format!("{name}={value}"));
    let [x, y] = launch.workgroups;
    DispatchProfile {
        index: index as u32,
        layer: pass.node.clone(),
        block: block_of(&pass.node),
        kernel: spec.stem.into(),
        entry: launch.entry.into(),
        variant: precision.into_iter().chain(overrides).collect::<Vec<_>>().join(" "),
        part: Part::of(launch.kernel, launch.entry, in_dynamic_layer),
        shape: launch.shape(),
        workgroup_size: launch.invocations(),
        workgroups: [x, y, pictures],
        buffers,
        flops,
        bytes_read,
        bytes_written,
        time,
        intensity: if bytes > 0 { flops as f64 / bytes as f64 } else { 0.0 },
        flops_rate: rate(flops),
        bytes_rate: rate(bytes),
        predicted: prediction.map(|prediction| prediction.total()),
        prediction,
        roof_share: roof.zip(median).and_then(|(roof, nanoseconds)| roof.share(flops, bytes, nanoseconds)),
    }
}
