//! A dynamic pointwise convolution in one launch on software; see `shaders/conv_dynamic_subgroup.wgsl`.

use super::controller::{self, Shape};
use super::conv_dynamic::{self, Params};
use super::tile::slot_pixels_of;
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Precision, Scalar, Spec, Subgroups, Tile, conv_pointwise,
    latent, run_twin, vec4_bytes,
};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "conv_dynamic_subgroup",
    source: include_str!("../../shaders/conv_dynamic_subgroup.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("input", Access::Read),
        ("weights", Access::Read),
        ("sums", Access::Read),
        ("heads", Access::Write),
        ("residual", Access::Read),
        ("output", Access::Write),
        ("partials", Access::Write),
        ("assembled", Access::Scratch),
        ("latent", Access::Scratch),
    ],
    entries: &[
        ("columns", &["input", "weights", "sums", "heads", "residual", "output", "partials", "assembled"]),
        ("rows", &["input", "weights", "sums", "heads", "residual", "output", "partials", "assembled"]),
        ("branch", &["input", "weights", "sums", "heads", "residual", "output", "partials", "latent"]),
    ],
    stored: &["input", "weights", "residual", "output"],
    overrides: &["WORKGROUP_X", "VECTORS", "HEAD_GROUPS"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[(16, &["VECTORS"]), (16, &["WORKGROUP_X"]), (16, &["WORKGROUP_X"]), (16, &["HEAD_GROUPS"])],
    subgroups: Subgroups::Whole,
};

/// What a launch makes of M and λ before it convolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// W(x) and b(x) of a workgroup's outputs.
    Weights,
    /// The latent vectors of its pixels.
    Latent,
}

/// Output groups of a tile.
const TILE_GROUPS: u32 = 8;

/// Vectors of a workgroup's memory, and heads that it keeps: enough for usual layers, so that they share their pipelines.
const VECTORS: u32 = 592;
const HEAD_GROUPS: u32 = 224;
/// The same where no product needs memory, for more outputs.
const BRANCH_VECTORS: u32 = 384;
const BRANCH_HEAD_GROUPS: u32 = 496;

/// Slots of partial sums that a launch with a pool writes.
pub const fn slots(shape: Shape) -> u32 {
    (shape.height * shape.width).div_ceil(slot_pixels_of(Kernel::ConvDynamicSubgroup))
}

/// vec4 of f32 that the workgroups of a picture make for themselves.
pub fn scratch_vec4s(shape: Shape, made: Made, cores: u32, size: u32) -> u64 {
    let Runs { workgroups, own_groups, .. } = runs(shape, made, cores, size);
    let own = match made {
        Made::Weights => (4 * shape.in_groups + 1) * own_groups,
        Made::Latent => 2 * tile_pixels(size) * shape.latent_groups,
    };
    u64::from(workgroups) * u64::from(own)
}

/// The launch of a convolution whose controller has this shape, by a workgroup for each core, which is a subgroup of
/// `size` invocations; the map that it pools is the convolution's input. Where it lacks a residual or pool sums, they are bound all the
/// same, to any memory as large as an element.
pub fn dispatch(shape: Shape, made: Made, cores: u32, epilogue: Epilogue, size: u32) -> Dispatch {
    let Shape { in_groups, latent_groups, out_groups, .. } = shape;
    let columns = in_groups < out_groups;
    let Runs { own_tiles, workgroups, own_groups } = runs(shape, made, cores, size);
    let params = Params::new(shape, epilogue, [own_tiles, own_groups]);
    let hidden = shape.hidden_vec4s();
    let product = (4 * if columns { in_groups } else { own_groups } + 1) * latent_groups;
    let matrix = 4 * latent_groups * latent_groups;
    let (vectors, heads) = match made {
        Made::Weights => (hidden.max(product).max(VECTORS), (matrix + own_groups).max(HEAD_GROUPS)),
        Made::Latent => (hidden.max(BRANCH_VECTORS), (matrix + out_groups).max(BRANCH_HEAD_GROUPS)),
    };
    Dispatch {
        kernel: Kernel::ConvDynamicSubgroup,
        entry: match made {
            Made::Weights if columns => "columns",
            Made::Weights => "rows",
            Made::Latent => "branch",
        },
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", size), ("VECTORS", vectors), ("HEAD_GROUPS", heads)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups: [workgroups, 1],
        cost: cost(shape, made, epilogue),
    }
}

/// How workgroups share the row of tiles.
struct Runs {
    /// Tiles of each workgroup but the last, which may have fewer.
    own_tiles: u32,
    workgroups: u32,
    /// The most output groups of which a workgroup makes W, in whole tiles.
    own_groups: u32,
}

fn runs(shape: Shape, made: Made, cores: u32, size: u32) -> Runs {
    let across = shape.out_groups.div_ceil(TILE_GROUPS);
    let down = (shape.height * shape.width).div_ceil(tile_pixels(size));
    let own_tiles = (across * down).div_ceil(cores.max(1));
    let workgroups = (across * down).div_ceil(own_tiles);
    let own_across = |part: u32| {
        let [first, end] = [part, part + 1].map(|part| (part * own_tiles).min(across * down));
        end.div_ceil(down) - first / down
    };
    let most = (0..workgroups).map(own_across).max().unwrap_or(across);
    Runs { own_tiles, workgroups, own_groups: if made == Made::Weights { TILE_GROUPS * most } else { 0 } }
}

/// Pixels of a tile.
const fn tile_pixels(size: u32) -> u32 {
    Tile::Subgroup(size).pixels() * size
}

const fn middle(shape: Shape) -> latent::Shape {
    let Shape { height, width, in_groups, latent_groups, .. } = shape;
    latent::Shape { pixels: height * width, in_groups, latent_groups, head_groups: shape.head_groups() }
}

/// The launch of the convolution alone, beside a branch.
fn beside_branch(shape: Shape, epilogue: Epilogue) -> Dispatch {
    let Shape { height, width, in_groups, latent_groups, out_groups, .. } = shape;
    let shape = conv_pointwise::Shape { height, width, in_groups, out_groups };
    conv_pointwise::dispatch(shape, conv_pointwise::Weights::Branch { latent_groups }, epilogue, Tile::Workgroup)
}

/// What controller, middle and convolution cost apart, but for what lies between them and the input, which is one.
fn cost(shape: Shape, made: Made, epilogue: Epilogue) -> Cost {
    if made == Made::Weights {
        return conv_dynamic::cost(shape, epilogue);
    }
    let [control, make] = [controller::cost(shape), latent::dispatch(middle(shape), Tile::Small).cost];
    let convolve = beside_branch(shape, epilogue).cost;
    let pixels = shape.height * shape.width;
    let known = [shape.head_groups(), pixels * (shape.in_groups + shape.latent_groups)].map(vec4_bytes);
    Cost {
        flops: control.flops + make.flops + convolve.flops,
        bytes_read: control.bytes_read + make.bytes_read + convolve.bytes_read - known[0] - known[1],
        bytes_written: control.bytes_written + convolve.bytes_written,
        single_read: control.single_read,
        single_written: control.single_written + convolve.single_written,
    }
}

/// The twins of the middle and of the convolution, once M and λ are there; `weights` are what comes after those of the controller.
pub(super) fn convolve_beside_branch<S: Scalar>(
    shape: Shape,
    epilogue: Epilogue,
    weights: &[[S; 4]],
    heads: &[[S; 4]],
    mut arguments: Arguments<'_, S>,
) {
    let pictures = arguments.pictures;
    let of_convolution = (4 * (shape.in_groups + shape.latent_groups) + 1) * shape.out_groups;
    let (of_convolution, of_middle) = weights.split_at(of_convolution as usize);
    let (input, heads) = (arguments.input("input").as_flattened(), heads.as_flattened());
    let mut latent = vec![S::ZERO; pictures * (4 * shape.height * shape.width * shape.latent_groups) as usize];
    run_twin(
        &latent::dispatch(middle(shape), Tile::Small),
        Arguments::new(pictures)
            .read("input", input)
            .read("weights", of_middle.as_flattened())
            .read("heads", heads)
            .write("latent", &mut latent),
    );
    run_twin(
        &beside_branch(shape, epilogue),
        Arguments::new(pictures)
            .read("input", input)
            .read("weights", of_convolution.as_flattened())
            .read("heads", heads)
            .read("latent", &latent)
            .read("residual", arguments.input("residual").as_flattened())
            .write("output", arguments.output("output").as_flattened_mut())
            .write("partials", arguments.output("partials").as_flattened_mut()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Pooling;

    fn shape(pixels: u32, outputs: u32) -> Shape {
        Shape {
            height: pixels,
            width: 1,
            in_groups: 4,
            slots: 1,
            pooling: Pooling::Global,
            squeeze_groups: 1,
            latent_groups: 2,
            out_groups: outputs.div_ceil(4),
        }
    }

    #[test]
    fn runs_are_those_worked_out_by_hand() {
        // (pixels, outputs, cores; tiles of a workgroup, workgroups, output groups of one) with tiles of 32 pixels and 32 outputs.
        for (pixels, outputs, cores, own_tiles, workgroups, own_groups) in [
            (196, 576, 2, 63, 2, 72),
            // The one in the middle is made twice.
            (196, 96, 2, 11, 2, 16),
            (784, 32, 2, 13, 2, 8),
            (16, 160, 2, 3, 2, 24),
            (16, 32, 2, 1, 1, 8),
            (3136, 144, 1, 490, 1, 40),
            (196, 96, 3, 7, 3, 8),
        ] {
            let found = runs(shape(pixels, outputs), Made::Weights, cores, 8);
            let found = (found.own_tiles, found.workgroups, found.own_groups);
            assert_eq!(found, (own_tiles, workgroups, own_groups), "{pixels} pixels, {outputs} outputs, {cores} cores");
            let branch = runs(shape(pixels, outputs), Made::Latent, cores, 8);
            let found = (branch.own_tiles, branch.workgroups, branch.own_groups);
            assert_eq!(found, (own_tiles, workgroups, 0));
        }
    }

    #[test]
    fn every_workgroup_has_memory_for_the_outputs_of_its_run() {
        let sizes = (1..400).step_by(7).flat_map(|pixels| (1..24).map(move |outputs| (pixels, outputs)));
        for ((pixels, outputs), cores) in sizes.flat_map(|sizes| [1, 2, 3].map(|cores| (sizes, cores))) {
            let Runs { own_tiles, workgroups, own_groups } = runs(shape(pixels, 32 * outputs), Made::Weights, cores, 8);
            let down = pixels.div_ceil(32);
            assert!(workgroups <= cores && workgroups * own_tiles >= outputs * down);
            for part in 0..workgroups {
                let own = ((part + 1) * own_tiles).min(outputs * down).div_ceil(down) - part * own_tiles / down;
                assert!((1..=own_groups / 8).contains(&own), "{pixels} pixels, {outputs} tiles, {cores} cores");
            }
        }
    }
}
