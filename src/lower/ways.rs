//! The ways in which a layer may be computed, all with the same result: the rule's, which follows from sizes and device alone,
//! and those that may stand in for it.

use super::form::{Form, FormChoice, choose_form, forms_in_load};
use super::one_launch::OneLaunch;
use super::tile::{convolution_tile, depthwise_rows, expansion_tile, pointwise_tile};
use super::{Options, latent_shape};
use crate::graph::{Connection, DynamicWeights, FoldedNetwork, Layer, LayerOp};
use crate::kernels::{Tile, conv_depthwise};
use crate::plan::Limits;
use crate::tensor::{Precision, groups};

/// Rows of depthwise tiles that are tried: those that load each row once, and those that do not.
const ROLLING_ROWS: [u32; 5] = [1, 2, 4, 7, 14];
const PLAIN_ROWS: [u32; 3] = [1, 4, 14];

/// One way. What a layer has no use for is the rule's and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Of a dynamic convolution.
    pub form: Form,
    /// Of the same: whether one launch runs its controller and the convolution (software only). Ignored where the next layer's launch
    /// computes this one too.
    pub one_launch: bool,
    /// Of a convolution over all channels.
    pub tile: Tile,
    /// Of a branch: the variant of `latent`; any tile but `Subgroup`, `Quad` and `Wide` is the plain kernel's.
    pub latent: Tile,
    /// Of a depthwise convolution: whether each row is loaded once, and a tile's rows.
    pub rolling: bool,
    pub rows: u32,
    /// Of a depthwise convolution: the tile in which it is computed together with its expansion, where it is.
    pub expand: Option<Tile>,
}

/// The layers of a network on a device, by their places in the network.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub network: &'a FoldedNetwork,
    pub options: &'a Options,
    pub limits: &'a Limits,
}

impl Layers<'_> {
    pub fn layer(&self, index: usize) -> &Layer {
        &self.network.layers[index]
    }

    /// The way that follows from sizes and device alone.
    pub fn rule(&self, index: usize) -> Way {
        let in_groups = |before: usize| groups(self.layer(before).input_map.channels) as u32;
        let expand = self.expansion(index).and_then(|before| expansion_tile(self.limits, in_groups(before)));
        Way { expand, ..self.rule_alone(index) }
    }

    /// The same, with nothing but the layer itself in a launch.
    fn rule_alone(&self, index: usize) -> Way {
        let (layer, limits) = (self.layer(index), self.limits);
        let (rolling, rows) = match &layer.op {
            LayerOp::Convolution(c, _) => {
                (conv_depthwise::can_roll(c.kernel, c.stride), depthwise_rows(limits, layer.output_map.height as u32))
            }
            _ => (false, 1),
        };
        let form = match &layer.op {
            LayerOp::DynamicConvolution(w) => {
                choose_form(self.options.form, &w.sizes, w.inputs, layer.input_map.pixels(), limits)
            }
            _ => Form::Branch,
        };
        let latent = convolution_tile(limits);
        let tile = if is_pointwise(layer) {
            let (pixels, [inputs, outputs]) =
                (layer.input_map.pixels(), [layer.input_map, layer.output_map].map(|map| groups(map.channels)));
            pointwise_tile(limits, pixels as u32, inputs as u32, outputs as u32)
        } else {
            latent
        };
        let one_launch = match &layer.op {
            LayerOp::DynamicConvolution(w) => self.one_launch(layer, w, form).is_some(),
            _ => false,
        };
        Way { form, one_launch, tile, latent, rolling, rows, expand: None }
    }

    fn one_launch(&self, layer: &Layer, w: &DynamicWeights, form: Form) -> Option<OneLaunch> {
        let [_, batch] = self.options.runs(self.limits);
        OneLaunch::of(layer, w, form, batch.into(), self.limits)
    }

    /// All ways of a layer, the rule's among them. Those that compute its expansion too come last.
    pub fn ways(&self, index: usize) -> Vec<Way> {
        let layer = self.layer(index);
        let own = Way { one_launch: false, ..self.rule_alone(index) };
        let subgroup = self.limits.subgroup.map(Tile::Subgroup);
        // Of larger subgroups more invocations load weights together.
        let quad = (self.limits.quads && subgroup.is_none()).then_some(Tile::Quad);
        let tiles = || [Tile::Small, Tile::Wide].into_iter().chain(quad).chain(subgroup);
        let pointwise_tiles = || tiles().chain([Tile::Workgroup, Tile::Split]);
        let expansion_tiles = || [Tile::Small].into_iter().chain(subgroup).map(Some).collect();
        let mut ways: Vec<Way> = match &layer.op {
            LayerOp::Convolution(c, _) if c.connection == Connection::Depthwise => {
                let most = layer.output_map.height as u32;
                let rows = |rolling: bool, rows: &[u32]| -> Vec<Way> {
                    rows.iter().map(|rows| Way { rolling, rows: (*rows).min(most), ..own }).collect()
                };
                let rolling = if conv_depthwise::can_roll(c.kernel, c.stride) { &ROLLING_ROWS[..] } else { &[] };
                let expanding = if self.expansion(index).is_some() { expansion_tiles() } else { Vec::new() };
                let expanding = expanding.into_iter().map(|expand| Way { expand, ..own }).collect();
                [rows(true, rolling), rows(false, &PLAIN_ROWS), expanding].concat()
            }
            LayerOp::Convolution(c, _) if c.is_pointwise() => {
                pointwise_tiles().map(|tile| Way { tile, ..own }).collect()
            }
            LayerOp::Convolution(..) => tiles().map(|tile| Way { tile, ..own }).collect(),
            LayerOp::DynamicConvolution(w) => {
                let assembled = pointwise_tiles().map(|tile| Way { form: Form::Assemble, tile, ..own });
                let suits = |tile: &Tile| latent_shape(layer, w).suits(*tile);
                let latents = || tiles().filter(suits);
                let branches = pointwise_tiles()
                    .flat_map(|tile| latents().map(move |latent| Way { form: Form::Branch, tile, latent, ..own }));
                let form = self.options.form;
                let in_load = tries_in_load(form, self.limits) && forms_in_load(&w.sizes, w.inputs, self.limits);
                let in_load = in_load.then_some(Way { form: Form::InLoad, ..own });
                let one_launch = [Form::Assemble, Form::Branch]
                    .into_iter()
                    .filter(|form| self.one_launch(layer, w, *form).is_some())
                    .map(|form| Way { form, one_launch: true, ..own });
                let wanted = |way: &Way| form == FormChoice::Auto || form == FormChoice::Always(way.form);
                assembled.chain(branches).chain(in_load).chain(one_launch).filter(wanted).collect()
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

    /// Kind and sizes of a layer, and of the one that may be in one launch with it, for a number of pictures in a precision.
    pub fn shape(&self, index: usize) -> String {
        let (precision, [_, batch]) = (self.options.precision, self.options.runs(self.limits));
        let name = |index: usize| kind_and_sizes(self.layer(index));
        [
            name(index),
            self.expansion_of_any_form(index).map(|before| format!(" after {}", name(before))).unwrap_or_default(),
            self.expander_of_any_form(index).map(|after| format!(" before {}", name(after))).unwrap_or_default(),
            if batch == 1 { String::new() } else { format!(", {batch} pictures") },
            if precision == Precision::F32 { String::new() } else { ", f16".into() },
        ]
        .concat()
    }
}

/// Whether weights formed in the convolution are tried: where they were asked for, and on hardware.
///
/// Measured on lavapipe with the layers of MobileNetV2-DCD at 224: 14 to 63 times as long as the rule's way. No hardware was measured.
fn tries_in_load(form: FormChoice, limits: &Limits) -> bool {
    form == FormChoice::Always(Form::InLoad) || !limits.software
}

fn kind_and_sizes(layer: &Layer) -> String {
    let (x, y) = (layer.input_map, layer.output_map);
    match &layer.op {
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
    }
}

/// Whether a layer is a 1×1 convolution, static or dynamic.
pub(super) fn is_pointwise(layer: &Layer) -> bool {
    match &layer.op {
        LayerOp::Convolution(c, _) => c.is_pointwise(),
        op => matches!(op, LayerOp::DynamicConvolution(_)),
    }
}

impl Way {
    /// What tells it from the other ways of its layer.
    pub fn name(&self, layer: &Layer) -> String {
        let Self { form, one_launch, tile, latent, rolling, rows, expand } = self;
        match &layer.op {
            LayerOp::Convolution(c, _) if c.connection == Connection::Depthwise => match expand {
                Some(tile) => format!("expand-{}", tile.name()),
                None => format!("{}-{rows}", if *rolling { "rolling" } else { "plain" }),
            },
            LayerOp::DynamicConvolution(_) if *one_launch && *form == Form::Assemble => "assemble-one-launch".into(),
            LayerOp::DynamicConvolution(_) if *one_launch => "branch-one-launch".into(),
            LayerOp::DynamicConvolution(_) if *form == Form::Assemble => format!("assemble-{}", tile.name()),
            LayerOp::DynamicConvolution(_) if *form == Form::InLoad => "in-load".into(),
            LayerOp::DynamicConvolution(w) => {
                let latent = match latent {
                    Tile::Subgroup(_) if latent_shape(layer, w).suits(*latent) => "latent_subgroup",
                    Tile::Quad if latent_shape(layer, w).suits(*latent) => "latent_quad",
                    Tile::Wide if latent_shape(layer, w).suits(*latent) => "latent_wide",
                    _ => "latent",
                };
                format!("branch-{}-{latent}", tile.name())
            }
            _ => tile.name().into(),
        }
    }
}
