//! The way from pictures to the most probable classes: a model on a device.
//!
//! Read this file from the top to follow a picture: [`Classifier::new`] folds and lowers the model once and prepares an
//! executor; [`Classifier::classify`] gives it pictures and reads the best classes back.

mod batch;
mod check;
mod error;
mod folded;
#[cfg(feature = "gpu")]
mod pending;
#[cfg(feature = "gpu")]
mod probe;

pub use batch::PendingBatch;
pub use error::ClassifierError;
pub use folded::FoldedModel;
#[cfg(feature = "gpu")]
pub use pending::{PendingGuesses, PendingInsight, PendingScores};
#[cfg(feature = "gpu")]
pub use probe::Probe;

use std::time::Duration;

use self::check::{check_count, check_finite};
use crate::exec::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use crate::exec::gpu::{Gpu, GpuChoice, GpuError, GpuExecutor, Pending};
#[cfg(feature = "gpu")]
use crate::exec::{HostTimes, Preparing};
use crate::kernels::resize::Resize;
use crate::lower::Options;
use crate::model::{Description, Model};
use crate::picture::{Picture, Preprocess};
use crate::plan::{Limits, Plan};
use crate::profile::{Profile, Profiler, noise};
use crate::tensor::{Tensor, channels_last_from_nchw, nchw_from_channels_last};

/// Where a model runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best GPU; where there is none, the CPU.
    #[default]
    Best,
    /// The CPU.
    Cpu,
    /// A GPU, or an error.
    #[cfg(feature = "gpu")]
    Gpu(GpuChoice),
}

/// One class with its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Index of the class.
    pub class: usize,
    /// Between 0 and 1.
    pub probability: f32,
}

/// A model that is ready to answer on its device.
pub struct Classifier {
    name: String,
    labels: Vec<String>,
    preprocess: Preprocess,
    executor: Executor,
    batch: u32,
    loading: Loading,
    device: String,
    software: bool,
    notice: Option<String>,
}

/// Where the time of preparing a model went. Pipelines and memory are made at the same time; the CPU needs neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// The network was folded.
    pub fold: Duration,
    /// It was lowered to a plan.
    pub lower: Duration,
    /// All pipelines were compiled.
    pub pipelines: Duration,
    /// Memory was made, the weights were written to it, and it was bound.
    pub memory: Duration,
}

enum Executor {
    Cpu(Box<CpuExecutor>),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuExecutor>),
}

impl Classifier {
    /// Folds and lowers a model and prepares its device for `options.batch` pictures a call.
    ///
    /// # Errors
    /// When the model does not fold or lower, or the device that was asked for cannot be had.
    pub async fn new(model: &Model, device: &Device, options: Options) -> Result<Self, ClassifierError> {
        let model = FoldedModel::new(model)?;
        let mut notice = None;
        #[cfg(feature = "gpu")]
        {
            let choice = match device {
                Device::Cpu => None,
                Device::Best => Some(&GpuChoice::Best),
                Device::Gpu(choice) => Some(choice),
            };
            if let Some(choice) = choice {
                match Gpu::open(choice).await {
                    Ok(gpu) => return Self::on_gpu(&model, gpu, options).await,
                    Err(GpuError::NoAdapter) if *device == Device::Best => notice = Some(NO_GPU.to_string()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        #[cfg(not(feature = "gpu"))]
        if *device == Device::Best {
            notice = Some(NO_GPU.to_string());
        }
        Ok(Self { notice, ..Self::on_cpu(&model, options)? })
    }

    /// Prepares a model on the CPU.
    ///
    /// # Errors
    /// When the model does not lower.
    pub fn on_cpu(model: &FoldedModel, options: Options) -> Result<Self, ClassifierError> {
        let batch = options.batch;
        let (plan, lower) = model.plan(options, Limits::cpu())?;
        let executor = Executor::Cpu(Box::new(CpuExecutor::new(plan)?));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let loading = Loading { fold: model.folding, lower, ..Loading::default() };
        Ok(Self::with(model.description(), executor, batch, loading, format!("CPU, {cores} core(s)"), false))
    }

    /// Prepares a model on an open GPU.
    ///
    /// # Errors
    /// When the model does not lower, or the device refuses the plan.
    #[cfg(feature = "gpu")]
    pub async fn on_gpu(model: &FoldedModel, gpu: Gpu, options: Options) -> Result<Self, ClassifierError> {
        let batch = options.batch;
        let (plan, lower) = model.plan(options, gpu.limits())?;
        let description = model.description();
        let executor = GpuExecutor::new(&gpu, plan, Some(&description.preprocess)).await?;
        let Preparing { pipelines, memory } = executor.preparing();
        let loading = Loading { fold: model.folding, lower, pipelines, memory };
        log::info!("{:?}: {loading:.1?}", description.name);
        let (device, software) = (gpu.info().to_string(), gpu.info().software);
        Ok(Self::with(description, Executor::Gpu(Box::new(executor)), batch, loading, device, software))
    }

    fn with(
        description: &Description,
        executor: Executor,
        batch: u32,
        loading: Loading,
        device: String,
        software: bool,
    ) -> Self {
        Self {
            name: description.name.clone(),
            labels: description.labels.clone(),
            preprocess: description.preprocess.clone(),
            executor,
            batch,
            loading,
            device,
            software,
            notice: None,
        }
    }

    /// Pictures of one call, at most. The device may compute them in several runs, each of the plan's batch.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A class's name, where the model knows it.
    pub fn label(&self, class: usize) -> Option<&str> {
        self.labels.get(class).map(String::as_str)
    }

    /// The device that answers, for people to read.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether the device is a GPU adapter that computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.software
    }

    /// Where the time of its preparation went.
    pub fn loading(&self) -> Loading {
        self.loading
    }

    /// What the run started last cost the host; nothing where the CPU answers.
    #[cfg(feature = "gpu")]
    pub fn host_times(&self) -> Option<HostTimes> {
        match &self.executor {
            Executor::Cpu(_) => None,
            Executor::Gpu(executor) => Some(executor.host_times()),
        }
    }

    /// What the user should know of how the device was chosen.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// The GPU that answers, if one does.
    #[cfg(feature = "gpu")]
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.executor {
            Executor::Cpu(_) => None,
            Executor::Gpu(executor) => Some(executor.gpu()),
        }
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        match &self.executor {
            Executor::Cpu(executor) => executor.plan(),
            #[cfg(feature = "gpu")]
            Executor::Gpu(executor) => executor.plan(),
        }
    }

    /// Prepares pictures, runs the network on them, and gives each one's most probable classes, best first.
    ///
    /// # Errors
    /// When there are no pictures or more than the batch, the network's result is not finite, the results of runs that were started
    /// have not been waited for, or the device fails.
    pub async fn classify(&mut self, pictures: &[&Picture]) -> Result<Vec<Vec<Guess>>, ClassifierError> {
        self.start_batch(pictures).await?.guesses().await
    }

    /// Runs the network on prepared pictures, `[N][3][height][width]` of any N, and gives the class scores, `[N][classes]`.
    ///
    /// # Errors
    /// When the tensor has another shape, a value or a score is not finite, the results of runs that were started have not been
    /// waited for, or the device fails.
    pub async fn scores(&mut self, input: &Tensor) -> Result<Tensor, ClassifierError> {
        let (map, scores) = (self.plan().input.map, self.plan().scores);
        let [_, channels, height, width] = *input.shape() else { return Err(self.shape_error(input)) };
        if [channels, height, width] != [map.channels, map.height, map.width] || input.data().is_empty() {
            return Err(self.shape_error(input));
        }
        check_finite(input)?;
        let one = map.channels * map.pixels();
        let mut out = Vec::new();
        #[cfg(feature = "gpu")]
        let mut under_way: Option<Pending> = None;
        for chunk in input.data().chunks(one * self.plan().batch as usize) {
            let pictures = (chunk.len() / one) as u32;
            let values = channels_last_from_nchw(map, chunk);
            let found = match &mut self.executor {
                Executor::Cpu(executor) => {
                    executor.input_mut()[..values.len()].copy_from_slice(&values);
                    executor.run(pictures);
                    executor.view(scores.view)[..pictures as usize * scores.map.padded_values()].to_vec()
                }
                #[cfg(feature = "gpu")]
                Executor::Gpu(executor) => {
                    // Two runs are under way: this chunk's input is rearranged while the device computes the one before.
                    let started = executor.start_values(pictures, &values, true).await?;
                    match under_way.replace(started) {
                        Some(before) => before.results().await?.scores.unwrap_or_default(),
                        None => continue,
                    }
                }
            };
            out.extend(nchw_from_channels_last(scores.map, &found));
        }
        #[cfg(feature = "gpu")]
        if let Some(last) = under_way {
            out.extend(nchw_from_channels_last(scores.map, &last.results().await?.scores.unwrap_or_default()));
        }
        let classes = scores.map.channels;
        if let Some(place) = out.iter().position(|score| !score.is_finite()) {
            return Err(ClassifierError::NotFinite { model: self.name.clone(), picture: place / classes });
        }
        let shape = vec![out.len() / classes, classes];
        Tensor::new(shape, out).map_err(|_| self.shape_error(input))
    }

    /// Profiles the network on its device, with `pictures` pictures of noise, which cost what any pictures cost. The
    /// preparation of pictures is no part of it.
    ///
    /// # Errors
    /// When there are no pictures or more than the plan's batch, the results of runs that were started have not been waited for, or
    /// the device fails.
    pub async fn profile(&mut self, profiler: &Profiler, pictures: u32) -> Result<Profile, ClassifierError> {
        check_count(pictures as usize, self.plan().batch)?;
        let input = noise(self.plan(), pictures);
        let profile = match &mut self.executor {
            Executor::Cpu(executor) => profiler.cpu(executor, pictures, &input).await,
            #[cfg(feature = "gpu")]
            Executor::Gpu(executor) => profiler.gpu(executor, pictures, &input).await,
        };
        Ok(profile?)
    }

    fn shape_error(&self, input: &Tensor) -> ClassifierError {
        let map = self.plan().input.map;
        let expected = format!("[1 or more, {}, {}, {}]", map.channels, map.height, map.width);
        ClassifierError::InputShape { found: input.shape().to_vec(), expected }
    }
}

/// What the user should know where nobody asked for the CPU, but it answers.
#[cfg(feature = "gpu")]
pub const NO_GPU: &str = "no GPU adapter was found; going on with the CPU. Where there is a GPU its driver may be missing: on Debian \
                          and Ubuntu the package mesa-vulkan-drivers has those of AMD and Intel";
/// What the user should know where nobody asked for the CPU, but it answers.
#[cfg(not(feature = "gpu"))]
pub const NO_GPU: &str = "this build has no GPU support; going on with the CPU";

fn prepare_on_cpu(preprocess: &Preprocess, pictures: &[&Picture], input: &mut [f32]) {
    for (slot, picture) in pictures.iter().enumerate() {
        Resize::new(picture.width(), picture.height(), preprocess, slot as u32).on_cpu(picture, input);
    }
}

/// Waits for a future on this thread: the way from the library's async calls to blocking ones.
#[cfg(not(target_arch = "wasm32"))]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}
