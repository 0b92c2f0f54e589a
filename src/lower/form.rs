//! Chooses among the equal forms of a dynamic layer.

use serde::Serialize;

use super::layers::pooling;
use super::tile::{controller_tile, convolution_tile};
use crate::graph::{Dynamic, Graph, Node, Op, dynamic_cost};
use crate::kernels::{Dispatch, Epilogue, Tile, controller, controller_assemble, conv_dynamic};
use crate::plan::Limits;
use crate::tensor::{Map, groups};

/// How a dynamic convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// W(x) is assembled, then one convolution is run.
    Assemble,
    /// The low-rank branch runs beside the static convolution.
    Branch,
    /// W(x) is formed where the convolution loads it, in one launch with its controller.
    InLoad,
}

impl Form {
    /// Whether it makes W(x), be it stored or not.
    pub const fn assembles(self) -> bool {
        matches!(self, Self::Assemble | Self::InLoad)
    }
}

/// Which form the dynamic convolutions of a network take. The dynamic classifier is always a branch: it has one pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormChoice {
    /// For each layer the one that costs less.
    #[default]
    Auto,
    /// Every layer in this form; what has no room for [`Form::InLoad`] in a workgroup's memory takes the cheaper of the others.
    Always(Form),
}

/// How many of a branch's multiply-adds cost as much as one of an assembly, which reads and writes a weight every few.
///
/// Where subgroups load weights together, a branch's meet more pixels than an assembly's factors meet weights. Elsewhere both
/// are alike. Measured on lavapipe with the layers of MobileNetV2-DCD at 160 and 192 pixels, controller and convolution included: where
/// the branch has 1.2 to 2 times the assembly's multiply-adds, layers assembled take 0.97 to 1.2 of a branch's time; where it has
/// 2.6 to 2.9 times, 0.78 to 1.01; where it has less than half, 2 to 5 times.
const fn assembly_weight(limits: &Limits) -> u64 {
    match convolution_tile(limits) {
        Tile::Subgroup(_) => 2,
        _ => 1,
    }
}

/// The form of a dynamic convolution of `inputs` channels at `pixels` output pixels.
///
/// Without an order from the user it is the one that costs less: assembly costs the same at any size of the map, the branch
/// grows with its pixels; they meet near `inputs · outputs / (inputs + outputs)` pixels, or twice as many where the
/// device has fast branches.
pub fn choose_form(choice: FormChoice, sizes: &Dynamic, inputs: usize, pixels: usize, limits: &Limits) -> Form {
    match choice {
        FormChoice::Always(form) if form != Form::InLoad || forms_in_load(sizes, inputs, limits) => form,
        _ => {
            let cost = dynamic_cost(sizes, inputs, pixels);
            if assembly_weight(limits) * cost.assemble <= cost.branch { Form::Assemble } else { Form::Branch }
        }
    }
}

/// The launch that runs a layer's controller and assembles its weights; nothing where a workgroup's memory cannot hold what it
/// needs.
pub(super) fn assemble_with_controller(shape: controller::Shape, limits: &Limits) -> Option<Dispatch> {
    let dispatch = controller_assemble::dispatch(shape, controller_tile(limits));
    (dispatch.workgroup_bytes() <= limits.workgroup_bytes).then_some(dispatch)
}

/// The sizes of a dynamic layer's controller, which begins with so many slots of sums of its input's bins.
pub(super) fn controller_shape(sizes: &Dynamic, input: Map, slots: u32) -> controller::Shape {
    controller::Shape {
        height: input.height as u32,
        width: input.width as u32,
        in_groups: groups(input.channels) as u32,
        slots,
        pooling: pooling(sizes.bins),
        squeeze_groups: groups(sizes.squeeze) as u32,
        latent_groups: groups(sizes.latent) as u32,
        out_groups: groups(sizes.outputs) as u32,
    }
}

/// Whether a workgroup's memory holds what forming W(x) in the convolution needs.
pub(super) fn forms_in_load(sizes: &Dynamic, inputs: usize, limits: &Limits) -> bool {
    // Neither the map nor its sums need any.
    let shape = controller_shape(sizes, Map::vector(inputs), 1);
    conv_dynamic::dispatch(shape, Epilogue::default()).workgroup_bytes() <= limits.workgroup_bytes
}

/// The form that a node of a network takes on a device of these limits; nothing for a static node.
pub fn form_of(graph: &Graph, node: &Node, choice: FormChoice, limits: &Limits) -> Option<Form> {
    match &node.op {
        Op::DynamicConvolution(sizes) => {
            let x = graph.node(*node.inputs.first()?).output;
            Some(choose_form(choice, sizes, x.channels, x.pixels(), limits))
        }
        Op::DynamicLinear(_) => Some(Form::Branch),
        _ => None,
    }
}

/// Multiply-adds of a whole network for one picture, with its dynamic layers in the forms chosen on a device of these limits.
pub fn multiply_adds(graph: &Graph, choice: FormChoice, limits: &Limits) -> u64 {
    multiply_adds_in(graph, |node| form_of(graph, node, choice, limits))
}

/// Multiply-adds of a whole network for one picture, with its dynamic layers in these forms.
pub fn multiply_adds_in(graph: &Graph, form: impl Fn(&Node) -> Option<Form>) -> u64 {
    let of_node = |node: &Node| {
        let beyond = graph
            .dynamic_cost_of(node)
            .zip(form(node))
            .map_or(0, |(cost, form)| cost.controller + if form.assembles() { cost.assemble } else { cost.branch });
        graph.static_multiply_adds(node) + beyond
    };
    graph.nodes().iter().map(of_node).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::{Architecture, MobileNetV2};

    #[test]
    fn multiply_adds_of_whole_networks_are_those_worked_out_by_hand() {
        let base = MobileNetV2::imagenet(1.0);
        let plain = Architecture::MobileNetV2(base.clone()).build().unwrap();
        let dynamic = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().unwrap();
        let millions =
            |graph: &Graph, choice| (multiply_adds(graph, choice, &Limits::default()) as f64 / 1e4).round() / 100.0;
        assert_eq!(millions(&plain, FormChoice::Auto), 300.77);
        assert_eq!(millions(&dynamic, FormChoice::Always(Form::Assemble)), 353.14);
        assert_eq!(millions(&dynamic, FormChoice::Always(Form::Branch)), 402.10);
        assert_eq!(millions(&dynamic, FormChoice::Auto), 326.37);
    }

    #[test]
    fn the_forms_meet_at_the_pixel_counts_worked_out_by_hand() {
        // (inputs, outputs, latent, break-even pixels) of MobileNetV2-DCD ×1.0.
        for (inputs, outputs, latent, pixels) in [
            (16, 96, 8, 15),
            (144, 24, 12, 22),
            (384, 64, 16, 58),
            (96, 576, 24, 84),
            (576, 160, 20, 131),
            (960, 320, 40, 247),
        ] {
            let sizes = Dynamic { outputs, latent, squeeze: 16, bins: 1 };
            let limits = Limits::default();
            let form = |pixels| choose_form(FormChoice::Auto, &sizes, inputs, pixels, &limits);
            assert_eq!(form(pixels - 1), Form::Branch, "{inputs}→{outputs} at {} pixels", pixels - 1);
            assert_eq!(form(pixels + 1), Form::Assemble, "{inputs}→{outputs} at {} pixels", pixels + 1);
            let always = |form, pixels| choose_form(FormChoice::Always(form), &sizes, inputs, pixels, &limits);
            assert_eq!(always(Form::Assemble, 1), Form::Assemble);
            assert_eq!(always(Form::Branch, 9999), Form::Branch);
            let fast = Limits { subgroup: Some(8), software: true, ..limits };
            let form = |pixels| choose_form(FormChoice::Auto, &sizes, inputs, pixels, &fast);
            assert_eq!(form(2 * pixels - 2), Form::Branch, "{inputs}→{outputs}, twice as many");
            assert_eq!(form(2 * pixels + 2), Form::Assemble, "{inputs}→{outputs}, twice as many");
        }
    }
}
