//! Host tensors and the memory layout of feature maps. Depends on nothing.

mod aligned;
mod layout;
mod map;
mod precision;

pub use aligned::Aligned;
pub use layout::{GROUP, channels_last_from_nchw, groups, nchw_from_channels_last};
pub use map::Map;
pub use precision::{MOST_STORED, Precision};

/// A dense row-major array of `f32` on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

/// The number of values does not fill the shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shape {shape:?} needs {expected} values, found {found}")]
pub struct ShapeMismatch {
    shape: Vec<usize>,
    expected: usize,
    found: usize,
}

impl Tensor {
    /// Wraps `data` (row-major) as a tensor of `shape`.
    ///
    /// # Errors
    /// When the product of `shape` is not the number of values.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, ShapeMismatch> {
        let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
        if expected != data.len() {
            return Err(ShapeMismatch { shape, expected, found: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// A tensor whose every value is `value`.
    pub fn filled(shape: Vec<usize>, value: f32) -> Self {
        let data = vec![value; shape.iter().product()];
        Self { shape, data }
    }

    /// Length of each axis, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values, row-major, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_refuses_the_wrong_number_of_values() {
        assert!(Tensor::new(vec![2, 3], vec![0.0; 6]).is_ok());
        let error = Tensor::new(vec![2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "shape [2, 3] needs 6 values, found 5");
        assert!(Tensor::new(vec![usize::MAX, 2], vec![]).is_err());
    }
}
