//! Pointwise convolution; see `shaders/conv_pointwise.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::epilogue::BinSums;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Nonlinearity, Scalar, Spec, split_workgroup, vec4_bytes,
};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "conv_pointwise",
    source: include_str!("../../shaders/conv_pointwise.wgsl"),
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
        ("plain", &["input", "weights", "output"]),
        ("plain_pooled", &["input", "weights", "output", "partials"]),
        ("residual_sum", &["input", "weights", "residual", "output"]),
        ("residual_sum_pooled", &["input", "weights", "residual", "output", "partials"]),
        ("branch", &["input", "weights", "heads", "latent", "output"]),
        ("branch_pooled", &["input", "weights", "heads", "latent", "output", "partials"]),
        ("branch_residual_sum", &["input", "weights", "heads", "latent", "residual", "output"]),
        ("branch_residual_sum_pooled", &["input", "weights", "heads", "latent", "residual", "output", "partials"]),
    ],
    overrides: &["ACTIVATION", "POOL_BINS", "WORKGROUP_X", "WORKGROUP_Y"],
    workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
    workgroup_memory: &[],
};

/// Pixels of one invocation, and of one slot of partial sums.
pub const TILE_PIXELS: u32 = 4;
const TILE_GROUPS: u32 = 2;

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
}

const _: () = assert!(size_of::<Params>() == 32);

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
    /// Slots of partial sums that a pooled entry writes.
    pub const fn slots(&self) -> u32 {
        (self.height * self.width).div_ceil(TILE_PIXELS)
    }

    /// vec4 of one set of weights with its bias.
    pub const fn weight_vec4s(&self) -> u32 {
        (4 * self.in_groups + 1) * self.out_groups
    }
}

/// The launch of a pointwise convolution.
pub fn dispatch(shape: Shape, weights: Weights, epilogue: Epilogue) -> Dispatch {
    let Shape { height, width, in_groups, out_groups } = shape;
    let latent_groups = if let Weights::Branch { latent_groups } = weights { latent_groups } else { 0 };
    let branch = latent_groups > 0;
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
    };
    let entry = match (branch, epilogue.residual, epilogue.pooling.is_some()) {
        (false, false, false) => "plain",
        (false, false, true) => "plain_pooled",
        (false, true, false) => "residual_sum",
        (false, true, true) => "residual_sum_pooled",
        (true, false, false) => "branch",
        (true, false, true) => "branch_pooled",
        (true, true, false) => "branch_residual_sum",
        (true, true, true) => "branch_residual_sum_pooled",
    };
    let [x, y] = split_workgroup(out_groups.div_ceil(TILE_GROUPS), 8);
    Dispatch {
        kernel: Kernel::ConvPointwise,
        entry,
        overrides: vec![
            ("ACTIVATION", epilogue.nonlinearity as u32),
            ("POOL_BINS", epilogue.bins()),
            ("WORKGROUP_X", x),
            ("WORKGROUP_Y", y),
        ],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [out_groups.div_ceil(TILE_GROUPS).div_ceil(x), shape.slots().div_ceil(y)],
        cost: cost(shape, latent_groups, epilogue),
    }
}

fn cost(shape: Shape, latent_groups: u32, epilogue: Epilogue) -> Cost {
    let Shape { height, width, in_groups, out_groups } = shape;
    let pixels = height * width;
    let products = u64::from(pixels) * u64::from(4 * out_groups) * u64::from(4 * (in_groups + latent_groups));
    let (mut read, mut written) = (pixels * in_groups + shape.weight_vec4s(), pixels * out_groups);
    if latent_groups > 0 {
        read += pixels * latent_groups + (4 * latent_groups + 1) * out_groups;
    }
    if epilogue.residual {
        read += pixels * out_groups;
    }
    if let Some(pooling) = epilogue.pooling {
        written += shape.slots() * pooling.count() * out_groups;
    }
    // The bias of each value, and the scale of a branch's.
    let values = u64::from(pixels) * u64::from(4 * out_groups);
    let scales = if latent_groups > 0 { 2 * values } else { values };
    let flops = 2 * products + scales + epilogue.flops([height, width], out_groups);
    Cost { flops, bytes_read: vec4_bytes(read), bytes_written: vec4_bytes(written) }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { width, height, in_groups, out_groups, latent_groups, .. } = dispatch.params_as();
    let latent = if latent_groups > 0 { format!(", latent {}", 4 * latent_groups) } else { String::new() };
    format!("{height}×{width}×{} → {height}×{width}×{}{latent}", 4 * in_groups, 4 * out_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (in_groups, out_groups) = (params.in_groups as usize, params.out_groups as usize);
    let latent_groups = params.latent_groups as usize;
    let pixels = (params.width * params.height) as usize;
    let branch = dispatch.entry.starts_with("branch");
    let has_residual = dispatch.entry.contains("residual_sum");
    let nonlinearity = Nonlinearity::from_code(dispatch.override_value("ACTIVATION").unwrap_or(0));
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let heads = arguments.input("heads");
    let latent = arguments.input("latent");
    let residual = arguments.input("residual");
    let output = arguments.output("output");

    let tile = TILE_PIXELS as usize;
    let maps = output.chunks_exact_mut(pixels * out_groups).take(arguments.pictures).enumerate();
    let tiles = maps.flat_map(|(picture, map)| {
        map.chunks_mut(tile * out_groups).enumerate().map(move |(index, out)| (picture, index * tile, out))
    });
    tiles.collect::<Vec<_>>().into_par_iter().for_each(|(picture, pixel, out)| {
        let place = |groups: usize| (picture * pixels + pixel) * groups;
        let rows = out.len() / out_groups;
        let set = picture * params.weight_stride as usize;
        out.fill([S::ZERO; 4]);
        multiply(out, &input[place(in_groups)..][..rows * in_groups], &weights[set..], out_groups);
        if branch {
            let lambda = picture * params.heads_stride as usize + params.lambda_offset as usize;
            for row in out.chunks_exact_mut(out_groups) {
                for (sum, scale) in row.iter_mut().zip(&heads[lambda..]) {
                    *sum = std::array::from_fn(|c| sum[c] * scale[c]);
                }
            }
            let p = &weights[(4 * in_groups + 1) * out_groups..];
            multiply(out, &latent[place(latent_groups)..][..rows * latent_groups], p, out_groups);
        }
        let bias = &weights[set + 4 * in_groups * out_groups..][..out_groups];
        for (index, sum) in out.iter_mut().enumerate() {
            let biased = std::array::from_fn(|c| sum[c] + bias[index % out_groups][c]);
            *sum = nonlinearity.apply(biased);
            if has_residual {
                super::epilogue::add(sum, residual[place(out_groups) + index]);
            }
        }
    });

    if dispatch.entry.ends_with("pooled") {
        let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
        let size = [params.height, params.width];
        let slots = pixels.div_ceil(tile);
        let partials = arguments.output("partials");
        for picture in 0..arguments.pictures {
            let map = &output[picture * pixels * out_groups..][..pixels * out_groups];
            for slot in 0..slots {
                for group in 0..out_groups {
                    let mut sums = BinSums::new(bins);
                    for pixel in slot * tile..pixels.min((slot + 1) * tile) {
                        let at = [pixel as u32 / params.width, pixel as u32 % params.width];
                        sums.add(at, size, map[pixel * out_groups + group]);
                    }
                    let count = (bins * bins) as usize;
                    for bin in 0..count {
                        let place = ((picture * slots + slot) * count + bin) * out_groups + group;
                        partials[place] = sums.sums[bin];
                    }
                }
            }
        }
    }
}

/// out += x · weights, for rows of x with `4 · x.len() / rows` channels each and `weights[channel][out_groups]`.
fn multiply<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]], out_groups: usize) {
    let rows = out.len() / out_groups;
    let in_groups = x.len() / rows;
    let (x, weights, out) = (x.as_flattened(), weights.as_flattened(), out.as_flattened_mut());
    let (inputs, outputs) = (4 * in_groups, 4 * out_groups);
    if let [a, b, c, d] = out.chunks_exact_mut(outputs).collect::<Vec<_>>().as_mut_slice() {
        // Four pixels together share each weight that is loaded.
        for k in 0..inputs {
            let w = &weights[k * outputs..][..outputs];
            let [xa, xb, xc, xd] = [x[k], x[inputs + k], x[2 * inputs + k], x[3 * inputs + k]];
            for ((((w, a), b), c), d) in
                w.iter().zip(a.iter_mut()).zip(b.iter_mut()).zip(c.iter_mut()).zip(d.iter_mut())
            {
                *a += *w * xa;
                *b += *w * xb;
                *c += *w * xc;
                *d += *w * xd;
            }
        }
        return;
    }
    for (out, x) in out.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
        for (k, x) in x.iter().enumerate() {
            for (sum, w) in out.iter_mut().zip(&weights[k * outputs..][..outputs]) {
                *sum += *w * *x;
            }
        }
    }
}
