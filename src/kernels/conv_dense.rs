//! Dense convolution of any kernel size; see `shaders/conv_dense.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::axis::Axis;
use super::conv_depthwise::sum_tiles;
use super::epilogue::add_product;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Nonlinearity, Scalar, Spec, split_workgroup, vec4_bytes,
};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "conv_dense",
    source: include_str!("../../shaders/conv_dense.wgsl"),
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
    overrides: &["ACTIVATION", "POOL_BINS", "KERNEL", "WORKGROUP_X", "WORKGROUP_Y"],
    workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
    workgroup_memory: &[],
};

const TILE_COLUMNS: u32 = 4;

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
    unused: [u32; 3],
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
    pub const fn slots(&self) -> u32 {
        self.output[1].div_ceil(TILE_COLUMNS) * self.output[0]
    }
}

/// The launch of a dense convolution. There is no residual entry: no network adds one to a dense result.
pub fn dispatch(shape: Shape, epilogue: Epilogue) -> Dispatch {
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
        unused: [0; 3],
    };
    let [x, y] = split_workgroup(shape.out_groups, 8);
    let out_pixels = shape.output[0] * shape.output[1];
    let [rows, columns] =
        [0, 1].map(|a| Axis::new(shape.input[a], shape.output[a], shape.kernel, shape.stride, shape.padding[a]));
    let products = u64::from(rows.taps) * u64::from(columns.taps) * 16 * u64::from(shape.in_groups * shape.out_groups);
    let weights = (rows.weights * columns.weights * 4 * shape.in_groups + 1) * shape.out_groups;
    let pooled = epilogue.pooling.map_or(0, |pooling| shape.slots() * pooling.count());
    Dispatch {
        kernel: Kernel::ConvDense,
        entry: if epilogue.pooling.is_some() { "plain_pooled" } else { "plain" },
        overrides: vec![
            ("ACTIVATION", epilogue.nonlinearity as u32),
            ("POOL_BINS", epilogue.bins()),
            ("KERNEL", shape.kernel),
            ("WORKGROUP_X", x),
            ("WORKGROUP_Y", y),
        ],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [shape.out_groups.div_ceil(x), shape.slots().div_ceil(y)],
        cost: Cost {
            flops: 2 * products + epilogue.flops(shape.output, shape.out_groups),
            bytes_read: vec4_bytes(rows.inputs * columns.inputs * shape.in_groups + weights),
            bytes_written: vec4_bytes((out_pixels + pooled) * shape.out_groups),
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_height, in_width, in_groups, out_height, out_width, out_groups, stride, .. } = dispatch.params_as();
    let kernel = dispatch.override_value("KERNEL").unwrap_or(0);
    let (inputs, outputs) = (4 * in_groups, 4 * out_groups);
    format!("{in_height}×{in_width}×{inputs} → {out_height}×{out_width}×{outputs}, {kernel}×{kernel} by {stride}")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (in_groups, out_groups) = (params.in_groups as usize, params.out_groups as usize);
    let kernel = dispatch.override_value("KERNEL").unwrap_or(3) as usize;
    let nonlinearity = Nonlinearity::from_code(dispatch.override_value("ACTIVATION").unwrap_or(0));
    let (in_height, in_width) = (params.in_height as isize, params.in_width as isize);
    let (out_height, out_width) = (params.out_height as usize, params.out_width as usize);
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let output = arguments.output("output");
    let bias = &weights[kernel * kernel * 4 * in_groups * out_groups..][..out_groups];

    let rows = output.par_chunks_exact_mut(out_width * out_groups).take(arguments.pictures * out_height).enumerate();
    rows.for_each(|(index, out)| {
        let (picture, row) = (index / out_height, index % out_height);
        let top = (row * params.stride as usize) as isize - params.pad_top as isize;
        for (column, out) in out.chunks_exact_mut(out_groups).enumerate() {
            let left = (column * params.stride as usize) as isize - params.pad_left as isize;
            out.copy_from_slice(bias);
            for i in 0..kernel {
                for j in 0..kernel {
                    let (y, x) = (top + i as isize, left + j as isize);
                    if y < 0 || x < 0 || y >= in_height || x >= in_width {
                        continue;
                    }
                    let pixel = ((picture as isize * in_height + y) * in_width + x) as usize;
                    for k in 0..in_groups {
                        let first = ((i * kernel + j) * in_groups + k) * 4 * out_groups;
                        for (group, sum) in out.iter_mut().enumerate() {
                            let at = first + group;
                            let rows = std::array::from_fn(|lane| weights[at + lane * out_groups]);
                            add_product(sum, rows, input[pixel * in_groups + k]);
                        }
                    }
                }
            }
            for sum in out {
                *sum = nonlinearity.apply(*sum);
            }
        }
    });

    if dispatch.entry == "plain_pooled" {
        let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
        let tile = [1, TILE_COLUMNS as usize];
        let partials = arguments.output("partials");
        sum_tiles(output, partials, [out_height, out_width, out_groups], tile, bins, arguments.pictures);
    }
}
