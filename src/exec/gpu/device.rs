//! Opens an adapter's device.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{SUBGROUPS, adapters_of, info_of, limits_of};
use super::pipeline_cache::PipelineCache;
use super::{GpuChoice, GpuError, GpuInfo, texels};
use crate::kernels::{Kernel, Precision, Texels, in_browser, in_pairs, in_texels, wgsl};
use crate::plan::{Limits, Plan};

/// What is used where it is there: subgroups by plans, words of 64 bits and textures that a launch reads and writes by some software,
/// timestamps and the roof of half floats by the profiler, the pipeline cache at load.
const OPTIONAL_FEATURES: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::SUBGROUP_BARRIER)
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES)
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::SHADER_INT64)
    .union(wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES)
    .union(wgpu::Features::PIPELINE_CACHE);

/// An open device.
#[derive(Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    info: GpuInfo,
    /// Of the adapter's vendor and of the adapter among that vendor's.
    pub(super) id: [u32; 2],
    limits: Limits,
    /// Whether one launch may read and write a texture of vec4.
    own_texels: bool,
    failure: Arc<Mutex<Option<GpuError>>>,
    /// Pipelines that were compiled before, where they are kept.
    pub(super) pipelines: Option<Arc<PipelineCache>>,
}

impl Gpu {
    /// Every adapter of this machine, best first.
    pub async fn list() -> Vec<GpuInfo> {
        adapters_of(wgpu::Backends::all()).await.iter().map(info_of).collect()
    }

    /// Opens the adapter that is wanted.
    ///
    /// # Errors
    /// When there is no adapter, none that matches, or it gives no device.
    pub async fn open(choice: &GpuChoice) -> Result<Self, GpuError> {
        let matches = |info: &GpuInfo| match choice {
            GpuChoice::Best => true,
            GpuChoice::Api(api) => info.api == *api,
            GpuChoice::Name(name) => info.name.to_lowercase().contains(&name.to_lowercase()),
        };
        // GL is asked only where nothing else serves: it lacks most of what the others have, and its loader is noisy.
        let mut adapters = match choice {
            GpuChoice::Api(api) if api == "gl" => Vec::new(),
            _ => adapters_of(wgpu::Backends::all() - wgpu::Backends::GL).await,
        };
        if !adapters.iter().any(|adapter| matches(&info_of(adapter))) {
            adapters.extend(adapters_of(wgpu::Backends::GL).await);
        }
        if adapters.is_empty() {
            return Err(GpuError::NoAdapter);
        }
        let Some(adapter) = adapters.iter().find(|adapter| matches(&info_of(adapter))) else {
            let wanted = match choice {
                GpuChoice::Best => String::new(),
                GpuChoice::Api(wanted) | GpuChoice::Name(wanted) => wanted.clone(),
            };
            let found = adapters.iter().map(info_of).map(|info| format!("{} ({})", info.name, info.api)).collect();
            return Err(GpuError::NoMatch { wanted, found });
        };
        Self::open_adapter(adapter).await
    }

    async fn open_adapter(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let mut info = info_of(adapter);
        let allowed = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("dynaconv"),
            required_features: OPTIONAL_FEATURES & adapter.features(),
            required_limits: wgpu::Limits {
                max_buffer_size: allowed.max_buffer_size,
                max_texture_dimension_2d: allowed.max_texture_dimension_2d,
                max_texture_array_layers: allowed.max_texture_array_layers,
                max_storage_buffer_binding_size: allowed.max_storage_buffer_binding_size,
                // D3D12 reserves descriptors for the default of a million; a plan needs a few hundred.
                max_non_sampler_bindings: allowed.max_non_sampler_bindings.min(8192),
                ..wgpu::Limits::defaults().or_worse_values_from(&allowed)
            },
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        // Browsers tell no name.
        let name = if info.name.is_empty() { "without a name".into() } else { info.name.clone() };
        let opened = request(adapter, &descriptor, info.software).await;
        let (device, queue) =
            opened.map_err(|error| GpuError::NoDevice { adapter: name, reason: plain(&error.to_string()).into() })?;
        let failure = Arc::new(Mutex::new(None));
        let keep = |failure: &Arc<Mutex<Option<GpuError>>>, error: GpuError| {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        };
        let refused = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            keep(&refused, GpuError::Device { doing: "running the plan".into(), reason: error.to_string() });
        }));
        let lost = Arc::clone(&failure);
        device.set_device_lost_callback(move |_, message| keep(&lost, GpuError::Lost(message)));
        let own_texels = device.features().contains(wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES)
            && adapter
                .get_texture_format_features(texels::format(Precision::F32))
                .flags
                .contains(wgpu::TextureFormatFeatureFlags::STORAGE_READ_WRITE);
        let adapter = adapter.get_info();
        let subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        #[cfg(target_arch = "wasm32")]
        let subgroups = subgroups || super::browser_subgroups::has_feature(&browser_device(&device));
        if subgroups && !info.features.contains(&SUBGROUPS) {
            info.features.push(SUBGROUPS);
        }
        let limits = limits_of(&device.limits(), device.features(), subgroups, &adapter, info.software);
        let id = [adapter.vendor, adapter.device];
        Ok(Self { device, queue, info, id, limits, own_texels, failure, pipelines: None })
    }

    /// What is known of the adapter.
    pub fn info(&self) -> &GpuInfo {
        &self.info
    }

    /// The browser's `GPUDevice`; undefined where the device is not the browser's.
    #[cfg(target_arch = "wasm32")]
    pub fn handle(&self) -> wasm_bindgen::JsValue {
        browser_device(&self.device)
    }

    /// What the device allows a plan.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// From which textures weights are faster to load than from buffers, if from any: with stored ones lavapipe takes a seventh less for a
    /// whole network, with sampled ones SwiftShader, whose subgroups are smaller, a tenth less. No other software was measured. No
    /// stored ones where a launch cannot read and write such a texture.
    pub fn loads_texels(&self) -> Option<Texels> {
        match self.loads_lane_by_lane() && self.own_texels {
            true => Some(Texels::Stored),
            false => self.limits.computes_in_quads().then_some(Texels::Sampled),
        }
    }

    /// The same for a plan, whose weights may be too large for such textures.
    pub fn loads_texels_of(&self, plan: &Plan) -> Option<Texels> {
        self.loads_texels().filter(|texels| texels::fit(&self.device.limits(), plan, *texels))
    }

    /// Whether it is the kind of software that loads buffers lane by lane.
    fn loads_lane_by_lane(&self) -> bool {
        let Limits { software, subgroup, .. } = self.limits;
        self.info.api == "vulkan" && software && subgroup.is_some()
    }

    /// Whether what is stored in buffers is faster to load in words of 64 bits: with them lavapipe takes a tenth to an eighth less
    /// for a whole network, SwiftShader 7 % more.
    pub fn loads_pairs(&self) -> bool {
        self.loads_lane_by_lane() && self.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// Gives the text that is compiled for a kernel's launches of a precision: [`wgsl`]'s, with weights in textures and in words
    /// of 64 bits where those are faster.
    pub fn texts(&self) -> impl Fn(Kernel, Precision) -> String + Sync + use<> {
        self.texts_with(self.loads_texels())
    }

    /// As [`Gpu::texts`], with weights in textures where that is said.
    pub(super) fn texts_with(&self, texels: Option<Texels>) -> impl Fn(Kernel, Precision) -> String + Sync + use<> {
        let (pairs, browser) = (self.loads_pairs(), self.info.api == "webgpu");
        move |kernel, precision| {
            let text = wgsl(kernel, precision);
            let text = if browser { in_browser(kernel, text) } else { text };
            let text = if pairs { in_pairs(&text) } else { text };
            match texels {
                Some(texels) => in_texels(&text, precision, texels),
                None => text,
            }
        }
    }

    /// The first error that the device reported outside of any call.
    ///
    /// # Errors
    /// That error, if there was one.
    pub(super) fn check(&self) -> Result<(), GpuError> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The error of something that did not work: a lost device is the cause where there is one.
    pub(super) fn failure(&self, doing: &str, error: &dyn fmt::Display) -> GpuError {
        self.check().err().unwrap_or_else(|| GpuError::Device { doing: doing.into(), reason: error.to_string() })
    }
}

/// What a browser said, where wgpu gives it as JavaScript's value: its first line. The rest is the call stack.
fn plain(reason: &str) -> &str {
    let Some((_, value)) = reason.split_once("JsValue(") else { return reason };
    value.lines().next().unwrap_or_default().trim_end_matches(')')
}

/// A device of an adapter.
#[cfg(not(target_arch = "wasm32"))]
async fn request(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
    _software: bool,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    adapter.request_device(descriptor).await
}

/// A browser's device of an adapter: with subgroups where its software gains by them, unless it refuses.
#[cfg(target_arch = "wasm32")]
async fn request(
    adapter: &wgpu::Adapter,
    descriptor: &wgpu::DeviceDescriptor<'_>,
    software: bool,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    let request = |subgroups| super::browser_subgroups::asked_for(subgroups, || adapter.request_device(descriptor));
    if software
        && adapter.get_info().subgroup_min_size >= super::adapter::QUAD
        && let Ok(opened) = request(true).await
    {
        return Ok(opened);
    }
    request(false).await
}

/// The browser's `GPUDevice`; undefined where the device is not the browser's.
#[cfg(target_arch = "wasm32")]
fn browser_device(device: &wgpu::Device) -> wasm_bindgen::JsValue {
    device
        .as_webgpu()
        .map_or(wasm_bindgen::JsValue::UNDEFINED, |device| AsRef::<wasm_bindgen::JsValue>::as_ref(device).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_says_is_told_in_its_words() {
        let thrown = "JsValue(OperationError: no memory\nOperationError: no memory\n    at page.js:1)";
        assert_eq!(plain(thrown), "OperationError: no memory");
        assert_eq!(plain("JsValue(OperationError: no memory)"), "OperationError: no memory");
        assert_eq!(plain("the driver (of 2019) is gone\nfor good"), "the driver (of 2019) is gone\nfor good");
    }
}
