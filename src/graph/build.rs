//! Builds a graph node by node; each node's shape is inferred and checked as it is added.

use super::{Connection, Convolution, Dynamic, Graph, Node, NodeId, Op};
use crate::tensor::Map;

/// Why a node cannot be added to a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` ({op}): {reason}")]
pub struct GraphError {
    pub(super) node: String,
    pub(super) op: String,
    pub(super) reason: String,
}

/// A network being written down.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
}

/// No network of this program's kind comes near; larger sizes are mistakes or attacks.
const MAX_CHANNELS: usize = 1 << 16;
const MAX_SIDE: usize = 1 << 14;

impl GraphBuilder {
    /// Starts a network that reads a picture of `input` size.
    ///
    /// # Errors
    /// When a side is zero or beyond 16384, or there are more than 65536 channels.
    pub fn new(input: Map) -> Result<Self, GraphError> {
        check_map(input).map_err(|reason| GraphError { node: "input".into(), op: Op::Input.to_string(), reason })?;
        let node = Node { name: "input".into(), op: Op::Input, inputs: vec![], output: input };
        Ok(Self { graph: Graph { nodes: vec![node] } })
    }

    /// The prepared picture.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The size of a node's result.
    pub fn output_of(&self, id: NodeId) -> Map {
        self.graph.node(id).output
    }

    /// Adds a node that reads `inputs`.
    ///
    /// # Errors
    /// When the name is taken, or the operator cannot read what its inputs give; the error names the node.
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let name = name.into();
        let refuse = |reason: String| GraphError { node: name.clone(), op: op.to_string(), reason };
        if self.graph.nodes.iter().any(|node| node.name == name) {
            return Err(refuse("another node has this name".into()));
        }
        let shapes: Vec<Map> = inputs.iter().map(|&id| self.output_of(id)).collect();
        let output = infer(&op, &shapes).map_err(&refuse)?;
        check_map(output).map_err(&refuse)?;
        self.graph.nodes.push(Node { name, op, inputs: inputs.to_vec(), output });
        Ok(NodeId(self.graph.nodes.len() - 1))
    }

    /// Ends the network; the last node is its result.
    pub fn finish(self) -> Graph {
        self.graph
    }
}

fn check_map(map: Map) -> Result<(), String> {
    let fits = |n: usize, most: usize| n >= 1 && n <= most;
    if fits(map.height, MAX_SIDE) && fits(map.width, MAX_SIDE) && fits(map.channels, MAX_CHANNELS) {
        return Ok(());
    }
    Err(format!("a map of {map} is not within 1 to {MAX_SIDE} pixels a side and 1 to {MAX_CHANNELS} channels"))
}

/// The size of `op`'s result for inputs of the given sizes.
fn infer(op: &Op, inputs: &[Map]) -> Result<Map, String> {
    let arity = match op {
        Op::Input => return Err("a network has one input, its first node".into()),
        Op::Add => 2,
        _ => 1,
    };
    if inputs.len() != arity {
        return Err(format!("needs {arity} input(s), found {}", inputs.len()));
    }
    let x = inputs[0];
    match op {
        Op::Input | Op::BatchNorm { .. } | Op::Activation(_) => Ok(x),
        Op::Convolution(c) => convolved(c, x),
        Op::DynamicConvolution(d) => {
            check_dynamic(d)?;
            Ok(Map::new(x.height, x.width, d.outputs))
        }
        Op::Add if inputs[1] == x => Ok(x),
        Op::Add => Err(format!("adds maps of equal size, found {x} and {}", inputs[1])),
        Op::AveragePool { bins: bins @ (1 | 2) } => Ok(Map::new(*bins, *bins, x.channels)),
        Op::AveragePool { bins } => Err(format!("pools to 1×1 or 2×2 bins, not {bins}×{bins}")),
        Op::Linear { .. } | Op::DynamicLinear(_) | Op::Softmax if x.pixels() != 1 => {
            Err(format!("reads a vector (1×1 map), found {x}"))
        }
        Op::Linear { outputs } => Ok(Map::vector(*outputs)),
        Op::DynamicLinear(d) => {
            check_dynamic(d)?;
            if d.bins != 1 {
                return Err(format!("a vector has one pooling bin, not {0}×{0}", d.bins));
            }
            Ok(Map::vector(d.outputs))
        }
        Op::Softmax => Ok(x),
    }
}

fn convolved(c: &Convolution, x: Map) -> Result<Map, String> {
    if c.kernel == 0 || c.kernel > 15 || c.stride == 0 || c.stride > 15 {
        return Err(format!("kernel {} and stride {} must lie within 1 to 15", c.kernel, c.stride));
    }
    if c.connection == Connection::Depthwise && c.outputs != x.channels {
        return Err(format!("has {} outputs, but a depthwise convolution keeps its input's {}", c.outputs, x.channels));
    }
    let p = c.padding;
    if [p.top, p.left, p.bottom, p.right].into_iter().any(|side| side >= c.kernel) {
        return Err(format!("padding {p:?} is not smaller than the kernel of {}", c.kernel));
    }
    let (height, width) = (x.height + p.top + p.bottom, x.width + p.left + p.right);
    if height < c.kernel || width < c.kernel {
        return Err(format!("a kernel of {k}×{k} does not fit the padded map of {height}×{width}", k = c.kernel));
    }
    Ok(Map::new((height - c.kernel) / c.stride + 1, (width - c.kernel) / c.stride + 1, c.outputs))
}

fn check_dynamic(d: &Dynamic) -> Result<(), String> {
    if !(1..=2).contains(&d.bins) {
        return Err(format!("pools to 1×1 or 2×2 bins, not {0}×{0}", d.bins));
    }
    if !(1..=1024).contains(&d.latent) || !(1..=4096).contains(&d.squeeze) {
        return Err(format!(
            "latent width {} must lie within 1 to 1024, squeeze {} within 1 to 4096",
            d.latent, d.squeeze
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Padding;

    fn convolution(kernel: usize, stride: usize, padding: Padding) -> Op {
        let connection = Connection::Dense;
        Op::Convolution(Convolution { connection, outputs: 8, kernel, stride, padding, bias: false })
    }

    #[test]
    fn shapes_follow_stride_and_one_sided_padding() {
        let mut g = GraphBuilder::new(Map::new(9, 6, 3)).unwrap();
        let a = g.add("a", convolution(3, 2, Padding::same(9, 6, 3, 2)), &[g.input()]).unwrap();
        assert_eq!(g.output_of(a), Map::new(5, 3, 8));
        let b = g.add("b", convolution(3, 1, Padding::NONE), &[a]).unwrap();
        assert_eq!(g.output_of(b), Map::new(3, 1, 8));
    }

    #[test]
    fn errors_name_the_node_and_what_is_wrong() {
        let mut g = GraphBuilder::new(Map::new(4, 4, 3)).unwrap();
        let stem = g.add("stem", convolution(3, 2, Padding::even(1)), &[g.input()]).unwrap();
        let mut refused = |name: &str, op, inputs: &[NodeId]| g.add(name, op, inputs).unwrap_err().to_string();
        assert_eq!(
            refused("big", convolution(5, 1, Padding::NONE), &[stem]),
            "node `big` (dense 5×5): a kernel of 5×5 does not fit the padded map of 2×2"
        );
        assert!(refused("sum", Op::Add, &[stem, NodeId(0)]).contains("found 2×2×8 and 4×4×3"));
        assert!(refused("stem", Op::Softmax, &[stem]).contains("another node has this name"));
        assert!(refused("fc", Op::Linear { outputs: 5 }, &[stem]).contains("reads a vector"));
        assert!(refused("pool", Op::AveragePool { bins: 3 }, &[stem]).contains("not 3×3"));
        assert!(GraphBuilder::new(Map::new(0, 4, 3)).is_err());
    }
}
