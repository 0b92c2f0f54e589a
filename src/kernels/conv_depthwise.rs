//! Depthwise convolution; see `shaders/conv_depthwise.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::axis::Axis;
use super::epilogue::BinSums;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Nonlinearity, Scalar, Spec, split_workgroup, vec4_bytes,
};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "conv_depthwise",
    source: include_str!("../../shaders/conv_depthwise.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("input", Access::Read),
        ("weights", Access::Read),
        ("output", Access::Write),
        ("partials", Access::Write),
    ],
    entries: &[
        ("rolling", &["input", "weights", "output"]),
        ("rolling_pooled", &["input", "weights", "output", "partials"]),
        ("plain", &["input", "weights", "output"]),
        ("plain_pooled", &["input", "weights", "output", "partials"]),
    ],
    overrides: &["ACTIVATION", "POOL_BINS", "KERNEL", "STRIDE", "WORKGROUP_X", "WORKGROUP_Y"],
    workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
    workgroup_memory: &[],
    subgroups: false,
};

const TILE_COLUMNS: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    in_height: u32,
    in_width: u32,
    out_height: u32,
    out_width: u32,
    groups: u32,
    stride: u32,
    pad_top: u32,
    pad_left: u32,
    tile_rows: u32,
    unused: [u32; 3],
}

const _: () = assert!(size_of::<Params>() == 48);

/// The sizes of a depthwise convolution for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows and columns of the input.
    pub input: [u32; 2],
    /// Rows and columns of the output.
    pub output: [u32; 2],
    /// Channel groups.
    pub groups: u32,
    /// Rows and columns of the kernel.
    pub kernel: u32,
    /// Step between two outputs.
    pub stride: u32,
    /// Zeros above and to the left of the input; those below and to the right follow from the sizes.
    pub padding: [u32; 2],
    /// Rows of one invocation's tile.
    pub tile_rows: u32,
    /// Whether an invocation loads each input row once for all rows of its tile, where it can.
    pub rolling: bool,
}

/// Whether a kernel of so many rows and this step can roll.
pub const fn can_roll(kernel: usize, stride: usize) -> bool {
    kernel == 3 && (stride == 1 || stride == 2)
}

impl Shape {
    /// Slots of partial sums that the pooled entry writes.
    pub const fn slots(&self) -> u32 {
        self.output[1].div_ceil(TILE_COLUMNS) * self.output[0].div_ceil(self.tile_rows)
    }
}

/// The launch of a depthwise convolution. There is no residual entry: no network adds one to a depthwise result.
pub fn dispatch(shape: Shape, epilogue: Epilogue) -> Dispatch {
    let params = Params {
        in_height: shape.input[0],
        in_width: shape.input[1],
        out_height: shape.output[0],
        out_width: shape.output[1],
        groups: shape.groups,
        stride: shape.stride,
        pad_top: shape.padding[0],
        pad_left: shape.padding[1],
        tile_rows: shape.tile_rows,
        unused: [0; 3],
    };
    let [x, y] = split_workgroup(shape.groups, 8);
    let rolling = shape.rolling && can_roll(shape.kernel as usize, shape.stride as usize);
    let out_pixels = shape.output[0] * shape.output[1];
    let [rows, columns] =
        [0, 1].map(|a| Axis::new(shape.input[a], shape.output[a], shape.kernel, shape.stride, shape.padding[a]));
    let products = u64::from(rows.taps) * u64::from(columns.taps) * 4 * u64::from(shape.groups);
    let (inputs, weights) = (rows.inputs * columns.inputs, rows.weights * columns.weights + 1);
    let pooled = epilogue.pooling.map_or(0, |pooling| shape.slots() * pooling.count());
    Dispatch {
        kernel: Kernel::ConvDepthwise,
        entry: match (rolling, epilogue.pooling.is_some()) {
            (false, false) => "plain",
            (false, true) => "plain_pooled",
            (true, false) => "rolling",
            (true, true) => "rolling_pooled",
        },
        overrides: vec![
            ("ACTIVATION", epilogue.nonlinearity as u32),
            ("POOL_BINS", epilogue.bins()),
            ("KERNEL", shape.kernel),
            ("STRIDE", if rolling { shape.stride } else { 1 }),
            ("WORKGROUP_X", x),
            ("WORKGROUP_Y", y),
        ],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [shape.groups.div_ceil(x), shape.slots().div_ceil(y)],
        cost: Cost {
            flops: 2 * products + epilogue.flops(shape.output, shape.groups),
            bytes_read: vec4_bytes((inputs + weights) * shape.groups),
            bytes_written: vec4_bytes((out_pixels + pooled) * shape.groups),
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_height, in_width, out_height, out_width, groups, stride, .. } = dispatch.params_as();
    let kernel = dispatch.override_value("KERNEL").unwrap_or(0);
    let channels = 4 * groups;
    format!("{in_height}×{in_width}×{channels} → {out_height}×{out_width}×{channels}, {kernel}×{kernel} by {stride}")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let groups = params.groups as usize;
    let kernel = dispatch.override_value("KERNEL").unwrap_or(3) as usize;
    let nonlinearity = Nonlinearity::from_code(dispatch.override_value("ACTIVATION").unwrap_or(0));
    let (in_height, in_width) = (params.in_height as isize, params.in_width as isize);
    let (out_height, out_width) = (params.out_height as usize, params.out_width as usize);
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let output = arguments.output("output");

    let rows = output.par_chunks_exact_mut(out_width * groups).take(arguments.pictures * out_height).enumerate();
    rows.for_each(|(index, out)| {
        let (picture, row) = (index / out_height, index % out_height);
        let top = (row * params.stride as usize) as isize - params.pad_top as isize;
        for (column, out) in out.chunks_exact_mut(groups).enumerate() {
            let left = (column * params.stride as usize) as isize - params.pad_left as isize;
            out.copy_from_slice(&weights[kernel * kernel * groups..][..groups]);
            for i in 0..kernel {
                for j in 0..kernel {
                    let (y, x) = (top + i as isize, left + j as isize);
                    if y < 0 || x < 0 || y >= in_height || x >= in_width {
                        continue;
                    }
                    let pixel = (picture as isize * in_height + y) * in_width + x;
                    let source = &input[pixel as usize * groups..][..groups];
                    let weight = &weights[(i * kernel + j) * groups..][..groups];
                    for ((sum, w), v) in out.iter_mut().zip(weight).zip(source) {
                        *sum = std::array::from_fn(|c| sum[c] + w[c] * v[c]);
                    }
                }
            }
            for sum in out {
                *sum = nonlinearity.apply(*sum);
            }
        }
    });

    if dispatch.entry.ends_with("pooled") {
        let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
        let tile = [params.tile_rows as usize, TILE_COLUMNS as usize];
        let partials = arguments.output("partials");
        sum_tiles(output, partials, [out_height, out_width, groups], tile, bins, arguments.pictures);
    }
}

/// The partial sums of tiles of `tile` rows and columns, in the order of the tiles.
pub(super) fn sum_tiles<S: Scalar>(
    map: &[[S; 4]],
    partials: &mut [[S; 4]],
    [height, width, groups]: [usize; 3],
    tile: [usize; 2],
    bins: u32,
    pictures: usize,
) {
    let across = width.div_ceil(tile[1]);
    let slots = height.div_ceil(tile[0]) * across;
    let count = (bins * bins) as usize;
    let by_slot = partials.par_chunks_exact_mut(count * groups).take(pictures * slots).enumerate();
    by_slot.for_each(|(index, partials)| {
        let (picture, slot) = (index / slots, index % slots);
        let (top, left) = (slot / across * tile[0], slot % across * tile[1]);
        for group in 0..groups {
            let mut sums = BinSums::new(bins);
            for row in top..height.min(top + tile[0]) {
                for column in left..width.min(left + tile[1]) {
                    let value = map[((picture * height + row) * width + column) * groups + group];
                    sums.add([row as u32, column as u32], [height as u32, width as u32], value);
                }
            }
            for bin in 0..count {
                partials[bin * groups + group] = sums.sums[bin];
            }
        }
    });
}
