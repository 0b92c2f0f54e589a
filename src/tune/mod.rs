//! Finds out by measuring which way to compute each layer is the fastest on a device, and remembers it.
//!
//! [`crate::lower`] chooses by a rule, which knows a device's kind and the layer's sizes. A [`Tuner`] tries every way instead;
//! what it found is [`Tuned`], plain data that stands in for the rule as long as device, driver and shaders stay the same.

#[cfg(feature = "gpu")]
mod agreement;
#[cfg(feature = "gpu")]
mod charge;
#[cfg(feature = "gpu")]
mod error;
#[cfg(feature = "gpu")]
mod measure;
#[cfg(feature = "gpu")]
mod outcome;
mod table;
#[cfg(feature = "gpu")]
mod trials;

#[cfg(feature = "gpu")]
pub use error::TuneError;
#[cfg(feature = "gpu")]
pub use measure::{Step, Tuner};
#[cfg(feature = "gpu")]
pub use outcome::{Outcome, Shape, Way};
pub use table::{SCHEMA, Tuned, TunedError};
