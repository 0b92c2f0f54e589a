//! EfficientNet-Lite0 (Tan and Le, 2019; the Lite variant drops squeeze-and-excitation and uses ReLU6).
//!
//! Node names are those of the common PyTorch port, so that its files need no renaming.

use crate::graph::{Activation, Connection, Convolution, Graph, GraphBuilder, GraphError, NodeId, Op, Padding};
use crate::tensor::Map;

/// Stages: kernel, expansion, channels, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
];

const NORM: Op = Op::BatchNorm { epsilon: 1e-3 };
const RELU6: Op = Op::Activation(Activation::Relu6);

pub(super) fn build(classes: usize, input_size: usize) -> Result<Graph, GraphError> {
    let mut g = GraphBuilder::new(Map::new(input_size, input_size, 3))?;
    let mut x = g.input();
    x = convolution(&mut g, "_conv_stem", Connection::Dense, 32, 3, 2, x)?;
    x = g.add("_bn0", NORM, &[x])?;
    x = g.add("_relu0", RELU6, &[x])?;

    let mut index = 0;
    for (kernel, expansion, outputs, blocks, stage_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stage_stride } else { 1 };
            x = inverted_residual(&mut g, &format!("_blocks.{index}"), [kernel, expansion, outputs, stride], x)?;
            index += 1;
        }
    }

    x = convolution(&mut g, "_conv_head", Connection::Dense, 1280, 1, 1, x)?;
    x = g.add("_bn1", NORM, &[x])?;
    x = g.add("_relu1", RELU6, &[x])?;
    x = g.add("_avg_pooling", Op::AveragePool { bins: 1 }, &[x])?;
    x = g.add("_fc", Op::Linear { outputs: classes }, &[x])?;
    g.add("_softmax", Op::Softmax, &[x])?;
    Ok(g.finish())
}

fn inverted_residual(
    g: &mut GraphBuilder,
    name: &str,
    [kernel, expansion, outputs, stride]: [usize; 4],
    input: NodeId,
) -> Result<NodeId, GraphError> {
    let inputs = g.output_of(input).channels;
    let hidden = inputs * expansion;
    let mut x = input;
    if expansion != 1 {
        x = convolution(g, &format!("{name}._expand_conv"), Connection::Dense, hidden, 1, 1, x)?;
        x = g.add(format!("{name}._bn0"), NORM, &[x])?;
        x = g.add(format!("{name}._relu0"), RELU6, &[x])?;
    }
    x = convolution(g, &format!("{name}._depthwise_conv"), Connection::Depthwise, hidden, kernel, stride, x)?;
    x = g.add(format!("{name}._bn1"), NORM, &[x])?;
    x = g.add(format!("{name}._relu1"), RELU6, &[x])?;
    x = convolution(g, &format!("{name}._project_conv"), Connection::Dense, outputs, 1, 1, x)?;
    x = g.add(format!("{name}._bn2"), NORM, &[x])?;
    if stride == 1 && inputs == outputs {
        x = g.add(format!("{name}._add"), Op::Add, &[x, input])?;
    }
    Ok(x)
}

fn convolution(
    g: &mut GraphBuilder,
    name: &str,
    connection: Connection,
    outputs: usize,
    kernel: usize,
    stride: usize,
    x: NodeId,
) -> Result<NodeId, GraphError> {
    let map = g.output_of(x);
    let padding = Padding::same(map.height, map.width, kernel, stride);
    g.add(name, Op::Convolution(Convolution { connection, outputs, kernel, stride, padding, bias: false }), &[x])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_has_the_published_size() {
        let graph = build(1000, 224).unwrap();
        assert_eq!(graph.parameter_count(), 4_652_008);
        // 296 tensors in the file, less one step counter for each norm.
        let norms = graph.parameters().iter().filter(|p| p.name.ends_with("running_mean")).count();
        assert_eq!(graph.parameters().len() + norms, 296);
        let last = graph.nodes().iter().find(|n| n.name == "_blocks.15._bn2").unwrap();
        assert_eq!(last.output, Map::new(7, 7, 320));
    }
}
