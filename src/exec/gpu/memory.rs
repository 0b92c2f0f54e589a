//! A plan's buffers on the device: weights, params, slots, and what a run is written and read through.

use super::Gpu;
use super::pipelines::Resolved;
use super::readback::Readbacks;
use super::uploads::Uploads;
use crate::plan::{Memory, Pass, Plan};

/// A uniform binding's dynamic offset must be a multiple of this everywhere.
const PARAMS_ALIGNMENT: u64 = 256;
/// Runs that may be under way at once: one computes while the results of the other are read.
pub(super) const OVERLAP: usize = 2;

pub(super) struct Buffers {
    weights: wgpu::Buffer,
    slots: Vec<wgpu::Buffer>,
    params: wgpu::Buffer,
    /// First byte of each pass's params.
    pub params_offsets: Vec<u32>,
    /// For prepared pictures.
    pub uploads: Uploads,
    /// For the best classes of a run, then its scores.
    pub results: Readbacks,
    /// For the heads of all dynamic layers that the plan keeps.
    pub heads: Readbacks,
}

impl Buffers {
    pub fn create(gpu: &Gpu, plan: &Plan) -> Self {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let weights = filled(gpu, "weights", storage, &plan.weights);
        let slots = plan
            .slots
            .iter()
            .enumerate()
            .map(|(index, bytes)| buffer(gpu, &format!("slot {index}"), *bytes, storage, false));

        let mut params = Vec::new();
        let mut params_offsets = Vec::new();
        for pass in &plan.passes {
            params.resize(params.len().next_multiple_of(PARAMS_ALIGNMENT as usize), 0u8);
            params_offsets.push(params.len() as u32);
            params.extend_from_slice(&pass.dispatch.params);
        }
        Self {
            weights,
            slots: slots.collect(),
            params: filled(gpu, "params", wgpu::BufferUsages::UNIFORM, &params),
            params_offsets,
            uploads: Uploads::create(gpu, "upload", plan.input.view.bytes),
            results: Readbacks::create(gpu, "results", OVERLAP, plan.best.bytes + plan.scores.view.bytes),
            heads: Readbacks::create(gpu, "heads", 1, plan.dynamic.iter().map(|layer| layer.heads.bytes).sum()),
        }
    }

    pub fn of(&self, memory: Memory) -> &wgpu::Buffer {
        match memory {
            Memory::Weights => &self.weights,
            Memory::Slot(slot) => &self.slots[slot as usize],
        }
    }

    /// The bind group of one pass.
    pub fn bind(&self, gpu: &Gpu, pass: &Pass, resolved: &Resolved) -> wgpu::BindGroup {
        let spec = pass.dispatch.kernel.spec();
        let views = pass.bindings.iter().map(|view| (self.of(view.memory), view.offset, view.bytes));
        let buffers: Vec<_> = std::iter::once((&self.params, 0, spec.params_bytes as u64)).chain(views).collect();
        resolved.bind(gpu, &format!("{}.{}", spec.stem, pass.node), &buffers)
    }
}

pub(super) fn buffer(
    gpu: &Gpu,
    name: &str,
    bytes: u64,
    usage: wgpu::BufferUsages,
    mapped_at_creation: bool,
) -> wgpu::Buffer {
    let label = format!("dynaconv.{name}");
    // A network without weights or params still binds a buffer.
    let size = bytes.max(16).next_multiple_of(16);
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation })
}

fn filled(gpu: &Gpu, name: &str, usage: wgpu::BufferUsages, contents: &[u8]) -> wgpu::Buffer {
    let buffer = buffer(gpu, name, contents.len() as u64, usage, true);
    // Mapping a whole buffer that was just created mapped fails only where its creation did, which the scope reports.
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.slice(..contents.len()).copy_from_slice(contents);
    }
    buffer.unmap();
    buffer
}

/// Writes what it is given behind what it was given before.
pub(super) fn appending(view: &mut wgpu::BufferViewMut) -> impl FnMut(&[u8]) {
    let mut at = 0;
    move |bytes| {
        view.slice(at..at + bytes.len()).copy_from_slice(bytes);
        at += bytes.len();
    }
}
