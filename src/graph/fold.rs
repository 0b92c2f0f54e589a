//! Folds batch norms, gate divisors, the latent skip, activations and residual sums into the convolutions before them.
//!
//! A batch norm in inference is u ↦ s·u + o with s = γ/√(σ² + ε) and o = β − μ·s. Folding is exact but for rounding; it is
//! done in f64. A dynamic layer's inner norms (s₁, o₁) after Q and (s₂, o₂) after Φ, and the outer norm (g, h), fold as
//! q = s₁⊙Q, p = g⊙P, w0 = g⊙W₀/3, phi = s₂⊙fc_phi/3, scale = fc_scale/3: the thirds are the divisors of DCD's gates,
//! relu6(u + 3)/3, of λ and of the MLP's self-gate.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{
    Activation, DynamicWeights, FoldedNetwork, Graph, Layer, LayerOp, Node, NodeId, Op, Source, StaticWeights, Weights,
};

/// Why a network cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The weights do not hold a tensor that the network needs.
    #[error("node `{node}`: tensor `{tensor}` is missing")]
    Missing {
        /// The node.
        node: String,
        /// The tensor's full name.
        tensor: String,
    },
    /// A tensor has another shape than the network needs.
    #[error("node `{node}`: tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The node.
        node: String,
        /// The tensor's full name.
        tensor: String,
        /// What the network needs.
        expected: Vec<usize>,
        /// What the weights hold.
        found: Vec<usize>,
    },
    /// The folded values are not finite numbers.
    #[error("node `{node}`: its folded {what} is not finite (a variance below zero, or a value too large?)")]
    NotFinite {
        /// The node.
        node: String,
        /// Which values.
        what: &'static str,
    },
    /// The operator stands where no convolution can take it in, or nothing reads it.
    #[error("node `{node}` ({op}): {reason}")]
    Unsupported {
        /// The node.
        node: String,
        /// The operator.
        op: String,
        /// What would be needed.
        reason: &'static str,
    },
}

/// Turns a network and its weights into the smaller network that is computed.
///
/// # Errors
/// When a tensor is missing or misshapen, a folded value is not finite, a norm, activation or sum does not directly follow a convolution
/// whose result nothing else reads, or a node but the last is read by nothing.
pub fn fold(graph: &Graph, weights: &Weights) -> Result<FoldedNetwork, FoldError> {
    // The last layer is the network's result only where all others are read.
    let is_read = |id: NodeId| graph.nodes().iter().any(|node| node.inputs.contains(&id));
    let unread = (0..graph.nodes().len() - 1).map(NodeId).find(|id| !is_read(*id));
    if let Some(id) = unread {
        return Err(unsupported(graph.node(id), "nothing reads it"));
    }
    let mut folding = Folding { graph, weights, sources: HashMap::new(), layers: Vec::new() };
    for index in 0..graph.nodes().len() {
        folding.visit(NodeId(index))?;
    }
    // Layers do not depend on each other's values, which are all the work.
    let layers = folding.layers.par_iter().map(|(node, chain)| folding.layer(node, chain));
    let layers: Vec<_> = layers.collect();
    Ok(FoldedNetwork { input: graph.input(), layers: layers.into_iter().collect::<Result<_, _>>()? })
}

struct Folding<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    /// Which layer computes a node's result, for nodes done so far; a node inside a chain has none.
    sources: HashMap<NodeId, Option<Source>>,
    /// The layers found so far.
    layers: Vec<(&'a Node, Chain)>,
}

/// What a layer reads, and what follows a convolution and is computed in its epilogue.
struct Chain {
    input: Source,
    last: NodeId,
    scale: Vec<f64>,
    offset: Vec<f64>,
    activation: Activation,
    residual: Option<Source>,
}

impl Folding<'_> {
    fn visit(&mut self, id: NodeId) -> Result<(), FoldError> {
        if self.sources.contains_key(&id) {
            return Ok(());
        }
        let graph = self.graph;
        let node = graph.node(id);
        let input = match node.inputs.first() {
            None => Source::Picture,
            Some(input) => self.source(node, *input)?,
        };
        if node.op == Op::Input {
            self.sources.insert(id, Some(Source::Picture));
            return Ok(());
        }
        let chain = match node.op {
            Op::Convolution(_) | Op::DynamicConvolution(_) | Op::Linear { .. } | Op::DynamicLinear(_) => {
                self.chain(id, input)?
            }
            Op::AveragePool { .. } | Op::Softmax => Chain::empty(id, input, node.output.channels),
            Op::Input | Op::BatchNorm { .. } | Op::Activation(_) | Op::Add => {
                return Err(unsupported(node, "must follow a convolution whose result nothing else reads"));
            }
        };
        self.sources.insert(chain.last, Some(Source::Layer(self.layers.len())));
        self.layers.push((node, chain));
        Ok(())
    }

    fn layer(&self, node: &Node, chain: &Chain) -> Result<Layer, FoldError> {
        Ok(Layer {
            name: node.name.clone(),
            op: self.layer_op(node, chain)?,
            input: chain.input,
            residual: chain.residual,
            activation: chain.activation,
            input_map: self.graph.node(node.inputs[0]).output,
            output_map: node.output,
        })
    }

    fn source(&self, node: &Node, input: NodeId) -> Result<Source, FoldError> {
        let known = self.sources.get(&input).copied().flatten();
        known.ok_or_else(|| unsupported(node, "reads a result that was folded into a convolution"))
    }

    /// Follows the sole readers of a convolution's result as far as its epilogue can compute them.
    fn chain(&mut self, start: NodeId, input: Source) -> Result<Chain, FoldError> {
        let mut chain = Chain::empty(start, input, self.graph.node(start).output.channels);
        while let Some(next) = self.sole_reader(chain.last) {
            let node = self.graph.node(next);
            let plain = chain.activation == Activation::Identity && chain.residual.is_none();
            match node.op {
                Op::BatchNorm { epsilon } if plain => {
                    let (scale, offset) = self.norm(node, "", f64::from(epsilon))?;
                    for (c, (s, o)) in scale.iter().zip(&offset).enumerate() {
                        chain.scale[c] *= s;
                        chain.offset[c] = chain.offset[c] * s + o;
                    }
                }
                Op::Activation(activation) if plain => chain.activation = activation,
                Op::Add if plain => {
                    let other = if node.inputs[0] == chain.last { node.inputs[1] } else { node.inputs[0] };
                    // The other summand may come later: then that convolution takes the sum in.
                    let Some(Some(source)) = self.sources.get(&other).copied() else { break };
                    chain.residual = Some(source);
                }
                _ => break,
            }
            self.sources.insert(chain.last, None);
            chain.last = next;
        }
        Ok(chain)
    }

    fn sole_reader(&self, id: NodeId) -> Option<NodeId> {
        let mut readers = (0..self.graph.nodes().len())
            .flat_map(|reader| self.graph.nodes()[reader].inputs.iter().map(move |input| (NodeId(reader), *input)))
            .filter(|(_, input)| *input == id);
        match (readers.next(), readers.next()) {
            (Some((reader, _)), None) => Some(reader),
            _ => None,
        }
    }

    fn layer_op(&self, node: &Node, chain: &Chain) -> Result<LayerOp, FoldError> {
        match node.op {
            Op::Convolution(convolution) => {
                let bias = if convolution.bias { Some(self.tensor(node, "bias")?) } else { None };
                let weights = folded_static(node, self.tensor(node, "weight")?, bias, chain)?;
                Ok(LayerOp::Convolution(convolution, weights))
            }
            Op::Linear { .. } => {
                let (weight, bias) = (self.tensor(node, "weight")?, self.tensor(node, "bias")?);
                Ok(LayerOp::Linear(folded_static(node, weight, Some(bias), chain)?))
            }
            Op::DynamicConvolution(_) => {
                let weights = self.dynamic(node, chain, ["conv.weight", "conv_q.weight", "conv_p.weight"], None)?;
                Ok(LayerOp::DynamicConvolution(weights))
            }
            Op::DynamicLinear(_) => {
                let bias = self.tensor(node, "cls.bias")?;
                let weights = self.dynamic(node, chain, ["cls.weight", "cls_q.weight", "cls_p.weight"], Some(bias))?;
                Ok(LayerOp::DynamicLinear(weights))
            }
            Op::AveragePool { bins } => Ok(LayerOp::AveragePool { bins }),
            Op::Softmax => Ok(LayerOp::Softmax),
            Op::Input | Op::BatchNorm { .. } | Op::Activation(_) | Op::Add => {
                Err(unsupported(node, "is no layer of its own"))
            }
        }
    }

    fn dynamic(
        &self,
        node: &Node,
        chain: &Chain,
        [w0, q, p]: [&str; 3],
        bias: Option<&[f32]>,
    ) -> Result<DynamicWeights, FoldError> {
        let (Op::DynamicConvolution(sizes) | Op::DynamicLinear(sizes)) = node.op else {
            return Err(unsupported(node, "is not dynamic"));
        };
        let inputs = self.graph.node(node.inputs[0]).output.channels;
        // Both inner norms are PyTorch's default.
        let (q_scale, q_offset) = self.norm(node, "bn1.", 1e-5)?;
        let (phi_scale, latent_offset) = self.norm(node, "bn2.", 1e-5)?;
        let thirds = vec![1.0 / 3.0; sizes.outputs];
        let w0_scale: Vec<f64> = chain.scale.iter().map(|g| g / 3.0).collect();
        let phi_rows: Vec<f64> = phi_scale.iter().flat_map(|s| vec![s / 3.0; sizes.latent]).collect();
        let scaled_bias = match bias {
            Some(bias) => bias.iter().zip(&w0_scale).map(|(b, s)| (f64::from(*b) * s) as f32).collect(),
            None => vec![0.0; sizes.outputs],
        };
        let folded = DynamicWeights {
            sizes,
            inputs,
            w0: scaled_rows(self.tensor(node, w0)?, &w0_scale),
            scaled_bias,
            bias: narrowed(&chain.offset),
            q: scaled_rows(self.tensor(node, q)?, &q_scale),
            q_offset: narrowed(&q_offset),
            latent_offset: narrowed(&latent_offset),
            p: scaled_rows(self.tensor(node, p)?, &chain.scale),
            fc0: self.tensor(node, "fc.0.weight")?.to_vec(),
            gate: self.tensor(node, "fc.1.fc.0.weight")?.to_vec(),
            phi: scaled_rows(self.tensor(node, "fc_phi.weight")?, &phi_rows),
            scale: scaled_rows(self.tensor(node, "fc_scale.weight")?, &thirds),
        };
        let parts: [(&'static str, &[f32]); 11] = [
            ("W0", &folded.w0),
            ("classifier bias", &folded.scaled_bias),
            ("bias", &folded.bias),
            ("Q", &folded.q),
            ("offset of Q", &folded.q_offset),
            ("latent offset", &folded.latent_offset),
            ("P", &folded.p),
            ("first MLP layer", &folded.fc0),
            ("self-gate", &folded.gate),
            ("head of Φ", &folded.phi),
            ("head of λ", &folded.scale),
        ];
        for (what, values) in parts {
            check_finite(node, what, values)?;
        }
        Ok(folded)
    }

    /// Scale and offset of the batch norm whose tensors are called `prefix` + weight, bias, running_mean, running_var.
    fn norm(&self, node: &Node, prefix: &str, epsilon: f64) -> Result<(Vec<f64>, Vec<f64>), FoldError> {
        let tensor = |name: &str| self.tensor(node, &format!("{prefix}{name}"));
        let (gamma, beta) = (tensor("weight")?, tensor("bias")?);
        let (mean, variance) = (tensor("running_mean")?, tensor("running_var")?);
        let mut scale = Vec::with_capacity(gamma.len());
        let mut offset = Vec::with_capacity(gamma.len());
        for channel in 0..gamma.len() {
            let s = f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
            scale.push(s);
            offset.push(f64::from(beta[channel]) - f64::from(mean[channel]) * s);
        }
        Ok((scale, offset))
    }

    fn tensor(&self, node: &Node, name: &str) -> Result<&[f32], FoldError> {
        let full = format!("{}.{name}", node.name);
        let missing = || FoldError::Missing { node: node.name.clone(), tensor: full.clone() };
        let parameter = self.graph.parameters_of(node).into_iter().find(|p| p.name == full).ok_or_else(missing)?;
        let tensor = self.weights.get(&full).ok_or_else(missing)?;
        if tensor.shape() != parameter.shape {
            let (expected, found) = (parameter.shape, tensor.shape().to_vec());
            return Err(FoldError::Shape { node: node.name.clone(), tensor: full, expected, found });
        }
        Ok(tensor.data())
    }
}

impl Chain {
    fn empty(last: NodeId, input: Source, channels: usize) -> Self {
        let (scale, offset) = (vec![1.0; channels], vec![0.0; channels]);
        Self { input, last, scale, offset, activation: Activation::Identity, residual: None }
    }
}

fn folded_static(node: &Node, weight: &[f32], bias: Option<&[f32]>, chain: &Chain) -> Result<StaticWeights, FoldError> {
    let bias = (0..chain.scale.len())
        .map(|c| (bias.map_or(0.0, |b| f64::from(b[c])) * chain.scale[c] + chain.offset[c]) as f32)
        .collect();
    let folded = StaticWeights { weight: scaled_rows(weight, &chain.scale), bias };
    check_finite(node, "weight", &folded.weight)?;
    check_finite(node, "bias", &folded.bias)?;
    Ok(folded)
}

/// Multiplies row r of a row-major matrix with `scale[r]`.
fn scaled_rows(values: &[f32], scale: &[f64]) -> Vec<f32> {
    let columns = (values.len() / scale.len()).max(1);
    debug_assert_eq!(values.len(), columns * scale.len(), "a scale for each row");
    let mut scaled = Vec::with_capacity(values.len());
    for (row, s) in values.chunks_exact(columns).zip(scale) {
        scaled.extend(row.iter().map(|v| (f64::from(*v) * s) as f32));
    }
    scaled
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn check_finite(node: &Node, what: &'static str, values: &[f32]) -> Result<(), FoldError> {
    if values.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    Err(FoldError::NotFinite { node: node.name.clone(), what })
}

fn unsupported(node: &Node, reason: &'static str) -> FoldError {
    FoldError::Unsupported { node: node.name.clone(), op: node.op.to_string(), reason }
}
