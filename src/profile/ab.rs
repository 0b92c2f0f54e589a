//! Two candidates for one launch of a real network, run in turns.
//!
//! Each candidate has an executor of its own for the plan up to the launch, so both meet the caches as the network leaves
//! them, and what the launch writes can be read and compared.

use serde::Serialize;

use super::ProfileError;
use super::samples::{Change, Samples};
use crate::exec::TimingMethod;
use crate::exec::gpu::{Gpu, GpuError, GpuExecutor, Timer};
use crate::kernels::{Access, Dispatch};
use crate::plan::{Plan, View};

/// Runs of each candidate before the first that counts.
const WARM_UP: u32 = 3;

/// What may stand in for a launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// For people.
    pub name: String,
    /// The launch, of the same kernel and entry point.
    pub dispatch: Dispatch,
    /// WGSL that is compiled in place of the kernel's own.
    pub text: Option<String>,
}

/// How two candidates did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The time of the launch with each candidate; none where the device has no timestamps.
    pub times: Option<[Samples; 2]>,
    /// The change from the first to the second.
    pub change: Option<Change>,
    /// Whole plain runs up to the launch, which tell where there are no timestamps.
    pub runs: [Samples; 2],
    /// For each buffer that the launch writes, how far the second's is from the first's.
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

/// Runs `launch` of `plan` with two candidates in turns, `repeats` times each, on `pictures` pictures of `input`.
///
/// # Errors
/// When there is no such launch, the input does not fit the plan, or the device refuses a candidate or fails.
pub async fn ab(
    gpu: &Gpu,
    plan: &Plan,
    launch: usize,
    candidates: [Candidate; 2],
    input: &[f32],
    repeats: u32,
) -> Result<Trial, ProfileError> {
    let Some(pass) = plan.passes.get(launch) else {
        return Err(ProfileError::NoLaunch { launch, launches: plan.passes.len() });
    };
    let pictures = (input.len() / plan.input.map.padded_values().max(1)) as u32;
    let writes = pass.dispatch.kernel.spec().bindings_of(pass.dispatch.entry).into_iter().flatten();
    let writes: Vec<(&str, View)> = writes
        .zip(&pass.bindings)
        .filter(|((_, _, access), _)| *access == Access::Write)
        .map(|((_, name, _), view)| (name, *view))
        .collect();
    let mut executors = Vec::new();
    for Candidate { dispatch, text, .. } in candidates {
        let mut part = plan.clone();
        part.passes.truncate(launch + 1);
        part.passes[launch].dispatch = dispatch;
        executors.push(GpuExecutor::with_candidate(gpu, part, launch, text).await?);
    }
    let mut timer = Timer::new(gpu, launch as u32 + 1).await?;
    let (mut times, mut runs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..WARM_UP + repeats.max(1) {
        // Whoever comes second may find warmer caches, so they take turns at that too.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let begin = timer.now();
            executors[which].run(pictures, input, false).await?;
            let run = (timer.now() - begin) as i64;
            let (_, timing) = executors[which].run_timed(pictures, input, &mut timer).await?;
            if round >= WARM_UP {
                runs[which].push(run);
                times[which].extend(timing.launches.last().copied().flatten().map(|[begin, end]| (end - begin) as i64));
            }
        }
    }
    let mut outputs = Vec::new();
    for (name, view) in writes {
        let (first, second) = (executors[0].read(view).await?, executors[1].read(view).await?);
        let used = first.len() / plan.batch as usize * pictures as usize;
        outputs.push(Difference::between(name, &first[..used], &second[..used]));
    }
    let times = times.map(Samples::new);
    let times = if timer.method() == TimingMethod::WholeRuns { None } else { two(times) };
    let Some(runs) = two(runs.map(Samples::new)) else {
        return Err(GpuError::Device { doing: "timing".into(), reason: "no run counted".into() }.into());
    };
    let [first, second] = times.as_ref().unwrap_or(&runs);
    Ok(Trial { change: Change::between(first, second), times, runs, outputs })
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
