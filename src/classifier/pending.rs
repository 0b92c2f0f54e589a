//! Answers on their way: the classifier may be given its next picture before they are here.

use std::sync::Arc;

use super::check::{check_finite, guesses};
use super::{ClassifierError, Executor, Guess, Loading};
use crate::exec::Preparing;
use crate::exec::gpu::{Frame, Gpu, GpuExecutor, Pending, Pixels, Reading};
use crate::kernels::resize::Resize;
use crate::picture::Window;
use crate::plan::{DynamicLayer, Insight};
use crate::tensor::{Tensor, channels_last_from_nchw};

/// What the CPU is given of one picture: the pixels of a photo of 24 million, and as many as any browser's canvas holds.
const MOST_CPU_BYTES: u64 = 64 << 20;

/// What a device computes: here at once from the CPU, coming from a GPU.
enum Computed<T> {
    Here(Vec<f32>),
    Coming(T),
}

/// The most probable classes of a picture, on their way.
pub struct PendingGuesses {
    model: String,
    classes: usize,
    best: Computed<Pending>,
}

/// The class scores of a picture, on their way.
pub struct PendingScores {
    model: String,
    classes: usize,
    scores: Computed<Pending>,
}

/// What the last picture made of the dynamic layers, on its way.
pub struct PendingInsight {
    layers: Vec<DynamicLayer>,
    heads: Computed<Reading>,
}

impl PendingGuesses {
    /// Waits for the classes, best first.
    ///
    /// # Errors
    /// When the network's result is not finite, or the device fails.
    pub async fn guesses(self) -> Result<Vec<Guess>, ClassifierError> {
        let best = match self.best {
            Computed::Here(best) => best,
            Computed::Coming(pending) => pending.results().await?.best,
        };
        guesses(&best, self.classes).ok_or(ClassifierError::NotFinite { model: self.model, picture: 0 })
    }
}

impl PendingScores {
    /// Waits for the scores, `[classes]`.
    ///
    /// # Errors
    /// When a score is not finite, or the device fails.
    pub async fn scores(self) -> Result<Vec<f32>, ClassifierError> {
        let mut scores = match self.scores {
            Computed::Here(scores) => scores,
            Computed::Coming(pending) => pending.results().await?.scores.unwrap_or_default(),
        };
        scores.truncate(self.classes);
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(ClassifierError::NotFinite { model: self.model, picture: 0 });
        }
        Ok(scores)
    }
}

impl PendingInsight {
    /// Waits for it: one entry for each dynamic layer, in the network's order.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn layers(self) -> Result<Vec<Insight>, ClassifierError> {
        let heads = match self.heads {
            Computed::Here(heads) => heads,
            Computed::Coming(reading) => reading.values().await?,
        };
        let mut rest = heads.as_slice();
        let insight = |layer: &DynamicLayer| {
            let (heads, after) = rest.split_at(layer.heads.bytes as usize / size_of::<f32>());
            rest = after;
            layer.insight(&heads[..layer.head_values()])
        };
        Ok(self.layers.iter().map(insight).collect())
    }
}

impl super::Classifier {
    /// The same classifier on another device, after the loss of the first. Nothing is computed again, and this one may be
    /// used meanwhile.
    ///
    /// # Errors
    /// When the device refuses the plan.
    pub fn reopened(&self, gpu: Gpu) -> impl Future<Output = Result<Self, ClassifierError>> + use<> {
        let plan = match &self.executor {
            Executor::Cpu(executor) => Arc::new(executor.plan().clone()),
            Executor::Gpu(executor) => Arc::clone(executor.plan()),
        };
        let (name, labels, preprocess) = (self.name.clone(), self.labels.clone(), self.preprocess.clone());
        let batch = self.batch;
        async move {
            let executor = GpuExecutor::new(&gpu, plan, Some(&preprocess)).await?;
            let device = gpu.info().to_string();
            let software = gpu.info().software;
            let Preparing { pipelines, memory } = executor.preparing();
            let loading = Loading { pipelines, memory, ..Loading::default() };
            let executor = Executor::Gpu(Box::new(executor));
            Ok(Self { name, labels, preprocess, executor, batch, loading, device, software, notice: None })
        }
    }

    /// Gives one picture to the device. On a GPU two may be under way at once; the CPU computes at once.
    ///
    /// # Errors
    /// When the frame is not what it says, the device has no room for it, two pictures are under way, or the device fails.
    pub fn start(&mut self, frame: &Frame<'_>) -> Result<PendingGuesses, ClassifierError> {
        let best = match &mut self.executor {
            Executor::Cpu(executor) => {
                let resize = Resize::new(frame.width, frame.height, &self.preprocess, 0);
                frame.check(&resize.window())?;
                resize.packed_on_cpu(packed(frame).ok_or(ClassifierError::Pixels)?, executor.input_mut());
                executor.run(1);
                Computed::Here(executor.view(executor.plan().best)[..2 * executor.plan().top as usize].to_vec())
            }
            Executor::Gpu(executor) => Computed::Coming(executor.start_frame(frame, false)?),
        };
        Ok(PendingGuesses { model: self.name.clone(), classes: self.plan().scores.map.channels, best })
    }

    /// The part of a picture that the network sees, which alone is copied.
    pub fn window(&self, width: u32, height: u32) -> Window {
        self.preprocess.window(width, height)
    }

    /// Whether a picture of this size may be given to the device as it is: there is room for it.
    pub fn can_start(&self, width: u32, height: u32) -> bool {
        match &self.executor {
            Executor::Cpu(_) => Resize::new(width, height, &self.preprocess, 0).fits(MOST_CPU_BYTES),
            Executor::Gpu(executor) => executor.can_prepare_frame(width, height),
        }
    }

    /// Runs the network on one prepared picture, `[1][3][height][width]`; as [`Classifier::start`](Self::start) otherwise.
    ///
    /// # Errors
    /// When the tensor has another shape or a value that is not finite, two pictures are under way, or the device fails.
    pub fn start_scores(&mut self, input: &Tensor) -> Result<PendingScores, ClassifierError> {
        let (map, scores) = (self.plan().input.map, self.plan().scores);
        if *input.shape() != [1, map.channels, map.height, map.width] {
            return Err(self.shape_error(input));
        }
        check_finite(input)?;
        let values = channels_last_from_nchw(map, input.data());
        let found = match &mut self.executor {
            Executor::Cpu(executor) => {
                executor.input_mut()[..values.len()].copy_from_slice(&values);
                executor.run(1);
                Computed::Here(executor.view(scores.view).to_vec())
            }
            Executor::Gpu(executor) => Computed::Coming(executor.start(&values, true)?),
        };
        Ok(PendingScores { model: self.name.clone(), classes: scores.map.channels, scores: found })
    }

    /// Asks for what the last picture made of the dynamic layers, where [`Options::insight`](crate::lower::Options) keeps it;
    /// of a batch the first picture.
    ///
    /// # Errors
    /// When it is being read already, or the device fails.
    pub fn start_insight(&mut self) -> Result<PendingInsight, ClassifierError> {
        let heads = match &mut self.executor {
            Executor::Cpu(executor) => {
                let heads = executor.plan().dynamic.iter().flat_map(|layer| executor.view(layer.heads));
                Computed::Here(heads.copied().collect())
            }
            Executor::Gpu(executor) if executor.plan().dynamic.is_empty() => Computed::Here(Vec::new()),
            Executor::Gpu(executor) => Computed::Coming(executor.start_insight()?),
        };
        Ok(PendingInsight { layers: self.plan().dynamic.clone(), heads })
    }
}

fn packed<'a>(frame: &Frame<'a>) -> Option<&'a [u32]> {
    match frame.pixels {
        Pixels::Packed(pixels) => Some(pixels),
        #[cfg(target_arch = "wasm32")]
        Pixels::External { .. } => None,
    }
}
