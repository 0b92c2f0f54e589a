//! The adapters of a machine, and what is known of each.

use std::fmt;

use crate::plan::Limits;

/// How subgroups are called, in reports as in browsers.
pub(super) const SUBGROUPS: &str = "subgroups";

/// Invocations of a quad.
pub(super) const QUAD: u32 = 4;

/// Which adapter is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuChoice {
    /// The fastest kind there is: a discrete GPU before an integrated one, a software adapter last.
    #[default]
    Best,
    /// The best adapter of one API: `vulkan`, `metal`, `dx12` or `gl`.
    Api(String),
    /// The best adapter whose name contains these letters, in any case.
    Name(String),
}

/// What is known of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    /// The adapter's name.
    pub name: String,
    /// The API it is driven through: `vulkan`, `metal`, `dx12`, `gl` or `webgpu`.
    pub api: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: String,
    /// Driver name and version, where known.
    pub driver: String,
    /// Whether the adapter computes on the CPU.
    pub software: bool,
    /// Which of `f16`, `subgroups` and `timestamps` it has.
    pub features: Vec<&'static str>,
}

impl fmt::Display for GpuInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.api, self.kind)
    }
}

/// The adapters that compute, best first.
pub(super) async fn adapters_of(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    // An instance loads the driver of every API that it may use, wanted or not.
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = instance.enumerate_adapters(backends).await;
    adapters.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        };
        (kind, info.backend == wgpu::Backend::Gl)
    });
    adapters
}

/// What is known of one.
pub(super) fn info_of(adapter: &wgpu::Adapter) -> GpuInfo {
    let info = adapter.get_info();
    let name = info.name.to_lowercase();
    let software = info.device_type == wgpu::DeviceType::Cpu
        || ["llvmpipe", "swiftshader", "softpipe", "basic render"].iter().any(|known| name.contains(known));
    let kind = match info.device_type {
        _ if software => "software",
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        _ => "other",
    };
    let api = match info.backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::Gl => "gl",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Noop => "noop",
    };
    let known = [
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::SUBGROUP, SUBGROUPS),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
    ];
    let features = known.into_iter().filter(|(f, _)| adapter.features().contains(*f)).map(|(_, name)| name).collect();
    let driver = format!("{} {}", info.driver, info.driver_info).trim().to_string();
    GpuInfo { name: info.name, api: api.into(), kind: kind.into(), driver, software, features }
}

/// What an adapter's device allows a plan. `subgroups` says whether shaders may use any: wgpu knows no such feature of browsers.
pub(super) fn limits_of(
    limits: &wgpu::Limits,
    features: wgpu::Features,
    subgroups: bool,
    info: &wgpu::AdapterInfo,
    software: bool,
) -> Limits {
    let (least, most) = (info.subgroup_min_size, info.subgroup_max_size);
    Limits {
        storage_binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        workgroups: limits.max_compute_workgroups_per_dimension,
        invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        // Plans keep WebGPU's default alignment everywhere, so that one plan serves every device.
        storage_alignment: limits.min_storage_buffer_offset_alignment.max(256),
        quads: subgroups && least >= QUAD,
        subgroup: (features.contains(wgpu::Features::SUBGROUP) && least >= 8).then_some(most),
        whole_subgroups: software && features.contains(wgpu::Features::SUBGROUP_BARRIER) && least == most,
        software,
        cores: if software { std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32) } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroups_are_used_by_their_size() {
        let of = |least, most, subgroups: bool| {
            let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::Cpu, wgpu::Backend::Vulkan);
            (info.subgroup_min_size, info.subgroup_max_size) = (least, most);
            let features = if subgroups { wgpu::Features::SUBGROUP } else { wgpu::Features::empty() };
            let limits = limits_of(&wgpu::Limits::defaults(), features, subgroups, &info, true);
            (limits.quads, limits.subgroup, limits.computes_in_quads())
        };
        assert_eq!(of(4, 4, true), (true, None, true));
        assert_eq!(of(8, 8, true), (true, Some(8), false));
        assert_eq!(of(1, 4, true), (false, None, false));
        assert_eq!(of(8, 8, false), (false, None, false));
    }
}
