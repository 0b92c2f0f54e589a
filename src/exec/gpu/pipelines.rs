//! Compiles a plan's pipelines, each distinct one once.

use std::collections::HashMap;

use super::Gpu;
use crate::kernels::{Access, Dispatch, Kernel, wgsl};
use crate::plan::Plan;

/// What makes two launches need different pipelines.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kernel: Kernel,
    entry: &'static str,
    overrides: Vec<(&'static str, u32)>,
}

/// A plan's pipelines, and which launch uses which.
pub(super) struct Pipelines {
    pub all: Vec<wgpu::ComputePipeline>,
    /// For each pass: the index of its pipeline and the layout of its bind group.
    pub of_pass: Vec<(usize, wgpu::BindGroupLayout)>,
}

impl Pipelines {
    pub fn compile(gpu: &Gpu, plan: &Plan) -> Self {
        let mut modules: HashMap<Kernel, wgpu::ShaderModule> = HashMap::new();
        let mut layouts: HashMap<Vec<(u32, Access)>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)> = HashMap::new();
        let mut indices: HashMap<Key, usize> = HashMap::new();
        let mut pipelines = Self { all: Vec::new(), of_pass: Vec::new() };
        for pass in &plan.passes {
            let dispatch = &pass.dispatch;
            let (kernel, entry) = (dispatch.kernel, dispatch.entry);
            let signature = signature(dispatch);
            let (group_layout, pipeline_layout) =
                layouts.entry(signature.clone()).or_insert_with(|| layout(gpu, &signature));
            let key = Key { kernel, entry, overrides: dispatch.overrides.clone() };
            let index = *indices.entry(key).or_insert_with(|| {
                let module = modules.entry(kernel).or_insert_with(|| module(gpu, kernel));
                pipelines.all.push(pipeline(gpu, dispatch, module, pipeline_layout));
                pipelines.all.len() - 1
            });
            pipelines.of_pass.push((index, group_layout.clone()));
        }
        pipelines
    }
}

/// The storage bindings that decide a bind group's layout.
fn signature(dispatch: &Dispatch) -> Vec<(u32, Access)> {
    let bindings = dispatch.kernel.spec().bindings_of(dispatch.entry).into_iter().flatten();
    bindings.map(|(number, _, access)| (number, access)).collect()
}

fn layout(gpu: &Gpu, signature: &[(u32, Access)]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
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

fn module(gpu: &Gpu, kernel: Kernel) -> wgpu::ShaderModule {
    gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&format!("dynaconv.{}", kernel.spec().stem)),
        source: wgpu::ShaderSource::Wgsl(wgsl(kernel).into()),
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
