//! Where the time goes: profiles of a plan, launch by launch, against what the device can do at best.
//!
//! A [`Profiler`] runs the plan that ships on the executor that ships, plain and timed in turns, and gives a [`Profile`]:
//! plain data, the same natively and in a browser, that is written to files and read back, grouped,
//! compared and shown.

#[cfg(feature = "gpu")]
mod ab;
mod compare;
mod cost_model;
mod data;
mod data_sheets;
mod measure;
#[cfg(feature = "gpu")]
mod measure_roof;
mod read;
mod report;
mod roof;
mod samples;
mod trace;
mod views;

#[cfg(feature = "gpu")]
pub use ab::{Candidate, Difference, Trial, ab};
pub use compare::{Comparison, Row};
pub use cost_model::{Bound, Prediction, Work};
pub use data::{BufferProfile, Device, DispatchProfile, Method, Part, Parts, Profile, Runs, SCHEMA, Timeline};
pub use data_sheets::{DATA_SHEETS, DataSheet};
#[cfg(feature = "gpu")]
pub use measure_roof::measure_roof;
pub use read::ReadError;
pub use roof::{MemoryRate, Roof};
pub use samples::{Change, Samples};
pub use views::{Group, View};

use crate::exec::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use crate::exec::gpu::{GpuError, GpuExecutor, Timer};
use crate::plan::Plan;

/// Takes profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profiler {
    /// Runs, plain and timed, before the first that counts.
    pub warm_up: u32,
    /// Plain runs, and as many timed ones; one at least.
    pub repeats: u32,
    /// Whether to measure what the device can do at best as well, which takes some seconds on a slow one.
    pub roof: bool,
}

impl Default for Profiler {
    fn default() -> Self {
        Self { warm_up: 3, repeats: 30, roof: true }
    }
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The input does not fit the plan.
    #[error("{found} values for {pictures} picture(s), expected {expected} for at most {batch}")]
    Input {
        /// Pictures of the run.
        pictures: u32,
        /// The plan's batch.
        batch: u32,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// No launch was named that is to be timed.
    #[error("no launch is named that is to be timed")]
    NoneNamed,
    /// The plan has fewer launches.
    #[error("there is no launch {launch} in a plan of {launches}")]
    NoLaunch {
        /// The launch asked for, counted from zero.
        launch: usize,
        /// Launches of the plan.
        launches: usize,
    },
    /// The GPU failed.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

impl Profiler {
    /// Profiles a plan on the GPU that it is prepared on, with `pictures` pictures of `input` (channels-last values).
    ///
    /// The first run counts as such where the executor has not run before.
    ///
    /// # Errors
    /// When the input does not fit the plan, or the device fails.
    #[cfg(feature = "gpu")]
    pub async fn gpu(&self, executor: &mut GpuExecutor, pictures: u32, input: &[f32]) -> Result<Profile, ProfileError> {
        let timer = Timer::new(executor.gpu(), executor.plan().passes.len() as u32).await?;
        self.gpu_with(executor, timer, pictures, input).await
    }

    /// As [`Profiler::gpu`], with a timer of the caller's choice.
    ///
    /// # Errors
    /// When the input does not fit the plan, or the device fails.
    #[cfg(feature = "gpu")]
    pub async fn gpu_with(
        &self,
        executor: &mut GpuExecutor,
        timer: Timer,
        pictures: u32,
        input: &[f32],
    ) -> Result<Profile, ProfileError> {
        let roof = if self.roof { measure_roof(executor.gpu()).await? } else { None };
        measure::measure(measure::Subject::Gpu(executor, Box::new(timer)), self, pictures, input, roof).await
    }

    /// Profiles a plan on the CPU, where each twin is timed by the host's clock. There is no roof.
    ///
    /// # Errors
    /// When the input does not fit the plan.
    pub async fn cpu(&self, executor: &mut CpuExecutor, pictures: u32, input: &[f32]) -> Result<Profile, ProfileError> {
        measure::measure(measure::Subject::Cpu(executor), self, pictures, input, None).await
    }
}

/// Prepared pictures of noise, the same every time, for profiles that no picture is at hand for.
pub fn noise(plan: &Plan, pictures: u32) -> Vec<f32> {
    let map = plan.input.map;
    let values = pictures as usize * map.padded_values();
    let lanes = map.padded_values() / map.pixels().max(1);
    let mut state = 1u32;
    let mut next = || {
        // Numerical Recipes' generator; its high bits are noise enough.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..values).map(|index| if index % lanes < map.channels { next() } else { 0.0 }).collect()
}
