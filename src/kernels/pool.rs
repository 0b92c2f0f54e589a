//! Average pooling; see `shaders/pool.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::conv_depthwise::sum_tiles;
use super::epilogue::add;
use super::{Access, Arguments, Cost, Dispatch, Kernel, Pooling, Precision, Scalar, Spec, Subgroups, vec4_bytes};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "pool",
    source: include_str!("../../shaders/pool.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("map", Access::Read),
        ("row_sums", Access::Write),
        ("partials", Access::Read),
        ("means", Access::Write),
    ],
    entries: &[("sum", &["map", "row_sums"]), ("finish", &["partials", "means"]), ("mean", &["map", "means"])],
    stored: &["map", "means"],
    overrides: &["POOL_BINS", "WORKGROUP_X"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[],
    subgroups: Subgroups::None,
};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    height: u32,
    width: u32,
    groups: u32,
    slots: u32,
}

const _: () = assert!(size_of::<Params>() == 16);

/// The sizes of a pooled map for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Channel groups.
    pub groups: u32,
}

/// The launch that sums a map, for the map's own height of slots.
pub fn sum(shape: Shape, pooling: Pooling) -> Dispatch {
    let Shape { height, width, groups } = shape;
    Dispatch {
        kernel: Kernel::Pool,
        entry: "sum",
        precision: Precision::F32,
        overrides: vec![("POOL_BINS", pooling.bins()), ("WORKGROUP_X", 64)],
        params: bytemuck::bytes_of(&Params { height, width, groups, slots: height }).to_vec(),
        workgroups: [groups.div_ceil(64), height],
        cost: Cost {
            flops: pooling.additions([height, width], groups),
            bytes_read: vec4_bytes(height * width * groups),
            bytes_written: vec4_bytes(height * pooling.count() * groups),
            single_read: 0,
            single_written: vec4_bytes(height * pooling.count() * groups),
        },
    }
}

/// The launch that turns `slots` partial sums into means.
pub fn finish(shape: Shape, slots: u32, pooling: Pooling) -> Dispatch {
    let Shape { height, width, groups } = shape;
    let sums = pooling.count() * groups;
    Dispatch {
        kernel: Kernel::Pool,
        entry: "finish",
        precision: Precision::F32,
        overrides: vec![("POOL_BINS", pooling.bins()), ("WORKGROUP_X", 64)],
        params: bytemuck::bytes_of(&Params { height, width, groups, slots }).to_vec(),
        workgroups: [sums.div_ceil(64), 1],
        cost: Cost {
            flops: 4 * u64::from(sums) * u64::from(slots + 1),
            bytes_read: vec4_bytes(slots * sums),
            bytes_written: vec4_bytes(sums),
            single_read: vec4_bytes(slots * sums),
            single_written: 0,
        },
    }
}

/// The launch that makes the means of whole maps at once, in small workgroups, of which there are few.
pub fn mean(shape: Shape) -> Dispatch {
    let Shape { height, width, groups } = shape;
    Dispatch {
        kernel: Kernel::Pool,
        entry: "mean",
        precision: Precision::F32,
        overrides: vec![("POOL_BINS", 1), ("WORKGROUP_X", 8)],
        params: bytemuck::bytes_of(&Params { height, width, groups, slots: 1 }).to_vec(),
        workgroups: [groups.div_ceil(8), 1],
        cost: Cost {
            flops: Pooling::Global.additions([height, width], groups) + 4 * u64::from(groups),
            bytes_read: vec4_bytes(height * width * groups),
            bytes_written: vec4_bytes(groups),
            single_read: 0,
            single_written: 0,
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { height, width, groups, slots } = dispatch.params_as();
    let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
    format!("{height}×{width}×{} → {bins}×{bins}, {slots} sums", 4 * groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let [height, width, groups] = [params.height as usize, params.width as usize, params.groups as usize];
    let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
    if dispatch.entry == "sum" {
        let (map, row_sums) = (arguments.input("map"), arguments.output("row_sums"));
        sum_tiles(map, row_sums, [height, width, groups], [1, width], bins, arguments.pictures);
        return;
    }
    // To a mean of the whole map each of its pixels is a slot.
    let (partials, slots) = match dispatch.entry {
        "mean" => (arguments.input("map"), height * width),
        _ => (arguments.input("partials"), params.slots as usize),
    };
    let means = arguments.output("means");
    let sums = (bins * bins) as usize * groups;
    let pixels = bin_pixels([params.height, params.width], bins);
    for (picture, means) in means.chunks_exact_mut(sums).take(arguments.pictures).enumerate() {
        means_of(pixels, slots, &partials[picture * slots * sums..], means);
    }
}

/// Pixels of one bin of a map; those of one axis all have the same length.
pub(super) const fn bin_pixels([height, width]: [u32; 2], bins: u32) -> u32 {
    height.div_ceil(bins) * width.div_ceil(bins)
}

/// The means of all bins and groups from `slots` partial sums of each.
pub(super) fn means_of<S: Scalar>(bin_pixels: u32, slots: usize, partials: &[[S; 4]], means: &mut [[S; 4]]) {
    means.fill([S::ZERO; 4]);
    add(means, &partials[..slots * means.len()]);
    for mean in means {
        *mean = mean.map(|v| v / (bin_pixels as f32).into());
    }
}
