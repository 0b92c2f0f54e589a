//! Gives every value of a draft its place: values whose lives do not overlap share a slot.
//!
//! A slot holds one value at a time, so no launch ever binds one buffer both to read and to write, which WebGPU forbids.

use std::collections::HashMap;

use super::draft::{Binding, Value};
use super::layers::Drafted;
use super::{LowerError, Options};
use crate::plan::{DynamicLayer, Limits, Memory, Output, Pass, Plan, View};

pub(super) fn place(name: &str, drafted: Drafted<'_>, options: &Options, limits: Limits) -> Result<Plan, LowerError> {
    let [runs, batch] = options.runs(&limits);
    let Drafted { draft, input, scores, best, top } = drafted;
    let mut places = Places { bytes: Vec::new(), free: Vec::new(), of: HashMap::new() };
    let dynamic = if options.insight { &draft.dynamic[..] } else { &[] };
    // What the user reads or writes keeps a slot of its own for the whole run.
    let pinned: Vec<Value> = [input.0, scores.0, best].into_iter().chain(dynamic.iter().map(|d| d.heads)).collect();
    for value in &pinned {
        places.pin(*value, draft.values[value.0].bytes);
    }
    let mut last_use: HashMap<Value, usize> = HashMap::new();
    for (index, pass) in draft.passes.iter().enumerate() {
        last_use.extend(pass.values().map(|(value, _)| (value, index)));
    }
    for (index, pass) in draft.passes.iter().enumerate() {
        for (value, _) in pass.values() {
            places.occupy(value, draft.values[value.0].bytes);
        }
        for (value, _) in pass.values() {
            if last_use.get(&value) == Some(&index) && !pinned.contains(&value) {
                places.release(value);
            }
        }
    }
    let view = |value: Value| View {
        memory: Memory::Slot(places.of.get(&value).copied().unwrap_or(u32::MAX)),
        offset: 0,
        bytes: draft.values[value.0].bytes,
        precision: draft.values[value.0].precision,
    };
    let bound = |binding: &Binding| match *binding {
        Binding::Value(value) => view(value),
        Binding::Weights { offset, bytes } => {
            View { memory: Memory::Weights, offset, bytes, precision: draft.precision }
        }
    };
    let passes = draft.passes.iter().map(|pass| Pass {
        node: pass.node.clone(),
        dispatch: pass.dispatch.clone(),
        bindings: pass.bindings.iter().map(bound).collect(),
    });
    let dynamic = dynamic.iter().map(|layer| DynamicLayer {
        node: layer.node.clone(),
        inputs: layer.inputs,
        outputs: layer.outputs,
        latent: layer.latent,
        heads: view(layer.heads),
    });
    Ok(Plan {
        dynamic: dynamic.collect(),
        name: name.into(),
        batch,
        runs,
        precision: draft.precision,
        limits,
        passes: passes.collect(),
        input: Output { map: input.1, view: view(input.0) },
        scores: Output { map: scores.1, view: view(scores.0) },
        best: view(best),
        top,
        slots: places.bytes,
        weights: draft.stored_weights()?,
        chosen: draft.chosen,
    })
}

struct Places {
    bytes: Vec<u64>,
    free: Vec<u32>,
    of: HashMap<Value, u32>,
}

impl Places {
    fn pin(&mut self, value: Value, bytes: u64) {
        self.of.insert(value, self.bytes.len() as u32);
        self.bytes.push(bytes);
    }

    /// Finds a slot for a value that has none: the smallest free one that is large enough, else the largest free one,
    /// which grows, else a new one.
    fn occupy(&mut self, value: Value, bytes: u64) {
        if self.of.contains_key(&value) {
            return;
        }
        let size = |slot: &u32| self.bytes[*slot as usize];
        let fitting = self.free.iter().copied().filter(|slot| size(slot) >= bytes).min_by_key(|slot| size(slot));
        match fitting.or_else(|| self.free.iter().copied().max_by_key(|slot| size(slot))) {
            Some(slot) => {
                self.free.retain(|free| *free != slot);
                self.bytes[slot as usize] = self.bytes[slot as usize].max(bytes);
                self.of.insert(value, slot);
            }
            None => self.pin(value, bytes),
        }
    }

    fn release(&mut self, value: Value) {
        if let Some(slot) = self.of.get(&value) {
            self.free.push(*slot);
        }
    }
}
