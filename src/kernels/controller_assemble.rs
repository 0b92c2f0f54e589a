//! The controller of a dynamic convolution and the assembly of its weights in one launch; see
//! `shaders/shared/controller_assemble.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::{
    Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups, Tile, assemble, controller,
    vec4_bytes,
};

/// The specification of the kernel whose invocations load what they need.
pub const SPEC: Spec =
    spec("controller_assemble", include_str!("../../shaders/controller_assemble.wgsl"), Subgroups::None);

/// The specification of the kernel whose workgroups share memory in a buffer.
pub const SCRATCH_SPEC: Spec = Spec {
    bindings: &[
        ("partials", Access::Read),
        ("weights", Access::Read),
        ("assembled", Access::Write),
        ("heads", Access::Write),
        ("scratch", Access::Scratch),
    ],
    entries: &[
        ("columns", &["partials", "weights", "assembled", "heads", "scratch"]),
        ("rows", &["partials", "weights", "assembled", "heads", "scratch"]),
    ],
    overrides: &["WORKGROUP_X"],
    workgroup_memory: &[],
    ..spec(
        "controller_assemble_scratch",
        include_str!("../../shaders/controller_assemble_scratch.wgsl"),
        Subgroups::None,
    )
};

/// The specification of the kernel whose workgroups share memory in a buffer, and are quads that load a factor together.
pub const QUAD_SPEC: Spec = Spec {
    stem: "controller_assemble_quad",
    source: include_str!("../../shaders/controller_assemble_quad.wgsl"),
    subgroups: Subgroups::OfFour,
    ..SCRATCH_SPEC
};

/// The specification of the kernel whose subgroups load factors together.
pub const SUBGROUP_SPEC: Spec = spec(
    "controller_assemble_subgroup",
    include_str!("../../shaders/controller_assemble_subgroup.wgsl"),
    Subgroups::Whole,
);

const fn spec(stem: &'static str, source: &'static str, subgroups: Subgroups) -> Spec {
    Spec {
        stem,
        source,
        params_bytes: size_of::<Params>(),
        bindings: &[
            ("partials", Access::Read),
            ("weights", Access::Read),
            ("assembled", Access::Write),
            ("heads", Access::Write),
        ],
        entries: &[
            ("columns", &["partials", "weights", "assembled", "heads"]),
            ("rows", &["partials", "weights", "assembled", "heads"]),
        ],
        stored: &["weights", "assembled"],
        overrides: &["WORKGROUP_X", "VECTORS", "HEAD_GROUPS"],
        workgroup: &["WORKGROUP_X"],
        workgroup_memory: &[(16, &["VECTORS"]), (16, &["WORKGROUP_X"]), (16, &["WORKGROUP_X"]), (16, &["HEAD_GROUPS"])],
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
    in_groups: u32,
    out_groups: u32,
    groups_per_workgroup: u32,
}

const _: () = assert!(size_of::<Params>() == 32);

/// Invocations of a workgroup on hardware.
const LANES: u32 = 64;

/// Invocations of a quad, which is a workgroup.
const QUAD: u32 = 4;

/// Vectors of a workgroup's memory: enough for the layers that are worth it, so that they share their pipelines.
const VECTORS: u32 = 592;

/// Heads that a workgroup keeps, likewise.
const HEAD_GROUPS: u32 = 224;

/// The launch for a controller's shape, in workgroups that suit a device with this tile.
pub fn dispatch(shape: controller::Shape, tile: Tile) -> Dispatch {
    let controller::Shape { height, width, in_groups, slots, pooling, squeeze_groups, latent_groups, out_groups } =
        shape;
    let assembly = assemble::Shape { in_groups, out_groups, latent_groups };
    let columns = in_groups < out_groups;
    let wide = in_groups.max(out_groups);
    let (kernel, lanes) = match tile {
        Tile::Subgroup(size) => (Kernel::ControllerAssembleSubgroup, size),
        Tile::Quad => (Kernel::ControllerAssembleQuad, QUAD),
        Tile::Wide => (Kernel::ControllerAssembleScratch, controller::SOFTWARE_LANES),
        _ => (Kernel::ControllerAssemble, LANES),
    };
    // All workgroups run the controller, so software, where they wait for few cores, gets few.
    let workgroups = match kernel {
        Kernel::ControllerAssemble => wide.div_ceil(8).min(12),
        _ => controller::SOFTWARE_WORKGROUPS,
    };
    // Whole tiles of eight groups for each workgroup.
    let groups_per_workgroup = wide.div_ceil(8 * workgroups) * 8;
    let params = Params {
        bin_pixels: super::pool::bin_pixels([height, width], pooling.bins()),
        pooled_groups: shape.pooled_groups(),
        slots,
        squeeze_groups,
        latent_groups,
        in_groups,
        out_groups,
        groups_per_workgroup,
    };
    let [vectors, heads] = kept_vec4s(shape, groups_per_workgroup);
    let overrides =
        [("WORKGROUP_X", lanes), ("VECTORS", vectors.max(VECTORS)), ("HEAD_GROUPS", heads.max(HEAD_GROUPS))];
    let [control, assemble] = [controller::cost(shape), assemble::cost(assembly)];
    Dispatch {
        kernel,
        entry: if columns { "columns" } else { "rows" },
        precision: Precision::F32,
        overrides: kernel.spec().known(overrides),
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [wide.div_ceil(groups_per_workgroup), 1],
        cost: Cost {
            flops: control.flops + assemble.flops,
            // The heads are read where they are made.
            bytes_read: control.bytes_read + assemble.bytes_read - vec4_bytes(shape.head_groups()),
            bytes_written: control.bytes_written + assemble.bytes_written,
            single_read: control.single_read,
            single_written: control.single_written,
        },
    }
}

/// vec4 that a workgroup keeps: vectors of the controller or the product on the narrower side, and heads.
fn kept_vec4s(shape: controller::Shape, groups_per_workgroup: u32) -> [u32; 2] {
    let controller::Shape { in_groups, out_groups, latent_groups, .. } = shape;
    let product = (4 * in_groups.min(out_groups) + 1) * latent_groups;
    let own_outputs = if in_groups < out_groups { groups_per_workgroup } else { out_groups };
    [shape.hidden_vec4s().max(product), 4 * latent_groups * latent_groups + own_outputs]
}

/// vec4 of f32 in which the workgroups of a launch share memory for one picture; none where they have memory of their own.
pub fn scratch_vec4s(shape: controller::Shape, dispatch: &Dispatch) -> u64 {
    let Params { groups_per_workgroup, .. } = dispatch.params_as();
    match dispatch.kernel {
        Kernel::ControllerAssembleQuad | Kernel::ControllerAssembleScratch => {
            controller::scratch_of(dispatch, kept_vec4s(shape, groups_per_workgroup).iter().sum())
        }
        _ => 0,
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { pooled_groups, slots, squeeze_groups, latent_groups, in_groups, out_groups, .. } =
        dispatch.params_as();
    let (pooled, squeeze, latent) = (4 * pooled_groups, 4 * squeeze_groups, 4 * latent_groups);
    format!("{slots} sums of {pooled} → {squeeze} → {}×{} weights, latent {latent}", 4 * in_groups, 4 * out_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let [squeeze, latent_groups] = [params.squeeze_groups as usize, params.latent_groups as usize];
    let [in_groups, out_groups] = [params.in_groups as usize, params.out_groups as usize];
    let pooled_groups = params.pooled_groups as usize;
    let head_groups = 4 * latent_groups * latent_groups + out_groups;
    let (control, assembly) =
        arguments.input("weights").split_at(4 * squeeze * (pooled_groups + squeeze + head_groups));
    let means =
        controller::Means { bin_pixels: params.bin_pixels, slots: params.slots as usize, groups: pooled_groups };
    let heads = arguments.output("heads");
    controller::make_heads(
        means,
        [squeeze, latent_groups, out_groups],
        arguments.input("partials"),
        control,
        heads,
        arguments.pictures,
    );
    let assembled = arguments.output("assembled");
    assemble::make_weights([in_groups, out_groups, latent_groups], assembly, heads, assembled, arguments.pictures);
}
