//! Depthwise convolutions that compute the pointwise one before them too: which they can be, and their launch.

use super::LowerError;
use super::draft::{Binding, Value};
use super::form::Form;
use super::layers::{Lowering, pooling};
use super::ways::{Layers, is_pointwise};
use crate::graph::{Connection, Layer, LayerOp, Source};
use crate::kernels::{Epilogue, Pooling, Tile, conv_depthwise, conv_expand_depthwise, conv_pointwise};
use crate::tensor::groups;

/// What is left of an expansion for the layer that computes it.
#[derive(Clone, Copy)]
pub(super) struct Expansion {
    weights: Binding,
    /// Whether each picture has its own.
    per_picture: bool,
    in_groups: u32,
}

impl Layers<'_> {
    /// The place of the layer that can be computed in one launch with this depthwise convolution: a pointwise convolution that nothing
    /// else reads, whose weights are there as a matrix before it runs.
    pub fn expansion(&self, index: usize) -> Option<usize> {
        let before = self.expansion_of_any_form(index)?;
        let is_dynamic = matches!(self.layer(before).op, LayerOp::DynamicConvolution(_));
        (!is_dynamic || self.taken(before).form == Form::Assemble).then_some(before)
    }

    /// The same, or a dynamic one in branch form.
    pub fn expansion_of_any_form(&self, index: usize) -> Option<usize> {
        let layer = self.layer(index);
        let (LayerOp::Convolution(c, _), Source::Layer(before)) = (&layer.op, layer.input) else { return None };
        let expansion = self.layer(before);
        let reads = |layer: &&Layer| [Some(layer.input), layer.residual].contains(&Some(Source::Layer(before)));
        let fits = c.connection == Connection::Depthwise
            && conv_expand_depthwise::can_expand(c.kernel, c.stride)
            && layer.residual.is_none()
            && is_pointwise(expansion)
            && expansion.residual.is_none()
            && expansion.activation == layer.activation
            && self.pooling_wanted(index) != Some(Pooling::TwoByTwo)
            && self.network.layers.iter().filter(reads).count() == 1;
        fits.then_some(before)
    }

    /// The depthwise convolution of which this layer is such an expansion.
    pub fn expander_of_any_form(&self, index: usize) -> Option<usize> {
        let reader = self.network.layers.iter().position(|layer| layer.input == Source::Layer(index))?;
        (self.expansion_of_any_form(reader) == Some(index)).then_some(reader)
    }

    /// Whether the depthwise convolution that reads this layer computes it too.
    pub fn is_expanded_later(&self, index: usize) -> bool {
        self.expander_of_any_form(index).is_some_and(|reader| self.taken(reader).expand.is_some())
    }

    /// The pool that the first reader of a layer's result wants of it, if any does.
    pub fn pooling_wanted(&self, index: usize) -> Option<Pooling> {
        let readers = self.network.layers.iter().filter(|layer| layer.input == Source::Layer(index));
        readers.filter(|reader| reader.input_map.pixels() > 1).find_map(|reader| match &reader.op {
            LayerOp::DynamicConvolution(w) => Some(pooling(w.sizes.bins)),
            LayerOp::AveragePool { bins } => Some(pooling(*bins)).filter(|pooling| !self.averages_at_once(*pooling)),
            _ => None,
        })
    }

    /// Whether the means of a map are one launch of their own: on software, where no dynamic layer needs convolutions that pool. Those
    /// are pipelines of their own, for a single launch here, and take long to compile.
    pub fn averages_at_once(&self, pooling: Pooling) -> bool {
        let is_dynamic = |layer: &Layer| matches!(layer.op, LayerOp::DynamicConvolution(_));
        self.limits.software && pooling == Pooling::Global && !self.network.layers.iter().any(is_dynamic)
    }
}

impl Lowering<'_> {
    /// A pointwise convolution whose weights are a matrix; one that the layer after it computes too is left to that.
    pub fn pointwise_of_matrix(
        &mut self,
        index: usize,
        layer: &Layer,
        weights: Binding,
        per_picture: bool,
        epilogue: Epilogue,
        tile: Tile,
    ) -> Result<Value, LowerError> {
        if self.layers().is_expanded_later(index) {
            let in_groups = groups(layer.input_map.channels) as u32;
            self.expansions.insert(index, Expansion { weights, per_picture, in_groups });
            return Ok(self.value_of(layer.input));
        }
        let kind = if per_picture { conv_pointwise::Weights::PerPicture } else { conv_pointwise::Weights::Static };
        self.pointwise(layer, kind, epilogue, tile, vec![("weights", weights)])
    }

    /// A depthwise convolution of this shape with its expansion.
    pub fn expand_depthwise(
        &mut self,
        index: usize,
        layer: &Layer,
        shape: conv_depthwise::Shape,
        taps: Binding,
        epilogue: Epilogue,
        tile: Tile,
    ) -> Result<Value, LowerError> {
        let expansion = self.layers().expansion(index).and_then(|before| self.expansions.get(&before).copied());
        let reason = "no expansion lies before it";
        let expansion = expansion.ok_or_else(|| LowerError::Unsupported { node: layer.name.clone(), reason })?;
        let conv_depthwise::Shape { input, output, groups, padding, tile_rows, .. } = shape;
        let in_groups = expansion.in_groups;
        let shape = conv_expand_depthwise::Shape { input, output, in_groups, groups, padding, tile_rows };
        let (nonlinearity, pooled) = (epilogue.nonlinearity, epilogue.pooling.is_some());
        let dispatch = conv_expand_depthwise::dispatch(shape, expansion.per_picture, nonlinearity, pooled, tile);
        let input = Binding::Value(self.value_of(layer.input));
        let memory = vec![("input", input), ("weights", expansion.weights), ("taps", taps)];
        self.launch_convolution(layer, dispatch, shape.slots(tile), epilogue, memory)
    }
}
