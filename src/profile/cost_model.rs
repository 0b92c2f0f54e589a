//! What a launch ought to take: its operations at the rate of a roof, as far as its workgroups fill the device, or its bytes,
//! and the cost of a launch.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

use super::roof::Roof;
use crate::kernels::{Access, roof::WORKGROUP};
use crate::plan::{Memory, Pass, Plan};

/// What a launch does for all its pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes of distinct values read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Invocations of all workgroups.
    pub invocations: u64,
}

/// Nanoseconds that a launch, or several, ought to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Of launching.
    pub launch: f64,
    /// Of work that arithmetic bounds.
    pub arithmetic: f64,
    /// Of work that memory bounds.
    pub memory: f64,
}

/// What a launch, or several, spend their time with at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Being launched.
    Launch,
    /// Operations.
    Arithmetic,
    /// Reading and writing.
    Memory,
}

impl Bound {
    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Arithmetic => "arithmetic",
            Self::Memory => "memory",
        }
    }
}

impl Sum for Prediction {
    fn sum<I: Iterator<Item = Self>>(predictions: I) -> Self {
        predictions.fold(Self::default(), |sum, it| Self {
            launch: sum.launch + it.launch,
            arithmetic: sum.arithmetic + it.arithmetic,
            memory: sum.memory + it.memory,
        })
    }
}

impl Work {
    /// The work of a launch for a number of pictures.
    pub fn of(pass: &Pass, pictures: u32) -> Self {
        let launch = &pass.dispatch;
        // Weights are the same for all pictures, so they are read once.
        let weights =
            pass.bound().filter(|(_, access, view)| *access == Access::Read && view.memory == Memory::Weights);
        let shared = weights.map(|(_, _, view)| view.bytes).sum::<u64>().min(launch.cost.bytes_read);
        let count = u64::from(pictures);
        let [x, y] = launch.workgroups.map(u64::from);
        Self {
            flops: count * launch.cost.flops,
            bytes_read: count * (launch.cost.bytes_read - shared) + shared,
            bytes_written: count * launch.cost.bytes_written,
            invocations: count * x * y * u64::from(launch.invocations()),
        }
    }

    /// Bytes read and written.
    pub fn bytes(&self) -> u64 {
        self.bytes_read + self.bytes_written
    }
}

impl Prediction {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.launch + self.arithmetic + self.memory
    }

    /// What takes most of it.
    pub fn bound(&self) -> Bound {
        let parts = [(self.launch, Bound::Launch), (self.arithmetic, Bound::Arithmetic), (self.memory, Bound::Memory)];
        parts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(Bound::Launch, |(_, bound)| bound)
    }
}

impl Roof {
    /// What work ought to take on a device of this roof: the longer of its arithmetic, at the share of the roof that its
    /// invocations can fill, and of its memory traffic, which few invocations can keep busy; after the cost of a launch.
    pub fn predict(&self, work: &Work) -> Prediction {
        // How many workgroups like the roof's own it takes to reach the roof.
        let parallel = self.workgroup_flops.map_or(1.0, |one| (self.f32_flops / one).max(1.0));
        let one = f64::from(self.busy_with.unwrap_or(WORKGROUP));
        let filled = (work.invocations as f64 / (one * parallel)).clamp(f64::MIN_POSITIVE, 1.0);
        let time = |amount: u64, rate: f64| if amount == 0 { 0.0 } else { 1e9 * amount as f64 / rate };
        let arithmetic = time(work.flops, self.f32_flops * filled);
        let memory = time(work.bytes(), self.bandwidth(work.bytes()));
        let launch = self.empty_dispatch;
        match arithmetic > memory {
            true => Prediction { launch, arithmetic, memory: 0.0 },
            false => Prediction { launch, arithmetic: 0.0, memory },
        }
    }

    /// What all launches of a plan ought to take, one after another.
    pub fn predict_plan(&self, plan: &Plan, pictures: u32) -> Prediction {
        plan.passes.iter().map(|pass| self.predict(&Work::of(pass, pictures))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::MemoryRate;

    fn roof(workgroup_flops: Option<f64>) -> Roof {
        let memory = vec![MemoryRate { bytes: 1 << 20, copy: 1e9, read: 1e9 }];
        let empty_dispatch = 100.0;
        Roof {
            f32_flops: 1e12,
            f16_flops: None,
            memory,
            empty_dispatch,
            empty_submit: 0.0,
            workgroup_flops,
            busy_with: None,
        }
    }

    #[test]
    fn the_slower_of_arithmetic_and_memory_bounds_a_launch() {
        let work = Work { flops: 1_000_000, bytes_read: 300, bytes_written: 200, invocations: 1 << 20 };
        let found = roof(None).predict(&work);
        assert_eq!(found, Prediction { launch: 100.0, arithmetic: 1000.0, memory: 0.0 });
        assert_eq!((found.total(), found.bound()), (1100.0, Bound::Arithmetic));
        let found = roof(None).predict(&Work { bytes_written: 1700, ..work });
        assert_eq!(found, Prediction { launch: 100.0, arithmetic: 0.0, memory: 2000.0 });
        assert_eq!(found.bound(), Bound::Memory);
        let empty = roof(None).predict(&Work::default());
        assert_eq!((empty.total(), empty.bound()), (100.0, Bound::Launch));
        let sum: Prediction = [found, empty, empty].into_iter().sum();
        assert_eq!(sum, Prediction { launch: 300.0, arithmetic: 0.0, memory: 2000.0 });
    }

    #[test]
    fn few_workgroups_reach_a_part_of_the_roof() {
        // A hundred workgroups of 64 reach it.
        let roof = roof(Some(1e10));
        let work = |invocations| Work { flops: 1_000_000, invocations, ..Work::default() };
        let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9, "{found} for {expected}");
        near(roof.predict(&work(6400)).arithmetic, 1e3);
        near(roof.predict(&work(640_000)).arithmetic, 1e3);
        near(roof.predict(&work(3200)).arithmetic, 2e3);
        near(roof.predict(&work(64)).arithmetic, 1e5);
        // Software's core is as busy with eight.
        let software = Roof { busy_with: Some(8), ..roof.clone() };
        near(software.predict(&work(800)).arithmetic, 1e3);
        near(software.predict(&work(400)).arithmetic, 2e3);
        // A workgroup alone is never faster than the device.
        let odd = Roof { workgroup_flops: Some(1e13), ..roof };
        near(odd.predict(&work(64)).arithmetic, 1e3);
    }
}
