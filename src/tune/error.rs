//! Why no ways were found.

use crate::exec::gpu::GpuError;
use crate::lower::LowerError;

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The network cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The device fails.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// There is nothing to time launches with.
    #[error("the device has no timestamps, so its launches cannot be timed")]
    NoTimestamps,
}
