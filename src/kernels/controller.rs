//! The controller of a dynamic convolution; see `shaders/shared/controller.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::multiply::multiply_vector;
use super::pool::{bin_pixels, means_of};
use super::{
    Access, Arguments, Cost, Dispatch, Kernel, Pooling, Precision, Scalar, Spec, Subgroups, Tile, WORKGROUP_BYTES,
    vec4_bytes,
};

/// The specification of the kernel whose workgroups wait for all their invocations.
pub const SPEC: Spec = spec("controller", include_str!("../../shaders/controller.wgsl"), Subgroups::None);

/// The specification of the kernel whose workgroups share memory in a buffer.
pub const SCRATCH_SPEC: Spec = Spec {
    bindings: &[
        ("partials", Access::Read),
        ("weights", Access::Read),
        ("heads", Access::Write),
        ("scratch", Access::Scratch),
    ],
    entries: &[("controller", &["partials", "weights", "heads", "scratch"])],
    overrides: &["WORKGROUP_X"],
    workgroup_memory: &[],
    ..spec("controller_scratch", include_str!("../../shaders/controller_scratch.wgsl"), Subgroups::None)
};

/// The specification of the kernel whose workgroups are subgroups.
pub const SUBGROUP_SPEC: Spec =
    spec("controller_subgroup", include_str!("../../shaders/controller_subgroup.wgsl"), Subgroups::Whole);

const fn spec(stem: &'static str, source: &'static str, subgroups: Subgroups) -> Spec {
    Spec {
        stem,
        source,
        params_bytes: size_of::<Params>(),
        bindings: &[("partials", Access::Read), ("weights", Access::Read), ("heads", Access::Write)],
        entries: &[("controller", &["partials", "weights", "heads"])],
        stored: &["weights"],
        overrides: &["WORKGROUP_X", "VECTORS"],
        workgroup: &["WORKGROUP_X"],
        workgroup_memory: &[(16, &["VECTORS"]), (16, &["WORKGROUP_X"]), (16, &["WORKGROUP_X"])],
        subgroups,
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    out_groups: u32,
    heads_per_workgroup: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Params>() == 32);

/// The sizes of a controller for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the pooled map.
    pub height: u32,
    /// Columns of the pooled map.
    pub width: u32,
    /// Channel groups of the pooled map.
    pub in_groups: u32,
    /// Slots of its partial sums.
    pub slots: u32,
    /// Bins of its pool.
    pub pooling: Pooling,
    /// Groups of the hidden vector.
    pub squeeze_groups: u32,
    /// Groups of the latent width.
    pub latent_groups: u32,
    /// Groups of λ.
    pub out_groups: u32,
}

impl Shape {
    /// vec4 of M and λ.
    pub const fn head_groups(&self) -> u32 {
        4 * self.latent_groups * self.latent_groups + self.out_groups
    }

    /// vec4 of the pooled vector.
    pub const fn pooled_groups(&self) -> u32 {
        self.pooling.count() * self.in_groups
    }

    /// vec4 of a workgroup's memory for the pooled and the squeezed vector.
    pub fn hidden_vec4s(&self) -> u32 {
        self.pooled_groups().max(self.squeeze_groups) + self.squeeze_groups
    }

    /// vec4 of the weights.
    pub const fn weight_vec4s(&self) -> u32 {
        4 * self.squeeze_groups * (self.pooled_groups() + self.squeeze_groups + self.head_groups())
    }
}

/// Invocations of a workgroup on hardware; where the vectors of a very wide layer leave no memory for so many sums, the first of the
/// others that fits.
const LANES: u32 = 128;
const FEWER_LANES: [u32; 2] = [64, 32];

/// On software a workgroup runs on one core, so more invocations only wait for each other: with eight SwiftShader's controllers and
/// assemblies took 1.08 of the time.
pub(super) const SOFTWARE_LANES: u32 = 4;

/// Workgroups of a launch on software: one for each of at least two cores.
pub(super) const SOFTWARE_WORKGROUPS: u32 = 2;

/// Vectors of a workgroup's memory: enough for any usual layer, so that all of them share one pipeline. With the sums of the
/// invocations that makes 8 KiB.
const VECTORS: u32 = 384;

/// The launch of a controller, in workgroups that suit a device with this tile.
///
/// Every workgroup makes the hidden vector again, so more of them pay only where the heads are the larger part.
pub fn dispatch(shape: Shape, tile: Tile) -> Dispatch {
    let Shape { height, width, slots, pooling, squeeze_groups, latent_groups, out_groups, .. } = shape;
    let pooled_groups = shape.pooled_groups();
    let vectors = shape.hidden_vec4s().max(VECTORS);
    let (kernel, lanes) = match tile {
        Tile::Subgroup(size) => (Kernel::ControllerSubgroup, size),
        Tile::Quad | Tile::Wide => (Kernel::ControllerScratch, SOFTWARE_LANES),
        _ => (Kernel::Controller, hardware_lanes(vectors)),
    };
    let workgroups = match kernel {
        Kernel::Controller => (shape.head_groups() / (2 * LANES)).clamp(1, 8),
        _ => SOFTWARE_WORKGROUPS,
    };
    let heads_per_workgroup = shape.head_groups().div_ceil(workgroups);
    let params = Params {
        bin_pixels: bin_pixels([height, width], pooling.bins()),
        pooled_groups,
        slots,
        squeeze_groups,
        latent_groups,
        out_groups,
        heads_per_workgroup,
        unused: 0,
    };
    let overrides = [("WORKGROUP_X", lanes), ("VECTORS", vectors)];
    Dispatch {
        kernel,
        entry: "controller",
        precision: Precision::F32,
        overrides: kernel.spec().known(overrides),
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [shape.head_groups().div_ceil(heads_per_workgroup), 1],
        cost: cost(shape),
    }
}

/// Both sums of an invocation lie beside the vectors.
fn hardware_lanes(vectors: u32) -> u32 {
    let fits = |lanes: &u32| 16 * vectors + 32 * lanes <= WORKGROUP_BYTES;
    std::iter::once(LANES).chain(FEWER_LANES).find(fits).unwrap_or(SOFTWARE_LANES)
}

/// vec4 of f32 in which the workgroups of a launch share memory for one picture; none where they have memory of their own.
pub fn scratch_vec4s(shape: Shape, dispatch: &Dispatch) -> u64 {
    match dispatch.kernel {
        Kernel::ControllerScratch => scratch_of(dispatch, shape.hidden_vec4s()),
        _ => 0,
    }
}

/// The same of workgroups that each keep so many vec4 beside the sums of their invocations.
pub(super) fn scratch_of(dispatch: &Dispatch, vec4s: u32) -> u64 {
    u64::from(dispatch.workgroups[0]) * u64::from(2 * dispatch.invocations() + vec4s)
}

pub(super) fn cost(shape: Shape) -> Cost {
    let Shape { slots, squeeze_groups, latent_groups, out_groups, .. } = shape;
    let pooled_groups = shape.pooled_groups();
    let products = 32 * u64::from(squeeze_groups);
    let hidden = products * u64::from(pooled_groups + squeeze_groups);
    let pool = 4 * u64::from(pooled_groups) * u64::from(slots + 1);
    // The hidden vector's gate, M's diagonal and λ's gate.
    let gates = 8 * u64::from(squeeze_groups) + 4 * u64::from(latent_groups + out_groups);
    Cost {
        flops: pool + hidden + gates + products * u64::from(shape.head_groups()),
        bytes_read: vec4_bytes(slots * pooled_groups + shape.weight_vec4s()),
        bytes_written: vec4_bytes(shape.head_groups()),
        single_read: vec4_bytes(slots * pooled_groups),
        single_written: vec4_bytes(shape.head_groups()),
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { pooled_groups, slots, squeeze_groups, latent_groups, out_groups, .. } = dispatch.params_as();
    let (pooled, squeeze) = (4 * pooled_groups, 4 * squeeze_groups);
    let latent = 4 * latent_groups;
    format!("{slots} sums of {pooled} → {squeeze} → {latent}×{latent} + {}", 4 * out_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let means =
        Means { bin_pixels: params.bin_pixels, slots: params.slots as usize, groups: params.pooled_groups as usize };
    let sizes = [params.squeeze_groups, params.latent_groups, params.out_groups].map(|groups| groups as usize);
    let (partials, weights) = (arguments.input("partials"), arguments.input("weights"));
    make_heads(means, sizes, partials, weights, arguments.output("heads"), arguments.pictures);
}

/// How pool sums become the means that a controller starts from.
pub(super) struct Means {
    pub bin_pixels: u32,
    pub slots: usize,
    /// vec4 of all bins.
    pub groups: usize,
}

/// M and λ of every picture.
pub(super) fn make_heads<S: Scalar>(
    means: Means,
    [squeeze, latent_groups, out_groups]: [usize; 3],
    partials: &[[S; 4]],
    weights: &[[S; 4]],
    heads: &mut [[S; 4]],
    pictures: usize,
) {
    let matrix_groups = 4 * latent_groups * latent_groups;
    let by_picture = heads.par_chunks_exact_mut(matrix_groups + out_groups).take(pictures).enumerate();
    by_picture.for_each(|(picture, heads)| {
        let mut pooled = vec![[S::ZERO; 4]; means.groups];
        means_of(means.bin_pixels, means.slots, &partials[picture * means.slots * means.groups..], &mut pooled);

        let mut hidden = vec![[S::ZERO; 4]; squeeze];
        multiply_vector(&mut hidden, &pooled, weights);
        let gate = 4 * means.groups * squeeze;
        let mut gates = vec![[S::ZERO; 4]; squeeze];
        multiply_vector(&mut gates, &hidden, &weights[gate..]);
        for (y, g) in hidden.iter_mut().zip(gates) {
            *y = std::array::from_fn(|c| y[c] * (g[c] + 3.0.into()).clamp(0.0, 6.0));
        }

        multiply_vector(heads, &hidden, &weights[gate + 4 * squeeze * squeeze..]);
        let (matrix, lambda) = heads.split_at_mut(matrix_groups);
        for (row, values) in matrix.chunks_exact_mut(latent_groups.max(1)).enumerate() {
            values[row / 4][row % 4] += 1.0.into();
        }
        for value in lambda {
            *value = value.map(|v| (v + 3.0.into()).clamp(0.0, 6.0));
        }
    });
}
