//! A fully connected layer, static or dynamic; see `shaders/linear.wgsl`.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::epilogue;
use super::multiply::{multiply, multiply_add};
use super::panels::PANEL_GROUPS;
use super::{Access, Arguments, Cost, Dispatch, Kernel, Nonlinearity, Precision, Scalar, Spec, Subgroups, vec4_bytes};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "linear",
    source: include_str!("../../shaders/linear.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("input", Access::Read),
        ("weights", Access::Read),
        ("heads", Access::Read),
        ("latent", Access::Read),
        ("output", Access::Write),
    ],
    entries: &[
        ("plain", &["input", "weights", "output"]),
        ("branch", &["input", "weights", "heads", "latent", "output"]),
    ],
    stored: &["input", "weights", "latent"],
    overrides: &["GROUPS", "SPLITS"],
    workgroup: &["GROUPS", "SPLITS"],
    workgroup_memory: &[(16, &["GROUPS", "SPLITS"])],
    subgroups: Subgroups::None,
};

const GROUPS: u32 = 8;
const SPLITS: u32 = 8;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    in_groups: u32,
    out_groups: u32,
    latent_groups: u32,
    lambda_offset: u32,
    bounds: [f32; 2],
    unused: [u32; 2],
}

const _: () = assert!(size_of::<Params>() == 32);

/// The sizes of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Groups of the input vector.
    pub in_groups: u32,
    /// Groups of the output vector.
    pub out_groups: u32,
    /// Groups of the latent width; 0 for a static layer.
    pub latent_groups: u32,
}

impl Shape {
    /// vec4 of W₀ and bias, and for a dynamic layer P and the scaled bias.
    pub const fn weight_vec4s(&self) -> u32 {
        let branch = if self.latent_groups > 0 { (4 * self.latent_groups + 1) * self.out_groups } else { 0 };
        (4 * self.in_groups + 1) * self.out_groups + branch
    }
}

/// The launch of a fully connected layer.
pub fn dispatch(shape: Shape, nonlinearity: Nonlinearity) -> Dispatch {
    let Shape { in_groups, out_groups, latent_groups } = shape;
    let lambda_offset = 4 * latent_groups * latent_groups;
    let products = 16 * u64::from(out_groups) * u64::from(in_groups + latent_groups);
    // The bias, and a branch's scaled bias and scale.
    let additions = if latent_groups > 0 { 3 } else { 1 };
    let branch = if latent_groups > 0 { latent_groups + out_groups } else { 0 };
    let bounds = nonlinearity.bounds();
    let params = Params { in_groups, out_groups, latent_groups, lambda_offset, bounds, unused: [0; 2] };
    Dispatch {
        kernel: Kernel::Linear,
        entry: if latent_groups > 0 { "branch" } else { "plain" },
        precision: Precision::F32,
        overrides: vec![("GROUPS", GROUPS), ("SPLITS", SPLITS)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [out_groups.div_ceil(GROUPS), 1],
        cost: Cost {
            flops: 2 * products + additions * u64::from(4 * out_groups),
            bytes_read: vec4_bytes(in_groups + shape.weight_vec4s() + branch),
            bytes_written: vec4_bytes(out_groups),
            single_read: if latent_groups > 0 { vec4_bytes(out_groups) } else { 0 },
            single_written: vec4_bytes(out_groups),
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_groups, out_groups, latent_groups, .. } = dispatch.params_as();
    let latent = if latent_groups > 0 { format!(", latent {}", 4 * latent_groups) } else { String::new() };
    format!("{} → {}{latent}", 4 * in_groups, 4 * out_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (in_groups, out_groups) = (params.in_groups as usize, params.out_groups as usize);
    let latent_groups = params.latent_groups as usize;
    let branch = dispatch.entry == "branch";
    let (input, weights) = (arguments.input("input"), arguments.input("weights"));
    let (heads, latent) = (arguments.input("heads"), arguments.input("latent"));
    let output = arguments.output("output");
    let (w0, rest) = weights.split_at(4 * in_groups * out_groups);
    let (bias, rest) = rest.split_at(out_groups);
    let blocks =
        output.par_chunks_exact_mut(out_groups).take(arguments.pictures).enumerate().flat_map(|(picture, out)| {
            let blocks = out.par_chunks_mut(TWIN_GROUPS).enumerate();
            blocks.map(move |(index, out)| (picture, index * TWIN_GROUPS, out))
        });
    blocks.for_each(|(picture, first, out)| {
        multiply(out, &input[picture * in_groups..][..in_groups], &w0[4 * in_groups * first..], out.len());
        if branch {
            let (p, scaled_bias) = rest.split_at(4 * latent_groups * out_groups);
            let lambda_offset = params.lambda_offset as usize;
            let lambda = &heads[picture * (lambda_offset + out_groups) + lambda_offset + first..];
            for ((sum, lambda), bias) in out.iter_mut().zip(lambda).zip(&scaled_bias[first..]) {
                *sum = std::array::from_fn(|c| lambda[c] * (sum[c] + bias[c]));
            }
            multiply_add(
                out,
                &latent[picture * latent_groups..][..latent_groups],
                &p[4 * latent_groups * first..],
                out.len(),
            );
        }
        epilogue::finish(out, &bias[first..][..out.len()], params.bounds, None);
    });
}

/// Groups of outputs that one task of the twin computes: whole panels.
const TWIN_GROUPS: usize = 4 * PANEL_GROUPS;
