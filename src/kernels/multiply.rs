//! The matrix product of twins, in tiles that stay in registers.

use rayon::prelude::*;

use super::Scalar;
use super::panels::PANEL_GROUPS;
use super::vectors::{Loops, widest};

/// out = x · weights, for rows of x with `4 · x.len() / rows` channels each and `weights[channel][out_groups]` in panels.
pub(super) fn multiply<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]], out_groups: usize) {
    multiply_panels(out, x, weights, [out_groups, PANEL_GROUPS], false);
}

/// out += x · weights, of the same.
pub(super) fn multiply_add<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]], out_groups: usize) {
    multiply_panels(out, x, weights, [out_groups, PANEL_GROUPS], true);
}

/// out += x · weights, for weights that lie row after row.
pub(super) fn multiply_rows<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]], out_groups: usize) {
    multiply_panels(out, x, weights, [out_groups, out_groups], true);
}

/// vec4 of weights that are worth a task of their own.
const TASK_GROUPS: usize = 4096;

/// out = x · weights, for one row, which all cores share: what takes the time is to load the weights.
pub(super) fn multiply_vector<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]]) {
    let panel = 4 * x.len() * PANEL_GROUPS;
    let panels = out.par_chunks_mut(PANEL_GROUPS).zip(weights.par_chunks(panel));
    panels.with_min_len(TASK_GROUPS.div_ceil(panel)).for_each(|(out, weights)| multiply(out, x, weights, out.len()));
}

/// As `multiply_rows`, for rows of `inputs` groups of x that begin `step` groups one after another and may overlap.
pub(super) fn multiply_windows<S: Scalar>(
    out: &mut [[S; 4]],
    x: &[[S; 4]],
    [inputs, step]: [usize; 2],
    weights: &[[S; 4]],
    out_groups: usize,
) {
    let (out, x, weights) = (out.as_flattened_mut(), x.as_flattened(), weights.as_flattened());
    let [inputs, step, outputs] = [inputs, step, out_groups].map(|groups| 4 * groups);
    widest(Product::<_, false> { out, x, weights, inputs, step, outputs, panel: outputs, adds: true });
}

/// out += xᵀ · weights, for x that has a row of `x_groups` groups for each channel, which has a column for each row of the result; the
/// weights lie row after row.
pub(super) fn multiply_transposed<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], x_groups: usize, weights: &[[S; 4]]) {
    let out_groups = out.len() / (4 * x_groups);
    let (out, x, weights) = (out.as_flattened_mut(), x.as_flattened(), weights.as_flattened());
    let (step, outputs) = (4 * x_groups, 4 * out_groups);
    let inputs = x.len() / step;
    widest(Product::<_, true> { out, x, weights, inputs, step, outputs, panel: outputs, adds: true });
}

fn multiply_panels<S: Scalar>(
    out: &mut [[S; 4]],
    x: &[[S; 4]],
    weights: &[[S; 4]],
    [out_groups, panel_groups]: [usize; 2],
    adds: bool,
) {
    let rows = out.len() / out_groups;
    let (out, x, weights) = (out.as_flattened_mut(), x.as_flattened(), weights.as_flattened());
    let inputs = x.len() / rows;
    let [outputs, panel] = [out_groups, panel_groups].map(|groups| 4 * groups);
    widest(Product::<_, false> { out, x, weights, inputs, step: inputs, outputs, panel, adds });
}

/// One product of matrices: `inputs` values to a row of x, which begin `step` values one after another, `outputs` to a row of the result,
/// `panel` to one of a panel of weights. Where x is transposed its columns are what is said here of its rows. It is added to what is there,
/// or stands in its place.
struct Product<'a, S, const TRANSPOSED: bool> {
    out: &'a mut [S],
    x: &'a [S],
    weights: &'a [S],
    inputs: usize,
    step: usize,
    outputs: usize,
    panel: usize,
    adds: bool,
}

impl<S: Scalar, const TRANSPOSED: bool> Loops for Product<'_, S, TRANSPOSED> {
    /// In each panel tiles of ROWS × COLUMNS sums, and narrower ones for what is left.
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(mut self) {
        for first in (0..self.outputs).step_by(self.panel) {
            let end = self.outputs.min(first + self.panel);
            let mut column = first;
            while column + COLUMNS <= end {
                self.add_columns::<ROWS, COLUMNS>(first, column);
                column += COLUMNS;
            }
            while column + 8 <= end {
                self.add_columns::<ROWS, 8>(first, column);
                column += 8;
            }
            if column < end {
                self.add_columns::<ROWS, 4>(first, column);
            }
        }
    }
}

impl<S: Scalar, const TRANSPOSED: bool> Product<'_, S, TRANSPOSED> {
    #[inline(always)]
    fn add_columns<const ROWS: usize, const COLUMNS: usize>(&mut self, panel_first: usize, column: usize) {
        let rows = self.out.len() / self.outputs;
        let whole = rows - rows % ROWS;
        for row in (0..whole).step_by(ROWS) {
            self.add_tile::<ROWS, COLUMNS>(panel_first, row, column);
        }
        let mut row = whole;
        if row + 4 <= rows {
            self.add_tile::<4, COLUMNS>(panel_first, row, column);
            row += 4;
        }
        if row + 2 <= rows {
            self.add_tile::<2, COLUMNS>(panel_first, row, column);
            row += 2;
        }
        for row in row..rows {
            self.add_tile::<1, COLUMNS>(panel_first, row, column);
        }
    }

    #[inline(always)]
    fn add_tile<const ROWS: usize, const COLUMNS: usize>(&mut self, panel_first: usize, row: usize, column: usize) {
        // Not by `from_fn`, which compilers call in each tile where they do not write it out.
        let mut rows = [&self.x[..0]; ROWS];
        if !TRANSPOSED {
            for (r, values) in rows.iter_mut().enumerate() {
                *values = &self.x[(row + r) * self.step..][..self.inputs];
            }
        }
        let out = &mut self.out[row * self.outputs..];
        let mut sums = [[S::ZERO; COLUMNS]; ROWS];
        if self.adds {
            for (r, sums) in sums.iter_mut().enumerate() {
                sums.copy_from_slice(&out[r * self.outputs + column..][..COLUMNS]);
            }
        }
        let panel = self.panel.min(self.outputs - panel_first);
        let weights = &self.weights[panel_first * self.inputs..][..panel * self.inputs];
        for (k, weights) in weights.chunks_exact(panel).enumerate() {
            let weights = &weights[column - panel_first..][..COLUMNS];
            let transposed = if TRANSPOSED { &self.x[k * self.step + row..][..ROWS] } else { &self.x[..0] };
            for r in 0..ROWS {
                add_scaled(&mut sums[r], weights, if TRANSPOSED { transposed[r] } else { rows[r][k] });
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            out[r * self.outputs + column..][..COLUMNS].copy_from_slice(sums);
        }
    }
}

/// sums += values · scale. Counted, which compilers turn into vectors more surely than iterators: whole networks took a third longer.
#[inline(always)]
fn add_scaled<S: Scalar, const N: usize>(sums: &mut [S; N], values: &[S], scale: S) {
    for c in 0..N {
        sums[c] += values[c] * scale;
    }
}

/// Rows that one task takes of a product with so many: some 32, few enough to leave every core its share and enough to use loaded weights
/// again.
pub(super) fn rows_of_task(rows: usize) -> usize {
    let threads = rayon::current_num_threads();
    rows.div_ceil(rows.div_ceil(32).next_multiple_of(threads))
}
