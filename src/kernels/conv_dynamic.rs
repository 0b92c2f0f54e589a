//! A dynamic pointwise convolution in one launch, which never stores W(x); see `shaders/conv_dynamic.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::controller::{self, Shape};
use super::tile::slot_pixels_of;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Nonlinearity, Pooling, Precision, Scalar, Spec, Subgroups,
    Tile, assemble, conv_dynamic_subgroup, conv_pointwise, run_twin, vec4_bytes,
};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "conv_dynamic",
    source: include_str!("../../shaders/conv_dynamic.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("input", Access::Read),
        ("weights", Access::Read),
        ("sums", Access::Read),
        ("heads", Access::Write),
        ("residual", Access::Read),
        ("output", Access::Write),
        ("partials", Access::Write),
    ],
    entries: &[("in_load", &["input", "weights", "sums", "heads", "residual", "output", "partials"])],
    stored: &["input", "weights", "residual", "output"],
    overrides: &["WORKGROUP_X", "VECTORS", "HEAD_GROUPS"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[
        (16, &["VECTORS"]),
        (16, &["WORKGROUP_X"]),
        (16, &["WORKGROUP_X"]),
        (16, &["HEAD_GROUPS"]),
        // Inputs and weights of a tile.
        (16 * 16 * 16, &[]),
        (16 * 32 * 4, &[]),
    ],
    subgroups: Subgroups::None,
};

/// Uniform params, which `conv_dynamic_subgroup` has too.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub(super) struct Params {
    width: u32,
    height: u32,
    in_groups: u32,
    out_groups: u32,
    bounds: [f32; 2],
    has_residual: u32,
    pool_bins: u32,
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    own_tiles: u32,
    own_groups: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Params>() == 64);

/// Invocations of a workgroup, and the pixels and output groups that it computes.
const LANES: u32 = 64;
const OWN_PIXELS: u32 = 64;
const OWN_GROUPS: u32 = 8;

/// Vectors of a workgroup's memory, and heads that it keeps: enough for most layers of few pixels, so that they share a pipeline, and
/// just within what every device allows.
const VECTORS: u32 = 336;
const HEAD_GROUPS: u32 = 160;

/// Slots of partial sums that a launch with a pool writes.
pub const fn slots(shape: Shape) -> u32 {
    (shape.height * shape.width).div_ceil(slot_pixels_of(Kernel::ConvDynamic))
}

/// The launch of a convolution whose controller has this shape; the map that it pools is the convolution's input. Where it lacks a
/// residual or pool sums, they are bound all the same, to any memory as large as an element.
pub fn dispatch(shape: Shape, epilogue: Epilogue) -> Dispatch {
    let Shape { height, width, latent_groups, out_groups, .. } = shape;
    let hidden = shape.hidden_vec4s();
    let product = (4 * OWN_GROUPS + 1) * latent_groups;
    Dispatch {
        kernel: Kernel::ConvDynamic,
        entry: "in_load",
        precision: Precision::F32,
        overrides: vec![
            ("WORKGROUP_X", LANES),
            ("VECTORS", hidden.max(product).max(VECTORS)),
            ("HEAD_GROUPS", (4 * latent_groups * latent_groups + 2 * OWN_GROUPS).max(HEAD_GROUPS)),
        ],
        params: bytemuck::bytes_of(&Params::new(shape, epilogue, [0; 2])).to_vec(),
        workgroups: [out_groups.div_ceil(OWN_GROUPS), (height * width).div_ceil(OWN_PIXELS)],
        cost: cost(shape, epilogue),
    }
}

impl Params {
    /// Of a launch whose workgroups have so many tiles and memory for so many output groups, for software.
    pub fn new(shape: Shape, epilogue: Epilogue, [own_tiles, own_groups]: [u32; 2]) -> Self {
        let Shape { height, width, in_groups, slots, pooling, squeeze_groups, latent_groups, out_groups } = shape;
        Self {
            width,
            height,
            in_groups,
            out_groups,
            bounds: epilogue.nonlinearity.bounds(),
            has_residual: epilogue.residual.into(),
            pool_bins: epilogue.pooling.map_or(0, Pooling::bins),
            bin_pixels: super::pool::bin_pixels([height, width], pooling.bins()),
            pooled_groups: shape.pooled_groups(),
            slots,
            squeeze_groups,
            latent_groups,
            own_tiles,
            own_groups,
            unused: 0,
        }
    }

    fn shape(&self) -> Shape {
        let Self { height, width, in_groups, out_groups, slots, squeeze_groups, latent_groups, .. } = *self;
        let pooling = if self.pooled_groups == in_groups { Pooling::Global } else { Pooling::TwoByTwo };
        Shape { height, width, in_groups, slots, pooling, squeeze_groups, latent_groups, out_groups }
    }

    fn epilogue(&self) -> Epilogue {
        Epilogue {
            nonlinearity: Nonlinearity::of_bounds(self.bounds),
            residual: self.has_residual != 0,
            pooling: Pooling::of_bins(self.pool_bins),
        }
    }
}

/// What controller, assembly and convolution cost apart, but for what lies between them.
pub(super) fn cost(shape: Shape, epilogue: Epilogue) -> Cost {
    let [control, assemble] = [controller::cost(shape), assemble::cost(assembly(shape))];
    let convolve = convolution(shape, epilogue).cost;
    let [heads, assembled] = [shape.head_groups(), assembly(shape).assembled_vec4s()].map(vec4_bytes);
    Cost {
        flops: control.flops + assemble.flops + convolve.flops,
        bytes_read: control.bytes_read + assemble.bytes_read - heads + convolve.bytes_read - assembled,
        bytes_written: control.bytes_written + convolve.bytes_written,
        single_read: control.single_read,
        single_written: control.single_written + convolve.single_written,
    }
}

const fn assembly(shape: Shape) -> assemble::Shape {
    let Shape { in_groups, out_groups, latent_groups, .. } = shape;
    assemble::Shape { in_groups, out_groups, latent_groups }
}

/// The launch of the convolution alone, with assembled weights.
fn convolution(shape: Shape, epilogue: Epilogue) -> Dispatch {
    let Shape { height, width, in_groups, out_groups, .. } = shape;
    let shape = conv_pointwise::Shape { height, width, in_groups, out_groups };
    conv_pointwise::dispatch(shape, conv_pointwise::Weights::PerPicture, epilogue, Tile::Workgroup)
}

/// Whether a launch leaves a binding alone.
pub(super) fn ignores(dispatch: &Dispatch, binding: &str) -> bool {
    let Params { has_residual, pool_bins, .. } = dispatch.params_as();
    (binding == "residual" && has_residual == 0) || (binding == "partials" && pool_bins == 0)
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { width, height, in_groups, out_groups, squeeze_groups, latent_groups, .. } = dispatch.params_as();
    let [inputs, outputs, squeeze, latent] = [in_groups, out_groups, squeeze_groups, latent_groups].map(|it| 4 * it);
    format!("{height}×{width}×{inputs} → {height}×{width}×{outputs}, squeeze {squeeze}, latent {latent}")
}

/// The twins of what a launch does, one after the other.
pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (shape, epilogue) = (params.shape(), params.epilogue());
    let pictures = arguments.pictures;
    let [inputs, outputs, squeeze, latent] =
        [shape.in_groups, shape.out_groups, shape.squeeze_groups, shape.latent_groups].map(|groups| groups as usize);
    let means = controller::Means {
        bin_pixels: params.bin_pixels,
        slots: shape.slots as usize,
        groups: params.pooled_groups as usize,
    };
    let (control, weights) = arguments.input("weights").split_at(shape.weight_vec4s() as usize);
    let heads = arguments.output("heads");
    controller::make_heads(means, [squeeze, latent, outputs], arguments.input("sums"), control, heads, pictures);
    if dispatch.entry == "branch" {
        return conv_dynamic_subgroup::convolve_beside_branch(shape, epilogue, weights, heads, arguments);
    }
    let mut assembled = vec![[S::ZERO; 4]; pictures * assembly(shape).assembled_vec4s() as usize];
    assemble::make_weights([inputs, outputs, latent], weights, heads, &mut assembled, pictures);
    run_twin(
        &convolution(shape, epilogue),
        Arguments::new(pictures)
            .read("input", arguments.input("input").as_flattened())
            .read("weights", assembled.as_flattened())
            .read("residual", arguments.input("residual").as_flattened())
            .write("output", arguments.output("output").as_flattened_mut())
            .write("partials", arguments.output("partials").as_flattened_mut()),
    );
}
