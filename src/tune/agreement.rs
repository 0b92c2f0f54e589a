//! Whether two ways of a layer compute the same.

use crate::exec::gpu::{GpuError, GpuExecutor};
use crate::kernels::Access;
use crate::plan::{Plan, View};
use crate::tensor::Precision;

/// How far a value may be from the rule's, as a share of the largest: sums in another order, through a whole network. Where maps
/// are rounded to eleven bits, dynamic layers make much of little.
pub(super) const fn tolerance(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => 1e-3,
        Precision::F16 => 8e-2,
    }
}

/// What a layer computes: the network is run up to it, on from where the last call for a layer before it ended. All calls for an executor
/// give the same input, and nothing else runs on it between them.
pub(super) async fn output_of(executor: &mut GpuExecutor, node: &str, input: &[f32]) -> Result<Vec<f32>, GpuError> {
    let Some((last, view)) = output_place(executor.plan(), node) else { return Ok(Vec::new()) };
    match executor.launched() {
        1.. if executor.launched() <= last => executor.run_on(last + 1),
        _ => executor.run_first(last + 1, executor.plan().batch, input).await?,
    }
    executor.read(view).await
}

/// A layer's last launch, and where it leaves the layer's result.
fn output_place(plan: &Plan, node: &str) -> Option<(usize, View)> {
    let (index, pass) = plan.passes.iter().enumerate().rfind(|(_, pass)| pass.node == node)?;
    let (.., view) = pass.bound().find(|(name, access, _)| *name == "output" && *access == Access::Write)?;
    Some((index, view))
}

/// Whether two maps are the same but for the order of sums; not where a value is no number or infinite, or there are none.
pub(super) fn agree(expected: &[f32], found: &[f32], tolerance: f32) -> bool {
    let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance * largest;
    let comparable = !expected.is_empty() && expected.len() == found.len();
    largest.is_finite() && comparable && expected.iter().zip(found).all(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_agree_within_the_order_of_sums_and_never_without_numbers() {
        let agree = |expected: &[f32], found: &[f32]| agree(expected, found, tolerance(Precision::F32));
        assert!(agree(&[1.0, -8.0], &[1.007, -8.0]));
        assert!(!agree(&[1.0, -8.0], &[1.009, -8.0]));
        assert!(!agree(&[1.0, f32::NAN], &[1.0, f32::NAN]));
        assert!(!agree(&[f32::INFINITY, 1.0], &[3.0, -700.0]));
        assert!(!agree(&[1.0], &[1.0, 2.0]));
        assert!(!agree(&[], &[]));
        assert!(agree(&[0.0], &[0.0]) && !agree(&[0.0], &[1e-9]));
    }
}
