//! Which launches a layer's way decides on, so that a run's times can be shared out among the layers.

use std::collections::HashMap;

use crate::kernels::{Access, Kernel};
use crate::plan::{Memory, Plan};

/// The launches of each node, by their places in the plan.
///
/// What finishes a pool has as much to do as the tile of the layer before it left to be done, so it counts as a part of that
/// layer. A controller is its own layer's: one way of the layer runs it by itself, another while it assembles the weights.
pub(super) fn launches_by_node(plan: &Plan) -> HashMap<&str, Vec<usize>> {
    let mut charged: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut writers: HashMap<Memory, &str> = HashMap::new();
    for (index, pass) in plan.passes.iter().enumerate() {
        let finishes = pass.dispatch.kernel == Kernel::Pool;
        let sums = pass.bound().find(|(name, access, _)| *name == "partials" && *access == Access::Read);
        let producer = sums.and_then(|(_, _, view)| writers.get(&view.memory).copied());
        let node = producer.filter(|_| finishes).unwrap_or(&pass.node);
        charged.entry(node).or_default().push(index);
        let written = pass.bound().filter(|(_, access, _)| *access == Access::Write);
        writers.extend(written.map(|(_, _, view)| (view.memory, node)));
    }
    charged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::{Architecture, MobileNetV2};
    use crate::graph::{Weights, fold};
    use crate::lower::{Options, lower};
    use crate::plan::Limits;
    use crate::tensor::Tensor;

    #[test]
    fn every_launch_is_charged_once_and_the_end_of_a_pool_to_who_made_its_sums() {
        let base = MobileNetV2 { width: 0.5, classes: 4, input_size: 64, stem_stride: 2 };
        let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().unwrap();
        let weights: Weights = graph.parameters().into_iter().map(|p| (p.name, Tensor::filled(p.shape, 1.0))).collect();
        let network = fold(&graph, &weights).unwrap();
        let plan = lower("n", &network, Options::default(), Limits::default()).unwrap();
        let charged = launches_by_node(&plan);
        let mut all: Vec<usize> = charged.values().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..plan.passes.len()).collect::<Vec<_>>());
        let finish = plan.passes.iter().position(|pass| pass.dispatch.kernel == Kernel::Pool).unwrap();
        assert!(charged["conv.0"].contains(&finish), "{charged:?}");
        for (node, launches) in charged.iter().filter(|(node, _)| **node != "conv.0") {
            assert!(launches.iter().all(|index| plan.passes[*index].node == **node), "{node}");
        }
    }
}
