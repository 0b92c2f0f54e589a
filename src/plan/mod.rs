//! The plan: an inert list of kernel launches with the memory they use. An executor obeys it; nothing else runs a network.
//!
//! A plan is plain data: it can be printed, compared and validated without any device.

mod dump;
mod dynamic;
mod limits;
mod validate;

pub use dynamic::{DynamicLayer, Insight};
pub use limits::Limits;
pub use validate::PlanError;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::kernels::{Access, Dispatch, Precision};
use crate::tensor::{Aligned, Map};

/// Everything an executor needs to run a network on up to `batch` pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The network's name.
    pub name: String,
    /// Pictures of one run, at most.
    pub batch: u32,
    /// The runs of a batch: more than one where more pictures were asked for than the device computes at once.
    pub runs: u32,
    /// What the device was said to allow.
    pub limits: Limits,
    /// How maps and weights are stored.
    pub precision: Precision,
    /// The contents of the weight arena.
    pub weights: Aligned<u8>,
    /// Bytes of each activation slot. A slot holds one map after another, never two at once.
    pub slots: Vec<u64>,
    /// The launches in order.
    pub passes: Vec<Pass>,
    /// The prepared pictures, channels-last.
    pub input: Output,
    /// The class scores.
    pub scores: Output,
    /// The most probable classes of each picture: pairs of class and probability as f32.
    pub best: View,
    /// Pairs of `best` for each picture.
    pub top: u32,
    /// What the controllers of the dynamic layers compute, where it was asked to outlive the run.
    pub dynamic: Vec<DynamicLayer>,
    /// The ways that layers were told to take and take, by node; the others take the rule's. Said to people, no more.
    pub chosen: BTreeMap<String, String>,
}

/// A map in memory for every picture of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The size of one picture's map.
    pub map: Map,
    /// Where the maps lie, one after another.
    pub view: View,
}

/// One launch with its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The node of the network that the launch works for.
    pub node: String,
    /// The launch.
    pub dispatch: Dispatch,
    /// Its storage buffers, in the order of the entry point's bindings.
    pub bindings: Vec<View>,
}

impl Pass {
    /// What it binds, in the order of the entry point's bindings: name, access and memory.
    pub fn bound(&self) -> impl Iterator<Item = (&'static str, Access, View)> {
        let bindings = self.dispatch.kernel.spec().bindings_of(self.dispatch.entry).into_iter().flatten();
        bindings.zip(&self.bindings).map(|((_, name, access), view)| (name, access, *view))
    }
}

/// The two kinds of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The weight arena, never written.
    Weights,
    /// An activation slot.
    Slot(u32),
}

/// A range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct View {
    /// Which memory.
    pub memory: Memory,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
    /// How its values are stored.
    pub precision: Precision,
}

impl View {
    /// Values that it holds.
    pub const fn values(&self) -> u64 {
        self.bytes / self.precision.bytes()
    }
}

impl Plan {
    /// Bytes of all activation slots.
    pub fn activation_bytes(&self) -> u64 {
        self.slots.iter().sum()
    }
}
