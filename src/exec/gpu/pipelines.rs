//! Compiles pipelines, each distinct one once, and natively on all cores.

use std::collections::HashMap;
use std::time::Duration;

use web_time::Instant;

use super::Gpu;
use super::parallel::each;
use super::pipeline_cache::hash;
use super::record::Launch;
use super::scopes::Scopes;
use super::texels::{dimension, format, sample_type, sampler};
use crate::exec::Compilation;
use crate::kernels::{Access, Dispatch, Kernel, Precision, SAMPLER, Texels, holds_weights, texels_of, through_sampler};

/// What makes two launches need different pipelines.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kernel: Kernel,
    entry: &'static str,
    precision: Precision,
    overrides: Vec<(&'static str, u32)>,
    /// Whether it is compiled from a candidate's text, of which there is one.
    candidate: bool,
}

/// The bindings after the params, which decide a bind group's layout: number and access, and how a texture holds a binding's
/// weights, and is loaded, where it is one.
type Signature = Vec<(u32, Access, Option<(Precision, Texels)>)>;

/// What launches of a signature are bound by.
struct Layout {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
    /// Bound besides, where weights are loaded through one.
    sampler: Option<wgpu::Sampler>,
}

/// Gives the text to compile for a kernel's launches of a precision.
pub(super) type Sources<'a> = &'a (dyn Fn(Kernel, Precision) -> String + Sync);

/// Where launches have their weights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    Buffers,
    Textures(Texels),
    /// Where each text says.
    AsGiven,
}

/// The pipelines that launches need. They are compiled together once all are known.
pub(super) struct Compiler<'a> {
    sources: Sources<'a>,
    weights: Weights,
    wanted: Vec<Wanted>,
    indices: HashMap<Key, usize>,
    layouts: HashMap<Signature, Layout>,
    /// The text of the one candidate.
    candidate: Option<String>,
}

/// A pipeline to compile.
struct Wanted {
    dispatch: Dispatch,
    candidate: bool,
    layout: wgpu::PipelineLayout,
}

/// What tells texts apart: kernel, precision, and whether it is the candidate's.
type Text = (Kernel, Precision, bool);

/// The texts of pipelines to compile, read.
pub(super) struct Texts {
    wanted: Vec<Wanted>,
    modules: HashMap<Text, Module>,
}

/// A text that was read.
struct Module {
    hash: u64,
    /// Bytes of the text.
    length: usize,
    shader: wgpu::ShaderModule,
    time: Duration,
}

/// A launch's pipeline and the layout of its bind group.
#[derive(Clone)]
pub(super) struct Resolved {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// Bindings in order, that of the params first: number, and how its texture is loaded where it is one.
    bindings: Vec<(u32, Option<Texels>)>,
    layout: wgpu::BindGroupLayout,
    sampler: Option<wgpu::Sampler>,
}

/// Compiled pipelines, with what each took.
pub(super) type Compiled = Vec<(wgpu::ComputePipeline, Compilation)>;

impl<'a> Compiler<'a> {
    /// No pipelines yet. `weights` says where the weights are in the texts of `sources`.
    pub fn new(sources: Sources<'a>, weights: Weights) -> Self {
        Self { sources, weights, wanted: Vec::new(), indices: HashMap::new(), layouts: HashMap::new(), candidate: None }
    }

    /// Says what a launch needs, from the text of a candidate for it where there is one.
    pub fn resolve(&mut self, gpu: &Gpu, dispatch: &Dispatch, candidate: Option<&str>) -> Resolved {
        let (kernel, entry) = (dispatch.kernel, dispatch.entry);
        let textures = self.textures_of(dispatch, candidate);
        let bindings = kernel.spec().bindings_of(entry).into_iter().flatten();
        let texels =
            |name| textures.filter(|_| holds_weights(name)).map(|textures| (dispatch.precision_of(name), textures));
        let signature: Signature = bindings.map(|(number, name, access)| (number, access, texels(name))).collect();
        let bindings = signature.iter().map(|(number, _, texels)| (*number, texels.map(|(_, loads)| loads)));
        let bindings = std::iter::once((0, None)).chain(bindings).collect();
        let layout = self.layouts.entry(signature).or_insert_with_key(|signature| Layout::of(gpu, signature));
        if let Some(text) = candidate {
            self.candidate = Some(text.into());
        }
        let candidate = candidate.is_some();
        let (precision, overrides) = (dispatch.precision, dispatch.overrides.clone());
        let key = Key { kernel, entry, precision, overrides, candidate };
        let pipeline = *self.indices.entry(key).or_insert_with(|| {
            self.wanted.push(Wanted { dispatch: dispatch.clone(), candidate, layout: layout.pipeline.clone() });
            self.wanted.len() - 1
        });
        Resolved { pipeline, bindings, layout: layout.group.clone(), sampler: layout.sampler.clone() }
    }

    /// How the weights of a launch are textures, where they are.
    fn textures_of(&self, dispatch: &Dispatch, candidate: Option<&str>) -> Option<Texels> {
        match (candidate, self.weights) {
            (Some(text), _) => texels_of(text),
            (None, Weights::AsGiven) => texels_of(&(self.sources)(dispatch.kernel, dispatch.precision)),
            (None, Weights::Textures(texels)) => Some(texels),
            (None, Weights::Buffers) => None,
        }
    }

    /// Has a browser compile all that was said to be needed, on its own threads; natively threads do it when it is compiled.
    #[cfg(target_arch = "wasm32")]
    pub fn warm_up(&self, gpu: &Gpu) -> super::warm::Warm {
        let dispatches = self.wanted.iter().filter(|wanted| !wanted.candidate).map(|wanted| &wanted.dispatch);
        let text = |dispatch: &Dispatch| (self.sources)(dispatch.kernel, dispatch.precision);
        super::warm::Warm::up(gpu, dispatches.map(|dispatch| (dispatch, text(dispatch))))
    }

    /// Reads the texts of all that was said to be needed, natively on all cores.
    pub fn read(self, gpu: &Gpu) -> (Texts, impl Future<Output = Option<wgpu::Error>> + use<>) {
        let mut texts: Vec<Text> = self.wanted.iter().map(Wanted::text).collect();
        texts.sort_unstable();
        texts.dedup();
        let modules = each(&texts, |(kernel, precision, candidate)| {
            let (begin, scopes) = (Instant::now(), Scopes::open(gpu));
            let text = self.candidate.as_ref().filter(|_| *candidate);
            let text = text.map_or_else(|| (self.sources)(*kernel, *precision), String::clone);
            let (hash, length) = (hash([text.as_bytes()]), text.len());
            let module = Module { hash, length, shader: shader(gpu, *kernel, text), time: begin.elapsed() };
            (module, scopes.close())
        });
        let (modules, errors): (Vec<_>, Vec<_>) = modules.into_iter().unzip();
        (Texts { wanted: self.wanted, modules: texts.into_iter().zip(modules).collect() }, first_of(errors))
    }
}

impl Texts {
    /// Compiles all pipelines, natively on all cores, each followed by the first of these launches that has it where the device makes
    /// machine code only then. They lie in the order of their indices.
    pub fn compile(
        mut self,
        gpu: &Gpu,
        launches: &[Launch<'_>],
    ) -> (Compiled, impl Future<Output = Option<wgpu::Error>> + use<>) {
        // The longest text first: it takes longest.
        let mut order: Vec<usize> = (0..self.wanted.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.modules[&self.wanted[*index].text()].length));
        let pipelines = each(&order, |index| {
            let (begin, scopes) = (Instant::now(), Scopes::open(gpu));
            let wanted = &self.wanted[*index];
            let pipeline = pipeline(gpu, &wanted.dispatch, &self.modules[&wanted.text()], &wanted.layout);
            let time = begin.elapsed();
            let launch = launches.iter().find(|launch| launch.pipeline == *index);
            if let Some(launch) = launch.filter(|_| compiles_late(gpu)) {
                launch_first(gpu, &pipeline, launch);
            }
            ((pipeline, time), scopes.close())
        });
        let (pipelines, errors): (Vec<_>, Vec<_>) = pipelines.into_iter().unzip();
        let mut compiled: Vec<_> = order.into_iter().zip(pipelines).collect();
        compiled.sort_unstable_by_key(|(index, _)| *index);
        let compiled = compiled.into_iter().map(|(index, (pipeline, time))| {
            let wanted = &self.wanted[index];
            // Whoever needs a text first has it read.
            let read = self.modules.get_mut(&wanted.text()).map(|module| std::mem::take(&mut module.time));
            let nanoseconds = (read.unwrap_or_default() + time).as_nanos() as u64;
            (pipeline, Compilation { pipeline: wanted.dispatch.pipeline_name(), nanoseconds })
        });
        (compiled.collect(), first_of(errors))
    }
}

/// Whether a device makes a pipeline's machine code only at its first launch, on the one thread that runs what is submitted. llvmpipe
/// does; SwiftShader, which does not, is no slower for an empty launch of each.
fn compiles_late(gpu: &Gpu) -> bool {
    cfg!(not(target_arch = "wasm32")) && gpu.info().software
}

/// Submits a launch, of no pictures, with a pipeline that was just compiled: the device makes its machine code while others compile.
fn launch_first(gpu: &Gpu, pipeline: &wgpu::ComputePipeline, launch: &Launch<'_>) {
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("dynaconv") });
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, launch.bind_group, &[launch.params_offset]);
    let [x, y, z] = launch.workgroups;
    pass.dispatch_workgroups(x, y, z);
    drop(pass);
    gpu.queue.submit([encoder.finish()]);
}

/// The first error that there was.
async fn first_of(errors: Vec<impl Future<Output = Option<wgpu::Error>>>) -> Option<wgpu::Error> {
    let mut first = None;
    // All are awaited: whoever drops a browser's promise never hears of its failure.
    for error in errors {
        first = first.or(error.await);
    }
    first
}

impl Wanted {
    fn text(&self) -> Text {
        (self.dispatch.kernel, self.dispatch.precision, self.candidate)
    }
}

impl Resolved {
    /// How the bindings after the params are loaded that are textures, in their order.
    pub fn textures(&self) -> impl Iterator<Item = Option<Texels>> {
        self.bindings.iter().skip(1).map(|(_, texels)| *texels)
    }

    /// Binds what is given in the order of the entry point's bindings, the params first.
    pub fn bind(&self, gpu: &Gpu, label: &str, resources: &[wgpu::BindingResource<'_>]) -> wgpu::BindGroup {
        let entries = self
            .bindings
            .iter()
            .zip(resources)
            .map(|((number, _), resource)| wgpu::BindGroupEntry { binding: *number, resource: resource.clone() });
        let sampler = self.sampler.iter().map(|sampler| wgpu::BindGroupEntry {
            binding: SAMPLER,
            resource: wgpu::BindingResource::Sampler(sampler),
        });
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("dynaconv.{label}")),
            layout: &self.layout,
            entries: &entries.chain(sampler).collect::<Vec<_>>(),
        })
    }
}

impl Layout {
    fn of(gpu: &Gpu, signature: &Signature) -> Self {
        let buffer =
            |ty, has_dynamic_offset| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None };
        let texture = |access, precision, texels| match (access, texels) {
            (Access::Read, Texels::Sampled) => wgpu::BindingType::Texture {
                sample_type: sample_type(precision),
                view_dimension: dimension(texels),
                multisampled: false,
            },
            _ => wgpu::BindingType::StorageTexture {
                access: match access {
                    Access::Read => wgpu::StorageTextureAccess::ReadOnly,
                    Access::Write => wgpu::StorageTextureAccess::WriteOnly,
                    Access::Scratch => wgpu::StorageTextureAccess::ReadWrite,
                },
                format: format(precision),
                view_dimension: dimension(texels),
            },
        };
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty,
            count: None,
        };
        let params = entry(0, buffer(wgpu::BufferBindingType::Uniform, true));
        let storage = signature.iter().map(|(number, access, texels)| match texels {
            Some((precision, texels)) => entry(*number, texture(*access, *precision, *texels)),
            None => {
                entry(*number, buffer(wgpu::BufferBindingType::Storage { read_only: *access == Access::Read }, false))
            }
        });
        let sampler = signature
            .iter()
            .any(|(_, access, texels)| {
                texels.is_some_and(|(precision, texels)| through_sampler(*access, precision, texels))
            })
            .then(|| sampler(gpu));
        let nearest =
            sampler.iter().map(|_| entry(SAMPLER, wgpu::BindingType::Sampler(wgpu::SamplerBindingType::NonFiltering)));
        let entries: Vec<_> = std::iter::once(params).chain(storage).chain(nearest).collect();
        let label = Some("dynaconv");
        let group = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        Self { group, pipeline, sampler }
    }
}

fn shader(gpu: &Gpu, kernel: Kernel, source: String) -> wgpu::ShaderModule {
    gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&format!("dynaconv.{}", kernel.spec().stem)),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    })
}

fn pipeline(gpu: &Gpu, dispatch: &Dispatch, module: &Module, layout: &wgpu::PipelineLayout) -> wgpu::ComputePipeline {
    let cache = gpu.pipelines.as_deref();
    if let Some(cache) = cache {
        cache.note(hash([&module.hash.to_le_bytes()[..], dispatch.pipeline_name().as_bytes()]));
    }
    let constants: Vec<(&str, f64)> = dispatch.overrides.iter().map(|(name, v)| (*name, f64::from(*v))).collect();
    gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&format!("dynaconv.{}.{}", dispatch.kernel.spec().stem, dispatch.entry)),
        layout: Some(layout),
        module: &module.shader,
        entry_point: Some(dispatch.entry),
        // Every kernel writes its workgroup memory before it reads it, so clearing it first would be waste.
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &constants,
            zero_initialize_workgroup_memory: false,
        },
        cache: cache.map(|cache| &cache.object),
    })
}
