//! The executors: they obey a plan and know nothing of networks.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod threads;
mod timing;

pub use timing::{ClockLink, Compilation, HostMarks, HostTimes, Preparing, RunTiming, TimingMethod};
