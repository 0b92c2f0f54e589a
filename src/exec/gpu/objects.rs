//! Counts the GPU objects that are alive, so that tests can see that runs create none.

use super::Gpu;

/// GPU objects alive on a device, as its driver layer counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Buffers.
    pub buffers: i64,
    /// Bind groups.
    pub bind_groups: i64,
    /// Bind group layouts.
    pub bind_group_layouts: i64,
    /// Pipelines.
    pub pipelines: i64,
    /// Shader modules.
    pub shader_modules: i64,
    /// Bytes of buffer memory.
    pub buffer_bytes: i64,
}

impl Gpu {
    /// Counts the objects alive. All zero where the backend does not count.
    pub fn objects(&self) -> ObjectCounts {
        let counters = self.device.get_internal_counters().hal;
        ObjectCounts {
            buffers: counters.buffers.read() as i64,
            bind_groups: counters.bind_groups.read() as i64,
            bind_group_layouts: counters.bind_group_layouts.read() as i64,
            pipelines: counters.compute_pipelines.read() as i64,
            shader_modules: counters.shader_modules.read() as i64,
            buffer_bytes: counters.buffer_memory.read() as i64,
        }
    }
}
