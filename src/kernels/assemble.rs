//! Low-rank assembly of a dynamic convolution's weights; see `shaders/assemble.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::multiply::{multiply, multiply_rows};
use super::panels::PANEL_GROUPS;
use super::scalar::sum;
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
    let q = parts.q_by_input(latent);
    let sets = assembled.par_chunks_exact_mut((inputs + 1) * out_groups).take(pictures).enumerate();
    sets.for_each(|(picture, assembled)| {
        let heads = &heads[picture * heads_stride..][..heads_stride];
        let (matrix, lambda) = heads.split_at(latent * latent_groups);
        let matrix = matrix.as_flattened();
        let (w, b) = assembled.split_at_mut(inputs * out_groups);
        if in_groups < out_groups {
            rows(&parts, &q, matrix, lambda, w, b);
        } else {
            columns(&parts, &q, matrix, lambda, w, b);
        }
    });
}

/// One row of W is one input channel: row k is λ ⊙ W₀[k] + Σ_l (M·Q)[l][k] P[l].
fn rows<S: Scalar>(
    parts: &Parts<'_, S>,
    q: &[[S; 4]],
    matrix: &[S],
    lambda: &[[S; 4]],
    w: &mut [[S; 4]],
    b: &mut [[S; 4]],
) {
    let latent = parts.latent_offset.len();
    let transposed: Vec<S> = (0..latent * latent).map(|at| matrix[at % latent * latent + at / latent]).collect();
    let mut mixed = vec![[S::ZERO; 4]; q.len()];
    let blocks = mixed.par_chunks_mut(TWIN_ROWS * latent / 4).zip(q.par_chunks(TWIN_ROWS * latent / 4));
    blocks.for_each(|(mixed, q)| multiply_rows(mixed, q, transposed.as_chunks().0, latent / 4));
    let offset =
        |l: usize| sum((0..latent).map(|j| matrix[l * latent + j] * parts.q_offset[j])) + parts.latent_offset[l];
    let offsets: Vec<S> = (0..latent).map(offset).collect();
    parts.by_panel(w, b).for_each(|Panel { first, w, b }| {
        let p = parts.p_panel(first, b.len());
        parts.scale(first, lambda, w, b);
        multiply(w, &mixed, p, b.len());
        for (p, offset) in p.chunks_exact(b.len()).zip(&offsets) {
            add_scaled(b, p, *offset);
        }
    });
}

/// As `rows`, with P·M made first: row k is λ ⊙ W₀[k] + Σ_j Q[j][k] (P·M)[j].
fn columns<S: Scalar>(
    parts: &Parts<'_, S>,
    q: &[[S; 4]],
    matrix: &[S],
    lambda: &[[S; 4]],
    w: &mut [[S; 4]],
    b: &mut [[S; 4]],
) {
    let latent = parts.latent_offset.len();
    parts.by_panel(w, b).for_each(|Panel { first, w, b }| {
        let p = parts.p_panel(first, b.len());
        let mut product = vec![[S::ZERO; 4]; p.len()];
        for (j, row) in product.chunks_exact_mut(b.len()).enumerate() {
            for (l, p) in p.chunks_exact(b.len()).enumerate() {
                add_scaled(row, p, matrix[l * latent + j]);
            }
        }
        parts.scale(first, lambda, w, b);
        multiply(w, q, &product, b.len());
        for (j, (column, p)) in product.chunks_exact(b.len()).zip(p.chunks_exact(b.len())).enumerate() {
            add_scaled(b, column, parts.q_offset[j]);
            add_scaled(b, p, parts.latent_offset[j]);
        }
    });
}

/// Rows of M·Q that one task of the twin computes.
const TWIN_ROWS: usize = 16;

/// What one task makes: the groups of outputs from `first` on of W and b.
struct Panel<'a, S> {
    first: usize,
    w: &'a mut [[S; 4]],
    b: &'a mut [[S; 4]],
}

impl<S: Scalar> Parts<'_, S> {
    /// Q transposed: one row of latent values for each input.
    fn q_by_input(&self, latent: usize) -> Vec<[S; 4]> {
        let q = self.q.as_flattened();
        let (inputs, panel) = (q.len() / latent, 4 * PANEL_GROUPS);
        let row = |k: usize| {
            let first = k / panel * panel;
            let width = panel.min(inputs - first);
            let at = move |l: usize| first * latent + l * width + k - first;
            (0..latent / 4).map(move |group| std::array::from_fn(|c| q[at(4 * group + c)]))
        };
        (0..inputs).flat_map(row).collect()
    }

    fn by_panel<'a>(
        &self,
        w: &'a mut [[S; 4]],
        b: &'a mut [[S; 4]],
    ) -> impl IndexedParallelIterator<Item = Panel<'a, S>> {
        let inputs = w.len() / b.len();
        let panels = w.par_chunks_mut(inputs * PANEL_GROUPS).zip(b.par_chunks_mut(PANEL_GROUPS)).enumerate();
        panels.map(|(panel, (w, b))| Panel { first: panel * PANEL_GROUPS, w, b })
    }

    fn p_panel(&self, first: usize, groups: usize) -> &[[S; 4]] {
        let latent = self.latent_offset.len();
        &self.p[latent * first..][..latent * groups]
    }

    /// λ ⊙ W₀ and the bias of one panel.
    fn scale(&self, first: usize, lambda: &[[S; 4]], w: &mut [[S; 4]], b: &mut [[S; 4]]) {
        let lambda = &lambda[first..][..b.len()];
        let w0 = &self.w0[w.len() / b.len() * first..];
        for ((out, w0), scale) in w.iter_mut().zip(w0).zip(lambda.iter().cycle()) {
            *out = std::array::from_fn(|c| scale[c] * w0[c]);
        }
        b.copy_from_slice(&self.bias[first..][..b.len()]);
    }
}

fn add_scaled<S: Scalar>(sums: &mut [[S; 4]], values: &[[S; 4]], scale: S) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = std::array::from_fn(|c| sum[c] + value[c] * scale);
    }
}
