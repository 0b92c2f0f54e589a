//! What may go wrong between a model and its answer.

#[cfg(feature = "gpu")]
use crate::exec::gpu::GpuError;
use crate::graph::{FoldError, GraphError};
use crate::lower::LowerError;
use crate::plan::PlanError;
use crate::profile::ProfileError;

/// Why a model cannot be prepared, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierError {
    /// The probe's network is not valid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The model's weights do not fold.
    #[error("{model}: {error}")]
    Fold {
        /// The model.
        model: String,
        /// What is wrong.
        error: FoldError,
    },
    /// The model cannot be lowered to a plan.
    #[error("{model}: {error}")]
    Lower {
        /// The model.
        model: String,
        /// What is wrong.
        error: LowerError,
    },
    /// The plan is not valid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The GPU could not be opened, or failed.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// There is no profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// More pictures than the classifier was made for, or none.
    #[error("{found} pictures in one call, expected 1 to {batch}")]
    Batch {
        /// Pictures given.
        found: usize,
        /// The most of one call.
        batch: u32,
    },
    /// The CPU can only be given pixels.
    #[error("the CPU needs the picture's pixels")]
    Pixels,
    /// An input value that is no finite number.
    #[error("value {index} of the input is {value}, expected finite numbers")]
    InputValue {
        /// Its place among all values.
        index: usize,
        /// What it is.
        value: f32,
    },
    /// An input tensor of another shape.
    #[error("the input has shape {found:?}, expected {expected}")]
    InputShape {
        /// The shape given.
        found: Vec<usize>,
        /// The shape needed.
        expected: String,
    },
    /// The network computed something that is no number.
    #[error("{model}: the scores of picture {picture} are not finite numbers; the model does not suit this input")]
    NotFinite {
        /// The model.
        model: String,
        /// Which picture of the call.
        picture: usize,
    },
}
