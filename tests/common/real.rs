//! A number of the references: its value in f64, and how far f32 arithmetic may be from it.
//!
//! This is the one place where tolerances come from. Each operation of a kernel in f32 adds at most a rounding of its own
//! result; a chain of n additions, in whatever order a kernel does it, is off by at most n roundings of the sum of its
//! terms' magnitudes. The references are written with these numbers, so that every element gets the bound that its own
//! operations allow: linear in the length of its sums, scaled to Σ|products|, carried through all stages of a kernel.

use std::ops::{Add, Mul};

use dynaconv::kernels::{Nonlinearity, Precision};

/// Two roundings to nearest: kernels may multiply and add in one rounding or in two.
const ROUNDING: f64 = f32::EPSILON as f64;

/// A value with what bounds the error that a correct kernel can make in it.
#[derive(Clone, Copy, PartialEq)]
pub struct Real {
    pub value: f64,
    /// Error of the terms that were added up to it.
    error: f64,
    /// Sum of their magnitudes.
    magnitude: f64,
    /// Additions that were made.
    additions: f64,
}

impl Real {
    pub const ZERO: Self = Self::exactly(0.0);

    const fn exactly(value: f64) -> Self {
        Self::within(value, 0.0)
    }

    const fn within(value: f64, error: f64) -> Self {
        Self { value, error, magnitude: value.abs(), additions: 0.0 }
    }

    /// The largest error that a correct kernel can make.
    pub fn slack(self) -> f64 {
        self.error + self.additions * ROUNDING * self.magnitude
    }

    /// The number as it is stored: halves have eleven bits, and steps of 2⁻²⁴ near zero.
    pub fn stored_as(self, precision: Precision) -> Self {
        let rounding = match precision {
            Precision::F32 => 0.0,
            Precision::F16 => self.value.abs() / 2048.0 + 0.5 / f64::from(1 << 24),
        };
        Self::within(self.value, self.slack() * (1.0 + 1.0 / 2048.0) + rounding)
    }

    /// The sum of terms that a kernel may add in any order.
    pub fn sum(terms: impl IntoIterator<Item = Self>) -> Self {
        terms.into_iter().fold(Self::ZERO, |sum, term| sum + term)
    }

    pub fn clamp(self, low: f64, high: f64) -> Self {
        Self::within(self.value.clamp(low, high), self.slack())
    }

    /// Division, which GPUs round less well: WGSL allows two and a half units in the last place.
    pub fn over(self, divisor: impl Into<Self>) -> Self {
        let divisor = divisor.into();
        let value = self.value / divisor.value;
        let inherited = (self.slack() + value.abs() * divisor.slack()) / divisor.value.abs();
        Self::within(value, inherited + 3.0 * ROUNDING * value.abs())
    }

    /// WGSL allows exp an error of 3 + 2|x| units in the last place; results near zero may be flushed to it.
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        let flushed = f64::from(f32::MIN_POSITIVE);
        if value == 0.0 {
            return Self::within(0.0, flushed);
        }
        let relative = self.slack() + (3.0 + 2.0 * self.value.abs()) * ROUNDING;
        Self::within(value, value * relative + flushed)
    }

    pub fn relu6(self) -> Self {
        self.clamp(0.0, 6.0)
    }

    pub fn activate(self, nonlinearity: Nonlinearity) -> Self {
        match nonlinearity {
            Nonlinearity::Identity => self,
            Nonlinearity::Relu => self.clamp(0.0, f64::INFINITY),
            Nonlinearity::Relu6 => self.relu6(),
        }
    }
}

impl From<f32> for Real {
    fn from(value: f32) -> Self {
        Self::exactly(value.into())
    }
}

impl<T: Into<Real>> Add<T> for Real {
    type Output = Self;

    fn add(self, other: T) -> Self {
        let other = other.into();
        Self {
            value: self.value + other.value,
            error: self.error + other.error,
            magnitude: self.magnitude + other.magnitude,
            additions: self.additions + other.additions + 1.0,
        }
    }
}

impl<T: Into<Real>> Mul<T> for Real {
    type Output = Self;

    fn mul(self, other: T) -> Self {
        let other = other.into();
        let value = self.value * other.value;
        let (a, b) = (self.slack(), other.slack());
        let inherited = self.value.abs() * b + other.value.abs() * a + a * b;
        Self::within(value, inherited + ROUNDING * value.abs())
    }
}

impl std::fmt::Debug for Real {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:e} ± {:e}", self.value, self.slack())
    }
}
