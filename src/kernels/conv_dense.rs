//! Dense convolution of any kernel size; see `shaders/conv_dense.wgsl` and its variants of other tiles.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::axis::Axis;
use super::conv_depthwise::sum_tiles;
use super::epilogue::activate;
use super::multiply::multiply_windows;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Precision, Scalar, Spec, Subgroups, Tile, tile, vec4_bytes,
};

/// The specification of small tiles.
pub const SPEC: Spec = spec("conv_dense", include_str!("../../shaders/conv_dense.wgsl"), Subgroups::None);

/// The specification of large tiles.
pub const WIDE_SPEC: Spec =
    spec("conv_dense_wide", include_str!("../../shaders/conv_dense_wide.wgsl"), Subgroups::None);

/// The specification of tiles whose weights a quad loads together.
pub const QUAD_SPEC: Spec =
    spec("conv_dense_quad", include_str!("../../shaders/conv_dense_quad.wgsl"), Subgroups::OfFour);

/// The specification of tiles whose weights a subgroup loads together.
pub const SUBGROUP_SPEC: Spec =
    spec("conv_dense_subgroup", include_str!("../../shaders/conv_dense_subgroup.wgsl"), Subgroups::OfEight);

const fn spec(stem: &'static str, source: &'static str, subgroups: Subgroups) -> Spec {
    Spec {
        stem,
        source,
        params_bytes: size_of::<Params>(),
        bindings: &[
            ("input", Access::Read),
            ("weights", Access::Read),
            ("output", Access::Write),
            ("partials", Access::Write),
        ],
        entries: &[
            ("plain", &["input", "weights", "output"]),
            ("plain_pooled", &["input", "weights", "output", "partials"]),
        ],
        stored: &["input", "weights", "output"],
        overrides: &["POOL_BINS", "WORKGROUP_X", "WORKGROUP_Y"],
        workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
        workgroup_memory: &[],
        subgroups,
    }
}

/// The kernel of a tile, and the tile itself: small ones stand in for those of pointwise convolutions alone.
const fn kernel_of(tile: Tile) -> (Kernel, Tile) {
    match tile {
        Tile::Small | Tile::Workgroup | Tile::Split => (Kernel::ConvDense, Tile::Small),
        Tile::Wide => (Kernel::ConvDenseWide, tile),
        Tile::Quad => (Kernel::ConvDenseQuad, tile),
        Tile::Subgroup(_) => (Kernel::ConvDenseSubgroup, tile),
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    in_height: u32,
    in_width: u32,
    in_groups: u32,
    out_height: u32,
    out_width: u32,
    out_groups: u32,
    stride: u32,
    pad_top: u32,
    pad_left: u32,
    kernel: u32,
    bounds: [f32; 2],
}

const _: () = assert!(size_of::<Params>() == 48);

/// The sizes of a dense convolution for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows and columns of the input.
    pub input: [u32; 2],
    /// Channel groups of the input.
    pub in_groups: u32,
    /// Rows and columns of the output.
    pub output: [u32; 2],
    /// Channel groups of the output.
    pub out_groups: u32,
    /// Rows and columns of the kernel.
    pub kernel: u32,
    /// Step between two outputs.
    pub stride: u32,
    /// Zeros above and to the left of the input; those below and to the right follow from the sizes.
    pub padding: [u32; 2],
}

impl Shape {
    /// Slots of partial sums that the pooled entry writes.
    pub const fn slots(&self, tile: Tile) -> u32 {
        self.output[1].div_ceil(tile.pixels()) * self.output[0]
    }
}

/// The launch of a dense convolution. There is no residual entry: no network adds one to a dense result.
pub fn dispatch(shape: Shape, epilogue: Epilogue, tile: Tile) -> Dispatch {
    let params = Params {
        in_height: shape.input[0],
        in_width: shape.input[1],
        in_groups: shape.in_groups,
        out_height: shape.output[0],
        out_width: shape.output[1],
        out_groups: shape.out_groups,
        stride: shape.stride,
        pad_top: shape.padding[0],
        pad_left: shape.padding[1],
        kernel: shape.kernel,
        bounds: epilogue.nonlinearity.bounds(),
    };
    let (kernel, tile) = kernel_of(tile);
    let ([x, y], workgroups) = tile.launch(shape.out_groups, shape.slots(tile));
    let out_pixels = shape.output[0] * shape.output[1];
    let [rows, columns] =
        [0, 1].map(|a| Axis::new(shape.input[a], shape.output[a], shape.kernel, shape.stride, shape.padding[a]));
    let products = u64::from(rows.taps) * u64::from(columns.taps) * 16 * u64::from(shape.in_groups * shape.out_groups);
    let weights = (rows.weights * columns.weights * 4 * shape.in_groups + 1) * shape.out_groups;
    let pooled = epilogue.pooling.map_or(0, |pooling| shape.slots(tile) * pooling.count());
    Dispatch {
        kernel,
        entry: if epilogue.pooling.is_some() { "plain_pooled" } else { "plain" },
        precision: Precision::F32,
        overrides: vec![("POOL_BINS", epilogue.bins()), ("WORKGROUP_X", x), ("WORKGROUP_Y", y)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups,
        cost: Cost {
            flops: 2 * products + epilogue.flops(shape.output, shape.out_groups),
            bytes_read: vec4_bytes(rows.inputs * columns.inputs * shape.in_groups + weights),
            bytes_written: vec4_bytes((out_pixels + pooled) * shape.out_groups),
            single_read: 0,
            single_written: vec4_bytes(pooled * shape.out_groups),
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_height, in_width, in_groups, out_height, out_width, out_groups, stride, kernel, .. } =
        dispatch.params_as();
    let (inputs, outputs) = (4 * in_groups, 4 * out_groups);
    format!("{in_height}×{in_width}×{inputs} → {out_height}×{out_width}×{outputs}, {kernel}×{kernel} by {stride}")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (in_groups, out_groups) = (params.in_groups as usize, params.out_groups as usize);
    let kernel = params.kernel as usize;
    let (in_height, in_width) = (params.in_height as isize, params.in_width as isize);
    let (out_height, out_width) = (params.out_height as usize, params.out_width as usize);
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let output = arguments.output("output");
    let bias = &weights[kernel * kernel * 4 * in_groups * out_groups..][..out_groups];

    // Columns of the kernel that fall on the map, which are the same for most outputs of a row.
    let covered = |column: &usize| {
        let left = (column * params.stride as usize) as isize - params.pad_left as isize;
        let [first, end] = [-left, in_width - left].map(|at| at.clamp(0, kernel as isize) as usize);
        (first, end.max(first))
    };
    let columns: Vec<usize> = (0..out_width).collect();
    let runs: Vec<&[usize]> = columns.chunk_by(|a, b| covered(a) == covered(b)).collect();

    let rows = output.par_chunks_exact_mut(out_width * out_groups).take(arguments.pictures * out_height).enumerate();
    rows.for_each(|(index, out)| {
        let (picture, row) = (index / out_height, index % out_height);
        let top = (row * params.stride as usize) as isize - params.pad_top as isize;
        out.chunks_exact_mut(out_groups).for_each(|out| out.copy_from_slice(bias));
        for run in &runs {
            let (first, end) = covered(&run[0]);
            let out = &mut out[run[0] * out_groups..][..run.len() * out_groups];
            let left = (run[0] * params.stride as usize + first) as isize - params.pad_left as isize;
            // They lie side by side, as do their weights.
            let sizes = [(end - first) * in_groups, params.stride as usize * in_groups];
            for i in (0..kernel).filter(|_| first < end) {
                let y = top + i as isize;
                if (0..in_height).contains(&y) {
                    let pixel = ((picture as isize * in_height + y) * in_width + left) as usize;
                    let weights = &weights[(i * kernel + first) * in_groups * 4 * out_groups..];
                    multiply_windows(out, &input[pixel * in_groups..], sizes, weights, out_groups);
                }
            }
        }
        activate(out, params.bounds);
    });

    if dispatch.entry == "plain_pooled" {
        let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
        let tile = [1, tile::pixels_of(dispatch.kernel) as usize];
        let partials = arguments.output("partials");
        sum_tiles(output, partials, [out_height, out_width, out_groups], tile, bins, arguments.pictures);
    }
}
