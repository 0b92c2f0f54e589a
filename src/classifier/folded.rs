//! A model whose network is folded: all of its preparation that needs no device, so that it can go on while one is opened.

use std::time::Duration;

use web_time::Instant;

use super::ClassifierError;
use crate::graph::{FoldedNetwork, fold};
use crate::lower::{Options, lower};
use crate::model::{Description, Model};
use crate::plan::{Limits, Plan};

/// A folded network with the description of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedModel {
    description: Description,
    network: FoldedNetwork,
    /// How long folding took.
    pub(super) folding: Duration,
}

impl FoldedModel {
    /// Folds a model's network.
    ///
    /// # Errors
    /// When the model's weights do not fold.
    pub fn new(model: &Model) -> Result<Self, ClassifierError> {
        let begin = Instant::now();
        let description = model.description().clone();
        let network = fold(model.graph(), model.weights())
            .map_err(|error| ClassifierError::Fold { model: description.name.clone(), error })?;
        Ok(Self { description, network, folding: begin.elapsed() })
    }

    /// What the model's file says of the network.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The plan for a device of these limits, and how long lowering took.
    pub(super) fn plan(&self, options: Options, limits: Limits) -> Result<(Plan, Duration), ClassifierError> {
        let begin = Instant::now();
        let name = &self.description.name;
        let plan = lower(name, &self.network, options, limits)
            .map_err(|error| ClassifierError::Lower { model: name.clone(), error })?;
        Ok((plan, begin.elapsed()))
    }
}
