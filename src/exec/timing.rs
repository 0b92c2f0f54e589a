//! What a timed run leaves behind: when the host did what, and when each launch ran.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How launches are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingMethod {
    /// Device timestamps around each launch, all launches in one pass as in a plain run.
    InsidePass,
    /// Device timestamps at the boundaries of passes, one pass for each launch: all that Metal and browsers have.
    PassBoundaries,
    /// The host's clock around each twin.
    HostClock,
    /// The device has no timestamps: only whole runs are timed.
    WholeRuns,
}

impl TimingMethod {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InsidePass => "around each launch",
            Self::PassBoundaries => "a pass for each launch",
            Self::HostClock => "the host's clock",
            Self::WholeRuns => "whole runs alone",
        }
    }
}

/// The moments of one run on the host's clock, in nanoseconds since the timer was made, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMarks {
    /// The run was called.
    pub begin: u64,
    /// The input was written, and the launches and copies recorded.
    pub encoded: u64,
    /// The device's queue had them.
    pub submitted: u64,
    /// The device was done, and its result was read.
    pub end: u64,
}

/// A moment on the device's clock, between two on the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockLink {
    /// Host nanoseconds before.
    pub before: u64,
    /// Device nanoseconds.
    pub device: u64,
    /// Host nanoseconds after.
    pub after: u64,
}

impl ClockLink {
    /// Host nanoseconds of a moment on the device's clock; the truth lies within [`ClockLink::uncertainty`] of it.
    pub fn to_host(&self, device: u64) -> f64 {
        let middle = (self.before as f64 + self.after as f64) / 2.0;
        middle + (i128::from(device) - i128::from(self.device)) as f64
    }

    /// Half the time between the two host moments, in nanoseconds.
    pub fn uncertainty(&self) -> f64 {
        self.after.saturating_sub(self.before) as f64 / 2.0
    }

    /// What of this is possible where all launches of `run` began once it was recorded, and ended before the host had its result.
    pub fn within(self, run: &RunTiming) -> Self {
        let times = || run.launches.iter().flatten();
        let (Some(first), Some(last)) = (times().map(|time| time[0]).min(), times().map(|time| time[1]).max()) else {
            return self;
        };
        // The host's moment of `device`, if that of another of the device's moments is `host`.
        let moment = |host: u64, device: u64| {
            let moment = i128::from(host) + i128::from(self.device) - i128::from(device);
            moment.clamp(0, u64::MAX.into()) as u64
        };
        let (earliest, latest) = (moment(run.host.encoded, first), moment(run.host.end, last));
        // The other way round where the launches took longer by their clock than the wait did by the host's.
        let (low, high) = (earliest.min(latest), earliest.max(latest));
        let [before, after] = [self.before, self.after].map(|moment| moment.clamp(low, high));
        Self { before, after, ..self }
    }
}

/// One timed run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTiming {
    /// What the host did.
    pub host: HostMarks,
    /// Begin and end of each launch in nanoseconds of the device's clock; none where the device left no time.
    pub launches: Vec<Option<[u64; 2]>>,
}

impl RunTiming {
    /// Nanoseconds of these launches together; none where one of them has no time.
    pub fn sum_of(&self, launches: &[usize]) -> Option<u64> {
        let time = |launch: &usize| self.launches.get(*launch).copied().flatten();
        launches.iter().map(|launch| time(launch).map(|[begin, end]| end.saturating_sub(begin))).sum()
    }
}

/// How long the driver took to make one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compilation {
    /// Kernel, entry point and override values.
    pub pipeline: String,
    /// Nanoseconds; a browser may compile later than it answers.
    pub nanoseconds: u64,
}

/// Where the time of preparing a plan on a GPU went. Natively memory is made while the pipelines' texts are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preparing {
    /// From the start until all pipelines were compiled.
    pub pipelines: Duration,
    /// From the start until memory was made, the weights were written to it, and it was bound.
    pub memory: Duration,
}

/// What a run cost the host beside waiting for the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostTimes {
    /// Writing the input's values or pixels to memory that the device reads.
    pub write: Duration,
    /// Recording what was not recorded ahead.
    pub encode: Duration,
    /// Handing it all to the device's queue.
    pub submit: Duration,
    /// Recording the run after it, while the device computes.
    pub ahead: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lies_between_its_submit_and_its_result() {
        // Ten nanoseconds of launches, which the host waited for from 100 to 120; the device's clock is 1000 ahead.
        let host = HostMarks { begin: 90, encoded: 100, submitted: 101, end: 120 };
        let run = RunTiming { host, launches: vec![Some([1105, 1107]), None, Some([1107, 1115])] };
        let begin = |before, after| ClockLink { before, device: 1200, after }.within(&run).to_host(1105);
        assert_eq!(begin(198, 202), 105.0, "what is possible stays");
        assert_eq!(begin(180, 202), 103.5, "what is half possible becomes narrower");
        assert_eq!(begin(100, 180), 100.0, "too early");
        assert_eq!(begin(300, 400), 110.0, "too late");
        let link = ClockLink { before: 300, device: 1200, after: 400 };
        assert_eq!(link.within(&RunTiming { launches: vec![None], ..run.clone() }), link);
        let longer = RunTiming { launches: vec![Some([1100, 1130])], ..run };
        assert_eq!(link.within(&longer).to_host(1100), 100.0, "longer than the wait");
    }
}
