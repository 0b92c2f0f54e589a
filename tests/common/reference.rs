//! The textbook definitions of what kernels compute, on plain `[picture][channel][row][column]` arrays.

use dynaconv::kernels::{Nonlinearity, Pooling};

use super::array::Array;
use super::real::Real;

/// A result for every picture, channel, row and column.
pub type Maps = Array<Real, 4>;

/// A convolution's geometry.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub stride: usize,
    pub top: usize,
    pub left: usize,
    /// Rows and columns of the output.
    pub output: [usize; 2],
}

/// A convolution without bias: `weight[output][input][row][column]`, or `[channel][1][row][column]` for a depthwise one.
pub fn convolution<T: Copy + Into<Real>>(
    x: &Array<T, 4>,
    weight: &Array<f32, 4>,
    g: Geometry,
    depthwise: bool,
) -> Maps {
    let [pictures, _, height, width] = x.shape;
    let [outputs, inputs, rows, columns] = weight.shape;
    Array::from_fn([pictures, outputs, g.output[0], g.output[1]], |[p, o, y, x_out]| {
        let mut terms = Vec::new();
        for i in 0..inputs {
            for ky in 0..rows {
                for kx in 0..columns {
                    let (row, column) = (y * g.stride + ky, x_out * g.stride + kx);
                    let inside = row >= g.top && column >= g.left && row - g.top < height && column - g.left < width;
                    if inside {
                        let channel = if depthwise { o } else { i };
                        let value = x.at([p, channel, row - g.top, column - g.left]);
                        terms.push(Real::from(weight.at([o, i, ky, kx])) * value);
                    }
                }
            }
        }
        Real::sum(terms)
    })
}

/// A 1×1 convolution whose matrix `weight[picture][output][input]` may differ from picture to picture.
pub fn pointwise<T: Copy + Into<Real>>(x: &Array<f32, 4>, weight: &Array<T, 3>) -> Maps {
    let [pictures, inputs, height, width] = x.shape;
    Array::from_fn([pictures, weight.shape[1], height, width], |[p, o, row, column]| {
        Real::sum((0..inputs).map(|i| weight.at([p, o, i]).into() * x.at([p, i, row, column])))
    })
}

/// Applies `change` to each element with its index.
pub fn map(maps: &Maps, change: impl Fn([usize; 4], Real) -> Real) -> Maps {
    Array::from_fn(maps.shape, |index| change(index, maps.at(index)))
}

/// The bias, the activation, and then the residual.
pub fn epilogue<T: Into<Real>>(
    sums: &Maps,
    bias: impl Fn(usize, usize) -> T,
    nonlinearity: Nonlinearity,
    residual: Option<&Array<f32, 4>>,
) -> Maps {
    map(sums, |index @ [p, c, _, _], sum| {
        let value = (sum + bias(p, c)).activate(nonlinearity);
        residual.map_or(value, |residual| value + residual.at(index))
    })
}

/// Rows or columns of part `bin` of `bins`, as PyTorch's `adaptive_avg_pool2d` has them.
fn part(size: usize, bin: usize, bins: usize) -> std::ops::Range<usize> {
    bin * size / bins..((bin + 1) * size).div_ceil(bins)
}

/// Pixels of bin (i, j).
pub fn pixels_of_bin(height: usize, width: usize, bin: usize, pooling: Pooling) -> usize {
    let bins = pooling.bins() as usize;
    part(height, bin / bins, bins).len() * part(width, bin % bins, bins).len()
}

/// The sums of all bins: `[picture][bin][channel]`.
pub fn pool_sums(maps: &Maps, pooling: Pooling) -> Array<Real, 3> {
    let [pictures, channels, height, width] = maps.shape;
    let bins = pooling.bins() as usize;
    Array::from_fn([pictures, bins * bins, channels], |[p, bin, c]| {
        let (rows, columns) = (part(height, bin / bins, bins), part(width, bin % bins, bins));
        Real::sum(rows.flat_map(|y| columns.clone().map(move |x| maps.at([p, c, y, x]))))
    })
}

/// The product of a matrix `[rows][columns]` and a vector.
pub fn product(matrix: &Array<f32, 2>, vector: &[Real]) -> Vec<Real> {
    let [rows, columns] = matrix.shape;
    let row = |r: usize| Real::sum((0..columns).map(|c| vector[c] * matrix.at([r, c])));
    (0..rows).map(row).collect()
}
