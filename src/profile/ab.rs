//! Two candidates for a launch or a layer of a real network, run in turns.
//!
//! Each candidate has an executor of its own for its plan up to what is timed, so both meet the caches as the network leaves
//! them, and what the last launch writes can be read and compared.

use serde::Serialize;

use super::ProfileError;
use super::samples::{Change, Samples};
use crate::exec::TimingMethod;
use crate::exec::gpu::{Gpu, GpuError, GpuExecutor, Timer};
use crate::kernels::Access;
use crate::plan::{Plan, View};

/// Runs of each candidate before the first that counts.
const WARM_UP: u32 = 3;

/// What is tried: a plan, and the launches in it that are timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// For people.
    pub name: String,
    /// The network with the candidate in it. It is run up to the last of `launches`.
    pub plan: Plan,
    /// The launches whose times are added up, in order.
    pub launches: Vec<usize>,
    /// WGSL that is compiled in place of the last launch's own.
    pub text: Option<String>,
}

/// How two candidates did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The time of the launches with each candidate; none where the device has no timestamps.
    pub times: Option<[Samples; 2]>,
    /// The change from the first to the second.
    pub change: Option<Change>,
    /// Whole plain runs up to the last of them, which tell where there are no timestamps.
    pub runs: [Samples; 2],
    /// For each buffer that both launches write, how far the second's is from the first's.
    pub outputs: Vec<Difference>,
}

/// How far one array is from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The buffer.
    pub name: String,
    /// Values in it.
    pub values: usize,
    /// Values that are not the same.
    pub differing: usize,
    /// The largest difference; none where a value of either is no finite number and the other is not the same.
    pub largest: Option<f64>,
    /// The largest size of a value of the first.
    pub scale: f64,
}

/// Runs two candidates in turns, `repeats` times each, on pictures of `input`.
///
/// # Errors
/// When a plan lacks a launch that is to be timed, the input does not fit the plans, or the device refuses a candidate or fails.
pub async fn ab(gpu: &Gpu, candidates: [Candidate; 2], input: &[f32], repeats: u32) -> Result<Trial, ProfileError> {
    let (mut subjects, mut most) = (Vec::new(), 0);
    for candidate in candidates {
        let subject = Subject::prepare(gpu, candidate).await?;
        most = most.max(subject.executor.plan().passes.len());
        subjects.push(subject);
    }
    let plan = subjects[0].executor.plan();
    let (batch, pictures) = (plan.batch as usize, input.len() / plan.input.map.padded_values().max(1));
    let mut timer = Timer::new(gpu, most as u32).await?;
    let (mut times, mut runs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..WARM_UP.saturating_add(repeats.max(1)) {
        // Whoever comes second may find warmer caches, so they take turns at that too.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let Subject { executor, launches, .. } = &mut subjects[which];
            let begin = timer.now();
            executor.run(pictures as u32, input, false).await?;
            let run = (timer.now() - begin) as i64;
            let (_, timing) = executor.run_timed(pictures as u32, input, &mut timer).await?;
            if round >= WARM_UP {
                runs[which].push(run);
                times[which].extend(timing.sum_of(launches).map(|time| time as i64));
            }
        }
    }
    let mut outputs = Vec::new();
    let [first, second] = &subjects[..] else { unreachable!("two candidates") };
    for (name, view) in &first.writes {
        let Some((_, other)) = second.writes.iter().find(|(other, _)| other == name) else { continue };
        let (values, others) = (first.executor.read(*view).await?, second.executor.read(*other).await?);
        // Tiles of other sizes make other numbers of partial sums.
        if values.len() == others.len() {
            let used = values.len() / batch * pictures;
            outputs.push(Difference::between(name, &values[..used], &others[..used]));
        }
    }
    let times = times.map(Samples::new);
    let times = if timer.method() == TimingMethod::WholeRuns { None } else { two(times) };
    let Some(runs) = two(runs.map(Samples::new)) else {
        return Err(GpuError::Device { doing: "timing".into(), reason: "no run counted".into() }.into());
    };
    let [first, second] = times.as_ref().unwrap_or(&runs);
    Ok(Trial { change: Change::between(first, second), times, runs, outputs })
}

/// A candidate, ready to run.
struct Subject {
    executor: GpuExecutor,
    launches: Vec<usize>,
    /// What the last launch writes.
    writes: Vec<(&'static str, View)>,
}

impl Subject {
    async fn prepare(gpu: &Gpu, candidate: Candidate) -> Result<Self, ProfileError> {
        let Candidate { mut plan, launches, text, .. } = candidate;
        let last = launches.iter().max().copied().ok_or(ProfileError::NoneNamed)?;
        let Some(pass) = plan.passes.get(last) else {
            return Err(ProfileError::NoLaunch { launch: last, launches: plan.passes.len() });
        };
        let writes = pass.bound().filter(|(name, access, _)| *access == Access::Write && !pass.dispatch.ignores(name));
        let writes = writes.map(|(name, _, view)| (name, view)).collect();
        plan.passes.truncate(last + 1);
        let executor = GpuExecutor::with_candidate(gpu, plan, last, text).await?;
        Ok(Self { executor, launches, writes })
    }
}

fn two([first, second]: [Option<Samples>; 2]) -> Option<[Samples; 2]> {
    Some([first?, second?])
}

impl Difference {
    fn between(name: &str, first: &[f32], second: &[f32]) -> Self {
        let pairs = first.iter().zip(second).filter(|(a, b)| a.to_bits() != b.to_bits());
        let (mut differing, mut largest) = (0, Some(0.0f64));
        for (a, b) in pairs {
            differing += 1;
            let apart = (f64::from(*a) - f64::from(*b)).abs();
            largest = largest.filter(|_| apart.is_finite()).map(|largest| largest.max(apart));
        }
        let scale =
            first.iter().map(|value| f64::from(value.abs())).filter(|size| size.is_finite()).fold(0.0, f64::max);
        Self { name: name.into(), values: first.len(), differing, largest, scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_those_of_the_values() {
        let of = |a: &[f32], b: &[f32]| {
            let difference = Difference::between("output", a, b);
            (difference.differing, difference.largest, difference.scale)
        };
        assert_eq!(of(&[1.0, -4.0], &[1.0, -4.0]), (0, Some(0.0), 4.0));
        assert_eq!(of(&[1.0, -4.0, 2.0], &[1.5, -4.25, 2.0]), (2, Some(0.5), 4.0));
        assert_eq!(of(&[1.0, f32::NAN], &[2.0, f32::NAN]), (1, Some(1.0), 1.0));
        assert_eq!(of(&[1.0, f32::NAN], &[2.0, 0.0]), (2, None, 1.0));
        assert_eq!(of(&[1.0, f32::INFINITY, 3.0], &[1.0, 0.0, 4.0]), (2, None, 3.0));
    }
}
