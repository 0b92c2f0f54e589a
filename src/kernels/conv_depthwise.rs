//! Depthwise convolution; see `shaders/conv_depthwise.wgsl`.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::axis::Axis;
use super::epilogue::add_to_bins;
use super::vectors::{Loops, widest};
use super::{
    Access, Arguments, Cost, Dispatch, Epilogue, Kernel, Precision, Scalar, Spec, Subgroups, split_workgroup,
    vec4_bytes,
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
    stored: &["input", "weights", "output"],
    overrides: &["POOL_BINS", "KERNEL", "STRIDE", "WORKGROUP_X", "WORKGROUP_Y"],
    workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
    workgroup_memory: &[],
    subgroups: Subgroups::None,
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
    bounds: [f32; 2],
    unused: u32,
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

    fn axes(&self) -> [Axis; 2] {
        [0, 1].map(|a| Axis::new(self.input[a], self.output[a], self.kernel, self.stride, self.padding[a]))
    }

    /// vec4 of each group that are used of the weights and the bias: on small maps some weights meet nothing but padding.
    pub(super) fn weights_read(&self) -> u32 {
        let [rows, columns] = self.axes();
        rows.weights * columns.weights + 1
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
        bounds: epilogue.nonlinearity.bounds(),
        unused: 0,
    };
    let [x, y] = split_workgroup(shape.groups, 8);
    let rolling = shape.rolling && can_roll(shape.kernel as usize, shape.stride as usize);
    let out_pixels = shape.output[0] * shape.output[1];
    let [rows, columns] = shape.axes();
    let products = u64::from(rows.taps) * u64::from(columns.taps) * 4 * u64::from(shape.groups);
    let (inputs, weights) = (rows.inputs * columns.inputs, shape.weights_read());
    let pooled = epilogue.pooling.map_or(0, |pooling| shape.slots() * pooling.count());
    Dispatch {
        kernel: Kernel::ConvDepthwise,
        entry: match (rolling, epilogue.pooling.is_some()) {
            (false, false) => "plain",
            (false, true) => "plain_pooled",
            (true, false) => "rolling",
            (true, true) => "rolling_pooled",
        },
        precision: Precision::F32,
        overrides: vec![
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
            single_read: 0,
            single_written: vec4_bytes(pooled * shape.groups),
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { in_height, in_width, out_height, out_width, groups, stride, .. } = dispatch.params_as();
    let kernel = dispatch.override_value("KERNEL").unwrap_or(0);
    let channels = 4 * groups;
    format!("{in_height}×{in_width}×{channels} → {out_height}×{out_width}×{channels}, {kernel}×{kernel} by {stride}")
}

/// Bands of tiles from which on tasks have whole ones: seven tasks would keep two cores busy for seven eighths of the time.
const MANY_BANDS: usize = 14;

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let groups = params.groups as usize;
    let kernel = dispatch.override_value("KERNEL").unwrap_or(3) as usize;
    let (out_height, out_width) = (params.out_height as usize, params.out_width as usize);
    let input = arguments.input("input");
    let weights = arguments.input("weights");
    let output = arguments.output("output");

    let size = [out_height, out_width, groups];
    let tile = [params.tile_rows as usize, TILE_COLUMNS as usize];
    let bins = dispatch.override_value("POOL_BINS").unwrap_or(1);
    let pooled = dispatch.entry.ends_with("pooled");
    let mut partials = if pooled { arguments.output("partials") } else { Default::default() };
    // Tasks of whole bands of tiles sum them up while the outputs are in their core's cache; few bands would leave cores idle.
    let (mut rows_of_task, mut sums) = (1, Default::default());
    if pooled && (tile[0] == 1 || out_height >= MANY_BANDS * tile[0]) {
        rows_of_task = tile[0];
        sums = std::mem::take(&mut partials);
    }
    let mut sums = sums.chunks_mut(band_sums(size, tile, bins));
    let maps = output.chunks_exact_mut(out_height * out_width * groups).take(arguments.pictures).enumerate();
    let bands = maps.flat_map(|(picture, map)| {
        let bands = map.chunks_mut(rows_of_task * out_width * groups).enumerate();
        bands.map(move |(index, rows)| (picture, index * rows_of_task, rows))
    });
    let bands = bands.map(|(picture, first, rows)| (picture, first, rows, sums.next().unwrap_or_default()));
    bands.collect::<Vec<_>>().into_par_iter().for_each(|(picture, first, rows, sums)| {
        for (row, out) in (first..).zip(rows.chunks_exact_mut(out_width * groups)) {
            convolve_row(&params, kernel, input, weights, picture, row, out);
        }
        if !sums.is_empty() {
            sum_band(rows, first, sums, size, tile, bins);
        }
    });

    sum_tiles(output, partials, size, tile, bins, arguments.pictures);
}

/// One row of a picture's output.
fn convolve_row<S: Scalar>(
    params: &Params,
    kernel: usize,
    input: &[[S; 4]],
    weights: &[[S; 4]],
    picture: usize,
    row: usize,
    out: &mut [[S; 4]],
) {
    let groups = params.groups as usize;
    let (in_height, in_width) = (params.in_height as usize, params.in_width as usize);
    let (above, top) = overlap(row * params.stride as usize, params.pad_top as usize, kernel, in_height);
    // Rows of taps with the rows of the input that they meet.
    let map = &input[picture * in_height * in_width * groups..];
    let rows = above.clone().zip(map[top * in_width * groups..].chunks_exact(in_width * groups));
    let rows: Vec<_> = rows.map(|(tap, row)| (&weights[tap * kernel * groups..][..kernel * groups], row)).collect();
    let bias = weights[kernel * kernel * groups..][..groups].as_flattened();
    let mut taps: Vec<(&[S], &[S])> = Vec::with_capacity(kernel * kernel);
    for (column, out) in out.chunks_exact_mut(groups).enumerate() {
        let (across, left) = overlap(column * params.stride as usize, params.pad_left as usize, kernel, in_width);
        let run = |first: usize| first * groups..(first + across.len()) * groups;
        taps.clear();
        for (weights, values) in &rows {
            let [weights, values] = [&weights[run(across.start)], &values[run(left)]].map(|run| run.as_flattened());
            taps.extend(weights.chunks_exact(4 * groups).zip(values.chunks_exact(4 * groups)));
        }
        widest(Taps { out: out.as_flattened_mut(), bias, taps: &taps, bounds: params.bounds });
    }
}

/// Which taps of a kernel meet the `size` values of an axis, of those that begin at `first` less the padding, and the first value met.
fn overlap(first: usize, padding: usize, kernel: usize, size: usize) -> (Range<usize>, usize) {
    let start = padding.saturating_sub(first).min(kernel);
    let met = first.saturating_sub(padding).min(size);
    (start..kernel.min(start + size - met), met)
}

/// One output pixel: the bias, and weight · value for each tap, channel by channel, activated.
struct Taps<'a, S> {
    out: &'a mut [S],
    bias: &'a [S],
    taps: &'a [(&'a [S], &'a [S])],
    bounds: [f32; 2],
}

impl<S: Scalar> Loops for Taps<'_, S> {
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(self) {
        let (blocks, rest) = self.out.as_chunks_mut::<COLUMNS>();
        let whole = blocks.len() * COLUMNS;
        for (index, block) in blocks.iter_mut().enumerate() {
            sum_taps(block, index * COLUMNS, self.bias, self.taps, self.bounds);
        }
        for (index, block) in rest.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            sum_taps(block, whole + 4 * index, self.bias, self.taps, self.bounds);
        }
    }
}

/// The sums of N channels from `first` on, counted as in `multiply`'s tiles.
#[inline(always)]
fn sum_taps<S: Scalar, const N: usize>(
    out: &mut [S; N],
    first: usize,
    bias: &[S],
    taps: &[(&[S], &[S])],
    [low, high]: [f32; 2],
) {
    let mut sums = [S::ZERO; N];
    sums.copy_from_slice(&bias[first..][..N]);
    for (weights, values) in taps {
        let (weights, values) = (&weights[first..][..N], &values[first..][..N]);
        for c in 0..N {
            sums[c] += weights[c] * values[c];
        }
    }
    for c in 0..N {
        out[c] = sums[c].clamp(low, high);
    }
}

/// The partial sums of tiles of `tile` rows and columns, in the order of the tiles; none where there is no memory for them.
pub(super) fn sum_tiles<S: Scalar>(
    map: &[[S; 4]],
    partials: &mut [[S; 4]],
    size @ [height, width, groups]: [usize; 3],
    tile: [usize; 2],
    bins: u32,
    pictures: usize,
) {
    let bands = height.div_ceil(tile[0]);
    let by_band = partials.par_chunks_exact_mut(band_sums(size, tile, bins)).take(pictures * bands).enumerate();
    by_band.for_each(|(index, sums)| {
        let (picture, first) = (index / bands, index % bands * tile[0]);
        let rows = tile[0].min(height - first);
        let map = &map[(picture * height + first) * width * groups..][..rows * width * groups];
        sum_band(map, first, sums, size, tile, bins);
    });
}

/// The vec4 of partial sums of a band of tiles, from one side of the map to the other.
fn band_sums([_, width, groups]: [usize; 3], tile: [usize; 2], bins: u32) -> usize {
    width.div_ceil(tile[1]) * (bins * bins) as usize * groups
}

/// The partial sums of a band of tiles, whose rows are given from `first` on.
fn sum_band<S: Scalar>(
    rows: &[[S; 4]],
    first: usize,
    sums: &mut [[S; 4]],
    [height, width, groups]: [usize; 3],
    tile: [usize; 2],
    bins: u32,
) {
    for (left, sums) in (0..width).step_by(tile[1]).zip(sums.chunks_exact_mut((bins * bins) as usize * groups)) {
        sums.fill([S::ZERO; 4]);
        let columns = left..width.min(left + tile[1]);
        for (row, values) in (first as u32..).zip(rows.chunks_exact(width * groups)) {
            let values = &values[left * groups..columns.end * groups];
            let columns = columns.start as u32..columns.end as u32;
            add_to_bins(sums, bins, row, columns, [height as u32, width as u32], values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_meet_what_they_lie_on() {
        for (first, padding, kernel, size) in (0..8)
            .flat_map(|first| (0..8).flat_map(move |pad| [3, 5].map(|kernel| (first, pad, kernel))))
            .flat_map(|(first, padding, kernel)| (1..8).map(move |size| (first, padding, kernel, size)))
        {
            let (taps, met) = overlap(first, padding, kernel, size);
            let on_map = |tap: &usize| (padding..padding + size).contains(&(first + tap));
            let expected: Vec<_> = (0..kernel).filter(on_map).collect();
            let named = format!("from {first} - {padding}, {kernel} taps on {size}");
            assert_eq!(taps.clone().collect::<Vec<_>>(), expected, "{named}");
            assert!(taps.is_empty() || met + padding == first + taps.start, "{named}: {met}");
        }
    }
}
