//! Plain row-major arrays of logical elements, and the one way in which kernels lay them out: axes padded to four.

use dynaconv::kernels::Precision;

use super::generator::uniform;

/// A row-major array.
#[derive(Clone, Debug)]
pub struct Array<T, const N: usize> {
    pub shape: [usize; N],
    data: Vec<T>,
}

impl<T: Copy, const N: usize> Array<T, N> {
    pub fn from_fn(shape: [usize; N], value: impl Fn([usize; N]) -> T) -> Self {
        Self { shape, data: indices(shape).map(value).collect() }
    }

    pub fn at(&self, index: [usize; N]) -> T {
        let place = index.iter().zip(&self.shape).fold(0, |place, (i, size)| {
            assert!(i < size, "{index:?} in {:?}", self.shape);
            place * size + i
        });
        self.data[place]
    }
}

impl<const N: usize> Array<f32, N> {
    /// Numbers from `low` to `high` that follow from the name, such that both precisions store them exactly.
    pub fn random(name: &str, shape: [usize; N], low: f32, high: f32) -> Self {
        let count = shape.iter().product();
        let mut data: Vec<f32> = uniform(name).take(count).map(|u| low + (high - low) * u as f32).collect();
        Precision::F16.round(&mut data);
        Self { shape, data }
    }
}

/// Lays `shape` out row-major with the axes marked in `padded` filled up to a multiple of four with `fill`.
pub fn pack<T: Copy, const N: usize>(
    shape: [usize; N],
    padded: [bool; N],
    fill: T,
    value: impl Fn([usize; N]) -> T,
) -> Vec<T> {
    let sizes = std::array::from_fn(|axis| if padded[axis] { round_up(shape[axis]) } else { shape[axis] });
    let inside = |index: &[usize; N]| index.iter().zip(&shape).all(|(i, size)| i < size);
    indices(sizes).map(|index| if inside(&index) { value(index) } else { fill }).collect()
}

/// A feature map `[picture][channel][row][column]` in memory: `[picture][row][column][channel, padded]`.
pub fn pack_map<T: Copy>(map: &Array<T, 4>, fill: T) -> Vec<T> {
    let [pictures, channels, height, width] = map.shape;
    let shape = [pictures, height, width, channels];
    pack(shape, [false, false, false, true], fill, |[p, y, x, c]| map.at([p, c, y, x]))
}

/// A matrix `[output][input]` in memory: transposed, both axes padded.
pub fn pack_transposed(matrix: &Array<f32, 2>) -> Vec<f32> {
    let [outputs, inputs] = matrix.shape;
    pack([inputs, outputs], [true, true], 0.0, |[i, o]| matrix.at([o, i]))
}

/// A matrix in memory whose values lie in panels: columns 0 to 31 of all rows, then 32 to 63 and so on.
pub fn panels<T: Copy>(matrix: &[T], columns: usize) -> Vec<T> {
    let mut places: Vec<usize> = (0..matrix.len()).collect();
    places.sort_by_key(|place| (place % columns / 32, place / columns, place % columns));
    places.into_iter().map(|place| matrix[place]).collect()
}

/// A matrix `[output][input]` in memory: transposed, both axes padded, in panels.
pub fn pack_panels(matrix: &Array<f32, 2>) -> Vec<f32> {
    panels(&pack_transposed(matrix), round_up(matrix.shape[0]))
}

/// A vector, padded.
pub fn pack_vector(vector: &Array<f32, 1>) -> Vec<f32> {
    pack(vector.shape, [true], 0.0, |index| vector.at(index))
}

pub fn round_up(channels: usize) -> usize {
    channels.div_ceil(4) * 4
}

/// Groups of four channels, as dispatches count them.
pub fn groups(channels: usize) -> u32 {
    channels.div_ceil(4) as u32
}

fn indices<const N: usize>(shape: [usize; N]) -> impl Iterator<Item = [usize; N]> {
    (0..shape.iter().product()).map(move |mut place| {
        let mut index = [0; N];
        for axis in (0..N).rev() {
            index[axis] = place % shape[axis];
            place /= shape[axis];
        }
        index
    })
}
