//! The expansion and the depthwise convolution of an inverted residual block in one launch, which never stores the widest map of
//! the block; see `shaders/shared/expand_depthwise.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::conv_depthwise::{self, sum_tiles};
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Nonlinearity, Pooling, Precision, Scalar, Spec, Subgroups,
    Tile, conv_pointwise, run_twin, split_workgroup, vec4_bytes,
};

/// The specification of small tiles.
pub const SPEC: Spec = spec("conv_expand_depthwise", include_str!("../../shaders/conv_expand_depthwise.wgsl"));

/// The specification of tiles whose weights a subgroup loads together.
pub const SUBGROUP_SPEC: Spec = Spec {
    subgroups: Subgroups::OfEight,
    ..spec("conv_expand_depthwise_subgroup", include_str!("../../shaders/conv_expand_depthwise_subgroup.wgsl"))
};

const fn spec(stem: &'static str, source: &'static str) -> Spec {
    Spec {
        stem,
        source,
        params_bytes: size_of::<Params>(),
        bindings: &[
            ("input", Access::Read),
            ("weights", Access::Read),
            ("taps", Access::Read),
            ("output", Access::Write),
            ("partials", Access::Write),
        ],
        entries: &[
            ("plain", &["input", "weights", "taps", "output"]),
            ("plain_pooled", &["input", "weights", "taps", "output", "partials"]),
        ],
        stored: &["input", "weights", "taps", "output"],
        overrides: &["WORKGROUP_X", "WORKGROUP_Y"],
        workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
        workgroup_memory: &[],
        subgroups: Subgroups::None,
    }
}

/// Rows and columns of the depthwise kernel, and the step between two outputs.
const KERNEL: u32 = 3;
const STRIDE: u32 = 2;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    in_height: u32,
    in_width: u32,
    out_height: u32,
    out_width: u32,
    in_groups: u32,
    groups: u32,
    weight_stride: u32,
    pad_top: u32,
    pad_left: u32,
    tile_rows: u32,
    bounds: [f32; 2],
}

const _: () = assert!(size_of::<Params>() == 48);

/// The sizes of both convolutions for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows and columns of the input, and of the map that is never stored.
    pub input: [u32; 2],
    /// Rows and columns of the output.
    pub output: [u32; 2],
    /// Channel groups of the input.
    pub in_groups: u32,
    /// Channel groups after the expansion.
    pub groups: u32,
    /// Zeros above and to the left of the expanded map; those below and to the right follow from the sizes.
    pub padding: [u32; 2],
    /// Rows of one invocation's tile.
    pub tile_rows: u32,
}

/// Whether a depthwise kernel of so many rows and this step can be computed with its expansion.
pub const fn can_expand(kernel: usize, stride: usize) -> bool {
    kernel == KERNEL as usize && stride == STRIDE as usize
}

impl Shape {
    /// Slots of partial sums that the pooled entry writes.
    pub const fn slots(&self, tile: Tile) -> u32 {
        self.output[1].div_ceil(tile_columns(kernel_of(tile))) * self.output[0].div_ceil(self.tile_rows)
    }

    const fn expansion(&self) -> conv_pointwise::Shape {
        let [height, width] = self.input;
        conv_pointwise::Shape { height, width, in_groups: self.in_groups, out_groups: self.groups }
    }

    const fn depthwise(&self) -> conv_depthwise::Shape {
        conv_depthwise::Shape {
            input: self.input,
            output: self.output,
            groups: self.groups,
            kernel: KERNEL,
            stride: STRIDE,
            padding: self.padding,
            tile_rows: self.tile_rows,
            rolling: true,
        }
    }
}

/// The kernel of a tile: that of subgroups, or small ones.
const fn kernel_of(tile: Tile) -> Kernel {
    match tile {
        Tile::Subgroup(_) => Kernel::ConvExpandDepthwiseSubgroup,
        _ => Kernel::ConvExpandDepthwise,
    }
}

/// Output columns of one invocation's tile.
const fn tile_columns(kernel: Kernel) -> u32 {
    if matches!(kernel, Kernel::ConvExpandDepthwiseSubgroup) { 2 } else { 4 }
}

/// The launch of both convolutions. `per_picture` says whether the expansion has one assembled set of weights for each picture, `pooled`
/// whether sums of the outputs are stored too, for a global average. Both convolutions have the same nonlinearity.
pub fn dispatch(shape: Shape, per_picture: bool, nonlinearity: Nonlinearity, pooled: bool, tile: Tile) -> Dispatch {
    let Shape { input, output, in_groups, groups, padding, tile_rows } = shape;
    let params = Params {
        in_height: input[0],
        in_width: input[1],
        out_height: output[0],
        out_width: output[1],
        in_groups,
        groups,
        weight_stride: if per_picture { shape.expansion().weight_vec4s() } else { 0 },
        pad_top: padding[0],
        pad_left: padding[1],
        tile_rows,
        bounds: nonlinearity.bounds(),
    };
    let slots = shape.slots(tile);
    let ([x, y], workgroups) = match tile {
        Tile::Subgroup(size) => ([size, 1], [slots.div_ceil(size), groups.div_ceil(8)]),
        _ => {
            let [x, y] = split_workgroup(groups, 8);
            ([x, y], [groups.div_ceil(x), slots.div_ceil(y)])
        }
    };
    let sums = if pooled { vec4_bytes(slots * groups) } else { 0 };
    Dispatch {
        kernel: kernel_of(tile),
        entry: if pooled { "plain_pooled" } else { "plain" },
        precision: Precision::F32,
        overrides: vec![("WORKGROUP_X", x), ("WORKGROUP_Y", y)],
        params: bytemuck::bytes_of(&params).to_vec(),
        workgroups,
        cost: cost(shape, nonlinearity, pooled, sums),
    }
}

/// What both launches cost apart, but for the map between them. What neighbouring tiles expand alike counts once.
fn cost(shape: Shape, nonlinearity: Nonlinearity, pooled: bool, sums: u64) -> Cost {
    let Shape { input, output, groups, .. } = shape;
    let [expansion, depthwise] = apart(shape, conv_pointwise::Weights::Static, nonlinearity, pooled);
    let [expanded, stored] = [input, output].map(|[height, width]| vec4_bytes(height * width * groups));
    Cost {
        flops: expansion.cost.flops + depthwise.cost.flops,
        bytes_read: expansion.cost.bytes_read + vec4_bytes(shape.depthwise().weights_read() * groups),
        bytes_written: expansion.cost.bytes_written - expanded + stored + sums,
        single_read: 0,
        single_written: sums,
    }
}

/// A launch for each of the convolutions.
fn apart(shape: Shape, weights: conv_pointwise::Weights, nonlinearity: Nonlinearity, pooled: bool) -> [Dispatch; 2] {
    let epilogue = Epilogue { nonlinearity, ..Epilogue::default() };
    let pooling = pooled.then_some(Pooling::Global);
    [
        conv_pointwise::dispatch(shape.expansion(), weights, epilogue, Tile::Small),
        conv_depthwise::dispatch(shape.depthwise(), Epilogue { pooling, ..epilogue }),
    ]
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_height, in_width, out_height, out_width, in_groups, groups, .. } = dispatch.params_as();
    let channels = 4 * groups;
    format!(
        "{in_height}×{in_width}×{} → {in_height}×{in_width}×{channels} → {out_height}×{out_width}×{channels}, 3×3 by 2",
        4 * in_groups
    )
}

/// The twins of both convolutions, one after the other.
pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let shape = Shape {
        input: [params.in_height, params.in_width],
        output: [params.out_height, params.out_width],
        in_groups: params.in_groups,
        groups: params.groups,
        padding: [params.pad_top, params.pad_left],
        tile_rows: params.tile_rows,
    };
    let nonlinearity = Nonlinearity::of_bounds(params.bounds);
    let weights =
        if params.weight_stride > 0 { conv_pointwise::Weights::PerPicture } else { conv_pointwise::Weights::Static };
    let pictures = arguments.pictures;
    let groups = params.groups as usize;
    let mut expanded = vec![S::ZERO; pictures * (params.in_height * params.in_width) as usize * 4 * groups];
    let [expansion, depthwise] = apart(shape, weights, nonlinearity, false);
    let input = arguments.input("input").as_flattened();
    run_twin(
        &expansion,
        Arguments::new(pictures)
            .read("input", input)
            .read("residual", input)
            .read("weights", arguments.input("weights").as_flattened())
            .write("output", &mut expanded),
    );
    let output = arguments.output("output");
    run_twin(
        &depthwise,
        Arguments::new(pictures)
            .read("input", &expanded)
            .read("weights", arguments.input("taps").as_flattened())
            .write("output", output.as_flattened_mut()),
    );
    if dispatch.entry.ends_with("pooled") {
        let size = [params.out_height as usize, params.out_width as usize, groups];
        let tile = [params.tile_rows as usize, tile_columns(dispatch.kernel) as usize];
        sum_tiles(output, arguments.output("partials"), size, tile, 1, pictures);
    }
}
