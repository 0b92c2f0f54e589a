//! A plan's buffers on the device: weights, params, slots, and the two staging buffers that a run writes and reads.

use super::Gpu;
use crate::plan::{Memory, Output, Plan, View};

/// A uniform binding's dynamic offset must be a multiple of this everywhere.
const PARAMS_ALIGNMENT: u64 = 256;

pub(super) struct Buffers {
    weights: wgpu::Buffer,
    slots: Vec<wgpu::Buffer>,
    params: wgpu::Buffer,
    /// First byte of each pass's params.
    pub params_offsets: Vec<u32>,
    /// Mapped for writing between runs.
    pub upload: wgpu::Buffer,
    /// Mapped for reading after a run: the best classes, then the scores.
    pub readback: wgpu::Buffer,
}

impl Buffers {
    pub fn create(gpu: &Gpu, plan: &Plan) -> Self {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let weights = filled(gpu, "weights", storage, bytemuck::cast_slice(&plan.weights));
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
        let upload_usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let readback_usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let Output { view, .. } = plan.scores;
        Self {
            weights,
            slots: slots.collect(),
            params: filled(gpu, "params", wgpu::BufferUsages::UNIFORM, &params),
            params_offsets,
            upload: buffer(gpu, "upload", plan.input.view.bytes, upload_usage, true),
            readback: buffer(gpu, "readback", plan.best.bytes + view.bytes, readback_usage, false),
        }
    }

    pub fn of(&self, memory: Memory) -> &wgpu::Buffer {
        match memory {
            Memory::Weights => &self.weights,
            Memory::Slot(slot) => &self.slots[slot as usize],
        }
    }

    /// The bind group of one pass.
    pub fn bind(&self, gpu: &Gpu, plan: &Plan, pass: usize, layout: &wgpu::BindGroupLayout) -> wgpu::BindGroup {
        let pass = &plan.passes[pass];
        let spec = pass.dispatch.kernel.spec();
        let binding = |buffer, offset, bytes| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let params = binding(&self.params, 0, spec.params_bytes as u64);
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: params }];
        let names = spec.bindings_of(pass.dispatch.entry).into_iter().flatten();
        entries.extend(names.zip(&pass.bindings).map(|((number, _, _), View { memory, offset, bytes })| {
            wgpu::BindGroupEntry { binding: number, resource: binding(self.of(*memory), *offset, *bytes) }
        }));
        let label = format!("dynaconv.{}.{}", spec.stem, pass.node);
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(&label), layout, entries: &entries })
    }
}

fn buffer(gpu: &Gpu, name: &str, bytes: u64, usage: wgpu::BufferUsages, mapped_at_creation: bool) -> wgpu::Buffer {
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
