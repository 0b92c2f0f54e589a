//! Runs a plan on a GPU through wgpu.
//!
//! Everything is created when the executor is, pipelines on all cores; a run writes its input into memory that stays mapped
//! between runs, submits once what was recorded ahead, and reads back. It creates no GPU object but command buffers. Two runs
//! may be under way.

mod adapter;
#[cfg(target_arch = "wasm32")]
mod browser_subgroups;
mod device;
mod executor;
mod frame;
mod inspect;
mod memory;
mod objects;
mod parallel;
mod pipeline_cache;
mod pipelines;
mod prepare;
mod readback;
mod record;
mod results;
mod run;
mod scopes;
mod texels;
mod timer;
mod uploads;
mod wait;
#[cfg(target_arch = "wasm32")]
mod warm;

pub use adapter::{GpuChoice, GpuInfo};
pub use device::Gpu;
pub use executor::GpuExecutor;
pub use frame::{Frame, Pixels};
pub use objects::ObjectCounts;
pub use pipeline_cache::MOST_PIPELINE_BYTES;
pub use readback::Reading;
pub use results::{Pending, Results};
pub use timer::Timer;

/// Why a GPU could not be opened, a plan not be prepared, or a run not be finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The machine offers no adapter at all.
    #[error("no GPU adapter was found")]
    NoAdapter,
    /// No adapter is what was asked for.
    #[error("no GPU adapter matches `{wanted}`; found: {}", found.join(", "))]
    NoMatch {
        /// What was asked for.
        wanted: String,
        /// The adapters there are.
        found: Vec<String>,
    },
    /// The adapter gave no device.
    #[error("adapter {adapter} gave no device: {reason}")]
    NoDevice {
        /// The adapter.
        adapter: String,
        /// What it said.
        reason: String,
    },
    /// The plan is not valid.
    #[error(transparent)]
    InvalidPlan(#[from] crate::plan::PlanError),
    /// The device refused something; it is then in no state to go on.
    #[error("{doing}: {reason}")]
    Device {
        /// What was being done.
        doing: String,
        /// What the device said.
        reason: String,
    },
    /// The device is gone.
    #[error("the GPU device was lost: {0}")]
    Lost(String),
    /// As many runs as may overlap are under way.
    #[error("the results of {most} run(s) are still on their way; wait for one of them first")]
    Busy {
        /// Runs that may overlap.
        most: usize,
    },
    /// Pictures cannot be prepared on the GPU: too many, too large, or the executor was made without a preparation.
    #[error("{pictures} picture(s) cannot be prepared on the GPU in a batch of {batch}")]
    CannotPrepare {
        /// Pictures of the run.
        pictures: u32,
        /// The plan's batch.
        batch: u32,
    },
    /// A frame cannot be prepared.
    #[error("a frame of {width} × {height} pixels: {reason}")]
    Frame {
        /// Its columns.
        width: u32,
        /// Its rows.
        height: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A run of no pictures, or of more than a plan takes.
    #[error("a run of {found} picture(s), expected 1 to {batch}")]
    Pictures {
        /// Pictures of the run.
        found: u32,
        /// The plan's batch.
        batch: u32,
    },
    /// The input is not as large as the pictures need.
    #[error("the input has {found} values, {pictures} picture(s) need {expected}")]
    InputSize {
        /// Pictures of the run.
        pictures: u32,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
}
