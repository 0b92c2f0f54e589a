//! The ways in which each layer may be computed on a device, by name, and which of them is taken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Options;
use super::form::Form;
use super::ways::{Layers, Way};
use crate::graph::{FoldedNetwork, Layer, LayerOp};
use crate::plan::Limits;

/// Ways that stand in for the rule's, by name: for single layers, and for all layers of a shape. A name that a layer does
/// not have on a device leaves it the rule's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// For the layer of a node.
    pub layers: BTreeMap<String, String>,
    /// For all layers of a shape; see [`Alternatives::shape`].
    pub shapes: BTreeMap<String, String>,
}

/// The ways in which a layer may be computed on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternatives {
    /// The layer's node.
    pub node: String,
    /// Kind and sizes of the layer, pictures of a run and precision. Layers that share them may differ in padding, residual sum, pool
    /// and the controller's width, and take the same way all the same.
    pub shape: String,
    /// The node of the layer before, where some ways compute it too, as those called `expand-…` of a depthwise convolution do.
    pub expansion: Option<String>,
    /// The names of all ways, such as `wide`, `rolling-4` or `branch-subgroup-latent`.
    pub names: Vec<String>,
    /// How many of them compute the layer alone: the first ones.
    pub alone: usize,
    /// The name of the way that the rule takes, one of `names`.
    pub rule: String,
    /// The name of the way that is taken, one of `names`.
    pub taken: String,
}

impl Alternatives {
    /// Whether the way that is taken computes the layer before too.
    pub fn expands(&self) -> bool {
        self.names.iter().skip(self.alone).any(|name| *name == self.taken)
    }
}

/// For each layer that may be computed in several ways, in the order of the network, what these are on a device of these limits.
pub fn alternatives(network: &FoldedNetwork, options: &Options, limits: &Limits) -> Vec<Alternatives> {
    let layers = Layers { network, options, limits };
    let of_layer = |(index, layer): (usize, &Layer)| {
        let ways = layers.ways(index);
        let name = |way: &Way| way.name(layer);
        (ways.len() > 1).then(|| Alternatives {
            node: layer.name.clone(),
            shape: layers.shape(index),
            expansion: layers.expansion(index).map(|before| network.layers[before].name.clone()),
            names: ways.iter().map(name).collect(),
            alone: ways.iter().filter(|way| way.expand.is_none()).count(),
            rule: layers.rule(index).name(layer),
            taken: layers.taken(index).name(layer),
        })
    };
    network.layers.iter().enumerate().filter_map(of_layer).collect()
}

/// The form of each dynamic convolution, by node.
pub fn forms(network: &FoldedNetwork, options: &Options, limits: &Limits) -> BTreeMap<String, Form> {
    let layers = Layers { network, options, limits };
    let all = network.layers.iter().enumerate();
    let dynamic = all.filter(|(_, layer)| matches!(layer.op, LayerOp::DynamicConvolution(_)));
    dynamic.map(|(index, layer)| (layer.name.clone(), layers.taken(index).form)).collect()
}

impl Layers<'_> {
    /// The way that a layer takes.
    pub fn taken(&self, index: usize) -> Way {
        self.chosen(index).unwrap_or_else(|| self.rule(index))
    }

    /// The way that was chosen for a layer, or else for its shape.
    pub fn chosen(&self, index: usize) -> Option<Way> {
        let Choices { layers, shapes } = &self.options.choices;
        if layers.is_empty() && shapes.is_empty() {
            return None;
        }
        let layer = self.layer(index);
        let ways = self.ways(index);
        let named = [layers.get(&layer.name), shapes.get(&self.shape(index))];
        named.into_iter().flatten().find_map(|name| ways.iter().find(|way| way.name(layer) == *name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::form::FormChoice;
    use super::*;
    use crate::graph::networks::{Architecture, MobileNetV2};
    use crate::graph::{Weights, fold};
    use crate::kernels::{Dispatch, Kernel};
    use crate::lower::lower;
    use crate::plan::Plan;
    use crate::tensor::Tensor;

    fn network() -> FoldedNetwork {
        let base = MobileNetV2 { width: 0.5, classes: 4, input_size: 64, stem_stride: 2 };
        let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().unwrap();
        let weights: Weights = graph.parameters().into_iter().map(|p| (p.name, Tensor::filled(p.shape, 1.0))).collect();
        fold(&graph, &weights).unwrap()
    }

    fn fast() -> Limits {
        Limits { quads: true, subgroup: Some(8), software: true, ..Limits::default() }
    }

    fn in_quads() -> Limits {
        Limits { quads: true, software: true, ..Limits::default() }
    }

    #[test]
    fn every_layer_has_the_rules_way_and_others() {
        for limits in [Limits::default(), fast(), in_quads()] {
            for form in [FormChoice::Auto, FormChoice::Always(Form::Branch)] {
                let options = Options { form, ..Options::default() };
                let found = alternatives(&network(), &options, &limits);
                assert!(found.len() > 40, "{}", found.len());
                for layer in found {
                    assert!(layer.names.contains(&layer.rule) && layer.taken == layer.rule, "{layer:?}");
                    let subgroups = layer.names.iter().any(|name| name.contains("subgroup"));
                    assert!(!subgroups || limits.subgroup.is_some(), "{layer:?}");
                    let quads = layer.names.iter().any(|name| name.contains("quad"));
                    assert!(!quads || limits.computes_in_quads(), "{layer:?}");
                    assert!(form == FormChoice::Auto || !layer.names[0].contains("assemble"), "{layer:?}");
                }
            }
        }
    }

    #[test]
    fn names_and_shapes_are_those_of_the_layers() {
        let found = alternatives(&network(), &Options::default(), &fast());
        let of = |node: &str| found.iter().find(|layer| layer.node == node).unwrap();
        assert_eq!(of("features.0.0").names, ["small", "wide", "subgroup"]);
        let found_in_quads = alternatives(&network(), &Options::default(), &in_quads());
        let of_quads = |node: &str| found_in_quads.iter().find(|layer| layer.node == node).unwrap();
        assert_eq!(of_quads("features.0.0").names, ["small", "wide", "quad"]);
        assert_eq!(of_quads("features.4.conv.0").rule, "assemble-quad");
        assert!(of_quads("features.4.conv.0").names.contains(&"branch-wide-latent_quad".to_string()));
        assert_eq!(of("features.0.0").shape, "dense 3×3 by 2, 64×64×3 → 32×32×16");
        let deep = of("features.8.conv.3");
        assert_eq!(
            (&deep.names[..], &deep.rule[..]),
            (&["rolling-1", "rolling-2", "rolling-4", "plain-1", "plain-4"].map(String::from)[..], "rolling-4")
        );
        let names = &of("features.16.conv.6").names;
        assert_eq!(names.len(), 15, "too few pixels for the latent map's subgroups: {names:?}");
        let names = &of("features.4.conv.0").names;
        assert!(names.len() == 20 && names.contains(&"branch-wide-latent_subgroup".to_string()), "{names:?}");
    }

    #[test]
    fn software_of_few_cores_computes_a_dynamic_layer_in_one_launch() {
        let network = network();
        let few = |cores| Limits { cores, whole_subgroups: true, ..fast() };
        let of = |node: &str, limits: &Limits| {
            let found = alternatives(&network, &Options::default(), limits);
            found.into_iter().find(|layer| layer.node == node).unwrap()
        };
        let deep = of("features.8.conv.0", &few(2));
        assert!(
            ["assemble", "branch"].iter().all(|form| deep.names.contains(&format!("{form}-one-launch"))),
            "{deep:?}"
        );
        assert!(deep.rule.ends_with("-one-launch"), "{deep:?}");
        let hardware = Limits { software: false, ..few(2) };
        let narrow = Limits { workgroup_bytes: 4096, ..few(2) };
        for limits in [few(0), few(3), Limits { cores: 2, ..fast() }, hardware, narrow] {
            let apart = of("features.8.conv.0", &limits);
            assert!(!apart.names.iter().any(|name| name.ends_with("-one-launch")), "{apart:?}");
        }
        // What it makes for all pictures of a run fits no buffer.
        let options = Options { batch: 64, insight: true, ..Options::default() };
        let small = Limits { storage_binding_bytes: 1 << 20, ..few(2) };
        let found = alternatives(&network, &options, &small);
        let crowded = found.iter().find(|layer| layer.node == "features.8.conv.0").unwrap();
        assert!(!crowded.names.contains(&"assemble-one-launch".to_string()), "{crowded:?}");
        let launches = |node: &str, form: FormChoice| -> Vec<Kernel> {
            let plan = lower("n", &network, Options { form, ..Options::default() }, few(2)).unwrap();
            plan.passes.iter().filter(|pass| pass.node == node).map(|pass| pass.dispatch.kernel).collect()
        };
        for form in [Form::Assemble, Form::Branch] {
            assert_eq!(launches("features.8.conv.0", FormChoice::Always(form)), [Kernel::ConvDynamicSubgroup]);
        }
        // The depthwise convolution after it makes its convolution too.
        assert_eq!(launches("features.4.conv.0", FormChoice::Auto), [Kernel::ControllerAssembleSubgroup]);
    }

    #[test]
    fn weights_are_formed_in_the_convolution_where_it_is_asked_for_or_tried_and_fits() {
        let network = network();
        let ways = |form: FormChoice, limits: &Limits, node: &str| {
            let found = alternatives(&network, &Options { form, ..Options::default() }, limits);
            found.into_iter().find(|layer| layer.node == node).map(|layer| layer.names)
        };
        let layer = "features.8.conv.0";
        let has = |form, limits: &Limits| ways(form, limits, layer).is_some_and(|it| it.contains(&"in-load".into()));
        assert!(has(FormChoice::Auto, &Limits::default()) && !has(FormChoice::Auto, &fast()));
        assert!(!has(FormChoice::Always(Form::Branch), &Limits::default()));
        let launches = |limits: Limits| -> Vec<Kernel> {
            let form = FormChoice::Always(Form::InLoad);
            let plan = lower("n", &network, Options { form, ..Options::default() }, limits).unwrap();
            plan.passes.iter().filter(|pass| pass.node == layer).map(|pass| pass.dispatch.kernel).collect()
        };
        assert_eq!(launches(Limits::default()), [Kernel::ConvDynamic]);
        assert_eq!(launches(fast()), [Kernel::ConvDynamic]);
        let small = Limits { workgroup_bytes: 16_000, ..Limits::default() };
        assert!(!launches(small).contains(&Kernel::ConvDynamic));
        assert!(!has(FormChoice::Auto, &small));
    }

    #[test]
    fn a_choice_replaces_the_rule_where_the_layer_has_it() {
        let (network, limits) = (network(), fast());
        let plan = |choices: Choices| lower("n", &network, Options { choices, ..Options::default() }, limits).unwrap();
        let rule = plan(Choices::default());
        let layer = "features.5.conv.0";
        let of_layer = |name: &str| Choices { layers: [(layer.into(), name.into())].into(), ..Choices::default() };
        assert_eq!(plan(of_layer("no such way")), rule);
        let wide = plan(of_layer("branch-wide-latent"));
        let launches_of = |plan: &Plan, node: &str| -> Vec<Dispatch> {
            plan.passes.iter().filter(|pass| pass.node == node).map(|pass| pass.dispatch.clone()).collect()
        };
        let nodes = rule.passes.iter().map(|pass| &pass.node[..]);
        let differing: Vec<_> = nodes.filter(|node| launches_of(&wide, node) != launches_of(&rule, node)).collect();
        assert!(!differing.is_empty() && differing.iter().all(|node| *node == layer), "{differing:?}");
        assert_eq!(wide.chosen, [(layer.to_string(), "branch-wide-latent".to_string())].into());
        let shape = alternatives(&network, &Options::default(), &limits);
        let shape = shape.iter().find(|found| found.node == layer).unwrap().shape.clone();
        let of_shape = Choices { shapes: [(shape, "branch-wide-latent".into())].into(), ..Choices::default() };
        assert!(plan(of_shape).chosen.contains_key(layer));
        // What is chosen for the layer itself comes first.
        let both = Choices { layers: of_layer("assemble-small").layers, ..plan_choices(&wide.chosen) };
        assert_eq!(plan(both).chosen[layer], "assemble-small");
    }

    #[test]
    fn a_depthwise_convolution_by_two_may_compute_its_expansion() {
        let network = network();
        let plan = |limits: Limits, ways: &[(&str, &str)]| {
            let layers = ways.iter().map(|(layer, way)| (layer.to_string(), way.to_string())).collect();
            let choices = Choices { layers, ..Choices::default() };
            lower("n", &network, Options { choices, ..Options::default() }, limits).unwrap()
        };
        let kernels = |plan: &Plan| -> Vec<Kernel> {
            let of_block =
                plan.passes.iter().filter(|pass| ["features.2.conv.0", "features.2.conv.3"].contains(&&pass.node[..]));
            of_block.map(|pass| pass.dispatch.kernel).collect()
        };
        let (expansion, depthwise) = ("features.2.conv.0", "features.2.conv.3");
        let whole = Limits { whole_subgroups: true, ..fast() };
        let assembly = Kernel::ControllerAssembleSubgroup;
        assert_eq!(kernels(&plan(whole, &[])), [assembly, Kernel::ConvExpandDepthwiseSubgroup]);
        let small = [(expansion, "assemble-small"), (depthwise, "expand-small")];
        assert_eq!(kernels(&plan(whole, &small)), [assembly, Kernel::ConvExpandDepthwise]);
        let apart = [(depthwise, "rolling-2")];
        assert_eq!(kernels(&plan(whole, &apart)), [assembly, Kernel::ConvPointwiseSubgroup, Kernel::ConvDepthwise]);
        // A branch has no matrix of weights, whatever is chosen for what reads it.
        let branch = [(expansion, "branch-wide-latent"), (depthwise, "expand-small")];
        assert!(kernels(&plan(whole, &branch)).ends_with(&[Kernel::ConvPointwiseWide, Kernel::ConvDepthwise]));
        // Hardware was not measured.
        let hardware = kernels(&plan(Limits::default(), &[]));
        assert!(hardware.ends_with(&[Kernel::ConvPointwise, Kernel::ConvDepthwise]), "{hardware:?}");

        let found = alternatives(&network, &Options::default(), &fast());
        let of = |node: &str| found.iter().find(|layer| layer.node == node).unwrap();
        assert_eq!(of(depthwise).expansion.as_deref(), Some(expansion));
        assert!(of(depthwise).expands() && !of(expansion).expands());
        assert_eq!(of(depthwise).alone, of(depthwise).names.len() - 2);
        assert!(of(depthwise).names.ends_with(&["expand-small", "expand-subgroup"].map(String::from)));
        assert!(of(depthwise).shape.contains(" after ") && of(expansion).shape.contains(" before "));
        // By one it never does, and many input channels take longer.
        assert_eq!(of("features.3.conv.3").expansion, None);
        assert_eq!(of("features.14.conv.3").rule.split('-').next(), Some("rolling"));
    }

    fn plan_choices(chosen: &BTreeMap<String, String>) -> Choices {
        Choices { shapes: chosen.clone(), ..Choices::default() }
    }
}
