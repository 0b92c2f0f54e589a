//! The pointwise convolutions; see `shaders/conv_pointwise.wgsl` and its variants of other tiles.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::epilogue::{self, add_to_bins};
use super::multiply::{multiply, multiply_add, rows_of_task};
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Pooling, Precision, Scalar, Spec, Subgroups, Tile, tile,
    vec4_bytes,
};

/// The specification of small tiles.
pub const SPEC: Spec = Spec {
    workgroup_memory: &[LANE_SUMS],
    ..spec("conv_pointwise", include_str!("../../shaders/conv_pointwise.wgsl"))
};

/// The specification of large tiles.
pub const WIDE_SPEC: Spec = spec("conv_pointwise_wide", include_str!("../../shaders/conv_pointwise_wide.wgsl"));

/// The specification of tiles whose weights a subgroup loads together.
pub const SUBGROUP_SPEC: Spec = Spec {
    subgroups: Subgroups::OfEight,
    ..spec("conv_pointwise_subgroup", include_str!("../../shaders/conv_pointwise_subgroup.wgsl"))
};

/// The specification of tiles whose weights a quad loads together.
pub const QUAD_SPEC: Spec = Spec {
    subgroups: Subgroups::OfFour,
    ..spec("conv_pointwise_quad", include_str!("../../shaders/conv_pointwise_quad.wgsl"))
};

/// The specification of tiles that a workgroup loads into memory that it shares.
pub const WORKGROUP_SPEC: Spec = Spec {
    workgroup_memory: &[LANE_SUMS, (256, &["WORKGROUP_Y"]), (512, &["WORKGROUP_X"])],
    ..spec("conv_pointwise_workgroup", include_str!("../../shaders/conv_pointwise_workgroup.wgsl"))
};

/// The specification of tiles whose input channels several invocations share.
pub const SPLIT_SPEC: Spec = Spec {
    workgroup_memory: &[(128, &["WORKGROUP_X", "WORKGROUP_Y"])],
    ..spec("conv_pointwise_split", include_str!("../../shaders/conv_pointwise_split.wgsl"))
};

/// Where eight rows of invocations add up what they pool.
const LANE_SUMS: (u32, &[&str]) = (32, &["WORKGROUP_X", "WORKGROUP_Y"]);

const fn spec(stem: &'static str, source: &'static str) -> Spec {
    Spec {
        stem,
        source,
        params_bytes: size_of::<Params>(),
        bindings: &[
            ("input", Access::Read),
            ("weights", Access::Read),
            ("heads", Access::Read),
            ("latent", Access::Read),
            ("residual", Access::Read),
            ("output", Access::Write),
            ("partials", Access::Write),
        ],
        entries: &[
            ("plain", &["input", "weights", "residual", "output"]),
            ("plain_pooled", &["input", "weights", "residual", "output", "partials"]),
            ("branch", &["input", "weights", "heads", "latent", "residual", "output", "partials"]),
        ],
        stored: &["input", "weights", "latent", "residual", "output"],
        overrides: &["WORKGROUP_X", "WORKGROUP_Y"],
        workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
        workgroup_memory: &[],
        subgroups: Subgroups::None,
    }
}

/// The kernel of a tile.
pub(super) const fn kernel_of(tile: Tile) -> Kernel {
    match tile {
        Tile::Small => Kernel::ConvPointwise,
        Tile::Wide => Kernel::ConvPointwiseWide,
        Tile::Subgroup(_) => Kernel::ConvPointwiseSubgroup,
        Tile::Quad => Kernel::ConvPointwiseQuad,
        Tile::Workgroup => Kernel::ConvPointwiseWorkgroup,
        Tile::Split => Kernel::ConvPointwiseSplit,
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    width: u32,
    height: u32,
    in_groups: u32,
    out_groups: u32,
    weight_stride: u32,
    latent_groups: u32,
    heads_stride: u32,
    lambda_offset: u32,
    bounds: [f32; 2],
    has_residual: u32,
    pool_bins: u32,
}

const _: () = assert!(size_of::<Params>() == 48);

/// Where a pointwise convolution's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The same for every picture.
    Static,
    /// One assembled set for each picture.
    PerPicture,
    /// Static W₀ with a low-rank branch of this many latent groups beside it.
    Branch {
        /// Groups of the latent width.
        latent_groups: u32,
    },
}

/// The sizes of a pointwise convolution for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the map.
    pub height: u32,
    /// Columns of the map.
    pub width: u32,
    /// Channel groups of the input.
    pub in_groups: u32,
    /// Channel groups of the output.
    pub out_groups: u32,
}

impl Shape {
    /// Slots of partial sums that a launch with a pool writes.
    pub const fn slots(&self, tile: Tile) -> u32 {
        (self.height * self.width).div_ceil(tile.slot_pixels())
    }

    /// vec4 of one set of weights with its bias.
    pub const fn weight_vec4s(&self) -> u32 {
        (4 * self.in_groups + 1) * self.out_groups
    }
}

/// The launch of a pointwise convolution. Where it lacks a residual, or a branch lacks pool sums, they are bound all the same, to any
/// memory as large as an element, so that such launches share a pipeline with others.
pub fn dispatch(shape: Shape, weights: Weights, epilogue: Epilogue, tile: Tile) -> Dispatch {
    let Shape { height, width, in_groups, out_groups } = shape;
    let latent_groups = if let Weights::Branch { latent_groups } = weights { latent_groups } else { 0 };
    let lambda_offset = 4 * latent_groups * latent_groups;
    let params = Params {
        width,
        height,
        in_groups,
        out_groups,
        weight_stride: if weights == Weights::PerPicture { shape.weight_vec4s() } else { 0 },
        latent_groups,
        heads_stride: lambda_offset + out_groups,
        lambda_offset,
        bounds: epilogue.nonlinearity.bounds(),
        has_residual: epilogue.residual.into(),
        pool_bins: epilogue.pooling.map_or(0, Pooling::bins),
    };
    let ([x, y], workgroups) = tile.launch(out_groups, (height * width).div_ceil(tile.pixels()));
    Dispatch {
        kernel: kernel_of(tile),
        entry: match (latent_groups > 0, epilogue.pooling.is_some()) {
            (false, false) => "plain",
            (false, true) => "plain_pooled",
            (true, _) => "branch",
        },
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", x), ("WORKGROUP_Y", y)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups,
        cost: cost(shape, latent_groups, epilogue, tile),
    }
}

fn cost(shape: Shape, latent_groups: u32, epilogue: Epilogue, tile: Tile) -> Cost {
    let Shape { height, width, in_groups, out_groups } = shape;
    let pixels = height * width;
    let products = u64::from(pixels) * u64::from(4 * out_groups) * u64::from(4 * (in_groups + latent_groups));
    let (mut read, written) = (pixels * in_groups + shape.weight_vec4s(), pixels * out_groups);
    let (mut lambda, mut sums) = (0, 0);
    if latent_groups > 0 {
        read += (pixels + 4 * out_groups) * latent_groups;
        lambda = out_groups;
    }
    if epilogue.residual {
        read += pixels * out_groups;
    }
    if let Some(pooling) = epilogue.pooling {
        sums = shape.slots(tile) * pooling.count() * out_groups;
    }
    // The bias of each value, and the scale of a branch's.
    let values = u64::from(pixels) * u64::from(4 * out_groups);
    let scales = if latent_groups > 0 { 2 * values } else { values };
    let flops = 2 * products + scales + epilogue.flops([height, width], out_groups);
    Cost {
        flops,
        bytes_read: vec4_bytes(read + lambda),
        bytes_written: vec4_bytes(written + sums),
        single_read: vec4_bytes(lambda),
        single_written: vec4_bytes(sums),
    }
}

/// Whether a launch leaves a binding alone.
pub(super) fn ignores(dispatch: &Dispatch, binding: &str) -> bool {
    let Params { has_residual, pool_bins, .. } = dispatch.params_as();
    (binding == "residual" && has_residual == 0) || (binding == "partials" && pool_bins == 0)
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { width, height, in_groups, out_groups, latent_groups, .. } = dispatch.params_as();
    let latent = if latent_groups > 0 { format!(", latent {}", 4 * latent_groups) } else { String::new() };
    format!("{height}×{width}×{} → {height}×{width}×{}{latent}", 4 * in_groups, 4 * out_groups)
}

/// Slots of a map from which on tasks have whole ones, as many as can be shared evenly.
const MANY_SLOTS: usize = 16;

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (in_groups, out_groups) = (params.in_groups as usize, params.out_groups as usize);
    let latent_groups = params.latent_groups as usize;
    let pixels = (params.width * params.height) as usize;
    let branch = dispatch.entry == "branch";
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let heads = arguments.input("heads");
    let latent = arguments.input("latent");
    let residual = arguments.input("residual");
    let output = arguments.output("output");

    let bins = params.pool_bins;
    let slot = if bins > 0 { tile::slot_pixels_of(dispatch.kernel) as usize } else { pixels };
    let slot_sums = (bins * bins).max(1) as usize * out_groups;
    let mut partials = if bins > 0 { arguments.output("partials") } else { Default::default() };
    // Tasks of whole slots sum them up while the outputs are in their core's cache; few slots would leave cores idle.
    let (mut block, mut sums) = (rows_of_task(pixels), Default::default());
    if pixels >= MANY_SLOTS * slot {
        block = (block - block % slot).max(slot);
        sums = std::mem::take(&mut partials);
    }
    let sums = sums.chunks_mut(pixels.div_ceil(slot) * slot_sums);
    let mut sums = sums.flat_map(|sums| sums.chunks_mut((block / slot).max(1) * slot_sums));
    let maps = output.chunks_exact_mut(pixels * out_groups).take(arguments.pictures).enumerate();
    let tiles = maps.flat_map(|(picture, map)| {
        let blocks = map.chunks_mut(block * out_groups).enumerate();
        blocks.map(move |(index, out)| (picture, index * block, out))
    });
    let tiles = tiles.map(|(picture, pixel, out)| (picture, pixel, out, sums.next().unwrap_or_default()));
    tiles.collect::<Vec<_>>().into_par_iter().for_each(|(picture, pixel, out, sums)| {
        let place = |groups: usize| (picture * pixels + pixel) * groups;
        let rows = out.len() / out_groups;
        let set = picture * params.weight_stride as usize;
        multiply(out, &input[place(in_groups)..][..rows * in_groups], &weights[set..], out_groups);
        if branch {
            let lambda = picture * params.heads_stride as usize + params.lambda_offset as usize;
            for row in out.chunks_exact_mut(out_groups) {
                for (sum, scale) in row.iter_mut().zip(&heads[lambda..]) {
                    *sum = std::array::from_fn(|c| sum[c] * scale[c]);
                }
            }
            let p = &weights[(4 * in_groups + 1) * out_groups..];
            multiply_add(out, &latent[place(latent_groups)..][..rows * latent_groups], p, out_groups);
        }
        let bias = &weights[set + 4 * in_groups * out_groups..][..out_groups];
        let residual = (params.has_residual != 0).then(|| &residual[place(out_groups)..][..rows * out_groups]);
        epilogue::finish(out, bias, params.bounds, residual);
        for (index, (sums, values)) in sums.chunks_exact_mut(slot_sums).zip(out.chunks(slot * out_groups)).enumerate() {
            sum_slot(&params, pixel + index * slot, sums, values);
        }
    });
    let slots = partials.par_chunks_exact_mut(slot_sums).take(arguments.pictures * pixels.div_ceil(slot));
    slots.enumerate().for_each(|(index, sums)| {
        let (picture, first) = (index / pixels.div_ceil(slot), index % pixels.div_ceil(slot) * slot);
        let end = pixels.min(first + slot);
        sum_slot(
            &params,
            first,
            sums,
            &output[(picture * pixels + first) * out_groups..][..(end - first) * out_groups],
        );
    });
}

/// The sums of a slot, whose values begin with those of pixel `first`.
fn sum_slot<S: Scalar>(params: &Params, first: usize, sums: &mut [[S; 4]], values: &[[S; 4]]) {
    let (width, out_groups) = (params.width as usize, params.out_groups as usize);
    let end = first + values.len() / out_groups;
    sums.fill([S::ZERO; 4]);
    for row in first / width..end.div_ceil(width) {
        let run = first.max(row * width)..end.min((row + 1) * width);
        let values = &values[(run.start - first) * out_groups..][..run.len() * out_groups];
        let columns = (run.start - row * width) as u32..(run.end - row * width) as u32;
        add_to_bins(sums, params.pool_bins, row as u32, columns, [params.height, params.width], values);
    }
}
