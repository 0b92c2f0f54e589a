//! A plan in the making: launches over maps that have no place in memory yet.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::LowerError;
use super::pack::Part;
use crate::kernels::{Access, Dispatch, Pooling};
use crate::plan::Limits;
use crate::tensor::{Aligned, MOST_STORED, Precision};

/// Shaders and dispatch arithmetic count in u32; a larger map would be addressed wrongly whatever the device allows.
pub(super) const ADDRESSABLE_BYTES: u64 = 1 << 32;

/// The most bytes of a value.
pub(super) fn most_bytes(limits: &Limits) -> u64 {
    limits.storage_binding_bytes.min(limits.buffer_bytes).min(ADDRESSABLE_BYTES)
}

/// Bytes of the largest element that a binding may have.
pub(super) const VEC4_BYTES: u32 = 16;

/// A map, vector or table that launches read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub usize);

/// The room that a value needs for the whole batch.
#[derive(Clone, Copy)]
pub struct Room {
    pub bytes: u64,
    pub precision: Precision,
}

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

/// A block of the weight arena.
struct Block<'a> {
    node: String,
    offset: u64,
    bytes: u64,
    parts: Vec<Part<'a>>,
}

/// All launches so far with what they need.
pub struct Draft<'a> {
    pub limits: Limits,
    pub batch: u64,
    /// How maps and weights are stored.
    pub precision: Precision,
    weights: Vec<Block<'a>>,
    weight_bytes: u64,
    pub values: Vec<Room>,
    pub passes: Vec<DraftPass>,
    /// Sums of a value's map that already exist.
    pub sums: HashMap<(Value, Pooling), PoolSums>,
    /// The dynamic layers so far.
    pub dynamic: Vec<DraftDynamic>,
    /// The ways that layers were told to take, by node.
    pub chosen: BTreeMap<String, String>,
}

impl<'a> Draft<'a> {
    pub fn new(batch: u32, precision: Precision, limits: Limits) -> Self {
        let batch = u64::from(batch);
        Self {
            limits,
            batch,
            precision,
            weights: vec![],
            weight_bytes: 0,
            values: vec![],
            passes: vec![],
            sums: HashMap::new(),
            dynamic: vec![],
            chosen: BTreeMap::new(),
        }
    }

    /// The room for `vec4s` vec4 of each picture, where the device has it.
    pub fn room(&self, node: &str, vec4s: u64, precision: Precision) -> Result<Room, LowerError> {
        let limit = most_bytes(&self.limits);
        let bytes = vec4s.saturating_mul(4 * precision.bytes()).saturating_mul(self.batch);
        if bytes > limit {
            return Err(LowerError::TooLarge { node: node.into(), bytes, limit });
        }
        Ok(Room { bytes, precision })
    }

    /// A new map of `vec4s` vec4 for each picture.
    pub fn map(&mut self, node: &str, vec4s: u64) -> Result<Value, LowerError> {
        self.values.push(self.room(node, vec4s, self.precision)?);
        Ok(Value(self.values.len() - 1))
    }

    /// A new table of `vec4s` vec4 for each picture, which is f32 however maps are stored.
    pub fn table(&mut self, node: &str, vec4s: u64) -> Result<Value, LowerError> {
        self.values.push(self.room(node, vec4s, Precision::F32)?);
        Ok(Value(self.values.len() - 1))
    }

    /// Adds a block of parts that follow one another to the weight arena.
    pub fn weights(&mut self, node: &str, parts: Vec<Part<'a>>) -> Result<Binding, LowerError> {
        let alignment = self.limits.storage_alignment.max(VEC4_BYTES);
        let offset = self.weight_bytes.next_multiple_of(alignment.into());
        let bytes = parts.iter().map(|part| part.values).sum::<usize>() as u64 * self.precision.bytes();
        let (binding, buffer) = (most_bytes(&self.limits), self.limits.buffer_bytes);
        if bytes > binding || offset + bytes > buffer {
            let (bytes, limit) = if bytes > binding { (bytes, binding) } else { (offset + bytes, buffer) };
            return Err(LowerError::WeightsTooLarge { node: node.into(), bytes, limit });
        }
        self.weight_bytes = offset + bytes;
        self.weights.push(Block { node: node.into(), offset, bytes, parts });
        Ok(Binding::Weights { offset, bytes })
    }

    /// The weight arena as it is stored.
    pub fn stored_weights(&self) -> Result<Aligned<u8>, LowerError> {
        let mut arena = Aligned::zeros(self.weight_bytes as usize);
        let (mut rest, mut end, mut places) = (&mut arena[..], 0, Vec::new());
        for block in &self.weights {
            let (place, after) = rest[(block.offset - end) as usize..].split_at_mut(block.bytes as usize);
            places.push((place, block));
            (rest, end) = (after, block.offset + block.bytes);
        }
        let stored = places.into_par_iter().map(|(mut place, block)| {
            block.parts.iter().try_for_each(|part| {
                let own = place.split_off_mut(..part.values * self.precision.bytes() as usize);
                self.store(&block.node, part, own.unwrap_or_default())
            })
        });
        // Of several errors the first layer's.
        let stored: Vec<_> = stored.collect();
        stored.into_iter().collect::<Result<(), LowerError>>()?;
        Ok(arena)
    }

    /// Stores a part in bytes that are zero. Parts are whole vec4, so each begins where a number may.
    fn store(&self, node: &str, part: &Part<'_>, place: &mut [u8]) -> Result<(), LowerError> {
        if self.precision == Precision::F32 {
            part.write(bytemuck::cast_slice_mut(place));
            return Ok(());
        }
        let mut values = vec![0.0; part.values];
        part.write(&mut values);
        if values.iter().any(|weight| weight.abs() > MOST_STORED) {
            let reason = "a weight is larger than 65504, the largest number of half precision";
            return Err(LowerError::Unsupported { node: node.into(), reason });
        }
        let mut at = 0;
        self.precision.encode(&values, &mut |bytes| {
            place[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        });
        Ok(())
    }

    /// Adds a launch, with its maps stored as all are. The memory is given by binding name; the order is the kernel's.
    pub fn launch(&mut self, node: &str, dispatch: Dispatch, memory: &[(&str, Binding)]) {
        let dispatch = dispatch.stored_as(self.precision);
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
