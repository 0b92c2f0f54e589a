//! The numbers that twins compute with.

use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// A number of a twin: f32 where twins run, and in tests one that counts what is done with it.
pub trait Scalar:
    Copy
    + Send
    + Sync
    + PartialOrd
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + 'static
{
    /// Zero.
    const ZERO: Self;

    /// The nearest number within two bounds; not-a-number stays one.
    #[must_use]
    fn clamp(self, low: f32, high: f32) -> Self;

    /// e to the power of it.
    #[must_use]
    fn exp(self) -> Self;

    /// Whether it is not a number.
    fn is_nan(self) -> bool;

    /// The word that it is stored as: some kernels keep whole numbers where others keep these.
    fn to_bits(self) -> u32;

    /// The number that is stored as this word.
    fn from_bits(bits: u32) -> Self;
}

/// The sum of terms, in their order.
pub(super) fn sum<S: Scalar>(terms: impl Iterator<Item = S>) -> S {
    terms.fold(S::ZERO, |sum, term| sum + term)
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;

    #[inline]
    fn clamp(self, low: f32, high: f32) -> Self {
        Self::clamp(self, low, high)
    }

    #[inline]
    fn exp(self) -> Self {
        Self::exp(self)
    }

    #[inline]
    fn is_nan(self) -> bool {
        Self::is_nan(self)
    }

    #[inline]
    fn to_bits(self) -> u32 {
        Self::to_bits(self)
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Self::from_bits(bits)
    }
}
