//! What a run makes of its dynamic layers: where it lies, and what it means.

use super::View;
use crate::tensor::{GROUP, groups};

/// Where a run leaves what it makes of a dynamic layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicLayer {
    /// The layer's node.
    pub node: String,
    /// Channels of its input.
    pub inputs: usize,
    /// Channels of its output.
    pub outputs: usize,
    /// Rows and columns of Φ.
    pub latent: usize,
    /// What its controller makes for each picture of the batch, vec4 of f32: `M[4·⌈L/4⌉][⌈L/4⌉]`, then `λ[⌈outputs/4⌉]`.
    pub heads: View,
}

/// What one picture makes of a dynamic layer: W(x) = λ(x) ⊙ W₀ + P·(Φ(x) + I)·Q.
#[derive(Clone, Debug, PartialEq)]
pub struct Insight {
    /// The layer's node.
    pub node: String,
    /// Channels of its input.
    pub inputs: usize,
    /// Channels of its output.
    pub outputs: usize,
    /// Rows and columns of Φ.
    pub latent: usize,
    /// λ(x), `[outputs]`: the factor of each output channel, from 0 to 2.
    pub lambda: Vec<f32>,
    /// Φ(x), `[latent][latent]`, each row times the scale of the norm that follows it in training.
    pub phi: Vec<f32>,
}

impl DynamicLayer {
    /// Values of the heads of one picture.
    pub fn head_values(&self) -> usize {
        let latent = GROUP * groups(self.latent);
        latent * latent + GROUP * groups(self.outputs)
    }

    /// What one picture's heads mean; `heads` has [`DynamicLayer::head_values`] values.
    pub fn insight(&self, heads: &[f32]) -> Insight {
        let rows = GROUP * groups(self.latent);
        let (matrix, lambda) = heads.split_at(rows * rows);
        // The controller gives Φ + I, and three times λ.
        let phi = matrix.chunks_exact(rows).take(self.latent).enumerate().flat_map(|(i, row)| {
            row[..self.latent].iter().enumerate().map(move |(j, value)| if i == j { value - 1.0 } else { *value })
        });
        Insight {
            node: self.node.clone(),
            inputs: self.inputs,
            outputs: self.outputs,
            latent: self.latent,
            lambda: lambda[..self.outputs].iter().map(|value| value / 3.0).collect(),
            phi: phi.collect(),
        }
    }
}
