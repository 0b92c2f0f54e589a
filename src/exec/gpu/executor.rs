//! Prepares a plan on a device.

use std::sync::Arc;

use web_time::Instant;

use super::memory::{Buffers, textures_of};
use super::parallel::both;
use super::pipelines::{Compiler, Sources, Weights};
use super::prepare::{Launches, Preparation};
use super::record::{Ahead, Course, Step};
use super::scopes::{Scopes, sound};
use super::{Gpu, GpuError};
use crate::exec::{Compilation, HostTimes, Preparing};
use crate::kernels::{Kernel, Precision, Subgroups, Texels, holds_weights, texels_of};
use crate::picture::Preprocess;
use crate::plan::{Pass, Plan};

/// A plan with everything that it needs on a device.
pub struct GpuExecutor {
    pub(super) gpu: Gpu,
    pub(super) plan: Arc<Plan>,
    pub(super) pipelines: Vec<wgpu::ComputePipeline>,
    compilations: Vec<Compilation>,
    preparing: Preparing,
    pub(super) steps: Vec<Step>,
    pub(super) buffers: Buffers,
    pub(super) preparation: Option<Preparation>,
    /// A run to come, recorded while the device computed the one before.
    pub(super) ahead: Option<Ahead>,
    /// The run started last.
    pub(super) last: Option<Course>,
    pub(super) times: HostTimes,
}

impl GpuExecutor {
    /// Compiles the plan's pipelines and makes all its memory; with `preprocess` also what prepares pictures.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn new(gpu: &Gpu, plan: impl Into<Arc<Plan>>, preprocess: Option<&Preprocess>) -> Result<Self, GpuError> {
        let plan = plan.into();
        let (own, weights) = own_texts(gpu, gpu.loads_texels_of(&plan));
        Self::prepare(gpu, plan, preprocess, Compiler::new(&own, weights), None).await
    }

    /// As [`GpuExecutor::new`], but compiles the text that `sources` gives for a kernel instead of the kernel's own.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn with_sources(
        gpu: &Gpu,
        plan: impl Into<Arc<Plan>>,
        preprocess: Option<&Preprocess>,
        sources: Sources<'_>,
    ) -> Result<Self, GpuError> {
        Self::prepare(gpu, plan.into(), preprocess, Compiler::new(sources, Weights::AsGiven), None).await
    }

    /// As [`GpuExecutor::new`] without a preparation, but compiles `text`, where there is one, for the launch of that index.
    ///
    /// # Errors
    /// When the plan is not valid, the text has its weights in textures that the other launches do not have, or the device refuses a
    /// part of it.
    pub async fn with_candidate(gpu: &Gpu, plan: Plan, launch: usize, text: Option<String>) -> Result<Self, GpuError> {
        // What a launch assembles and another loads lies in the same place for both.
        let own = gpu.loads_texels_of(&plan);
        let weighted = plan.passes.get(launch).is_some_and(|pass| pass.bound().any(|(name, ..)| holds_weights(name)));
        let texels = text.as_deref().filter(|_| weighted).map_or(own, texels_of);
        if texels.is_some() && texels != own {
            let doing = format!("preparing a text for launch {launch} of {}", plan.name);
            let reason = "it has weights in textures that the device does not load the plan's from".into();
            return Err(GpuError::Device { doing, reason });
        }
        let (own, weights) = own_texts(gpu, texels);
        Self::prepare(gpu, plan.into(), None, Compiler::new(&own, weights), text.map(|text| (launch, text))).await
    }

    async fn prepare(
        gpu: &Gpu,
        plan: Arc<Plan>,
        preprocess: Option<&Preprocess>,
        mut compiler: Compiler<'_>,
        candidate: Option<(usize, String)>,
    ) -> Result<Self, GpuError> {
        plan.validate()?;
        let swaps = |pass: &Pass| pass.dispatch.kernel.spec().subgroups != Subgroups::None;
        if !gpu.limits().quads && plan.passes.iter().any(swaps) {
            let (doing, reason) =
                (format!("preparing the plan of {}", plan.name), "it needs subgroups, which the device lacks");
            return Err(GpuError::Device { doing, reason: reason.into() });
        }
        let scopes = Scopes::open(gpu);
        let mut resolve = |(index, pass): (usize, &Pass)| {
            let text = candidate.as_ref().filter(|(launch, _)| *launch == index).map(|(_, text)| text.as_str());
            compiler.resolve(gpu, &pass.dispatch, text)
        };
        let resolved: Vec<_> = plan.passes.iter().enumerate().map(&mut resolve).collect();
        let preprocess =
            preprocess.map(|preprocess| (preprocess, Preparation::resolve(gpu, &plan, preprocess, &mut compiler)));
        let layouts = ((), scopes.close());
        let begin = Instant::now();
        #[cfg(target_arch = "wasm32")]
        let warm = compiler.warm_up(gpu);
        let (texts, (made, filling)) = both(
            || compiler.read(gpu),
            || {
                let scopes = Scopes::open(gpu);
                let buffers = Buffers::create(gpu, &plan, &resolved);
                let steps =
                    plan.passes.iter().zip(&buffers.params_offsets).zip(&resolved).map(|((pass, offset), resolved)| {
                        Step {
                            pipeline: resolved.pipeline,
                            bind_group: buffers.bind(gpu, pass, resolved),
                            params_offset: *offset,
                            workgroups: pass.dispatch.workgroups,
                            textures: textures_of(pass, resolved).collect(),
                        }
                    });
                let steps: Vec<_> = steps.collect();
                let input = buffers.of(plan.input.view.memory);
                let preparation = preprocess
                    .map(|(preprocess, resolved)| Preparation::create(gpu, &plan, preprocess, input, resolved));
                (((buffers, steps, preparation), scopes.close()), begin.elapsed())
            },
        );
        let doing = format!("preparing the plan of {}", plan.name);
        sound(layouts, &doing).await?;
        let (buffers, steps, preparation) = sound(made, &doing).await?;
        let texts = sound(texts, &doing).await?;
        #[cfg(target_arch = "wasm32")]
        let _warm = warm.done().await;
        let no_pictures = Launches::of_none();
        let of_pictures = preparation.iter().flat_map(|preparation| preparation.steps(&no_pictures));
        let launches: Vec<_> = steps.iter().map(|step| step.launch(0)).chain(of_pictures).collect();
        let compiled = texts.compile(gpu, &launches);
        let preparing = Preparing { pipelines: begin.elapsed(), memory: filling };
        let (pipelines, compilations) = sound(compiled, &doing).await?.into_iter().unzip();
        gpu.check()?;
        let gpu = gpu.clone();
        Ok(Self {
            gpu,
            plan,
            pipelines,
            compilations,
            preparing,
            steps,
            buffers,
            preparation,
            ahead: None,
            last: None,
            times: HostTimes::default(),
        })
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The device that runs it.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Launches of the run started last, so far.
    pub fn launched(&self) -> usize {
        self.last.map_or(0, |last| last.launches)
    }

    /// What it took to make each pipeline, in the order in which they were made.
    pub fn compilations(&self) -> &[Compilation] {
        &self.compilations
    }

    /// Where the time of the preparation went.
    pub fn preparing(&self) -> Preparing {
        self.preparing
    }

    /// What the run started last cost the host.
    pub fn host_times(&self) -> HostTimes {
        self.times
    }
}

/// The device's texts, and where they have weights.
fn own_texts(gpu: &Gpu, texels: Option<Texels>) -> (impl Fn(Kernel, Precision) -> String + Sync + use<>, Weights) {
    (gpu.texts_with(texels), texels.map_or(Weights::Buffers, Weights::Textures))
}
