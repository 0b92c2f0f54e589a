//! The typed operators of a network, as its authors write it, and the parameters that each one owns.

use std::fmt;

/// What a convolution connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Every output channel sees every input channel.
    Dense,
    /// Output channel c sees input channel c alone.
    Depthwise,
}

/// Zero rows and columns added around a map before a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// No padding.
    pub const NONE: Self = Self::even(0);

    /// `amount` on every side.
    pub const fn even(amount: usize) -> Self {
        Self { top: amount, left: amount, bottom: amount, right: amount }
    }

    /// TensorFlow's "SAME": the output has `ceil(size / stride)` rows; an odd rest goes below and to the right.
    ///
    /// # Panics
    /// When a side or the stride is 0.
    pub const fn same(height: usize, width: usize, kernel: usize, stride: usize) -> Self {
        let (top, bottom) = Self::same_axis(height, kernel, stride);
        let (left, right) = Self::same_axis(width, kernel, stride);
        Self { top, left, bottom, right }
    }

    const fn same_axis(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
        let covered = (size.div_ceil(stride) - 1) * stride + kernel;
        let total = covered.saturating_sub(size);
        (total / 2, total - total / 2)
    }
}

/// A static square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Dense or depthwise.
    pub connection: Connection,
    /// Output channels; for a depthwise convolution the input channels.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step between two outputs, on both axes.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Convolution {
    /// Whether it is 1 × 1 over all channels at every pixel.
    pub fn is_pointwise(&self) -> bool {
        self.connection == Connection::Dense && self.kernel == 1 && self.stride == 1 && self.padding == Padding::NONE
    }
}

/// The sizes of a dynamic-convolution-decomposition (DCD) layer: W(x) = Λ(x)·W₀ + P·Φ(x)·Qᵀ (ICLR 2021).
///
/// In the notation of the authors' released networks, with z = BN1(Q x):
/// y = λ(x) ⊙ (W₀ x) + P (BN2(Φ(x) z) + z), where λ and Φ come from the pooled input through a small MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// Output channels.
    pub outputs: usize,
    /// Latent width L: rows of Q, columns of P, both sides of Φ.
    pub latent: usize,
    /// Width of the MLP's hidden vector.
    pub squeeze: usize,
    /// Bins per axis of the average pool that feeds the MLP: 1 or 2.
    pub bins: usize,
}

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// max(u, 0).
    Relu,
    /// min(max(u, 0), 6).
    Relu6,
}

/// One operator. Sizes that follow from the input are inferred, not stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The prepared picture.
    Input,
    /// A static convolution.
    Convolution(Convolution),
    /// A dynamic pointwise convolution, stride 1.
    DynamicConvolution(Dynamic),
    /// Batch normalisation with stored statistics.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// A pointwise non-linearity.
    Activation(Activation),
    /// The sum of two maps of equal shape.
    Add,
    /// The mean of each of `bins` × `bins` parts of the map; parts overlap where the size is odd, as PyTorch's
    /// `adaptive_avg_pool2d`: part i covers rows floor(i·H/bins) to ceil((i+1)·H/bins).
    AveragePool {
        /// Parts per axis: 1 (global) or 2.
        bins: usize,
    },
    /// A fully connected layer on a vector, with bias.
    Linear {
        /// Output values.
        outputs: usize,
    },
    /// A dynamic fully connected layer on a vector: DCD at one pixel, whose λ scales the bias too.
    DynamicLinear(Dynamic),
    /// exp(u) / Σ exp(u) over the channels.
    Softmax,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Convolution(c) => {
                let kind = match (c.connection, c.kernel) {
                    (Connection::Depthwise, _) => "depthwise",
                    (Connection::Dense, 1) => "pointwise",
                    (Connection::Dense, _) => "dense",
                };
                write!(f, "{kind} {k}×{k}", k = c.kernel)?;
                if c.stride != 1 { write!(f, " stride {}", c.stride) } else { Ok(()) }
            }
            Self::DynamicConvolution(d) => write!(f, "dynamic pointwise, latent {}", d.latent),
            Self::BatchNorm { .. } => f.write_str("batch norm"),
            Self::Activation(Activation::Identity) => f.write_str("identity"),
            Self::Activation(Activation::Relu) => f.write_str("relu"),
            Self::Activation(Activation::Relu6) => f.write_str("relu6"),
            Self::Add => f.write_str("add"),
            Self::AveragePool { bins } => write!(f, "average pool {bins}×{bins}"),
            Self::Linear { .. } => f.write_str("linear"),
            Self::DynamicLinear(d) => write!(f, "dynamic linear, latent {}", d.latent),
            Self::Softmax => f.write_str("softmax"),
        }
    }
}

/// Whether a parameter was learnt by gradient or is a running statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Counted among the network's parameters.
    Learnt,
    /// A batch norm's running mean or variance.
    Statistic,
}

/// A tensor that a network needs: name and shape, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Full name, such as `features.2.conv.0.conv_q.weight`.
    pub name: String,
    /// Row-major shape as PyTorch stores it.
    pub shape: Vec<usize>,
    /// Learnt or statistic.
    pub role: Role,
}

/// The parameters of `op` at a node called `node` whose input has `inputs` channels, in the order of the authors' files.
pub(super) fn parameters(node: &str, op: &Op, inputs: usize) -> Vec<Parameter> {
    let mut list = Vec::new();
    let mut add = |name: &str, shape: &[usize], role: Role| {
        list.push(Parameter { name: format!("{node}.{name}"), shape: shape.to_vec(), role });
    };
    match op {
        Op::Convolution(c) => {
            let fan = if c.connection == Connection::Depthwise { 1 } else { inputs };
            add("weight", &[c.outputs, fan, c.kernel, c.kernel], Role::Learnt);
            if c.bias {
                add("bias", &[c.outputs], Role::Learnt);
            }
        }
        Op::BatchNorm { .. } => norm(&mut add, "", inputs),
        Op::Linear { outputs } => {
            add("weight", &[*outputs, inputs], Role::Learnt);
            add("bias", &[*outputs], Role::Learnt);
        }
        Op::DynamicConvolution(d) => {
            add("conv.weight", &[d.outputs, inputs, 1, 1], Role::Learnt);
            add("conv_q.weight", &[d.latent, inputs, 1, 1], Role::Learnt);
            branch(&mut add, d, inputs);
            add("conv_p.weight", &[d.outputs, d.latent, 1, 1], Role::Learnt);
            norm(&mut add, "bn1.", d.latent);
            norm(&mut add, "bn2.", d.latent);
        }
        Op::DynamicLinear(d) => {
            add("cls.weight", &[d.outputs, inputs], Role::Learnt);
            add("cls.bias", &[d.outputs], Role::Learnt);
            add("cls_q.weight", &[d.latent, inputs], Role::Learnt);
            add("cls_p.weight", &[d.outputs, d.latent], Role::Learnt);
            branch(&mut add, d, inputs);
            norm(&mut add, "bn1.", d.latent);
            norm(&mut add, "bn2.", d.latent);
        }
        Op::Input | Op::Activation(_) | Op::Add | Op::AveragePool { .. } | Op::Softmax => {}
    }
    list
}

/// The MLP of a dynamic layer: squeeze, self-gate, and the heads for Φ and λ.
fn branch(add: &mut impl FnMut(&str, &[usize], Role), d: &Dynamic, inputs: usize) {
    add("fc.0.weight", &[d.squeeze, inputs * d.bins * d.bins], Role::Learnt);
    add("fc.1.fc.0.weight", &[d.squeeze, d.squeeze], Role::Learnt);
    add("fc_phi.weight", &[d.latent * d.latent, d.squeeze], Role::Learnt);
    add("fc_scale.weight", &[d.outputs, d.squeeze], Role::Learnt);
}

fn norm(add: &mut impl FnMut(&str, &[usize], Role), prefix: &str, channels: usize) {
    for (name, role) in [
        ("weight", Role::Learnt),
        ("bias", Role::Learnt),
        ("running_mean", Role::Statistic),
        ("running_var", Role::Statistic),
    ] {
        add(&format!("{prefix}{name}"), &[channels], role);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        assert_eq!(Padding::same(224, 224, 3, 2), Padding { top: 0, left: 0, bottom: 1, right: 1 });
        assert_eq!(Padding::same(7, 7, 3, 1), Padding::even(1));
        assert_eq!(Padding::same(75, 224, 5, 2), Padding { top: 2, left: 1, bottom: 2, right: 2 });
        assert_eq!(Padding::same(4, 4, 1, 2), Padding::NONE);
    }
}
