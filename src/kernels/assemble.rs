//! Low-rank assembly of a dynamic convolution's weights; see `shaders/assemble.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::multiply::{multiply_rows, multiply_transposed};
use super::panels::PANEL_GROUPS;
use super::scalar::sum;
use super::vectors::{Loops, widest};
use super::{Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups, vec4_bytes};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "assemble",
    source: include_str!("../../shaders/assemble.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[("heads", Access::Read), ("weights", Access::Read), ("assembled", Access::Write)],
    entries: &[("rows", &["heads", "weights", "assembled"]), ("columns", &["heads", "weights", "assembled"])],
    stored: &["weights", "assembled"],
    overrides: &["WORKGROUP_X", "MOST_LATENT"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[(16, &["MOST_LATENT"])],
    subgroups: Subgroups::None,
};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    in_groups: u32,
    out_groups: u32,
    latent_groups: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Params>() == 16);

/// The sizes of an assembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channel groups of the convolution's input.
    pub in_groups: u32,
    /// Channel groups of the convolution's output.
    pub out_groups: u32,
    /// Groups of the latent width.
    pub latent_groups: u32,
}

impl Shape {
    /// vec4 of W(x) and b(x).
    pub const fn assembled_vec4s(&self) -> u32 {
        (4 * self.in_groups + 1) * self.out_groups
    }

    /// vec4 of the static values: W₀, bias, P, Q and the two offsets.
    pub const fn weight_vec4s(&self) -> u32 {
        self.assembled_vec4s() + 4 * self.latent_groups * (self.in_groups + self.out_groups) + 2 * self.latent_groups
    }
}

/// Latent channels for which a workgroup has memory: enough for any usual layer, so that all of them share their pipelines.
const MOST_LATENT: u32 = 64;

/// The launch of an assembly.
pub fn dispatch(shape: Shape) -> Dispatch {
    let Shape { in_groups, out_groups, latent_groups } = shape;
    let by_rows = in_groups < out_groups;
    Dispatch {
        kernel: Kernel::Assemble,
        entry: if by_rows { "rows" } else { "columns" },
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", 64), ("MOST_LATENT", (4 * latent_groups).max(MOST_LATENT))],
        params: bytemuck::bytes_of(&Params { in_groups, out_groups, latent_groups, unused: 0 }).to_vec(),
        workgroups: [if by_rows { in_groups + 1 } else { out_groups }, 1],
        cost: cost(shape),
    }
}

pub(super) fn cost(shape: Shape) -> Cost {
    let Shape { in_groups, out_groups, latent_groups } = shape;
    let (inputs, outputs) = (4 * u64::from(in_groups), 4 * u64::from(out_groups));
    let latent = 4 * u64::from(latent_groups);
    // M·Q or P·M, whichever is the smaller; then λ ⊙ W₀ + P·M·Q; then the bias with the two offsets.
    let product = inputs.min(outputs) * 2 * latent * latent;
    let sums = inputs * outputs * (1 + 2 * latent);
    let bias = if in_groups < out_groups { latent * (2 * latent + 1 + 2 * outputs) } else { 4 * latent * outputs };
    let heads = 4 * latent_groups * latent_groups + out_groups;
    Cost {
        flops: product + sums + bias,
        bytes_read: vec4_bytes(shape.weight_vec4s() + heads),
        bytes_written: vec4_bytes(shape.assembled_vec4s()),
        single_read: vec4_bytes(heads),
        single_written: 0,
    }
}

/// The static values in the order of the shader's `weights`.
struct Parts<'a, S> {
    w0: &'a [[S; 4]],
    bias: &'a [[S; 4]],
    p: &'a [[S; 4]],
    q: &'a [[S; 4]],
    q_offset: &'a [S],
    latent_offset: &'a [S],
}

fn parts<S: Scalar>(weights: &[[S; 4]], [in_groups, out_groups, latent_groups]: [usize; 3]) -> Parts<'_, S> {
    let latent = 4 * latent_groups;
    let (w0, rest) = weights.split_at(4 * in_groups * out_groups);
    let (bias, rest) = rest.split_at(out_groups);
    let (p, rest) = rest.split_at(latent * out_groups);
    let (q, rest) = rest.split_at(latent * in_groups);
    let (q_offset, rest) = rest.split_at(latent_groups);
    Parts { w0, bias, p, q, q_offset: q_offset.as_flattened(), latent_offset: rest[..latent_groups].as_flattened() }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_groups, out_groups, latent_groups, .. } = dispatch.params_as();
    format!("{}×{} weights, latent {}", 4 * in_groups, 4 * out_groups, 4 * latent_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let sizes = [params.in_groups, params.out_groups, params.latent_groups].map(|groups| groups as usize);
    let (weights, heads) = (arguments.input("weights"), arguments.input("heads"));
    make_weights(sizes, weights, heads, arguments.output("assembled"), arguments.pictures);
}

/// W and b of every picture.
pub(super) fn make_weights<S: Scalar>(
    sizes @ [in_groups, out_groups, latent_groups]: [usize; 3],
    weights: &[[S; 4]],
    heads: &[[S; 4]],
    assembled: &mut [[S; 4]],
    pictures: usize,
) {
    let (inputs, latent) = (4 * in_groups, 4 * latent_groups);
    let heads_stride = latent * latent_groups + out_groups;
    let parts = parts(weights, sizes);
    let sets = assembled.par_chunks_exact_mut((inputs + 1) * out_groups).take(pictures).enumerate();
    sets.for_each(|(picture, assembled)| {
        let heads = &heads[picture * heads_stride..][..heads_stride];
        let (matrix, lambda) = heads.split_at(latent * latent_groups);
        let (w, b) = assembled.split_at_mut(inputs * out_groups);
        b.copy_from_slice(parts.bias);
        if in_groups < out_groups {
            rows(&parts, matrix, lambda, w, b);
        } else {
            columns(&parts, matrix, lambda, w, b);
        }
    });
}

/// One row of W is one input channel: row k is λ ⊙ W₀[k] + Σ_l (M·Q)[l][k] P[l].
fn rows<S: Scalar>(parts: &Parts<'_, S>, matrix: &[[S; 4]], lambda: &[[S; 4]], w: &mut [[S; 4]], b: &mut [[S; 4]]) {
    let latent = parts.latent_offset.len();
    let mut mixed = vec![[S::ZERO; 4]; parts.q.len()];
    let panels = mixed.par_chunks_mut(latent * PANEL_GROUPS).zip(parts.q.par_chunks(latent * PANEL_GROUPS));
    panels.for_each(|(mixed, q)| multiply_rows(mixed, matrix, q, q.len() / latent));
    let row = |l: usize| matrix.as_flattened()[l * latent..][..latent].iter().zip(parts.q_offset);
    let offset = |l: usize| sum(row(l).map(|(&m, &offset)| m * offset)) + parts.latent_offset[l];
    let offsets: Vec<S> = (0..latent).map(offset).collect();
    for (p, b) in parts.p.chunks(latent * PANEL_GROUPS).zip(b.chunks_mut(PANEL_GROUPS)) {
        multiply_rows(b, offsets.as_chunks().0, p, b.len());
    }
    parts.add_up(lambda, &mixed, parts.p, w);
}

/// As `rows`, with P·M made first: row k is λ ⊙ W₀[k] + Σ_j Q[j][k] (P·M)[j].
fn columns<S: Scalar>(parts: &Parts<'_, S>, matrix: &[[S; 4]], lambda: &[[S; 4]], w: &mut [[S; 4]], b: &mut [[S; 4]]) {
    let latent = parts.latent_offset.len();
    let mut mixed = vec![[S::ZERO; 4]; parts.p.len()];
    let panels = mixed.par_chunks_mut(latent * PANEL_GROUPS).zip(parts.p.par_chunks(latent * PANEL_GROUPS));
    panels.zip(b.par_chunks_mut(PANEL_GROUPS)).for_each(|((mixed, p), b)| {
        multiply_transposed(mixed, matrix, latent / 4, p);
        multiply_rows(b, parts.q_offset.as_chunks().0, mixed, b.len());
        multiply_rows(b, parts.latent_offset.as_chunks().0, p, b.len());
    });
    parts.add_up(lambda, parts.q, &mixed, w);
}

impl<S: Scalar> Parts<'_, S> {
    /// W = λ ⊙ W₀ + QᵀP, of which one took M in, all in panels: of one panel of P and one of Q at a time.
    fn add_up(&self, lambda: &[[S; 4]], q: &[[S; 4]], p: &[[S; 4]], w: &mut [[S; 4]]) {
        let (latent, inputs) = (self.latent_offset.len(), w.len() / lambda.len());
        let panels = w.par_chunks_mut(inputs * PANEL_GROUPS).zip(self.w0.par_chunks(inputs * PANEL_GROUPS));
        let factors = lambda.par_chunks(PANEL_GROUPS).zip(p.par_chunks(latent * PANEL_GROUPS));
        panels.zip(factors).for_each(|((w, w0), (lambda, p))| {
            let rows = 4 * PANEL_GROUPS * lambda.len();
            let blocks = w.par_chunks_mut(rows).zip(w0.par_chunks(rows)).zip(q.par_chunks(latent * PANEL_GROUPS));
            blocks.for_each(|((w, w0), q)| {
                widest(Scale { out: w, values: w0, scale: lambda });
                multiply_transposed(w, q, q.len() / latent, p);
            });
        });
    }
}

/// out = scale ⊙ values, row by row.
struct Scale<'a, S> {
    out: &'a mut [[S; 4]],
    values: &'a [[S; 4]],
    scale: &'a [[S; 4]],
}

impl<S: Scalar> Loops for Scale<'_, S> {
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(self) {
        let scale = self.scale.as_flattened();
        let rows = self.out.as_flattened_mut().chunks_exact_mut(scale.len());
        for (out, values) in rows.zip(self.values.as_flattened().chunks_exact(scale.len())) {
            for c in 0..scale.len() {
                out[c] = scale[c] * values[c];
            }
        }
    }
}
