//! The network after folding: only what is computed, with the values it needs.

use super::{Activation, Convolution, Dynamic};
use crate::tensor::Map;

/// Where a layer's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The prepared picture.
    Picture,
    /// The result of the layer of this index.
    Layer(usize),
}

/// A network of convolutions with their epilogues. Layers read earlier ones only; the last one is the result.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedNetwork {
    /// The size of the prepared picture.
    pub input: Map,
    /// The layers in order.
    pub layers: Vec<Layer>,
}

/// One layer: y = activation(op(x)) or op(x) + residual.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The node that the layer was made from.
    pub name: String,
    /// What it computes, with its values.
    pub op: LayerOp,
    /// What it reads.
    pub input: Source,
    /// A map of the output's size that is added last.
    pub residual: Option<Source>,
    /// Applied to the op's result; the identity where a residual is added.
    pub activation: Activation,
    /// The size of what it reads, for one picture.
    pub input_map: Map,
    /// The size of its result for one picture.
    pub output_map: Map,
}

/// What a folded layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerOp {
    /// A static convolution with bias.
    Convolution(Convolution, StaticWeights),
    /// A dynamic pointwise convolution.
    DynamicConvolution(DynamicWeights),
    /// The mean of `bins` × `bins` parts.
    AveragePool {
        /// Parts per axis.
        bins: usize,
    },
    /// A fully connected layer with bias.
    Linear(StaticWeights),
    /// A dynamic fully connected layer.
    DynamicLinear(DynamicWeights),
    /// exp(u) / Σ exp(u).
    Softmax,
}

/// The values of a static layer.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticWeights {
    /// Row-major `[outputs][inputs or 1][kernel][kernel]`.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// The values of a dynamic layer with every norm, gate divisor and skip folded in; all matrices row-major.
///
/// For a picture with pooled input v:
/// y = fc0·v, y ← y ⊙ relu6(gate·y + 3), M = reshape(phi·y) + I, λ = relu6(scale·y + 3), and
/// out = λ ⊙ (w0·x + scaled_bias) + p·(M·(q·x + q_offset) + latent_offset) + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicWeights {
    /// Sizes.
    pub sizes: Dynamic,
    /// Channels of the input.
    pub inputs: usize,
    /// `[outputs][inputs]`.
    pub w0: Vec<f32>,
    /// `[outputs]`, scaled by λ; zero but in the classifier.
    pub scaled_bias: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    /// `[latent][inputs]`.
    pub q: Vec<f32>,
    /// `[latent]`.
    pub q_offset: Vec<f32>,
    /// `[latent]`.
    pub latent_offset: Vec<f32>,
    /// `[outputs][latent]`.
    pub p: Vec<f32>,
    /// `[squeeze][inputs · bins²]`; columns run channel by channel, then row, then column of the bins.
    pub fc0: Vec<f32>,
    /// `[squeeze][squeeze]`.
    pub gate: Vec<f32>,
    /// `[latent²][squeeze]`, rows in row-major order of M.
    pub phi: Vec<f32>,
    /// `[outputs][squeeze]`.
    pub scale: Vec<f32>,
}
