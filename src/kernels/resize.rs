//! Antialiased resize, crop and normalisation of one picture; see `shaders/resize.wgsl`.
//!
//! The pictures of a batch differ in size, so each has its own two dispatches, which write to its slot of the batch.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::{Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups};
use crate::picture::{Filter, Picture, Preprocess, Window};

/// The kernel's specification.
pub const SPEC: Spec = Spec {
    stem: "resize",
    source: include_str!("../../shaders/resize.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: &[
        ("source", Access::Read),
        ("narrowed_out", Access::Write),
        ("narrowed", Access::Read),
        ("normalised", Access::Write),
    ],
    entries: &[("horizontal", &["source", "narrowed_out"]), ("vertical", &["narrowed", "normalised"])],
    stored: &["normalised"],
    overrides: &["FILTER_RADIUS", "WORKGROUP_X", "WORKGROUP_Y"],
    workgroup: &["WORKGROUP_X", "WORKGROUP_Y"],
    workgroup_memory: &[],
    subgroups: Subgroups::None,
};

const WORKGROUP: [u32; 2] = [8, 8];

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    columns: u32,
    rows: u32,
    crop: u32,
    first_pixel: u32,
    column_phase: f32,
    column_scale: f32,
    row_phase: f32,
    row_scale: f32,
    mean: [f32; 3],
    deviation: [f32; 3],
    stride: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Params>() == 64);

/// How one picture becomes one slot of a network's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    window: Window,
    filter: Filter,
    params: Params,
}

impl Resize {
    /// For a `width` × `height` picture that becomes number `slot` of its batch. The preparation should be one that a
    /// model's description was accepted with: a crop no larger than the resized picture, sides of at most 16384.
    pub fn new(width: u32, height: u32, preprocess: &Preprocess, slot: u32) -> Self {
        let window = preprocess.window(width, height);
        let params = Params {
            columns: window.columns.length,
            rows: window.rows.length,
            crop: preprocess.crop,
            first_pixel: slot.saturating_mul(preprocess.crop.saturating_mul(preprocess.crop)),
            column_phase: window.columns.phase,
            column_scale: window.columns.scale,
            row_phase: window.rows.phase,
            row_scale: window.rows.scale,
            mean: preprocess.mean,
            deviation: preprocess.std,
            stride: window.columns.length,
            unused: 0,
        };
        Self { window, filter: preprocess.filter, params }
    }

    /// For a `source` whose rows begin every `stride` words, at least the window's columns.
    #[must_use]
    pub fn with_stride(mut self, stride: u32) -> Self {
        self.params.stride = stride.max(self.params.columns);
        self
    }

    /// The part of the picture that is needed: `source` is [`Picture::packed`] of it, but for the stride.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Bytes of `source`.
    pub fn source_bytes(&self) -> u64 {
        (u64::from(self.params.rows) * u64::from(self.params.stride)).saturating_mul(4)
    }

    /// Bytes of `narrowed`, which lies between the two dispatches.
    pub fn narrowed_bytes(&self) -> u64 {
        4 * u64::from(self.params.rows) * u64::from(self.params.crop)
    }

    /// Bytes of one slot of `normalised`.
    pub fn normalised_bytes(&self) -> u64 {
        16 * u64::from(self.params.crop) * u64::from(self.params.crop)
    }

    /// Whether a device can do it whose storage bindings hold at most `binding_bytes`. [`Resize::on_cpu`] always can.
    pub fn fits(&self, binding_bytes: u64) -> bool {
        self.source_bytes().max(self.narrowed_bytes()) <= binding_bytes
    }

    /// The params of both launches.
    pub fn params(&self) -> &[u8] {
        bytemuck::bytes_of(&self.params)
    }

    /// The workgroups of both launches, across and down.
    pub fn workgroups(&self) -> [[u32; 2]; 2] {
        let Params { rows, crop, .. } = self.params;
        [rows, crop].map(|height| [crop.div_ceil(WORKGROUP[0]), height.div_ceil(WORKGROUP[1])])
    }

    /// The two launches, `horizontal` and then `vertical`. Both are for one picture: one workgroup on z.
    pub fn dispatches(&self) -> [Dispatch; 2] {
        let Params { columns, rows, crop, column_scale, row_scale, .. } = self.params;
        let dispatch = |entry, workgroups, flops, bytes_read, bytes_written, single_written| Dispatch {
            kernel: Kernel::Resize,
            entry,
            precision: Precision::F32,
            overrides: vec![
                ("FILTER_RADIUS", self.filter.radius()),
                ("WORKGROUP_X", WORKGROUP[0]),
                ("WORKGROUP_Y", WORKGROUP[1]),
            ],
            params: self.params().to_vec(),
            workgroups,
            cost: Cost { flops, bytes_read, bytes_written, single_read: bytes_read, single_written },
        };
        let Params { column_phase, row_phase, .. } = self.params;
        let across = self.flops(crop, columns, column_phase, column_scale);
        let down = self.flops(crop, rows, row_phase, row_scale);
        let pixels = u64::from(crop) * u64::from(crop);
        let (read, narrowed) = (4 * u64::from(rows) * u64::from(columns), self.narrowed_bytes());
        let (across, down) = (u64::from(rows) * across, u64::from(crop) * down + 9 * pixels);
        let [horizontal, vertical] = self.workgroups();
        [
            dispatch("horizontal", horizontal, across, read, narrowed, narrowed),
            dispatch("vertical", vertical, down, narrowed, self.normalised_bytes(), 0),
        ]
    }

    /// Operations of a line of `crop` pixels: for each tap 8 of its sums and those of its weight, for each pixel 6 that round
    /// its levels. Where a tap lies is no operation on pixels.
    fn flops(&self, crop: u32, length: u32, phase: f32, scale: f32) -> u64 {
        let of_tap = |taps: &Taps, tap| match self.filter {
            Filter::Bilinear => 1,
            Filter::Bicubic if taps.distance(tap) < 1.0 => 5,
            Filter::Bicubic if taps.distance(tap) < 2.0 => 6,
            Filter::Bicubic => 0,
        };
        let of_pixel = |position| -> u64 {
            let taps = Taps::new(position, length, phase, scale, self.filter);
            6 + (taps.start..taps.end).map(|tap| 8 + of_tap(&taps, tap)).sum::<u64>()
        };
        (0..crop as usize).map(of_pixel).sum()
    }

    /// Prepares `picture` on the CPU into its slot of `batch`, which holds vec4 pixels: `[slot][crop][crop][4]`.
    ///
    /// # Panics
    /// When `batch` ends before the slot does.
    pub fn on_cpu(&self, picture: &Picture, batch: &mut [f32]) {
        self.packed_on_cpu(&picture.packed(&self.window), batch);
    }

    /// As [`Resize::on_cpu`], of the window's pixels.
    ///
    /// # Panics
    /// When `batch` ends before the slot does, or `source` before the window does.
    pub fn packed_on_cpu(&self, source: &[u32], batch: &mut [f32]) {
        let mut narrowed = vec![0; self.params.rows as usize * self.params.crop as usize];
        let packed = Params { stride: self.params.columns, ..self.params };
        horizontal::<f32>(&packed, self.filter, source, &mut narrowed);
        vertical(&self.params, self.filter, &narrowed, batch);
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { columns, rows, crop, .. } = dispatch.params_as();
    let height = if dispatch.entry == "horizontal" { rows } else { crop };
    let width = if dispatch.entry == "horizontal" { columns } else { crop };
    format!("{rows}×{width} → {height}×{crop}")
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let filter = match dispatch.override_value("FILTER_RADIUS") {
        Some(2) => Filter::Bicubic,
        _ => Filter::Bilinear,
    };
    let words =
        |name: &str| -> Vec<u32> { arguments.input(name).as_flattened().iter().map(|word| word.to_bits()).collect() };
    if dispatch.entry == "horizontal" {
        let source = words("source");
        let words = arguments.output("narrowed_out").as_flattened_mut();
        let mut narrowed = vec![0; words.len()];
        horizontal::<S>(&params, filter, &source, &mut narrowed);
        let written = params.rows as usize * params.crop as usize;
        for (word, narrowed) in words.iter_mut().zip(narrowed).take(written) {
            *word = S::from_bits(narrowed);
        }
    } else {
        let narrowed = words("narrowed");
        vertical(&params, filter, &narrowed, arguments.output("normalised").as_flattened_mut());
    }
}

fn horizontal<S: Scalar>(params: &Params, filter: Filter, source: &[u32], narrowed: &mut [u32]) {
    let (stride, crop) = (params.stride as usize, params.crop as usize);
    let rows = narrowed.par_chunks_exact_mut(crop.max(1)).take(params.rows as usize).enumerate();
    rows.for_each(|(row, narrowed)| {
        for (column, pixel) in narrowed.iter_mut().enumerate() {
            let taps = Taps::new(column, params.columns, params.column_phase, params.column_scale, filter);
            let mut sum = [S::ZERO; 4];
            for tap in taps.start..taps.end {
                add(&mut sum, taps.weight(tap, filter), source[row * stride + tap as usize]);
            }
            let [red, green, blue] = levels(sum).map(|level| f32::from_bits(level.to_bits()) as u32);
            *pixel = red | green << 8 | blue << 16;
        }
    });
}

fn vertical<S: Scalar>(params: &Params, filter: Filter, narrowed: &[u32], normalised: &mut [S]) {
    let crop = params.crop as usize;
    let slot = &mut normalised[4 * params.first_pixel as usize..];
    let rows = slot.par_chunks_exact_mut(4 * crop.max(1)).take(crop).enumerate();
    rows.for_each(|(row, normalised)| {
        let taps = Taps::new(row, params.rows, params.row_phase, params.row_scale, filter);
        for (column, pixel) in normalised.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut sum = [S::ZERO; 4];
            for tap in taps.start..taps.end {
                add(&mut sum, taps.weight(tap, filter), narrowed[tap as usize * crop + column]);
            }
            let levels = levels(sum);
            let normal = |c: usize| (levels[c] / S::from(255.0) - params.mean[c].into()) / params.deviation[c].into();
            *pixel = [normal(0), normal(1), normal(2), S::ZERO];
        }
    });
}

struct Taps {
    start: i32,
    end: i32,
    centre: f32,
    sharpness: f32,
}

impl Taps {
    fn new(position: usize, length: u32, phase: f32, scale: f32, filter: Filter) -> Self {
        let stretch = scale.max(1.0);
        let support = filter.radius() as f32 * stretch;
        let centre = phase + (position as f32 + 0.5) * scale;
        let start = ((centre - support + 0.5) as i32).max(0);
        let end = ((centre + support + 0.5) as i32).min(length as i32);
        Self { start, end, centre, sharpness: 1.0 / stretch }
    }

    /// How far a tap lies from the centre, in units of the filter.
    fn distance(&self, tap: i32) -> f32 {
        ((tap as f32 - self.centre + 0.5) * self.sharpness).abs()
    }

    fn weight<S: Scalar>(&self, tap: i32, filter: Filter) -> S {
        let distance = self.distance(tap);
        let (x, number) = (S::from(distance), S::from);
        match filter {
            Filter::Bilinear => (number(1.0) - x).clamp(0.0, f32::INFINITY),
            Filter::Bicubic if distance < 1.0 => (number(1.5) * x - number(2.5)) * x * x + number(1.0),
            Filter::Bicubic if distance < 2.0 => {
                (((x - number(5.0)) * x + number(8.0)) * x - number(4.0)) * number(-0.5)
            }
            Filter::Bicubic => S::ZERO,
        }
    }
}

fn add<S: Scalar>(sum: &mut [S; 4], weight: S, pixel: u32) {
    let [red, green, blue, _] = pixel.to_le_bytes().map(f32::from);
    for (sum, level) in sum.iter_mut().zip([red, green, blue, 1.0]) {
        *sum += weight * level.into();
    }
}

fn levels<S: Scalar>(sum: [S; 4]) -> [S; 3] {
    let level = |c: usize| (sum[c] / sum[3] + S::from(0.5)).clamp(0.0, 255.0);
    [0, 1, 2].map(|c| f32::from_bits(level(c).to_bits()).floor().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A resize of 451 × 300 with the usual preparation, except for the filter.
    fn example(filter: Filter) -> Resize {
        Resize::new(451, 300, &Preprocess { filter, ..Preprocess::imagenet(224) }, 2)
    }

    #[test]
    fn sizes_follow_from_the_window() {
        let resize = example(Filter::Bilinear);
        let Window { columns, rows } = resize.window();
        assert_eq!(resize.source_bytes(), u64::from(columns.length * rows.length * 4));
        assert_eq!(resize.narrowed_bytes(), u64::from(rows.length * 224 * 4));
        assert_eq!(resize.normalised_bytes(), 224 * 224 * 16);
        assert_eq!(resize.params.first_pixel, 2 * 224 * 224);
        let [horizontal, vertical] = resize.dispatches();
        assert_eq!(horizontal.workgroups, [28, rows.length.div_ceil(8)]);
        assert_eq!(vertical.workgroups, [28, 28]);
        assert!(resize.fits(resize.source_bytes()) && !resize.fits(resize.source_bytes() - 1));
    }
}
