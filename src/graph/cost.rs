//! Multiply-adds of a dynamic layer in its two equal forms, for one picture.

use super::{Connection, Dynamic, Graph, Node, Op};

/// Multiply-adds that a dynamic layer needs beyond its static convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicCost {
    /// The static convolution W₀ itself, part of both forms.
    pub convolution: u64,
    /// The MLP that yields Φ and λ, part of both forms.
    pub controller: u64,
    /// Assembling W(x) and b(x); the convolution then costs what a static one does.
    pub assemble: u64,
    /// Running P·Φ·Q beside the static convolution, and λ on its result.
    pub branch: u64,
}

/// Counts a dynamic layer's multiply-adds at `pixels` output pixels of `inputs` channels.
///
/// With C = inputs, D = outputs, L = latent, s = squeeze, m = bins²:
/// controller C·m·s + s² + s·L² + s·D; assemble min(C,D)·L² + C·D·L + C·D + L² + D·L;
/// branch pixels·(C·L + L² + D·L + D).
pub fn dynamic_cost(d: &Dynamic, inputs: usize, pixels: usize) -> DynamicCost {
    let (c, o, l, s) = (inputs as u64, d.outputs as u64, d.latent as u64, d.squeeze as u64);
    let (m, pixels) = ((d.bins * d.bins) as u64, pixels as u64);
    DynamicCost {
        convolution: pixels * c * o,
        controller: c * m * s + s * s + s * l * l + s * o,
        assemble: c.min(o) * l * l + c * o * l + c * o + l * l + o * l,
        branch: pixels * (c * l + l * l + o * l + o),
    }
}

impl Graph {
    /// Multiply-adds of one node's static convolution or product, for one picture.
    pub fn static_multiply_adds(&self, node: &Node) -> u64 {
        let Some(x) = node.inputs.first().map(|input| self.node(*input).output) else { return 0 };
        let y = node.output;
        let per_pixel = match &node.op {
            Op::Convolution(c) if c.connection == Connection::Depthwise => c.kernel * c.kernel * y.channels,
            Op::Convolution(c) => c.kernel * c.kernel * x.channels * y.channels,
            Op::DynamicConvolution(_) | Op::DynamicLinear(_) | Op::Linear { .. } => x.channels * y.channels,
            _ => 0,
        };
        y.pixels() as u64 * per_pixel as u64
    }

    /// What a dynamic node costs in its forms, for one picture; nothing for a static node.
    pub fn dynamic_cost_of(&self, node: &Node) -> Option<DynamicCost> {
        let (Op::DynamicConvolution(d) | Op::DynamicLinear(d)) = &node.op else { return None };
        let x = self.node(*node.inputs.first()?).output;
        Some(dynamic_cost(d, x.channels, x.pixels()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_worked_out_by_hand() {
        // features.2.conv.0 and features.17.conv.6 of MobileNetV2-DCD ×1.0 at 224.
        let first = dynamic_cost(&Dynamic { outputs: 96, latent: 8, squeeze: 4, bins: 2 }, 16, 112 * 112);
        let expected = DynamicCost { convolution: 19_267_584, controller: 912, assemble: 15_680, branch: 13_246_464 };
        assert_eq!(first, expected);
        let last = dynamic_cost(&Dynamic { outputs: 320, latent: 40, squeeze: 100, bins: 1 }, 960, 49);
        let expected =
            DynamicCost { convolution: 15_052_800, controller: 298_000, assemble: 13_121_600, branch: 2_602_880 };
        assert_eq!(last, expected);
    }
}
