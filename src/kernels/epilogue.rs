//! What a convolution does with its sums before it stores them; shared by kernels and twins.

use std::ops::Range;

use super::Scalar;
use super::vectors::{Loops, widest};

/// The activations of `shaders/shared/activation.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nonlinearity {
    /// u
    #[default]
    Identity,
    /// max(u, 0)
    Relu,
    /// min(max(u, 0), 6)
    Relu6,
}

impl Nonlinearity {
    /// The least and the most that it gives, as the shaders' parameters.
    pub(super) const fn bounds(self) -> [f32; 2] {
        match self {
            Self::Identity => [f32::NEG_INFINITY, f32::INFINITY],
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
        }
    }

    /// The one with these bounds.
    pub(super) fn of_bounds(bounds: [f32; 2]) -> Self {
        let all = [Self::Identity, Self::Relu, Self::Relu6];
        all.into_iter().find(|nonlinearity| nonlinearity.bounds() == bounds).unwrap_or_default()
    }
}

/// The twin of `activate`, through which NaN passes.
pub(super) fn activate<S: Scalar>(values: &mut [[S; 4]], bounds: [f32; 2]) {
    widest(Activate { values: values.as_flattened_mut(), bounds });
}

struct Activate<'a, S> {
    values: &'a mut [S],
    bounds: [f32; 2],
}

impl<S: Scalar> Loops for Activate<'_, S> {
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(self) {
        let [low, high] = self.bounds;
        for value in self.values {
            *value = value.clamp(low, high);
        }
    }
}

/// Bins of the average pool whose sums a convolution makes beside its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// One bin: the global average.
    Global,
    /// 2×2 bins, overlapping where a side is odd.
    TwoByTwo,
}

impl Pooling {
    /// Bins per axis.
    pub const fn bins(self) -> u32 {
        match self {
            Self::Global => 1,
            Self::TwoByTwo => 2,
        }
    }

    /// The one with so many bins per axis; none where there are none.
    pub(super) fn of_bins(bins: u32) -> Option<Self> {
        [Self::Global, Self::TwoByTwo].into_iter().find(|pooling| pooling.bins() == bins)
    }

    /// Bins in all.
    pub const fn count(self) -> u32 {
        self.bins() * self.bins()
    }

    /// Additions that sum up a map; bins that overlap add the same value twice.
    pub(super) fn additions(self, [height, width]: [u32; 2], groups: u32) -> u64 {
        let along = |length: u32| u64::from(self.bins() * length.div_ceil(self.bins()));
        along(height) * along(width) * 4 * u64::from(groups)
    }
}

/// A convolution's epilogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epilogue {
    /// Applied to the sum with its bias.
    pub nonlinearity: Nonlinearity,
    /// Whether a residual map is added after that.
    pub residual: bool,
    /// Whether sums for a pool are stored too.
    pub pooling: Option<Pooling>,
}

impl Epilogue {
    /// Bins per axis, 1 where nothing is pooled.
    pub(super) fn bins(self) -> u32 {
        self.pooling.map_or(1, Pooling::bins)
    }

    /// Operations on a map after the sums with their bias.
    pub(super) fn flops(self, [height, width]: [u32; 2], groups: u32) -> u64 {
        let values = u64::from(height) * u64::from(width) * 4 * u64::from(groups);
        let pooling = self.pooling.map_or(0, |pooling| pooling.additions([height, width], groups));
        values * u64::from(self.residual) + pooling
    }
}

/// The twin of `shared/pool_sums.wgsl`: adds the channels of pixels that lie side by side in a row to the sums of the bins in which they
/// lie, `sums[bin][channel]`.
pub(super) fn add_to_bins<S: Scalar>(
    sums: &mut [[S; 4]],
    bins: u32,
    row: u32,
    columns: Range<u32>,
    [height, width]: [u32; 2],
    values: &[[S; 4]],
) {
    let groups = values.len() / columns.len();
    // Bins of an odd side overlap.
    let of_bin = |bin: u32, side: u32| side / bins * bin..if bin + 1 < bins { side.div_ceil(bins) } else { side };
    for (bin, sums) in (0..).zip(sums.chunks_exact_mut(groups)) {
        let inside = of_bin(bin % bins, width);
        let run = columns.start.max(inside.start)..columns.end.min(inside.end);
        if of_bin(bin / bins, height).contains(&row) && !run.is_empty() {
            let [first, end] = [run.start, run.end].map(|column| (column - columns.start) as usize * groups);
            add(sums, &values[first..end]);
        }
    }
}

/// sums += each of the rows, in their order.
pub(super) fn add<S: Scalar>(sums: &mut [[S; 4]], rows: &[[S; 4]]) {
    widest(Sum { sums: sums.as_flattened_mut(), rows: rows.as_flattened() });
}

struct Sum<'a, S> {
    sums: &'a mut [S],
    rows: &'a [S],
}

impl<S: Scalar> Loops for Sum<'_, S> {
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(self) {
        let length = self.sums.len();
        let (blocks, rest) = self.sums.as_chunks_mut::<COLUMNS>();
        let whole = blocks.len() * COLUMNS;
        for (index, block) in blocks.iter_mut().enumerate() {
            add_columns(block, self.rows, length, index * COLUMNS);
        }
        for (index, block) in rest.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            add_columns(block, self.rows, length, whole + 4 * index);
        }
    }
}

/// The sums of N columns from `first` on, counted as in `multiply`'s tiles.
#[inline(always)]
fn add_columns<S: Scalar, const N: usize>(out: &mut [S; N], rows: &[S], length: usize, first: usize) {
    let mut sums = *out;
    for row in rows.chunks_exact(length) {
        let values = &row[first..][..N];
        for c in 0..N {
            sums[c] += values[c];
        }
    }
    *out = sums;
}

/// Adds the bias to whole rows of sums, activates them, and adds the residual where there is one.
pub(super) fn finish<S: Scalar>(out: &mut [[S; 4]], bias: &[[S; 4]], bounds: [f32; 2], residual: Option<&[[S; 4]]>) {
    let residual = residual.map_or(&[][..], |residual| residual.as_flattened());
    widest(Finish { out: out.as_flattened_mut(), bias: bias.as_flattened(), bounds, residual });
}

struct Finish<'a, S> {
    out: &'a mut [S],
    bias: &'a [S],
    bounds: [f32; 2],
    /// None, or as long as `out`.
    residual: &'a [S],
}

impl<S: Scalar> Loops for Finish<'_, S> {
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(self) {
        let Self { out, bias, bounds: [low, high], residual } = self;
        for row in out.chunks_exact_mut(bias.len()) {
            for c in 0..bias.len() {
                row[c] = (row[c] + bias[c]).clamp(low, high);
            }
        }
        for c in 0..residual.len() {
            out[c] += residual[c];
        }
    }
}
