//! Networks and limits for tests of plans, whose values do not matter.

use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::graph::{Graph, Weights};
use dynaconv::plan::Limits;
use dynaconv::tensor::Tensor;

/// Software whose lanes go in step.
pub fn software() -> Limits {
    Limits { subgroup: Some(8), software: true, whole_subgroups: true, ..Limits::default() }
}

/// A network with every kind of launch, small enough to be made often.
pub fn small(width: f64, classes: usize, input_size: usize, stem_stride: usize) -> Architecture {
    Architecture::MobileNetV2Dcd { base: MobileNetV2 { width, classes, input_size, stem_stride }, fc_squeeze: 16 }
}

/// Weights that are all one: what they are does not matter to a plan's shape.
pub fn ones(graph: &Graph) -> Weights {
    graph.parameters().into_iter().map(|p| (p.name, Tensor::filled(p.shape, 1.0))).collect()
}
