//! The profile: plain data that is written to files, read back, and shown in every form.
//!
//! All times are in nanoseconds, all rates per second.

use serde::{Deserialize, Serialize};

use super::cost_model::Prediction;
use super::roof::Roof;
use super::samples::Samples;
#[cfg(feature = "gpu")]
use crate::exec::gpu::GpuInfo;
use crate::exec::{ClockLink, Compilation, RunTiming, TimingMethod};
use crate::kernels::{Access, Kernel};

/// The version of the JSON form. It grows when a field changes its meaning or goes; new fields may come without.
pub const SCHEMA: u32 = 1;

/// One network on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// The program and its version.
    pub program: String,
    /// The network's name.
    pub network: String,
    /// Pictures of each run.
    pub pictures: u32,
    /// What it ran on.
    pub device: Device,
    /// How it was measured.
    pub method: Method,
    /// What making each pipeline took.
    pub compilations: Vec<Compilation>,
    /// Whole runs.
    pub runs: Runs,
    /// The launches in order.
    pub dispatches: Vec<DispatchProfile>,
    /// What the device can do at best; none where it has no timestamps to measure that with, or nobody asked.
    pub roof: Option<Roof>,
    /// One run on one time axis: of the timed ones that of the middle length.
    pub timeline: Option<Timeline>,
}

/// What a profile was taken on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The adapter's name.
    pub name: String,
    /// The API it is driven through: `vulkan`, `metal`, `dx12`, `gl`, `webgpu` or `cpu`.
    pub api: String,
    /// `discrete`, `integrated`, `virtual`, `software`, `cpu` or `other`.
    pub kind: String,
    /// Driver name and version, where known.
    pub driver: String,
    /// Whether a GPU adapter computes on the CPU. Its times say nothing of any GPU.
    pub software: bool,
}

#[cfg(feature = "gpu")]
impl From<&GpuInfo> for Device {
    fn from(info: &GpuInfo) -> Self {
        let GpuInfo { name, api, kind, driver, software, features: _ } = info.clone();
        Self { name, api, kind, driver, software }
    }
}

/// How a profile was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// How launches were timed.
    pub timing: TimingMethod,
    /// Nanoseconds of one tick of the device's clock.
    pub period: f64,
    /// The smallest step that the device's clock was seen to take; shorter times cannot be told from none.
    pub resolution: Option<i64>,
    /// Runs before the first that counts. Memory and caches are warm after them.
    pub warm_up: u32,
    /// Plain runs, and as many timed ones; they take turns.
    pub repeats: u32,
    /// Timed runs that were left out because the device left no time for a launch.
    pub dropped: u32,
}

impl Method {
    /// Whether a time, in nanoseconds, is one that the clock can tell.
    pub fn resolves(&self, time: f64) -> bool {
        time > 0.0 && time >= self.resolution.unwrap_or(0) as f64
    }
}

/// Whole runs, by the host's clock unless said otherwise. A run reaches from the input on the host to the result there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// The first run after the pipelines were made.
    pub first: i64,
    /// Runs as they always are.
    pub plain: Samples,
    /// Runs with timestamps.
    pub timed: Samples,
    /// What the timed runs consist of; none where launches were not timed.
    pub parts: Option<Parts>,
}

/// The parts of the timed runs. `encode + submit + launches + gaps + latency` is the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Writing the input and recording the launches, on the host.
    pub encode: Samples,
    /// Handing them to the device's queue, on the host.
    pub submit: Samples,
    /// All launches, by the device's clock.
    pub launches: Samples,
    /// Between the launches, by the device's clock.
    pub gaps: Samples,
    /// Before the first launch and after the last, until the result is read: what the host waits for beyond launches and
    /// gaps. Below zero where the device began before the host had come back from the submit.
    pub latency: Samples,
    /// Everything but the launches.
    pub bubble: Samples,
}

/// What a launch does in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A convolution, linear layer, pool or softmax that any network of fixed weights has as well. The convolution of a
    /// dynamic layer with assembled weights is one too: it costs what it would cost with fixed weights.
    Static,
    /// Pooling for a dynamic layer that no epilogue did.
    Pooling,
    /// The MLP of a dynamic layer, with the end of its pooling.
    Controller,
    /// The assembly of a dynamic layer's weights, with its controller where one launch does both.
    Assembly,
    /// The middle of a dynamic layer's low-rank branch.
    Latent,
    /// A convolution or linear layer with the end of its low-rank branch: static and dynamic work in one launch.
    Branch,
    /// All of a dynamic convolution: its controller, the forming of its weights or its branch, and static work.
    Dynamic,
}

/// One launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DispatchProfile {
    /// Its place in the plan.
    pub index: u32,
    /// The layer that it works for.
    pub layer: String,
    /// The layer's block.
    pub block: String,
    /// The stem of its kernel's file.
    pub kernel: String,
    /// Its entry point.
    pub entry: String,
    /// Override values.
    pub variant: String,
    /// What it does in its layer.
    pub part: Part,
    /// Its sizes for one picture.
    pub shape: String,
    /// Invocations of one workgroup.
    pub workgroup_size: u32,
    /// Workgroups on each axis.
    pub workgroups: [u32; 3],
    /// Storage buffers in the order of binding.
    pub buffers: Vec<BufferProfile>,
    /// Floating-point operations; a multiply-add counts two.
    pub flops: u64,
    /// Bytes of distinct values read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Its times by the device's clock; none where launches are not timed.
    pub time: Option<Samples>,
    /// Operations for each byte.
    pub intensity: f64,
    /// Operations per second at the median time, where the clock resolves it.
    pub flops_rate: Option<f64>,
    /// Bytes per second at the median time, where the clock resolves it.
    pub bytes_rate: Option<f64>,
    /// The share of what the device can do at this intensity and size, where both are known.
    pub roof_share: Option<f64>,
    /// Nanoseconds that the cost model predicts from the roof; none without one.
    #[serde(default)]
    pub predicted: Option<f64>,
    /// What they are made of.
    #[serde(default)]
    pub prediction: Option<Prediction>,
}

/// A storage buffer of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferProfile {
    /// Its name in the shader.
    pub name: String,
    /// `read`, `write`, or `scratch` for what only the launch itself reads again.
    pub access: String,
    /// Bytes bound.
    pub bytes: u64,
}

/// One run on one time axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// What host and device did, each by its own clock.
    pub run: RunTiming,
    /// What links the two clocks.
    pub link: Option<ClockLink>,
}

impl DispatchProfile {
    /// Kernel and entry point.
    pub fn name(&self) -> String {
        format!("{} {}", self.kernel, self.entry)
    }

    /// Bytes read and written.
    pub fn bytes(&self) -> u64 {
        self.bytes_read.saturating_add(self.bytes_written)
    }
}

impl Part {
    /// What a launch of this kernel does, in a layer that is dynamic or not.
    pub(super) fn of(kernel: Kernel, entry: &str, in_dynamic_layer: bool) -> Self {
        match kernel {
            Kernel::Controller | Kernel::ControllerScratch | Kernel::ControllerSubgroup => Self::Controller,
            Kernel::Assemble
            | Kernel::ControllerAssemble
            | Kernel::ControllerAssembleQuad
            | Kernel::ControllerAssembleScratch
            | Kernel::ControllerAssembleSubgroup => Self::Assembly,
            Kernel::Latent | Kernel::LatentQuad | Kernel::LatentSubgroup | Kernel::LatentWide => Self::Latent,
            Kernel::ConvDynamic | Kernel::ConvDynamicSubgroup => Self::Dynamic,
            Kernel::Pool if in_dynamic_layer => Self::Pooling,
            _ if entry == "branch" => Self::Branch,
            _ => Self::Static,
        }
    }

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Pooling => "pooling",
            Self::Controller => "controller",
            Self::Assembly => "assembly",
            Self::Latent => "latent",
            Self::Branch => "branch",
            Self::Dynamic => "dynamic",
        }
    }
}

impl BufferProfile {
    pub(super) fn new(name: &str, access: Access, bytes: u64) -> Self {
        let access = match access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Scratch => "scratch",
        };
        Self { name: name.into(), access: access.into(), bytes }
    }
}

/// The block of a layer: of its name's parts the first, and the numbers that follow it, as in `features.3` of
/// `features.3.conv.6`.
pub(super) fn block_of(layer: &str) -> String {
    let number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = layer.split('.');
    let first = parts.next().unwrap_or_default();
    std::iter::once(first).chain(parts.take_while(number)).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_first_part_and_its_numbers() {
        let layers = ["features.3.conv.6", "features.0.0", "blocks.1.2.conv_pw", "classifier", "top_k", ""];
        assert_eq!(layers.map(block_of), ["features.3", "features.0.0", "blocks.1.2", "classifier", "top_k", ""]);
    }
}
