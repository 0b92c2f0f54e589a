//! Checks a plan before any executor sees it.

use std::collections::HashMap;
use std::ops::Range;

use super::{DynamicLayer, Memory, Output, Pass, Plan, View};
use crate::kernels::{Access, Precision, Subgroups};

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A launch.
    #[error("pass {index} (`{node}`, {kernel} {entry}): {reason}")]
    Pass {
        /// Its place in the plan.
        index: usize,
        /// The node that it works for.
        node: String,
        /// Its kernel.
        kernel: &'static str,
        /// Its entry point.
        entry: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan's memory.
    #[error("{what}: {reason}")]
    Memory {
        /// Which memory.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What of each slot was written last.
type Written = HashMap<u32, Range<u64>>;

impl Plan {
    /// Checks the memory and every launch: that its kernel has the entry point, params and overrides named; that its memory
    /// exists, is aligned, and is not read and written at once; that no launch reads what none before has written last; and that
    /// counts and sizes keep the device's limits.
    ///
    /// # Errors
    /// The first fault, with where it is.
    pub fn validate(&self) -> Result<(), PlanError> {
        let mut written = Written::new();
        if let View { memory: Memory::Slot(slot), offset, bytes, .. } = self.input.view {
            written.insert(slot, offset..offset.saturating_add(bytes));
        }
        for (index, pass) in self.passes.iter().enumerate() {
            self.check_launch(pass).and_then(|()| self.check_memory(pass, &mut written)).map_err(|reason| {
                PlanError::Pass {
                    index,
                    node: pass.node.clone(),
                    kernel: pass.dispatch.kernel.spec().stem,
                    entry: pass.dispatch.entry,
                    reason,
                }
            })?;
        }
        self.check_buffers()
    }

    /// The buffers' sizes and number, and what the user writes to and reads from.
    fn check_buffers(&self) -> Result<(), PlanError> {
        let (batch, runs, most) = (self.batch, self.runs, self.limits.workgroups);
        if !(1..=most).contains(&batch.saturating_mul(runs)) {
            let reason = format!("takes {runs} runs of {batch} pictures, expected 1 to {most} pictures");
            return Err(PlanError::Memory { what: "a batch".into(), reason });
        }
        let limit = self.limits.buffer_bytes;
        let weights = ("the weights".to_string(), self.weights.len() as u64);
        let slots = self.slots.iter().enumerate().map(|(index, bytes)| (format!("slot {index}"), *bytes));
        for (what, bytes) in std::iter::once(weights).chain(slots) {
            if bytes > limit {
                let reason = format!("needs {bytes} bytes in one buffer, the device allows {limit}");
                return Err(PlanError::Memory { what, reason });
            }
        }
        let maps = |output: Output| output.view.precision.bytes() * output.map.padded_values() as u64;
        let best = 8 * u64::from(self.top);
        let heads =
            |layer: &DynamicLayer| ("the heads of a dynamic layer", layer.heads, 4 * layer.head_values() as u64);
        let views = [
            ("the input", self.input.view, maps(self.input)),
            ("the scores", self.scores.view, maps(self.scores)),
            ("the best classes", self.best, best),
        ];
        // What is read back is read as f32.
        let read_back = [("the scores", self.scores.view), ("the best classes", self.best)];
        let heads_read = self.dynamic.iter().map(|layer| ("the heads of a dynamic layer", layer.heads));
        let otherwise = |(_, view): &(&str, View)| view.precision != Precision::F32;
        if let Some((what, view)) = read_back.into_iter().chain(heads_read).find(otherwise) {
            let reason = format!("is stored as {}, expected f32", view.precision.name());
            return Err(PlanError::Memory { what: what.into(), reason });
        }
        for (what, view, picture_bytes) in views.into_iter().chain(self.dynamic.iter().map(heads)) {
            let needed = picture_bytes.saturating_mul(self.batch.into());
            let size = match view.memory {
                Memory::Slot(slot) => self.slots.get(slot as usize).copied().unwrap_or(0),
                Memory::Weights => 0,
            };
            if view.bytes < needed || view.offset.checked_add(view.bytes).is_none_or(|end| end > size) {
                let found = view.bytes;
                let reason = format!("needs {needed} bytes in a slot, found {found} of a slot of {size}");
                return Err(PlanError::Memory { what: what.into(), reason });
            }
        }
        Ok(())
    }

    fn check_launch(&self, pass: &Pass) -> Result<(), String> {
        let (dispatch, spec, limits) = (&pass.dispatch, pass.dispatch.kernel.spec(), &self.limits);
        let bindings = spec.bindings_of(dispatch.entry).ok_or("the kernel has no such entry point")?.count();
        match spec.subgroups {
            Subgroups::None => {}
            Subgroups::OfFour if limits.quads => {}
            Subgroups::OfFour => {
                return Err("needs subgroups of at least four invocations, which the device lacks".into());
            }
            Subgroups::OfEight | Subgroups::Whole if limits.subgroup.is_some() => {}
            _ => return Err("needs subgroups of at least eight invocations, which the device lacks".into()),
        }
        let is_subgroup = limits.whole_subgroups && dispatch.override_value("WORKGROUP_X") == limits.subgroup;
        if spec.subgroups == Subgroups::Whole && !is_subgroup {
            return Err("needs workgroups that are subgroups, which these are not on the device".into());
        }
        if !spec.stored.is_empty() && dispatch.precision != self.precision {
            let [own, plan] = [dispatch.precision, self.precision].map(Precision::name);
            return Err(format!("takes what is stored as {own}, in a plan of {plan}"));
        }
        if bindings != pass.bindings.len() {
            return Err(format!("binds {} buffers, the entry point has {bindings}", pass.bindings.len()));
        }
        if bindings > limits.storage_buffers as usize {
            return Err(format!("binds {bindings} storage buffers, the device allows {}", limits.storage_buffers));
        }
        if dispatch.params.len() != spec.params_bytes {
            return Err(format!("has {} bytes of params, expected {}", dispatch.params.len(), spec.params_bytes));
        }
        if let Some((name, _)) = dispatch.overrides.iter().find(|(name, _)| !spec.overrides.contains(name)) {
            return Err(format!("sets an override `{name}` that the kernel does not have"));
        }
        let [x, y] = dispatch.workgroups;
        if [x, y, self.batch].iter().any(|n| *n == 0 || *n > limits.workgroups) {
            let (batch, most) = (self.batch, limits.workgroups);
            return Err(format!("launches {x}×{y}×{batch} workgroups, the device allows 1 to {most} on each axis"));
        }
        let invocations = dispatch.invocations();
        if invocations == 0 || invocations > limits.invocations {
            return Err(format!("a workgroup has {invocations} invocations, the device allows {}", limits.invocations));
        }
        let bytes = dispatch.workgroup_bytes();
        if bytes > limits.workgroup_bytes {
            return Err(format!(
                "needs {bytes} bytes of workgroup memory, the device allows {}",
                limits.workgroup_bytes
            ));
        }
        Ok(())
    }

    fn check_memory(&self, pass: &Pass, written: &mut Written) -> Result<(), String> {
        if pass.dispatch.kernel.spec().bindings_of(pass.dispatch.entry).is_none() {
            return Err("no such entry point".into());
        }
        let bound: Vec<_> = pass.bound().collect();
        for (name, access, view) in &bound {
            let size = match view.memory {
                Memory::Weights => self.weights.len() as u64,
                Memory::Slot(slot) => *self.slots.get(slot as usize).ok_or(format!("`{name}` is in no slot"))?,
            };
            let end = view.offset.checked_add(view.bytes).filter(|end| *end <= size);
            let end = end.ok_or_else(|| format!("`{name}` ends past its memory of {size} bytes"))?;
            if view.bytes == 0
                || view.bytes % (4 * view.precision.bytes()) != 0
                || !view.offset.is_multiple_of(self.limits.storage_alignment.into())
            {
                return Err(format!("`{name}` of {} bytes at {} is not aligned", view.bytes, view.offset));
            }
            let (stored, expected) = (view.precision, pass.dispatch.precision_of(name));
            if stored != expected {
                return Err(format!("`{name}` is stored as {}, the kernel takes {}", stored.name(), expected.name()));
            }
            if view.bytes > self.limits.storage_binding_bytes {
                let most = self.limits.storage_binding_bytes;
                return Err(format!("`{name}` needs {} bytes in one binding, the device allows {most}", view.bytes));
            }
            match (access, view.memory) {
                (Access::Write | Access::Scratch, Memory::Weights) => {
                    return Err(format!("`{name}` would write to the weights"));
                }
                (Access::Read, Memory::Slot(slot))
                    if written.get(&slot).is_none_or(|bytes| view.offset < bytes.start || bytes.end < end) =>
                {
                    return Err(format!("`{name}` reads what no launch has written"));
                }
                _ => {}
            }
            let shared = bound.iter().filter(|(_, _, other)| other.memory == view.memory);
            if *access != Access::Read && shared.count() > 1 {
                return Err(format!("`{name}` is written while its slot is bound a second time"));
            }
        }
        for (_, access, view) in bound {
            match (access, view.memory) {
                (Access::Write, Memory::Slot(slot)) => {
                    written.insert(slot, view.offset..view.offset + view.bytes);
                }
                (Access::Scratch, Memory::Slot(slot)) => {
                    written.remove(&slot);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
