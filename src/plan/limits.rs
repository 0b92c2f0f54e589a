//! What a device allows, as plain numbers.

use crate::kernels::WORKGROUP_BYTES;

/// The device limits that a plan must keep. The default is what WebGPU guarantees everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one storage binding.
    pub storage_binding_bytes: u64,
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
    /// Storage buffers of one launch.
    pub storage_buffers: u32,
    /// Workgroups on each axis.
    pub workgroups: u32,
    /// Invocations of one workgroup.
    pub invocations: u32,
    /// Bytes of one workgroup's memory.
    pub workgroup_bytes: u32,
    /// Alignment of a storage binding's first byte.
    pub storage_alignment: u32,
    /// Whether shaders may swap values within quads: they may use subgroups, each of which has at least four invocations.
    pub quads: bool,
    /// The most invocations of a subgroup, where shaders may use subgroups and each has at least eight invocations.
    pub subgroup: Option<u32>,
    /// Whether every subgroup has exactly `subgroup` invocations, which run in lockstep and have a barrier of their own, so that a
    /// workgroup of that size needs no barrier of workgroups.
    pub whole_subgroups: bool,
    /// Whether the device computes on a CPU. It allows no less, but other kernels suit it.
    pub software: bool,
    /// How many cores it computes on; zero where that is not known or it is no software.
    pub cores: u32,
}

impl Limits {
    /// Whether it is software that has subgroups, but none that are known to have eight invocations.
    pub const fn computes_in_quads(&self) -> bool {
        self.software && self.quads && self.subgroup.is_none()
    }

    /// What the CPU executor allows: its memory is the host's, of which a page has little, and it launches no workgroups. What one
    /// workgroup may have decides on forms and stays, so that layers take the same as on a GPU.
    pub fn cpu() -> Self {
        if cfg!(target_arch = "wasm32") {
            return Self::default();
        }
        Self { storage_binding_bytes: u64::MAX, buffer_bytes: u64::MAX, workgroups: u32::MAX, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            storage_binding_bytes: 128 << 20,
            buffer_bytes: 256 << 20,
            storage_buffers: 8,
            workgroups: 65535,
            invocations: 256,
            workgroup_bytes: WORKGROUP_BYTES,
            storage_alignment: 256,
            quads: false,
            subgroup: None,
            whole_subgroups: false,
            software: false,
            cores: 0,
        }
    }
}
