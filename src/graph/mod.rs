//! Networks as typed graphs: operators, shape inference, builders, folding. Knows neither files nor kernels.
//!
//! A [`Graph`] that exists is valid: every node is checked as it is added. [`fold()`] turns it into a [`FoldedNetwork`],
//! the smaller network that is computed.

mod build;
mod cost;
pub mod fold;
mod folded;
pub mod networks;
mod op;

pub use build::{GraphBuilder, GraphError};
pub use cost::{DynamicCost, dynamic_cost};
pub use fold::{FoldError, fold};
pub use folded::{DynamicWeights, FoldedNetwork, Layer, LayerOp, Source, StaticWeights};
pub use op::{Activation, Connection, Convolution, Dynamic, Op, Padding, Parameter, Role};

use std::collections::BTreeMap;

use crate::tensor::{Map, Tensor};

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// One operator of a network with its place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique name; the prefix of its parameters' names.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Whose results it reads.
    pub inputs: Vec<NodeId>,
    /// The size of its result for one picture.
    pub output: Map,
}

/// A valid network: nodes in an order in which each reads earlier ones only. The last node is the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// The values of a network's parameters by their full names.
pub type Weights = BTreeMap<String, Tensor>;

impl Graph {
    /// All nodes in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The size of the prepared picture.
    pub fn input(&self) -> Map {
        self.nodes[0].output
    }

    /// The size of the result: a vector of class scores.
    pub fn output(&self) -> Map {
        self.nodes[self.nodes.len() - 1].output
    }

    /// Every tensor that the network needs, in node order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.nodes.iter().flat_map(|node| self.parameters_of(node)).collect()
    }

    /// The tensors that one node needs.
    pub fn parameters_of(&self, node: &Node) -> Vec<Parameter> {
        let channels = node.inputs.first().map_or(0, |&input| self.node(input).output.channels);
        op::parameters(&node.name, &node.op, channels)
    }

    /// Learnt values in all, as papers count them (running statistics are not).
    pub fn parameter_count(&self) -> usize {
        let learnt = self.parameters().into_iter().filter(|p| p.role == Role::Learnt);
        learnt.map(|p| p.shape.iter().product::<usize>()).sum()
    }
}
