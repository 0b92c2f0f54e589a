//! Chooses the launches of each layer; those of dynamic ones lie in `dynamic.rs`.

use std::collections::HashMap;

use super::draft::{Binding, Draft, PoolSums, Value};
use super::expansion::Expansion;
use super::ways::{Layers, Way};
use super::{LowerError, Options, pack};
use crate::graph::{Activation, Connection, Convolution, FoldedNetwork, Layer, LayerOp, Source, StaticWeights};
use crate::kernels::{
    Epilogue, Nonlinearity, Pooling, Precision, Tile, conv_dense, conv_depthwise, conv_pointwise, linear, pool, top_k,
};
use crate::plan::Limits;
use crate::tensor::{Map, groups};

/// All launches of a network, and the values that the user writes and reads.
pub(super) struct Drafted<'a> {
    pub draft: Draft<'a>,
    pub input: (Value, Map),
    pub scores: (Value, Map),
    pub best: Value,
    pub top: u32,
}

pub(super) fn draft<'a>(
    network: &'a FoldedNetwork,
    options: &'a Options,
    limits: Limits,
) -> Result<Drafted<'a>, LowerError> {
    let [_, batch] = options.runs(&limits);
    let mut draft = Draft::new(batch, options.precision, limits);
    let input = draft.map("input", vec4s(network.input))?;
    let mut lowering = Lowering { network, options, draft, input, results: Vec::new(), expansions: HashMap::new() };
    for (index, layer) in network.layers.iter().enumerate() {
        let is_last = index + 1 == network.layers.len();
        let result = if is_last && layer.op == LayerOp::Softmax {
            // The last launch computes the softmax itself, of the few best classes only.
            lowering.value_of(layer.input)
        } else {
            lowering.layer(index, layer)?
        };
        lowering.results.push(result);
    }
    let scores = lowering.results.last().copied().unwrap_or(input);
    let map = network.layers.last().map_or(network.input, |layer| layer.output_map);
    let mut draft = lowering.draft;
    if map.pixels() != 1 {
        return Err(LowerError::Unsupported { node: "output".into(), reason: "a classifier's result is one vector" });
    }
    let classes = map.channels as u32;
    let top = options.top.clamp(1, classes);
    let pair_bytes = top_k::best_bytes(top);
    let best = draft.table("top_k", pair_bytes.div_ceil(16))?;
    let memory = [("scores", Binding::Value(scores)), ("best", Binding::Value(best))];
    let dispatch = top_k::top_k(classes, top, draft.limits.software);
    draft.launch("top_k", dispatch, &memory);
    Ok(Drafted { draft, input: (input, network.input), scores: (scores, map), best, top })
}

/// A network on its way to launches.
pub(super) struct Lowering<'a> {
    network: &'a FoldedNetwork,
    options: &'a Options,
    pub draft: Draft<'a>,
    input: Value,
    /// The result of each layer so far; of an expansion that is computed with the layer after it, what it reads.
    results: Vec<Value>,
    /// The weights of such expansions, by layer.
    pub(super) expansions: HashMap<usize, Expansion>,
}

impl<'a> Lowering<'a> {
    pub fn value_of(&self, source: Source) -> Value {
        match source {
            Source::Picture => self.input,
            Source::Layer(index) => self.results[index],
        }
    }

    pub(super) fn layers(&self) -> Layers<'_> {
        Layers { network: self.network, options: self.options, limits: &self.draft.limits }
    }

    /// The way that a layer takes: the rule's, where none was chosen.
    pub fn way(&mut self, index: usize) -> Way {
        let layer = &self.network.layers[index];
        match self.layers().chosen(index) {
            Some(way) => {
                self.draft.chosen.insert(layer.name.clone(), way.name(layer));
                way
            }
            None => self.layers().rule(index),
        }
    }

    fn layer(&mut self, index: usize, layer: &'a Layer) -> Result<Value, LowerError> {
        // Before any size of it is computed with.
        self.draft.room(&layer.name, vec4s(layer.output_map), self.draft.precision)?;
        match &layer.op {
            LayerOp::Convolution(convolution, weights) => self.convolution(index, layer, convolution, weights),
            LayerOp::DynamicConvolution(weights) => self.dynamic_convolution(index, layer, weights),
            LayerOp::AveragePool { bins } => self.average_pool(layer, pooling(*bins)),
            LayerOp::Linear(weights) => self.linear(layer, weights),
            LayerOp::DynamicLinear(weights) => self.dynamic_linear(index, layer, weights),
            LayerOp::Softmax => self.softmax(layer),
        }
    }

    fn convolution(
        &mut self,
        index: usize,
        layer: &Layer,
        c: &Convolution,
        weights: &'a StaticWeights,
    ) -> Result<Value, LowerError> {
        let (x, y) = (layer.input_map, layer.output_map);
        let taps = c.kernel * c.kernel;
        let (way, epilogue) = (self.way(index), self.epilogue(index, layer));
        let packed = match c.connection {
            Connection::Depthwise => pack::depthwise(&weights.weight, x.channels, taps),
            Connection::Dense if c.is_pointwise() => pack::panels(&weights.weight, y.channels, x.channels),
            Connection::Dense => pack::dense(&weights.weight, y.channels, x.channels, taps),
        };
        let block = self.draft.weights(&layer.name, vec![packed, pack::vector(&weights.bias)])?;
        if c.is_pointwise() {
            return self.pointwise_of_matrix(index, layer, block, false, epilogue, way.tile);
        }
        without_sum(layer)?;
        let (dispatch, slots) = match c.connection {
            Connection::Depthwise => {
                let shape = depthwise_shape(c, x, y, way);
                if let Some(tile) = way.expand {
                    return self.expand_depthwise(index, layer, shape, block, epilogue, tile);
                }
                (conv_depthwise::dispatch(shape, epilogue), shape.slots())
            }
            Connection::Dense => {
                let shape = dense_shape(c, x, y);
                (conv_dense::dispatch(shape, epilogue, way.tile), shape.slots(way.tile))
            }
        };
        let input = Binding::Value(self.value_of(layer.input));
        self.launch_convolution(layer, dispatch, slots, epilogue, vec![("weights", block), ("input", input)])
    }

    pub fn pointwise(
        &mut self,
        layer: &Layer,
        weights: conv_pointwise::Weights,
        epilogue: Epilogue,
        tile: Tile,
        mut memory: Vec<(&'static str, Binding)>,
    ) -> Result<Value, LowerError> {
        let shape = pointwise_shape(layer.input_map, layer.output_map);
        memory.extend(self.maps_of_pointwise(layer, epilogue)?);
        let dispatch = conv_pointwise::dispatch(shape, weights, epilogue, tile);
        self.launch_convolution(layer, dispatch, shape.slots(tile), epilogue, memory)
    }

    /// What a pointwise convolution binds beside its weights and what every convolution binds. What is not there is bound too: the
    /// input stands in for a residual, which is not read then, and some slot for sums that are not written.
    pub(super) fn maps_of_pointwise(
        &mut self,
        layer: &Layer,
        epilogue: Epilogue,
    ) -> Result<Vec<(&'static str, Binding)>, LowerError> {
        let residual = layer.residual.unwrap_or(layer.input);
        let mut memory = vec![
            ("input", Binding::Value(self.value_of(layer.input))),
            ("residual", Binding::Value(self.value_of(residual))),
        ];
        if epilogue.pooling.is_none() {
            memory.push(("partials", Binding::Value(self.draft.table(&layer.name, 1)?)));
        }
        Ok(memory)
    }

    /// Launches a convolution, with room for its output and for the pool sums that its epilogue makes.
    pub(super) fn launch_convolution(
        &mut self,
        layer: &Layer,
        dispatch: crate::kernels::Dispatch,
        slots: u32,
        epilogue: Epilogue,
        mut memory: Vec<(&'static str, Binding)>,
    ) -> Result<Value, LowerError> {
        let output = self.draft.map(&layer.name, vec4s(layer.output_map))?;
        memory.push(("output", Binding::Value(output)));
        if let Some(pooling) = epilogue.pooling {
            let sums = slots * pooling.count() * groups(layer.output_map.channels) as u32;
            let value = self.draft.table(&layer.name, sums.into())?;
            memory.push(("partials", Binding::Value(value)));
            self.draft.sums.insert((output, pooling), PoolSums { value, slots });
        }
        self.draft.launch(&layer.name, dispatch, &memory);
        Ok(output)
    }

    fn average_pool(&mut self, layer: &Layer, pooling: Pooling) -> Result<Value, LowerError> {
        if self.layers().averages_at_once(pooling) {
            let output = self.draft.map(&layer.name, vec4s(layer.output_map))?;
            let memory = [("map", Binding::Value(self.value_of(layer.input))), ("means", Binding::Value(output))];
            self.draft.launch(&layer.name, pool::mean(pool_shape(layer.input_map)), &memory);
            return Ok(output);
        }
        let sums = self.sums_of(layer, pooling)?;
        let output = self.draft.map(&layer.name, vec4s(layer.output_map))?;
        let dispatch = pool::finish(pool_shape(layer.input_map), sums.slots, pooling);
        let memory = [("partials", Binding::Value(sums.value)), ("means", Binding::Value(output))];
        self.draft.launch(&layer.name, dispatch, &memory);
        Ok(output)
    }

    /// The pool sums of a layer's input: its producer's epilogue made them, or one more launch does.
    pub fn sums_of(&mut self, layer: &Layer, pooling: Pooling) -> Result<PoolSums, LowerError> {
        let value = self.value_of(layer.input);
        let map = layer.input_map;
        // Sums are f32 in every precision: a vector is its own sum only where it is f32 too.
        if map.pixels() == 1 && pooling == Pooling::Global && self.draft.values[value.0].precision == Precision::F32 {
            return Ok(PoolSums { value, slots: 1 });
        }
        if let Some(sums) = self.draft.sums.get(&(value, pooling)) {
            return Ok(*sums);
        }
        let slots = map.height as u32;
        let vec4s = u64::from(slots * pooling.count()) * groups(map.channels) as u64;
        let sums = PoolSums { value: self.draft.table(&layer.name, vec4s)?, slots };
        let memory = [("map", Binding::Value(value)), ("row_sums", Binding::Value(sums.value))];
        self.draft.launch(&layer.name, pool::sum(pool_shape(map), pooling), &memory);
        self.draft.sums.insert((value, pooling), sums);
        Ok(sums)
    }

    fn linear(&mut self, layer: &Layer, weights: &'a StaticWeights) -> Result<Value, LowerError> {
        let (inputs, outputs) = (layer.input_map.channels, layer.output_map.channels);
        let packed = vec![pack::panels(&weights.weight, outputs, inputs), pack::vector(&weights.bias)];
        let block = self.draft.weights(&layer.name, packed)?;
        self.fully_connected(layer, 0, vec![("weights", block)])
    }

    pub fn fully_connected(
        &mut self,
        layer: &Layer,
        latent_groups: u32,
        mut memory: Vec<(&'static str, Binding)>,
    ) -> Result<Value, LowerError> {
        without_sum(layer)?;
        let shape = linear::Shape {
            in_groups: groups(layer.input_map.channels) as u32,
            out_groups: groups(layer.output_map.channels) as u32,
            latent_groups,
        };
        let output = self.draft.table(&layer.name, vec4s(layer.output_map))?;
        memory.push(("input", Binding::Value(self.value_of(layer.input))));
        memory.push(("output", Binding::Value(output)));
        self.draft.launch(&layer.name, linear::dispatch(shape, nonlinearity(layer.activation)), &memory);
        Ok(output)
    }

    fn softmax(&mut self, layer: &Layer) -> Result<Value, LowerError> {
        let output = self.draft.table(&layer.name, vec4s(layer.output_map))?;
        let memory =
            [("scores", Binding::Value(self.value_of(layer.input))), ("probabilities", Binding::Value(output))];
        let dispatch = top_k::softmax(layer.output_map.channels as u32, self.draft.limits.software);
        self.draft.launch(&layer.name, dispatch, &memory);
        Ok(output)
    }

    pub fn epilogue(&self, index: usize, layer: &Layer) -> Epilogue {
        Epilogue {
            nonlinearity: nonlinearity(layer.activation),
            residual: layer.residual.is_some(),
            pooling: self.layers().pooling_wanted(index),
        }
    }
}

/// Refuses a layer with a residual sum, which its kernels cannot add.
fn without_sum(layer: &Layer) -> Result<(), LowerError> {
    let reason = "a sum can only follow a pointwise convolution of stride 1";
    layer.residual.map_or(Ok(()), |_| Err(LowerError::Unsupported { node: layer.name.clone(), reason }))
}

fn vec4s(map: Map) -> u64 {
    map.pixels() as u64 * groups(map.channels) as u64
}

/// The graph has checked that there are one or two bins.
pub(super) fn pooling(bins: usize) -> Pooling {
    if bins == 1 { Pooling::Global } else { Pooling::TwoByTwo }
}

fn nonlinearity(activation: Activation) -> Nonlinearity {
    match activation {
        Activation::Identity => Nonlinearity::Identity,
        Activation::Relu => Nonlinearity::Relu,
        Activation::Relu6 => Nonlinearity::Relu6,
    }
}

fn pool_shape(map: Map) -> pool::Shape {
    pool::Shape { height: map.height as u32, width: map.width as u32, groups: groups(map.channels) as u32 }
}

fn pointwise_shape(x: Map, y: Map) -> conv_pointwise::Shape {
    conv_pointwise::Shape {
        height: x.height as u32,
        width: x.width as u32,
        in_groups: groups(x.channels) as u32,
        out_groups: groups(y.channels) as u32,
    }
}

fn depthwise_shape(c: &Convolution, x: Map, y: Map, way: Way) -> conv_depthwise::Shape {
    conv_depthwise::Shape {
        input: [x.height as u32, x.width as u32],
        output: [y.height as u32, y.width as u32],
        groups: groups(x.channels) as u32,
        kernel: c.kernel as u32,
        stride: c.stride as u32,
        padding: [c.padding.top as u32, c.padding.left as u32],
        tile_rows: way.rows,
        rolling: way.rolling,
    }
}

fn dense_shape(c: &Convolution, x: Map, y: Map) -> conv_dense::Shape {
    conv_dense::Shape {
        input: [x.height as u32, x.width as u32],
        in_groups: groups(x.channels) as u32,
        output: [y.height as u32, y.width as u32],
        out_groups: groups(y.channels) as u32,
        kernel: c.kernel as u32,
        stride: c.stride as u32,
        padding: [c.padding.top as u32, c.padding.left as u32],
    }
}
