//! From a folded network to a plan: kernel choice, weight packing, memory.
//!
//! Lowering holds no device. What a device allows comes in as [`Limits`].

mod choice;
mod draft;
mod dynamic;
mod expansion;
mod form;
mod layers;
mod one_launch;
mod pack;
mod slots;
mod tile;
mod ways;

pub use choice::{Alternatives, Choices, alternatives, forms};
pub use form::{Form, FormChoice, choose_form, form_of, multiply_adds, multiply_adds_in};

use crate::graph::FoldedNetwork;
use crate::kernels::Precision;
use crate::plan::{Limits, Plan, PlanError};
use dynamic::latent_shape;

/// What the user may decide about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Pictures of a batch, at most. Where a device computes fewer at once, a batch takes several runs.
    pub batch: u32,
    /// Which form the dynamic layers take.
    pub form: FormChoice,
    /// How maps and weights are stored. Kernels compute with f32 in any case; pool sums, what controllers make and scores stay
    /// f32. [`Precision::F16`] halves the memory and rounds every map to eleven bits.
    pub precision: Precision,
    /// How many of the most probable classes are found: clamped to 1..=the number of classes.
    pub top: u32,
    /// Whether what the dynamic layers make of a picture can be read after a run; it then shares no memory.
    pub insight: bool,
    /// The ways to compute layers that stand in for the rule's.
    pub choices: Choices,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 1,
            form: FormChoice::Auto,
            precision: Precision::F32,
            top: 5,
            insight: false,
            choices: Choices::default(),
        }
    }
}

/// Pictures that software computes at once: the maps of more would come from memory, those of so few lie in caches.
const AT_ONCE_IN_SOFTWARE: u32 = 4;

impl Options {
    /// The runs that a batch takes on a device, and the pictures of each.
    pub fn runs(&self, limits: &Limits) -> [u32; 2] {
        // What can be read after a run must be that of the whole batch.
        let in_parts = limits.software && !self.insight;
        let runs = if in_parts { self.batch.div_ceil(AT_ONCE_IN_SOFTWARE).max(1) } else { 1 };
        [runs, self.batch.div_ceil(runs)]
    }
}

/// Why a network cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A layer has no kernel.
    #[error("node `{node}`: {reason}")]
    Unsupported {
        /// The node.
        node: String,
        /// What would be needed.
        reason: &'static str,
    },
    /// A memory is larger than the device allows.
    #[error(
        "node `{node}` needs {bytes} bytes in one buffer, the device allows {limit}; a smaller batch or input may fit"
    )]
    TooLarge {
        /// The node.
        node: String,
        /// Bytes needed.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The weights up to a node's are larger than the device allows.
    #[error("the weights up to those of node `{node}` need {bytes} bytes, the device allows {limit}")]
    WeightsTooLarge {
        /// The node.
        node: String,
        /// Bytes needed.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The plan would not keep the device's limits.
    #[error(transparent)]
    Invalid(#[from] PlanError),
}

/// Makes the plan of a network called `name`.
///
/// # Errors
/// When a layer has no kernel, or the plan would not keep `limits`; the error names the node.
pub fn lower(name: &str, network: &FoldedNetwork, options: Options, limits: Limits) -> Result<Plan, LowerError> {
    let drafted = layers::draft(network, &options, limits)?;
    let plan = slots::place(name, drafted, &options, limits)?;
    plan.validate()?;
    Ok(plan)
}
