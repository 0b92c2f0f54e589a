//! What a device can do at best: multiply-adds and copies for their own sake; see `shaders/roof.wgsl`.
//!
//! No network launches it; the profiler does, to have something to measure the others against.

use bytemuck::{Pod, Zeroable};

use super::scalar::sum;
use super::{Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups, vec4_bytes, wgsl};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "roof",
    source: include_str!("../../shaders/roof.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[("source", Access::Read), ("weights", Access::Read), ("result", Access::Write)],
    entries: &[("copy", &["source", "result"]), ("add_up", &["weights", "result"]), ("multiply_add", &["result"])],
    stored: &["weights"],
    overrides: &["WORKGROUP_X"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[],
    subgroups: Subgroups::None,
};

/// Invocations of a workgroup.
pub const WORKGROUP: u32 = 64;
/// vec4 that one invocation copies.
const COPIES: u32 = 4;
/// vec4 that one invocation reads.
const READS: u32 = 16;
/// Neighbouring invocations that go through one stretch of memory.
const LINE: u32 = 8;
/// Iterations of a turn of the loop over them.
const ITERATIONS: u32 = 8;
/// Chains of multiply-adds of one invocation.
const CHAINS: u32 = 8;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    count: u32,
    iterations: u32,
    factor: f32,
    summand: f32,
}

const _: () = assert!(size_of::<Params>() == 16);

/// The launch that copies `count` vec4; of none, the empty launch.
pub fn copy(count: u32) -> Dispatch {
    let cost = Cost::of_words(0, vec4_bytes(count), vec4_bytes(count));
    launch("copy", count, 0, count.div_ceil(WORKGROUP * COPIES), cost)
}

/// The launch that reads `count` vec4; each invocation adds up a few and writes their sum.
pub fn add_up(count: u32) -> Dispatch {
    let workgroups = count.div_ceil(WORKGROUP * READS);
    let cost = Cost::of_words(4 * u64::from(count), vec4_bytes(count), vec4_bytes(workgroups * WORKGROUP));
    launch("add_up", count, 0, workgroups, Cost { single_read: 0, ..cost })
}

/// The launch in which `count` invocations run their chains for `iterations` steps, rounded up to a multiple of eight.
pub fn multiply_add(count: u32, iterations: u32) -> Dispatch {
    let iterations = iterations.next_multiple_of(ITERATIONS);
    // Beside the chains each invocation starts them and adds them up.
    let vec4s = u64::from(CHAINS) * (2 * u64::from(iterations) + 2);
    let cost = Cost::of_words(4 * u64::from(count) * vec4s, 0, vec4_bytes(count));
    launch("multiply_add", count, iterations, count.div_ceil(WORKGROUP), cost)
}

fn launch(entry: &'static str, count: u32, iterations: u32, workgroups: u32, cost: Cost) -> Dispatch {
    // The chains approach summand / (1 − factor) and stay clear of overflow and of denormal numbers.
    let params = Params { count, iterations, factor: 0.5, summand: 1.0 };
    Dispatch {
        kernel: Kernel::Roof,
        entry,
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", WORKGROUP)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [workgroups.max(1), 1],
        cost,
    }
}

/// The kernel's text with chains of half floats.
pub fn half_wgsl() -> String {
    let text = wgsl(Kernel::Roof, Precision::F32);
    let halved = text.replace("alias Scalar = f32;", "alias Scalar = f16;");
    format!("enable f16;\n{}", halved.replace("alias Vector = vec4<f32>;", "alias Vector = vec4<f16>;"))
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { count, iterations, .. } = dispatch.params_as();
    format!("{count} vec4, {iterations} iterations")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let count = params.count as usize;
    let result = arguments.output("result");
    let written = if dispatch.entry == "add_up" {
        count.div_ceil((WORKGROUP * READS) as usize) * WORKGROUP as usize
    } else {
        count
    };
    let result = &mut result[..arguments.pictures * written];
    if dispatch.entry == "copy" {
        result.copy_from_slice(&arguments.input("source")[..result.len()]);
        return;
    }
    if dispatch.entry == "add_up" {
        let [line, reads] = [LINE, READS].map(|size| size as usize);
        result.fill([S::ZERO; 4]);
        let pictures = arguments.input("weights").chunks_exact(count).zip(result.chunks_exact_mut(written));
        for (source, sums) in pictures {
            for (source, sums) in source.chunks(line * reads).zip(sums.chunks_exact_mut(line)) {
                for values in source.chunks(line) {
                    super::epilogue::add(&mut sums[..values.len()], values);
                }
            }
        }
        return;
    }
    for (index, out) in result.iter_mut().enumerate() {
        let first = (index % count % 8) as f32;
        let chain = |start: u32| {
            let mut value = S::from(first) + S::from(start as f32);
            for _ in 0..params.iterations {
                value = value * params.factor.into() + params.summand.into();
            }
            value
        };
        *out = std::array::from_fn(|_| sum((0..CHAINS).map(chain)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_with_half_floats_differs_in_its_numbers_alone() {
        let text = half_wgsl();
        assert!(text.starts_with("enable f16;\n") && text.contains("alias Scalar = f16;"), "{text}");
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let capabilities = naga::valid::Capabilities::SHADER_FLOAT16;
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities).validate(&module).unwrap();
        let whole = wgsl(Kernel::Roof, Precision::F32);
        assert_eq!(text.lines().skip(1).zip(whole.lines()).filter(|(a, b)| a != b).count(), 2);
    }
}
