//! The ways in which a layer may be computed, all with the same result: the rule's, those that may stand in for it, and
//! which of them is taken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::form::{Form, FormChoice, choose_form};
use super::tile::{convolution_tile, depthwise_rows, pointwise_tile};
use super::{Options, latent_shape};
use crate::graph::{Connection, FoldedNetwork, Layer, LayerOp};
use crate::kernels::{Tile, conv_depthwise};
use crate::plan::Limits;
use crate::tensor::{Precision, groups};

/// Rows of depthwise tiles that are tried: those that load each row once, and those that do not.
const ROLLING_ROWS: [u32; 5] = [1, 2, 4, 7, 14];
const PLAIN_ROWS: [u32; 3] = [1, 4, 14];

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
    /// Kind and sizes of the layer: layers that share them are distinct by their values alone.
    pub shape: String,
    /// The names of all ways, such as `wide`, `rolling-4` or `branch-subgroup-latent`.
    pub names: Vec<String>,
    /// The name of the way that the rule takes, one of `names`.
    pub rule: String,
    /// The name of the way that is taken, one of `names`.
    pub taken: String,
}

/// One way. What a layer has no use for is the rule's and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Of a dynamic convolution.
    pub form: Form,
    /// Of a convolution over all channels.
    pub tile: Tile,
    /// Of a branch's middle: subgroups, wide, or any other for the kernel of neither.
    pub latent: Tile,
    /// Of a depthwise convolution: whether each row is loaded once, and a tile's rows.
    pub rolling: bool,
    pub rows: u32,
}

/// For each layer that may be computed in several ways, in the order of the network, what these are on a device of these limits.
pub fn alternatives(network: &FoldedNetwork, options: &Options, limits: &Limits) -> Vec<Alternatives> {
    let of_layer = |layer: &Layer| {
        let ways = ways(layer, options.form, limits);
        let name = |choice: &Choice| choice.name(layer);
        (ways.len() > 1).then(|| Alternatives {
            node: layer.name.clone(),
            shape: shape(layer, options),
            names: ways.iter().map(name).collect(),
            rule: rule(layer, options.form, limits).name(layer),
            taken: chosen(layer, options, limits).unwrap_or_else(|| rule(layer, options.form, limits)).name(layer),
        })
    };
    network.layers.iter().filter_map(of_layer).collect()
}

/// The form of each dynamic convolution, by node.
pub fn forms(network: &FoldedNetwork, options: &Options, limits: &Limits) -> BTreeMap<String, Form> {
    let dynamic = network.layers.iter().filter(|layer| matches!(layer.op, LayerOp::DynamicConvolution(_)));
    let form = |layer: &Layer| chosen(layer, options, limits).unwrap_or_else(|| rule(layer, options.form, limits)).form;
    dynamic.map(|layer| (layer.name.clone(), form(layer))).collect()
}

/// The way that was chosen for a layer, or else for its shape.
pub(super) fn chosen(layer: &Layer, options: &Options, limits: &Limits) -> Option<Choice> {
    let Choices { layers, shapes } = &options.choices;
    if layers.is_empty() && shapes.is_empty() {
        return None;
    }
    let ways = ways(layer, options.form, limits);
    let named = [layers.get(&layer.name), shapes.get(&shape(layer, options))];
    named.into_iter().flatten().find_map(|name| ways.iter().find(|way| way.name(layer) == *name)).copied()
}

/// The way that follows from sizes and device alone.
pub(super) fn rule(layer: &Layer, form: FormChoice, limits: &Limits) -> Choice {
    let (rolling, rows) = match &layer.op {
        LayerOp::Convolution(c, _) => {
            (conv_depthwise::can_roll(c.kernel, c.stride), depthwise_rows(limits, layer.output_map.height as u32))
        }
        _ => (false, 1),
    };
    let form = match &layer.op {
        LayerOp::DynamicConvolution(w) => choose_form(form, &w.sizes, w.inputs, layer.input_map.pixels(), limits),
        _ => Form::Branch,
    };
    let pointwise = match &layer.op {
        LayerOp::Convolution(c, _) => c.is_pointwise(),
        op => matches!(op, LayerOp::DynamicConvolution(_)),
    };
    let latent = convolution_tile(limits);
    let tile = if pointwise {
        let (pixels, [inputs, outputs]) =
            (layer.input_map.pixels(), [layer.input_map, layer.output_map].map(|map| groups(map.channels)));
        pointwise_tile(limits, pixels as u32, inputs as u32, outputs as u32)
    } else {
        latent
    };
    Choice { form, tile, latent, rolling, rows }
}

/// All ways of a layer, the rule's among them.
fn ways(layer: &Layer, form: FormChoice, limits: &Limits) -> Vec<Choice> {
    let own = rule(layer, form, limits);
    let subgroup = limits.subgroup.map(Tile::Subgroup);
    let tiles = || [Tile::Small, Tile::Wide].into_iter().chain(subgroup);
    let pointwise_tiles = || tiles().chain([Tile::Workgroup, Tile::Split]);
    let mut ways: Vec<Choice> = match &layer.op {
        LayerOp::Convolution(c, _) if c.connection == Connection::Depthwise => {
            let most = layer.output_map.height as u32;
            let rows = |rolling: bool, rows: &[u32]| -> Vec<Choice> {
                rows.iter().map(|rows| Choice { rolling, rows: (*rows).min(most), ..own }).collect()
            };
            let rolling = if conv_depthwise::can_roll(c.kernel, c.stride) { &ROLLING_ROWS[..] } else { &[] };
            [rows(true, rolling), rows(false, &PLAIN_ROWS)].concat()
        }
        LayerOp::Convolution(c, _) if c.is_pointwise() => {
            pointwise_tiles().map(|tile| Choice { tile, ..own }).collect()
        }
        LayerOp::Convolution(..) => tiles().map(|tile| Choice { tile, ..own }).collect(),
        LayerOp::DynamicConvolution(w) => {
            let assembled = pointwise_tiles().map(|tile| Choice { form: Form::Assemble, tile, ..own });
            let suits = |tile: &Tile| latent_shape(layer, w).suits(*tile);
            let latents = || tiles().filter(suits);
            let branches = pointwise_tiles()
                .flat_map(|tile| latents().map(move |latent| Choice { form: Form::Branch, tile, latent, ..own }));
            let wanted = |way: &Choice| form == FormChoice::Auto || form == FormChoice::Always(way.form);
            assembled.chain(branches).filter(wanted).collect()
        }
        _ => Vec::new(),
    };
    // Tiles taller than the map are one and the same.
    let mut seen = Vec::new();
    ways.retain(|way| {
        let name = way.name(layer);
        let new = !seen.contains(&name);
        seen.push(name);
        new
    });
    ways
}

impl Choice {
    /// What tells it from the other ways of its layer.
    pub fn name(&self, layer: &Layer) -> String {
        let Self { form, tile, latent, rolling, rows } = self;
        match &layer.op {
            LayerOp::Convolution(c, _) if c.connection == Connection::Depthwise => {
                format!("{}-{rows}", if *rolling { "rolling" } else { "plain" })
            }
            LayerOp::DynamicConvolution(_) if *form == Form::Assemble => format!("assemble-{}", tile.name()),
            LayerOp::DynamicConvolution(w) => {
                let latent = match latent {
                    Tile::Subgroup(_) if latent_shape(layer, w).suits(*latent) => "latent_subgroup",
                    Tile::Wide if latent_shape(layer, w).suits(*latent) => "latent_wide",
                    _ => "latent",
                };
                format!("branch-{}-{latent}", tile.name())
            }
            _ => tile.name().into(),
        }
    }
}

/// Kind and sizes of a layer, for a number of pictures in a precision.
fn shape(layer: &Layer, options: &Options) -> String {
    let (x, y) = (layer.input_map, layer.output_map);
    let one = match &layer.op {
        LayerOp::Convolution(c, _) if c.is_pointwise() => {
            format!("pointwise {}×{} {} → {}", x.height, x.width, x.channels, y.channels)
        }
        LayerOp::Convolution(c, _) => {
            let kind = if c.connection == Connection::Depthwise { "depthwise" } else { "dense" };
            format!("{kind} {0}×{0} by {1}, {2} → {3}", c.kernel, c.stride, x, y)
        }
        LayerOp::DynamicConvolution(w) => {
            let (outputs, latent) = (y.channels, w.sizes.latent);
            format!("dynamic {}×{} {} → {outputs}, latent {latent}", x.height, x.width, x.channels)
        }
        _ => format!("{x} → {y}"),
    };
    let pictures = if options.batch == 1 { String::new() } else { format!(", {} pictures", options.batch) };
    let precision = if options.precision == Precision::F32 { "" } else { ", f16" };
    one + &pictures + precision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::{Architecture, MobileNetV2};
    use crate::graph::{Weights, fold};
    use crate::kernels::Dispatch;
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
        Limits { subgroup: Some(8), software: true, ..Limits::default() }
    }

    #[test]
    fn every_layer_has_the_rules_way_and_others() {
        for limits in [Limits::default(), fast()] {
            for form in [FormChoice::Auto, FormChoice::Always(Form::Branch)] {
                let options = Options { form, ..Options::default() };
                let found = alternatives(&network(), &options, &limits);
                assert!(found.len() > 40, "{}", found.len());
                for layer in found {
                    assert!(layer.names.contains(&layer.rule) && layer.taken == layer.rule, "{layer:?}");
                    let subgroups = layer.names.iter().any(|name| name.contains("subgroup"));
                    assert!(!subgroups || limits.subgroup.is_some(), "{layer:?}");
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
    fn a_choice_replaces_the_rule_where_the_layer_has_it() {
        let (network, limits) = (network(), fast());
        let plan = |choices: Choices| lower("n", &network, Options { choices, ..Options::default() }, limits).unwrap();
        let rule = plan(Choices::default());
        let layer = "features.4.conv.0";
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

    fn plan_choices(chosen: &BTreeMap<String, String>) -> Choices {
        Choices { shapes: chosen.clone(), ..Choices::default() }
    }
}
