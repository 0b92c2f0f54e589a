//! MobileNetV2 (Sandler et al., 2018), static and with dynamic convolution decomposition (Li et al., ICLR 2021).
//!
//! Node names are those of the DCD authors' checkpoints; the static network uses the same ones with plain convolutions.

use serde::{Deserialize, Serialize};

use super::make_divisible;
use crate::graph::{
    Activation, Connection, Convolution, Dynamic, Graph, GraphBuilder, GraphError, NodeId, Op, Padding,
};
use crate::tensor::Map;

/// The free sizes of a MobileNetV2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MobileNetV2 {
    /// Channel multiplier.
    pub width: f64,
    /// Classes.
    pub classes: usize,
    /// Side of the square input, in pixels.
    pub input_size: usize,
    /// 2, or 1 for small pictures.
    pub stem_stride: usize,
}

/// Stages of the network: expansion, channels at width 1, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

const NORM: Op = Op::BatchNorm { epsilon: 1e-5 };
const RELU6: Op = Op::Activation(Activation::Relu6);

/// No sensible network comes near; the builder refuses maps long before.
const MAX_WIDTH: f64 = 64.0;

/// Latent width of the dynamic classifier.
const CLASSIFIER_LATENT: usize = 32;
/// Squeeze of the dynamic classifier.
const CLASSIFIER_SQUEEZE: usize = 32;

impl MobileNetV2 {
    /// The ordinary network of a given width: 224 pixels, 1000 classes.
    pub fn imagenet(width: f64) -> Self {
        Self { width, classes: 1000, input_size: 224, stem_stride: 2 }
    }

    pub(super) fn build(&self, fc_squeeze: Option<usize>) -> Result<Graph, GraphError> {
        let width = self.checked_width()?;
        if fc_squeeze == Some(0) {
            return Err(refused("an fc_squeeze of 0 divides nothing".into()));
        }
        let divisor = if width == 0.1 { 4 } else { 8 };
        let channels = |c: usize| make_divisible(c as f64 * width, divisor);

        let mut g = GraphBuilder::new(Map::new(self.input_size, self.input_size, 3))?;
        let mut x = g.input();
        x = convolution(&mut g, "features.0.0", channels(32), 3, self.stem_stride, x)?;
        x = g.add("features.0.1", NORM, &[x])?;
        x = g.add("features.0.2", RELU6, &[x])?;

        let mut index = 1;
        for (expansion, stage_channels, blocks, stage_stride) in STAGES {
            for block in 0..blocks {
                let stride = if block == 0 { stage_stride } else { 1 };
                let shape = Block { expansion, outputs: channels(stage_channels), stride, fc_squeeze };
                x = shape.add(&mut g, &format!("features.{index}"), x)?;
                index += 1;
            }
        }

        let head = if width > 1.0 { channels(1280) } else { 1280 };
        x = convolution(&mut g, "conv.0", head, 1, 1, x)?;
        x = g.add("conv.1", NORM, &[x])?;
        x = g.add("conv.2", RELU6, &[x])?;
        x = g.add("avgpool", Op::AveragePool { bins: 1 }, &[x])?;
        let outputs = self.classes;
        let classifier = match fc_squeeze {
            None => Op::Linear { outputs },
            Some(_) => {
                Op::DynamicLinear(Dynamic { outputs, latent: CLASSIFIER_LATENT, squeeze: CLASSIFIER_SQUEEZE, bins: 1 })
            }
        };
        x = g.add("classifier.1", classifier, &[x])?;
        g.add("softmax", Op::Softmax, &[x])?;
        Ok(g.finish())
    }

    /// The width, where channel counts can be made of it.
    fn checked_width(&self) -> Result<f64, GraphError> {
        if self.width > 0.0 && self.width <= MAX_WIDTH {
            return Ok(self.width);
        }
        Err(refused(format!("a width of {} is not above 0 and at most {MAX_WIDTH}", self.width)))
    }
}

/// Why there is no such network.
fn refused(reason: String) -> GraphError {
    GraphError { node: "features.0.0".into(), op: "MobileNetV2".into(), reason }
}

/// One inverted residual block.
struct Block {
    expansion: usize,
    outputs: usize,
    stride: usize,
    fc_squeeze: Option<usize>,
}

impl Block {
    fn add(&self, g: &mut GraphBuilder, name: &str, input: NodeId) -> Result<NodeId, GraphError> {
        let inputs = g.output_of(input).channels;
        let hidden = inputs * self.expansion;
        let mut x = input;
        let mut index = 0;
        let mut next = |count: usize| {
            index += count;
            format!("{name}.conv.{}", index - count)
        };
        // The first block has no expansion and stays static in the dynamic network too.
        let squeeze = if self.expansion == 1 { None } else { self.fc_squeeze };
        if self.expansion != 1 {
            x = pointwise(g, next(1), hidden, squeeze, x)?;
            x = g.add(next(1), NORM, &[x])?;
            x = g.add(next(1), RELU6, &[x])?;
        }
        x = convolution_of(g, next(1), Connection::Depthwise, hidden, 3, self.stride, x)?;
        x = g.add(next(1), NORM, &[x])?;
        x = g.add(next(1), RELU6, &[x])?;
        x = pointwise(g, next(1), self.outputs, squeeze, x)?;
        x = g.add(next(1), NORM, &[x])?;
        if self.stride == 1 && inputs == self.outputs {
            x = g.add(format!("{name}.add"), Op::Add, &[x, input])?;
        }
        Ok(x)
    }
}

fn pointwise(
    g: &mut GraphBuilder,
    name: String,
    outputs: usize,
    fc_squeeze: Option<usize>,
    x: NodeId,
) -> Result<NodeId, GraphError> {
    match fc_squeeze {
        None => convolution_of(g, name, Connection::Dense, outputs, 1, 1, x),
        Some(fc_squeeze) => {
            let dynamic = dynamic_sizes(g.output_of(x).channels, outputs, fc_squeeze);
            g.add(name, Op::DynamicConvolution(dynamic), &[x])
        }
    }
}

fn convolution(
    g: &mut GraphBuilder,
    name: &str,
    outputs: usize,
    kernel: usize,
    stride: usize,
    x: NodeId,
) -> Result<NodeId, GraphError> {
    convolution_of(g, name.into(), Connection::Dense, outputs, kernel, stride, x)
}

fn convolution_of(
    g: &mut GraphBuilder,
    name: String,
    connection: Connection,
    outputs: usize,
    kernel: usize,
    stride: usize,
    x: NodeId,
) -> Result<NodeId, GraphError> {
    let padding = Padding::even(kernel / 2);
    g.add(name, Op::Convolution(Convolution { connection, outputs, kernel, stride, padding, bias: false }), &[x])
}

/// The authors' layer rule for a dynamic pointwise convolution.
///
/// Expand layers (inputs < outputs) pool to 2×2 and start from a divisor of 8, project layers pool to 1×1 and start from 2.
/// L = min(⌊inputs·m/ρ⌋, ⌊outputs/ρ⌋), with ρ doubled while L² > 2·inputs·m, and at least 4;
/// the squeeze is max(inputs·m, L²) / fc_squeeze, at least 4.
fn dynamic_sizes(inputs: usize, outputs: usize, fc_squeeze: usize) -> Dynamic {
    let (bins, mut divisor) = if inputs < outputs { (2, 8) } else { (1, 2) };
    let pooled = inputs * bins * bins;
    let latent_of = |divisor: usize| (pooled / divisor).min(outputs / divisor);
    while latent_of(divisor).pow(2) > 2 * pooled {
        divisor *= 2;
    }
    let latent = latent_of(divisor).max(4);
    let squeeze = (pooled.max(latent * latent) / fc_squeeze).max(4);
    Dynamic { outputs, latent, squeeze, bins }
}

#[cfg(test)]
mod tests {
    use super::super::Architecture;
    use super::*;

    fn dcd(width: f64, fc_squeeze: usize) -> Graph {
        Architecture::MobileNetV2Dcd { base: MobileNetV2::imagenet(width), fc_squeeze }.build().unwrap()
    }

    #[test]
    fn parameter_counts_are_the_papers() {
        let plain = |width| Architecture::MobileNetV2(MobileNetV2::imagenet(width)).build().unwrap().parameter_count();
        assert_eq!(plain(1.0), 3_504_872);
        assert_eq!(dcd(1.0, 16).parameter_count(), 5_720_028);
        let thousands = |n: usize| (n as f64 / 1e3).round() as usize;
        assert_eq!([plain(0.75), plain(0.5), plain(0.35)].map(thousands), [2636, 1969, 1677]);
        let dynamic = [(1.0, 8), (0.75, 16), (0.75, 8), (0.5, 8), (0.5, 16), (0.35, 8), (0.35, 16)];
        let counts = dynamic.map(|(width, squeeze)| thousands(dcd(width, squeeze).parameter_count()));
        assert_eq!(counts, [7452, 4082, 5123, 3057, 2664, 2268, 2099]);
    }

    #[test]
    fn dynamic_layers_have_the_sizes_of_the_authors_network() {
        let graph = dcd(1.0, 16);
        let sizes = |name: &str| match graph.nodes().iter().find(|n| n.name == name).unwrap().op {
            Op::DynamicConvolution(d) | Op::DynamicLinear(d) => (d.outputs, d.latent, d.squeeze, d.bins),
            op => panic!("{name} is {op}"),
        };
        assert_eq!(sizes("features.2.conv.0"), (96, 8, 4, 2));
        assert_eq!(sizes("features.7.conv.6"), (64, 16, 16, 1));
        assert_eq!(sizes("features.11.conv.6"), (96, 24, 36, 1));
        assert_eq!(sizes("features.14.conv.6"), (160, 20, 36, 1));
        assert_eq!(sizes("features.17.conv.0"), (960, 20, 40, 2));
        assert_eq!(sizes("features.17.conv.6"), (320, 40, 100, 1));
        assert_eq!(sizes("classifier.1"), (1000, 32, 32, 1));
        // The authors' checkpoint has one step counter more for each norm.
        let norms = graph.parameters().iter().filter(|p| p.name.ends_with("running_mean")).count();
        assert_eq!(graph.parameters().len() + norms, 842);
    }

    #[test]
    fn small_pictures_keep_their_size_in_the_stem() {
        let base = MobileNetV2 { width: 0.5, classes: 10, input_size: 32, stem_stride: 1 };
        let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 8 }.build().unwrap();
        let output = |name: &str| graph.nodes().iter().find(|n| n.name == name).unwrap().output;
        assert_eq!(output("features.0.0"), Map::new(32, 32, 16));
        assert_eq!(output("features.17.conv.6"), Map::new(2, 2, 160));
        assert_eq!(graph.output(), Map::vector(10));
    }

    #[test]
    fn senseless_sizes_are_refused() {
        for base in [
            MobileNetV2 { classes: 0, ..MobileNetV2::imagenet(1.0) },
            MobileNetV2 { width: 1.0, classes: 10, input_size: 0, stem_stride: 2 },
            MobileNetV2 { width: 1.0, classes: 10, input_size: 32, stem_stride: 0 },
        ] {
            assert!(base.build(Some(16)).is_err(), "{base:?}");
        }
        for width in [f64::NAN, f64::INFINITY, 1e300, 64.1, 0.0, -0.5] {
            let error = MobileNetV2::imagenet(width).build(None).unwrap_err().to_string();
            assert!(error.contains(&format!("a width of {width} is not above 0")), "{error}");
        }
    }
}
