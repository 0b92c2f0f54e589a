//! Finds the fastest ways by trying all of them in turns.

use web_time::{Duration, Instant};

use super::TuneError;
use super::outcome::Outcome;
use super::trials::{Trials, WARM_UP};
use crate::exec::TimingMethod;
use crate::exec::gpu::{Gpu, Timer};
use crate::graph::FoldedNetwork;
use crate::lower::{Choices, Options};

/// Rounds that are timed at least.
const FEWEST_ROUNDS: u32 = 3;

/// Tries ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuner {
    /// Timed runs of each plan, unless the time is up.
    pub rounds: u32,
    /// No round begins later than this after the call, preparing and checking included; three are timed in any case.
    pub time: Duration,
}

/// How far a tuner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Plans that are compiled, of how many.
    Prepare(usize, usize),
    /// Plans whose results were compared with the rule's.
    Check(usize, usize),
    /// Rounds that were timed.
    Time(usize, usize),
}

impl Default for Tuner {
    fn default() -> Self {
        Self { rounds: 15, time: Duration::from_secs(60) }
    }
}

impl Tuner {
    /// Tries all ways of a network's layers on noise, in runs of as many pictures as those of a batch of `options.batch` have, and
    /// tells `progress` how far it is. What was chosen before is forgotten.
    ///
    /// # Errors
    /// When the device has no timestamps or fails, or the network cannot be lowered.
    pub async fn tune(
        &self,
        gpu: &Gpu,
        network: &FoldedNetwork,
        options: Options,
        mut progress: impl FnMut(Step),
    ) -> Result<Outcome, TuneError> {
        if gpu.timing_method() == TimingMethod::WholeRuns {
            return Err(TuneError::NoTimestamps);
        }
        // A time beyond what can be counted is no limit.
        let until = Instant::now().checked_add(self.time);
        let options = Options { choices: Choices::default(), ..options };
        let mut trials = Trials::new(gpu, network, options).await?;
        let all_ways = trials.plans();
        let count = all_ways.len();
        for (k, ways) in all_ways.into_iter().enumerate() {
            progress(Step::Prepare(k, count));
            trials.add(ways).await?;
        }
        for k in 0..count {
            progress(Step::Check(k, count));
            trials.check(k).await?;
        }
        let mut timer = Timer::new(gpu, trials.most_launches()).await?;
        let mut rounds = 0;
        let turns = WARM_UP.saturating_add(self.rounds.max(FEWEST_ROUNDS));
        for round in 0..turns {
            if rounds >= FEWEST_ROUNDS && until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            progress(Step::Time(round as usize, turns as usize));
            trials.time(round as usize, &mut timer, round >= WARM_UP).await?;
            rounds += u32::from(round >= WARM_UP);
        }
        let shapes = trials.shapes();
        let choices = shapes.iter().map(|shape| (shape.shape.clone(), shape.ways[shape.best].name.clone())).collect();
        let runs = trials.compare(choices, rounds).await?;
        Ok(Outcome { shapes, runs, rounds })
    }
}
