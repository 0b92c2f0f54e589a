//! A plan's buffers on the device: weights, params, slots, and what a run is written and read through.

use std::collections::HashSet;

use super::Gpu;
use super::pipelines::Resolved;
use super::readback::Readbacks;
use super::texels::Textures;
use super::uploads::Uploads;
use crate::kernels::Texels;
use crate::plan::{Memory, Pass, Plan, View};

/// A uniform binding's dynamic offset must be a multiple of this everywhere.
const PARAMS_ALIGNMENT: u64 = 256;
/// Batches that may be under way at once: one is computed while the results of the other are read.
const OVERLAP: usize = 2;

/// Runs of a plan that may be under way at once.
pub(super) fn under_way(plan: &Plan) -> usize {
    OVERLAP * plan.runs as usize
}

pub(super) struct Buffers {
    weights: wgpu::Buffer,
    slots: Vec<wgpu::Buffer>,
    params: wgpu::Buffer,
    /// What launches have in textures in place of weights and slots.
    pub textures: Textures,
    /// First byte of each pass's params.
    pub params_offsets: Vec<u32>,
    /// For prepared pictures.
    pub uploads: Uploads,
    /// For the best classes of a run, then its scores.
    pub results: Readbacks,
    /// For the heads of all dynamic layers that the plan keeps.
    pub heads: Readbacks,
}

/// wgpu leaves it to a page's garbage collector to give memory back. What results are read through may still be wanted.
#[cfg(target_arch = "wasm32")]
impl Drop for Buffers {
    fn drop(&mut self) {
        self.slots.iter().chain([&self.weights, &self.params]).for_each(wgpu::Buffer::destroy);
        self.textures.destroy();
    }
}

impl Buffers {
    pub fn create(gpu: &Gpu, plan: &Plan, resolved: &[Resolved]) -> Self {
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let textures = || plan.passes.iter().zip(resolved).flat_map(|(pass, resolved)| textures_of(pass, resolved));
        let weights = match textures().next() {
            None => filled(gpu, "weights", storage, &plan.weights),
            Some(_) => partly_filled(gpu, storage, plan, &textures().map(|(view, _)| view).collect()),
        };
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
            textures: Textures::create(gpu, textures(), &plan.weights),
            weights,
            slots: slots.collect(),
            params: filled(gpu, "params", wgpu::BufferUsages::UNIFORM, &params),
            params_offsets,
            uploads: Uploads::create(gpu, "upload", under_way(plan), plan.input.view.bytes),
            results: Readbacks::create(gpu, "results", under_way(plan), plan.best.bytes + plan.scores.view.bytes),
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
        let views = pass.bindings.iter().zip(resolved.textures()).map(|(view, loads)| {
            let texture = loads.and_then(|loads| self.textures.of(view, loads)).map(wgpu::BindingResource::TextureView);
            texture.unwrap_or_else(|| binding(self.of(view.memory), view.offset, view.bytes))
        });
        let params = binding(&self.params, 0, spec.params_bytes as u64);
        let resources: Vec<_> = std::iter::once(params).chain(views).collect();
        resolved.bind(gpu, &format!("{}.{}", spec.stem, pass.node), &resources)
    }
}

/// A part of a buffer, from a first byte on.
pub(super) fn binding(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: std::num::NonZeroU64::new(bytes) })
}

/// What a launch has in textures, and how it loads them.
pub(super) fn textures_of<'a>(pass: &'a Pass, resolved: &'a Resolved) -> impl Iterator<Item = (View, Texels)> + 'a {
    pass.bindings.iter().zip(resolved.textures()).filter_map(|(view, loads)| Some((*view, loads?)))
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

/// A buffer of these contents, whose bytes are a multiple of four.
#[cfg(target_arch = "wasm32")]
fn filled(gpu: &Gpu, name: &str, usage: wgpu::BufferUsages, contents: &[u8]) -> wgpu::Buffer {
    // wgpu panics, and a page waits for ever, where a browser has no memory to map a buffer that it creates.
    let buffer = buffer(gpu, name, contents.len() as u64, usage | wgpu::BufferUsages::COPY_DST, false);
    gpu.queue.write_buffer(&buffer, 0, contents);
    buffer
}

#[cfg(not(target_arch = "wasm32"))]
fn filled(gpu: &Gpu, name: &str, usage: wgpu::BufferUsages, contents: &[u8]) -> wgpu::Buffer {
    let buffer = buffer(gpu, name, contents.len() as u64, usage, true);
    // Mapping a whole buffer that was just created mapped fails only where its creation did, which the scope reports.
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.slice(..contents.len()).copy_from_slice(contents);
    }
    buffer.unmap();
    buffer
}

/// The weight arena, of which only the views are written that are not in textures.
fn partly_filled(gpu: &Gpu, usage: wgpu::BufferUsages, plan: &Plan, textures: &HashSet<View>) -> wgpu::Buffer {
    let arena = buffer(gpu, "weights", plan.weights.len() as u64, usage, false);
    let views = plan.passes.iter().flat_map(|pass| &pass.bindings);
    let written: HashSet<&View> =
        views.filter(|view| view.memory == Memory::Weights && !textures.contains(view)).collect();
    for View { offset, bytes, .. } in written {
        gpu.queue.write_buffer(&arena, *offset, &plan.weights[*offset as usize..][..*bytes as usize]);
    }
    arena
}

/// Writes what it is given behind what it was given before.
pub(super) fn appending(view: &mut wgpu::BufferViewMut) -> impl FnMut(&[u8]) {
    let mut at = 0;
    move |bytes| {
        view.slice(at..at + bytes.len()).copy_from_slice(bytes);
        at += bytes.len();
    }
}
