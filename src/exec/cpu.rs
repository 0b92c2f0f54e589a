//! Runs a plan on the CPU with the kernels' twins, on all cores.

use std::collections::HashMap;
use std::sync::Arc;

use web_time::Instant;

use super::threads::Threads;
use super::{HostMarks, RunTiming};
use crate::kernels::{Access, Arguments, run_twin};
use crate::plan::{Memory, Plan, PlanError, View};
use crate::tensor::{Aligned, Precision};

/// A plan with its memory on the host, and the threads that run it.
pub struct CpuExecutor {
    plan: Plan,
    /// The values of each block of weights that is not stored as such.
    weights: HashMap<View, Aligned<f32>>,
    slots: Vec<Aligned<f32>>,
    threads: Arc<Threads>,
}

impl CpuExecutor {
    /// Takes a plan and makes its memory.
    ///
    /// # Errors
    /// When the plan is not valid.
    pub fn new(plan: Plan) -> Result<Self, PlanError> {
        plan.validate()?;
        // A value takes a word however it is stored, so a slot has as many words as it holds of the smallest values.
        let slots = plan.slots.iter().map(|bytes| Aligned::zeros((bytes / plan.precision.bytes()) as usize)).collect();
        let mut weights = HashMap::new();
        for view in plan.passes.iter().flat_map(|pass| &pass.bindings).filter(|view| view.memory == Memory::Weights) {
            if single(&plan, *view).is_none() {
                weights.entry(*view).or_insert_with(|| view.precision.decode(stored(&plan, *view))[..].into());
            }
        }
        Ok(Self { plan, weights, slots, threads: Arc::new(Threads::new()) })
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The values of a view that the plan has.
    ///
    /// # Panics
    /// When the view lies outside of the plan's memory.
    pub fn view(&self, view: View) -> &[f32] {
        match view.memory {
            Memory::Weights => match self.weights.get(&view) {
                Some(values) => values,
                None => single(&self.plan, view).unwrap_or_default(),
            },
            Memory::Slot(slot) => &self.slots[slot as usize][range(view)],
        }
    }

    /// Writes `values` to the first words of a view in a slot; the weights are never written.
    ///
    /// # Panics
    /// When the view lies outside of the plan's slots.
    pub fn write(&mut self, view: View, values: &[f32]) {
        if let Memory::Slot(slot) = view.memory {
            let memory = &mut self.slots[slot as usize][range(view)];
            let count = values.len().min(memory.len());
            memory[..count].copy_from_slice(&values[..count]);
            view.precision.round(&mut memory[..count]);
        }
    }

    /// The prepared pictures, to be written before a run: `[batch][height][width][4·⌈channels/4⌉]`, whose padding lanes are zero.
    pub fn input_mut(&mut self) -> &mut [f32] {
        let view = self.plan.input.view;
        match view.memory {
            Memory::Slot(slot) => &mut self.slots[slot as usize][range(view)],
            Memory::Weights => &mut [],
        }
    }

    /// Runs the plan on the first `pictures` pictures of the input, at most the plan's batch.
    pub fn run(&mut self, pictures: u32) {
        self.run_and_note(pictures, || ());
    }

    /// As [`CpuExecutor::run`], and says when each launch ran.
    pub fn run_timed(&mut self, pictures: u32) -> RunTiming {
        let epoch = Instant::now();
        let now = || epoch.elapsed().as_nanos() as u64;
        let mut ends = Vec::with_capacity(self.plan.passes.len());
        self.run_and_note(pictures, || ends.push(now()));
        let host = HostMarks { end: now(), ..HostMarks::default() };
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let launches = begins.zip(&ends).map(|(begin, end)| Some([begin, *end])).collect();
        RunTiming { host, launches }
    }

    /// Calls `ended` after each launch.
    fn run_and_note(&mut self, pictures: u32, ended: impl FnMut() + Send) {
        let threads = Arc::clone(&self.threads);
        threads.run(|| self.run_passes(pictures, ended));
    }

    fn run_passes(&mut self, pictures: u32, mut ended: impl FnMut()) {
        let pictures = pictures.min(self.plan.batch) as usize;
        let input = self.plan.input;
        let values = pictures * input.map.padded_values();
        input.view.precision.round(&mut self.input_mut()[..values]);
        for pass in &self.plan.passes {
            let bound: Vec<_> = pass.bound().collect();
            // A slot that is written is bound once, so it can be taken out while the others are read.
            let mut written = Vec::new();
            for (name, access, view) in &bound {
                if let (Access::Write, Memory::Slot(slot)) = (access, view.memory) {
                    written.push((*name, slot, *view, std::mem::take(&mut self.slots[slot as usize])));
                }
            }
            let mut arguments = Arguments::new(pictures);
            for (name, access, view) in &bound {
                if *access == Access::Read {
                    arguments = arguments.read(name, self.view(*view));
                }
            }
            for (name, _, view, memory) in &mut written {
                arguments = arguments.write(name, &mut memory[range(*view)]);
            }
            run_twin(&pass.dispatch, arguments);
            for (_, slot, view, mut memory) in written {
                view.precision.round(&mut memory[range(view)]);
                self.slots[slot as usize] = memory;
            }
            ended();
        }
    }
}

/// A block of weights as it is stored.
fn stored(plan: &Plan, view: View) -> &[u8] {
    &plan.weights[view.offset as usize..][..view.bytes as usize]
}

/// Its values, where they are stored as such.
fn single(plan: &Plan, view: View) -> Option<&[f32]> {
    bytemuck::try_cast_slice(stored(plan, view)).ok().filter(|_| view.precision == Precision::F32)
}

fn range(view: View) -> std::ops::Range<usize> {
    let first = (view.offset / view.precision.bytes()) as usize;
    first..first + view.values() as usize
}
