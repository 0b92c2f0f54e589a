//! Chooses the launches of dynamic layers.

use super::draft::{Binding, DraftDynamic, PoolSums, Value};
use super::form::{Form, assemble_with_controller, controller_shape};
use super::layers::{Lowering, pooling};
use super::one_launch::OneLaunch;
use super::tile::controller_tile;
use super::{LowerError, pack};
use crate::graph::{DynamicWeights, Layer};
use crate::kernels::{
    Dispatch, Epilogue, Tile, assemble, controller, controller_assemble, conv_dynamic, conv_dynamic_subgroup,
    conv_pointwise, latent,
};
use crate::tensor::groups;

impl<'a> Lowering<'a> {
    pub fn dynamic_convolution(
        &mut self,
        index: usize,
        layer: &Layer,
        w: &'a DynamicWeights,
    ) -> Result<Value, LowerError> {
        let epilogue = self.epilogue(index, layer);
        let way = self.way(index);
        let one = OneLaunch::of(layer, w, way.form, self.draft.batch, &self.draft.limits).filter(|_| way.one_launch);
        // What the next layer computes too has launches of its own, whatever its way says.
        if one.is_some() && !self.layers().is_expanded_later(index) {
            return self.in_one_launch(layer, w, one, epilogue);
        }
        match way.form {
            Form::Assemble => {
                let assembled = self.assembled_weights(layer, w)?;
                self.pointwise_of_matrix(index, layer, assembled, true, epilogue, way.tile)
            }
            Form::Branch => {
                let heads = self.controller(layer, w)?;
                let latent = self.latent(layer, w, heads, way.latent)?;
                let block = self.draft.weights(&layer.name, pack::branch(w).into())?;
                let weights = conv_pointwise::Weights::Branch { latent_groups: groups(w.sizes.latent) as u32 };
                let memory =
                    vec![("weights", block), ("heads", Binding::Value(heads)), ("latent", Binding::Value(latent))];
                self.pointwise(layer, weights, epilogue, way.tile, memory)
            }
            Form::InLoad => self.in_one_launch(layer, w, None, epilogue),
        }
    }

    /// A dynamic convolution with its controller in one launch: as software does it, or else with W(x) formed where it is loaded.
    fn in_one_launch(
        &mut self,
        layer: &Layer,
        w: &'a DynamicWeights,
        one: Option<OneLaunch>,
        epilogue: Epilogue,
    ) -> Result<Value, LowerError> {
        let (shape, sums) = self.controller_shape(layer, w)?;
        let (dispatch, slots, weights) = match one {
            Some(one) => (one.dispatch(shape, epilogue), conv_dynamic_subgroup::slots(shape), one.pack(w)),
            None => (conv_dynamic::dispatch(shape, epilogue), conv_dynamic::slots(shape), pack::assemble(w)),
        };
        let block = self.draft.weights(&layer.name, pack::controller(w).into_iter().chain(weights).collect())?;
        let heads = self.heads(layer, w, shape)?;
        let mut memory =
            vec![("weights", block), ("sums", Binding::Value(sums.value)), ("heads", Binding::Value(heads))];
        if let Some(one) = one {
            // Each entry point has one of them.
            let made = Binding::Value(self.draft.table(&layer.name, one.scratch_vec4s(shape))?);
            memory.extend(["assembled", "latent"].map(|name| (name, made)));
        }
        memory.extend(self.maps_of_pointwise(layer, epilogue)?);
        self.launch_convolution(layer, dispatch, slots, epilogue, memory)
    }

    /// W(x) and b(x) of a dynamic convolution: in one launch with its controller where that fits.
    fn assembled_weights(&mut self, layer: &Layer, w: &'a DynamicWeights) -> Result<Binding, LowerError> {
        let shape = assemble::Shape {
            in_groups: groups(w.inputs) as u32,
            out_groups: groups(w.sizes.outputs) as u32,
            latent_groups: groups(w.sizes.latent) as u32,
        };
        let (control, sums) = self.controller_shape(layer, w)?;
        let fused = assemble_with_controller(control, &self.draft.limits);
        let heads = if fused.is_some() { self.heads(layer, w, control)? } else { self.controller(layer, w)? };
        let assembled = Binding::Value(self.draft.map(&layer.name, shape.assembled_vec4s().into())?);
        let (dispatch, block) = match fused {
            Some(dispatch) => (dispatch, pack::controller(w).into_iter().chain(pack::assemble(w)).collect()),
            None => (assemble::dispatch(shape), pack::assemble(w)),
        };
        let room = controller_assemble::scratch_vec4s(control, &dispatch);
        let block = self.draft.weights(&layer.name, block)?;
        let partials = Binding::Value(sums.value);
        let memory = vec![
            ("partials", partials),
            ("weights", block),
            ("heads", Binding::Value(heads)),
            ("assembled", assembled),
        ];
        self.launch_sharing(layer, dispatch, room, memory)?;
        Ok(assembled)
    }

    /// A launch with a buffer of `room` vec4 in which each workgroup shares memory, where there is any.
    fn launch_sharing(
        &mut self,
        layer: &Layer,
        dispatch: Dispatch,
        room: u64,
        mut memory: Vec<(&str, Binding)>,
    ) -> Result<(), LowerError> {
        if room > 0 {
            memory.push(("scratch", Binding::Value(self.draft.table(&layer.name, room)?)));
        }
        self.draft.launch(&layer.name, dispatch, &memory);
        Ok(())
    }

    /// M(x) and λ(x) of a dynamic layer.
    fn controller(&mut self, layer: &Layer, w: &'a DynamicWeights) -> Result<Value, LowerError> {
        let (shape, sums) = self.controller_shape(layer, w)?;
        let block = self.draft.weights(&layer.name, pack::controller(w))?;
        let heads = self.heads(layer, w, shape)?;
        let memory =
            vec![("partials", Binding::Value(sums.value)), ("weights", block), ("heads", Binding::Value(heads))];
        let dispatch = controller::dispatch(shape, controller_tile(&self.draft.limits));
        let room = controller::scratch_vec4s(shape, &dispatch);
        self.launch_sharing(layer, dispatch, room, memory)?;
        Ok(heads)
    }

    /// The sizes of a dynamic layer's controller, with the sums that it begins with.
    fn controller_shape(
        &mut self,
        layer: &Layer,
        w: &'a DynamicWeights,
    ) -> Result<(controller::Shape, PoolSums), LowerError> {
        let sums = self.sums_of(layer, pooling(w.sizes.bins))?;
        let shape = controller_shape(&w.sizes, layer.input_map, sums.slots);
        Ok((shape, sums))
    }

    /// Room for M(x) and λ(x) of a dynamic layer.
    fn heads(&mut self, layer: &Layer, w: &'a DynamicWeights, shape: controller::Shape) -> Result<Value, LowerError> {
        let heads = self.draft.table(&layer.name, shape.head_groups().into())?;
        self.draft.dynamic.push(DraftDynamic {
            node: layer.name.clone(),
            inputs: w.inputs,
            outputs: w.sizes.outputs,
            latent: w.sizes.latent,
            heads,
        });
        Ok(heads)
    }

    fn latent(&mut self, layer: &Layer, w: &'a DynamicWeights, heads: Value, tile: Tile) -> Result<Value, LowerError> {
        let shape = latent_shape(layer, w);
        let block = self.draft.weights(&layer.name, pack::latent(w))?;
        let latent = self.draft.map(&layer.name, u64::from(shape.pixels) * u64::from(shape.latent_groups))?;
        let memory = [
            ("input", Binding::Value(self.value_of(layer.input))),
            ("weights", block),
            ("heads", Binding::Value(heads)),
            ("latent", Binding::Value(latent)),
        ];
        self.draft.launch(&layer.name, latent::dispatch(shape, tile), &memory);
        Ok(latent)
    }

    pub fn dynamic_linear(&mut self, index: usize, layer: &Layer, w: &'a DynamicWeights) -> Result<Value, LowerError> {
        let heads = self.controller(layer, w)?;
        let tile = self.way(index).latent;
        let latent = self.latent(layer, w, heads, tile)?;
        let block = self.draft.weights(&layer.name, pack::branch(w).into())?;
        let memory = vec![("weights", block), ("heads", Binding::Value(heads)), ("latent", Binding::Value(latent))];
        self.fully_connected(layer, groups(w.sizes.latent) as u32, memory)
    }
}

/// The sizes of the branch's middle.
pub(super) fn latent_shape(layer: &Layer, w: &DynamicWeights) -> latent::Shape {
    let latent_groups = groups(w.sizes.latent) as u32;
    latent::Shape {
        pixels: layer.input_map.pixels() as u32,
        in_groups: groups(w.inputs) as u32,
        latent_groups,
        head_groups: 4 * latent_groups * latent_groups + groups(w.sizes.outputs) as u32,
    }
}
