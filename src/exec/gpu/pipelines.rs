//! Compiles pipelines, each distinct one once.

use std::collections::HashMap;

use web_time::Instant;

use super::Gpu;
use crate::exec::Compilation;
use crate::kernels::{Access, Dispatch, Kernel};

/// What makes two launches need different pipelines.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kernel: Kernel,
    entry: &'static str,
    overrides: Vec<(&'static str, u32)>,
    /// Whether it is compiled from a candidate's text, of which there is one.
    candidate: bool,
}

/// The storage bindings that decide a bind group's layout: number and access.
type Signature = Vec<(u32, Access)>;

/// Gives the text to compile for a kernel.
pub(super) type Sources<'a> = &'a (dyn Fn(Kernel) -> String + Sync);

/// Pipelines so far.
pub(super) struct Compiler<'a> {
    sources: Sources<'a>,
    pub pipelines: Vec<wgpu::ComputePipeline>,
    pub compilations: Vec<Compilation>,
    indices: HashMap<Key, usize>,
    modules: HashMap<(Kernel, bool), wgpu::ShaderModule>,
    layouts: HashMap<Signature, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
}

/// A launch's pipeline and the layout of its bind group.
#[derive(Clone)]
pub(super) struct Resolved {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// Binding numbers: that of the params, then those of the storage buffers in order.
    numbers: Vec<u32>,
    layout: wgpu::BindGroupLayout,
}

impl<'a> Compiler<'a> {
    /// No pipelines yet.
    pub fn new(sources: Sources<'a>) -> Self {
        Self {
            sources,
            pipelines: Vec::new(),
            compilations: Vec::new(),
            indices: HashMap::new(),
            modules: HashMap::new(),
            layouts: HashMap::new(),
        }
    }

    /// Finds or compiles what a launch needs, from the text of a candidate for it where there is one.
    pub fn resolve(&mut self, gpu: &Gpu, dispatch: &Dispatch, candidate: Option<&str>) -> Resolved {
        let (kernel, entry) = (dispatch.kernel, dispatch.entry);
        let bindings = kernel.spec().bindings_of(entry).into_iter().flatten();
        let signature: Signature = bindings.map(|(number, _, access)| (number, access)).collect();
        let numbers = std::iter::once(0).chain(signature.iter().map(|(number, _)| *number)).collect();
        let (layout, pipeline_layout) = self.layouts.entry(signature).or_insert_with_key(|s| layouts(gpu, s));
        let key = Key { kernel, entry, overrides: dispatch.overrides.clone(), candidate: candidate.is_some() };
        let pipeline = *self.indices.entry(key).or_insert_with(|| {
            let begin = Instant::now();
            let text = || candidate.map_or_else(|| (self.sources)(kernel), str::to_string);
            let compiled = self.modules.entry((kernel, candidate.is_some()));
            let module = compiled.or_insert_with(|| module(gpu, kernel, text()));
            self.pipelines.push(pipeline(gpu, dispatch, module, pipeline_layout));
            let nanoseconds = begin.elapsed().as_nanos() as u64;
            self.compilations.push(Compilation { pipeline: dispatch.pipeline_name(), nanoseconds });
            self.pipelines.len() - 1
        });
        Resolved { pipeline, numbers, layout: layout.clone() }
    }
}

impl Resolved {
    /// Binds buffers (each with first byte and bytes) in the order of the entry point's bindings, the params first.
    pub fn bind(&self, gpu: &Gpu, label: &str, buffers: &[(&wgpu::Buffer, u64, u64)]) -> wgpu::BindGroup {
        let entries = self.numbers.iter().zip(buffers).map(|(number, (buffer, offset, bytes))| {
            let size = std::num::NonZeroU64::new(*bytes);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: *offset, size });
            wgpu::BindGroupEntry { binding: *number, resource }
        });
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("dynaconv.{label}")),
            layout: &self.layout,
            entries: &entries.collect::<Vec<_>>(),
        })
    }
}

fn layouts(gpu: &Gpu, signature: &Signature) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let params = entry(0, wgpu::BufferBindingType::Uniform, true);
    let storage = signature.iter().map(|(number, access)| {
        let ty = wgpu::BufferBindingType::Storage { read_only: *access == Access::Read };
        entry(*number, ty, false)
    });
    let entries: Vec<_> = std::iter::once(params).chain(storage).collect();
    let label = Some("dynaconv");
    let group = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    (group, pipeline)
}

fn module(gpu: &Gpu, kernel: Kernel, source: String) -> wgpu::ShaderModule {
    gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&format!("dynaconv.{}", kernel.spec().stem)),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    })
}

fn pipeline(
    gpu: &Gpu,
    dispatch: &Dispatch,
    module: &wgpu::ShaderModule,
    layout: &wgpu::PipelineLayout,
) -> wgpu::ComputePipeline {
    let constants: Vec<(&str, f64)> = dispatch.overrides.iter().map(|(name, v)| (*name, f64::from(*v))).collect();
    gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&format!("dynaconv.{}.{}", dispatch.kernel.spec().stem, dispatch.entry)),
        layout: Some(layout),
        module,
        entry_point: Some(dispatch.entry),
        // Every kernel writes its workgroup memory before it reads it, so clearing it first would be waste.
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    })
}
