//! A plan in the making: launches over maps that have no place in memory yet.

use std::collections::{BTreeMap, HashMap};

use super::LowerError;
use crate::kernels::{Access, Dispatch, Pooling};
use crate::plan::Limits;
use crate::tensor::GROUP;

/// Shaders and dispatch arithmetic count in u32; a larger map would be addressed wrongly whatever the device allows.
const ADDRESSABLE_BYTES: u64 = 1 << 32;

/// A map, vector or table that launches read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub usize);

/// What a launch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A value that some launch writes.
    Value(Value),
    /// A block of the weight arena: first byte and bytes.
    Weights { offset: u64, bytes: u64 },
}

/// A launch without places in memory.
pub struct DraftPass {
    pub node: String,
    pub dispatch: Dispatch,
    pub bindings: Vec<Binding>,
}

/// A dynamic layer with what its controller writes.
pub struct DraftDynamic {
    pub node: String,
    pub inputs: usize,
    pub outputs: usize,
    pub latent: usize,
    pub heads: Value,
}

/// Sums for a pool that some launch writes.
#[derive(Clone, Copy)]
pub struct PoolSums {
    pub value: Value,
    pub slots: u32,
}

/// All launches so far with what they need.
pub struct Draft {
    pub limits: Limits,
    pub batch: u64,
    pub weights: Vec<f32>,
    /// Bytes of each value, for the whole batch.
    pub values: Vec<u64>,
    pub passes: Vec<DraftPass>,
    /// Sums of a value's map that already exist.
    pub sums: HashMap<(Value, Pooling), PoolSums>,
    /// The dynamic layers so far.
    pub dynamic: Vec<DraftDynamic>,
    /// The ways that layers were told to take, by node.
    pub chosen: BTreeMap<String, String>,
}

impl Draft {
    pub fn new(batch: u32, limits: Limits) -> Self {
        let batch = u64::from(batch);
        Self {
            limits,
            batch,
            weights: vec![],
            values: vec![],
            passes: vec![],
            sums: HashMap::new(),
            dynamic: vec![],
            chosen: BTreeMap::new(),
        }
    }

    /// Bytes of a value of `vec4s` vec4 for each picture, where the device has room for it.
    pub fn bytes(&self, node: &str, vec4s: u64) -> Result<u64, LowerError> {
        let limit = self.limits.storage_binding_bytes.min(self.limits.buffer_bytes).min(ADDRESSABLE_BYTES);
        let bytes = vec4s.saturating_mul(16).saturating_mul(self.batch);
        if bytes > limit {
            return Err(LowerError::TooLarge { node: node.into(), bytes, limit });
        }
        Ok(bytes)
    }

    /// A new value of `vec4s` vec4 for each picture.
    pub fn value(&mut self, node: &str, vec4s: u64) -> Result<Value, LowerError> {
        self.values.push(self.bytes(node, vec4s)?);
        Ok(Value(self.values.len() - 1))
    }

    /// Adds a block to the weight arena.
    pub fn weights(&mut self, node: &str, block: Vec<f32>) -> Result<Binding, LowerError> {
        let alignment = (self.limits.storage_alignment as usize / size_of::<f32>()).max(GROUP);
        self.weights.resize(self.weights.len().next_multiple_of(alignment), 0.0);
        let offset = (self.weights.len() * size_of::<f32>()) as u64;
        let bytes = (block.len() * size_of::<f32>()) as u64;
        let (binding, buffer) = (self.limits.storage_binding_bytes, self.limits.buffer_bytes);
        if bytes > binding || offset + bytes > buffer {
            let (bytes, limit) = if bytes > binding { (bytes, binding) } else { (offset + bytes, buffer) };
            return Err(LowerError::TooLarge { node: node.into(), bytes, limit });
        }
        self.weights.extend(block);
        Ok(Binding::Weights { offset, bytes })
    }

    /// Adds a launch. The memory is given by binding name; the order is the kernel's.
    pub fn launch(&mut self, node: &str, dispatch: Dispatch, memory: &[(&str, Binding)]) {
        let names = dispatch.kernel.spec().bindings_of(dispatch.entry).into_iter().flatten();
        let bindings = names.filter_map(|(_, name, _)| Some(memory.iter().find(|(n, _)| *n == name)?.1)).collect();
        self.passes.push(DraftPass { node: node.into(), dispatch, bindings });
    }
}

impl DraftPass {
    /// The values that the launch touches, each with how.
    pub fn values(&self) -> impl Iterator<Item = (Value, Access)> {
        let accesses = self.dispatch.kernel.spec().bindings_of(self.dispatch.entry).into_iter().flatten();
        accesses.zip(&self.bindings).filter_map(|((_, _, access), binding)| match binding {
            Binding::Value(value) => Some((*value, access)),
            Binding::Weights { .. } => None,
        })
    }
}
