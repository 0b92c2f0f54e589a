//! Prints a plan for people and for snapshots.

use std::fmt;

use super::{Memory, Plan, View};
use crate::kernels::Precision;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} launches, up to {} picture(s) a run", self.name, self.passes.len(), self.batch)?;
        if self.precision != Precision::F32 {
            writeln!(f, "maps and weights stored as {}", self.precision.name())?;
        }
        writeln!(
            f,
            "weights {} bytes, activations {} bytes in {} slots",
            self.weights.len(),
            self.activation_bytes(),
            self.slots.len()
        )?;
        writeln!(
            f,
            "input {} in {}, scores {} in {}",
            self.input.map, self.input.view, self.scores.map, self.scores.view
        )?;
        if !self.chosen.is_empty() {
            writeln!(f, "{} layers take the ways chosen for them", self.chosen.len())?;
        }
        for (index, pass) in self.passes.iter().enumerate() {
            let dispatch = &pass.dispatch;
            let spec = dispatch.kernel.spec();
            let [x, y] = dispatch.workgroups;
            write!(f, "{index:3} {} | {} {}", pass.node, spec.stem, dispatch.entry)?;
            for (name, value) in &dispatch.overrides {
                write!(f, " {name}={value}")?;
            }
            write!(f, " | {x}×{y} workgroups | ")?;
            for (name, _, view) in pass.bound().filter(|(name, ..)| !dispatch.ignores(name)) {
                write!(f, "{name} {view}, ")?;
            }
            let cost = dispatch.cost;
            write!(f, "{} flops, {} bytes in, {} out", cost.flops, cost.bytes_read, cost.bytes_written)?;
            match self.chosen.get(&pass.node) {
                Some(way) => writeln!(f, ", chosen: {way}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory {
            Memory::Weights => write!(f, "w+{}:{}", self.offset, self.bytes),
            Memory::Slot(slot) => write!(f, "s{slot}:{}", self.bytes),
        }
    }
}
