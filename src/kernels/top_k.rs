//! Softmax and the largest probabilities; see `shaders/top_k.wgsl`.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};

use super::scalar::sum;
use super::{Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "top_k",
    source: include_str!("../../shaders/top_k.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[("scores", Access::Read), ("best", Access::Write), ("probabilities", Access::Write)],
    entries: &[("top_k", &["scores", "best"]), ("softmax", &["scores", "probabilities"])],
    stored: &[],
    overrides: &["WORKGROUP_X"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[(4, &["WORKGROUP_X"]), (4, &["WORKGROUP_X"])],
    subgroups: Subgroups::None,
};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    classes: u32,
    padded_classes: u32,
    count: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Params>() == 16);

/// Bytes of one picture's `count` pairs of class and probability, before rounding up to a whole vec4.
pub const fn best_bytes(count: u32) -> u64 {
    8 * count as u64
}

/// The launch that finds the `count` most probable of `classes` classes; `count` must lie within 1 and `classes`. In software
/// every invocation goes through what the others found one after another, so that few are faster.
pub fn top_k(classes: u32, count: u32, software: bool) -> Dispatch {
    let flops = 3 * u64::from(classes) + 3 * u64::from(count);
    launch("top_k", classes, count, software, Cost::of_words(flops, 4 * u64::from(classes), best_bytes(count)))
}

/// The launch that turns scores into probabilities.
pub fn softmax(classes: u32, software: bool) -> Dispatch {
    let bytes = 4 * u64::from(classes);
    let cost = Cost::of_words(6 * u64::from(classes), bytes, bytes.next_multiple_of(16));
    launch("softmax", classes, 0, software, cost)
}

fn launch(entry: &'static str, classes: u32, count: u32, software: bool, cost: Cost) -> Dispatch {
    let params = Params { classes, padded_classes: classes.next_multiple_of(4), count, unused: 0 };
    Dispatch {
        kernel: Kernel::TopK,
        entry,
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", if software { 8 } else { 64 })],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [1, 1],
        cost,
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { classes, count, .. } = dispatch.params_as();
    format!("{classes} classes → {count}")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (classes, padded) = (params.classes as usize, params.padded_classes as usize);
    let count = params.count as usize;
    let scores = arguments.input("scores").as_flattened();
    let pictures = scores.chunks_exact(padded).take(arguments.pictures).map(|scores| &scores[..classes]);
    if dispatch.entry == "softmax" {
        let probabilities = arguments.output("probabilities").as_flattened_mut();
        for (scores, out) in pictures.zip(probabilities.chunks_exact_mut(padded)) {
            let (highest, total) = highest_and_total(scores);
            out.fill(S::ZERO);
            for (out, score) in out.iter_mut().zip(scores) {
                *out = (*score - highest).exp() / total;
            }
        }
        return;
    }
    let best = arguments.output("best").as_flattened_mut();
    for (scores, best) in pictures.zip(best.chunks_exact_mut(2 * count)) {
        let (highest, total) = highest_and_total(scores);
        // A score that is not a number is never best; the class is then `classes`.
        let mut order: Vec<usize> = (0..classes).filter(|class| !scores[*class].is_nan()).collect();
        let better =
            |a: &usize, b: &usize| scores[*b].partial_cmp(&scores[*a]).unwrap_or(Ordering::Equal).then(a.cmp(b));
        if count < order.len() {
            order.select_nth_unstable_by(count, better);
            order.truncate(count);
        }
        order.sort_unstable_by(better);
        for (index, pair) in best.chunks_exact_mut(2).enumerate() {
            let class = order.get(index).copied().unwrap_or(classes);
            let score = scores.get(class).copied().unwrap_or(f32::NAN.into());
            pair.copy_from_slice(&[(class as f32).into(), (score - highest).exp() / total]);
        }
    }
}

fn highest_and_total<S: Scalar>(scores: &[S]) -> (S, S) {
    let highest = scores.iter().copied().fold(f32::MIN.into(), |a, b| if b > a { b } else { a });
    let total = sum(scores.iter().map(|score| (*score - highest).exp()));
    (highest, total)
}
