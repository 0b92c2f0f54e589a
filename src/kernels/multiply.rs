//! The matrix product of twins, in tiles that stay in registers.

use super::Scalar;
use super::vectors::{Loops, widest};

/// out += x · weights, for rows of x with `4 · x.len() / rows` channels each and `weights[channel][out_groups]`.
pub(super) fn multiply<S: Scalar>(out: &mut [[S; 4]], x: &[[S; 4]], weights: &[[S; 4]], out_groups: usize) {
    let rows = out.len() / out_groups;
    let (out, x, weights) = (out.as_flattened_mut(), x.as_flattened(), weights.as_flattened());
    let inputs = x.len() / rows;
    widest(Product { out, x, weights, inputs, outputs: 4 * out_groups, stride: 4 * out_groups });
}

/// As `multiply`, for one row of x and the groups of outputs from `first` on.
pub(super) fn multiply_columns<S: Scalar>(
    out: &mut [[S; 4]],
    x: &[[S; 4]],
    weights: &[[S; 4]],
    out_groups: usize,
    first: usize,
) {
    let (out, x, weights) = (out.as_flattened_mut(), x.as_flattened(), weights[first..].as_flattened());
    let (inputs, outputs) = (x.len(), out.len());
    widest(Product { out, x, weights, inputs, outputs, stride: 4 * out_groups });
}

/// One product of matrices: `inputs` values to a row of x, `outputs` to one of the result, `stride` to one of the weights.
struct Product<'a, S> {
    out: &'a mut [S],
    x: &'a [S],
    weights: &'a [S],
    inputs: usize,
    outputs: usize,
    stride: usize,
}

impl<S: Scalar> Loops for Product<'_, S> {
    /// Tiles of ROWS × COLUMNS sums, and narrower ones for what is left.
    #[inline(always)]
    fn run<const ROWS: usize, const COLUMNS: usize>(mut self) {
        let whole = self.outputs - self.outputs % COLUMNS;
        for column in (0..whole).step_by(COLUMNS) {
            self.add_columns::<ROWS, COLUMNS>(column);
        }
        let eights = self.outputs - self.outputs % 8;
        for column in (whole..eights).step_by(8) {
            self.add_columns::<ROWS, 8>(column);
        }
        if eights < self.outputs {
            self.add_columns::<ROWS, 4>(eights);
        }
    }
}

impl<S: Scalar> Product<'_, S> {
    #[inline(always)]
    fn add_columns<const ROWS: usize, const COLUMNS: usize>(&mut self, column: usize) {
        let rows = self.out.len() / self.outputs;
        let whole = rows - rows % ROWS;
        for row in (0..whole).step_by(ROWS) {
            self.add_tile::<ROWS, COLUMNS>(row, column);
        }
        for row in whole..rows {
            self.add_tile::<1, COLUMNS>(row, column);
        }
    }

    #[inline(always)]
    fn add_tile<const ROWS: usize, const COLUMNS: usize>(&mut self, row: usize, column: usize) {
        let x: [&[S]; ROWS] = std::array::from_fn(|r| &self.x[(row + r) * self.inputs..][..self.inputs]);
        let out = &mut self.out[row * self.outputs..];
        let mut sums: [[S; COLUMNS]; ROWS] =
            std::array::from_fn(|r| std::array::from_fn(|c| out[r * self.outputs + column + c]));
        for (k, weights) in self.weights.chunks(self.stride).take(self.inputs).enumerate() {
            let weights = &weights[column..][..COLUMNS];
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = x[k];
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += *weight * x;
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            out[r * self.outputs + column..][..COLUMNS].copy_from_slice(sums);
        }
    }
}
