//! Prepares a plan on a device and runs it.

use std::sync::Arc;

use super::frame::Frame;
use super::memory::Buffers;
use super::pipelines::{Compiler, Sources};
use super::prepare::{Launches, Preparation};
use super::readback::Reading;
use super::wait::{Mapping, map};
use super::{Gpu, GpuError};
use crate::kernels::wgsl;
use crate::picture::{Picture, Preprocess};
use crate::plan::{Plan, View};

/// A plan with everything that it needs on a device.
pub struct GpuExecutor {
    pub(super) gpu: Gpu,
    plan: Arc<Plan>,
    pipelines: Vec<wgpu::ComputePipeline>,
    steps: Vec<Step>,
    pub(super) buffers: Buffers,
    preparation: Option<Preparation>,
    /// The upload buffer's next mapping, where it is not mapped yet.
    upload: Option<Mapping>,
}

/// One launch, resolved.
struct Step {
    pipeline: usize,
    bind_group: wgpu::BindGroup,
    params_offset: u32,
    workgroups: [u32; 2],
}

/// What a run gives back.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// For each picture the pairs of class and probability, best first, `[pictures][top][2]`.
    pub best: Vec<f32>,
    /// The class scores in the channels-last layout, where they were asked for.
    pub scores: Option<Vec<f32>>,
}

/// A submitted run whose results are on their way. Its executor may be used meanwhile.
pub struct Pending {
    reading: Reading,
    best_values: usize,
    first_score: usize,
    /// Number of scores, where they were asked for.
    score_values: Option<usize>,
}

impl Pending {
    /// Waits for the results.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn results(self) -> Result<Results, GpuError> {
        let values = self.reading.values().await?;
        let (best, scores) = values.split_at(self.first_score);
        let scores = self.score_values.map(|count| scores[..count].to_vec());
        Ok(Results { best: best[..self.best_values].to_vec(), scores })
    }
}

impl GpuExecutor {
    /// Compiles the plan's pipelines and makes all its memory; with `preprocess` also what prepares pictures.
    ///
    /// # Errors
    /// When the plan is not valid or the device refuses a part of it.
    pub async fn new(gpu: &Gpu, plan: impl Into<Arc<Plan>>, preprocess: Option<&Preprocess>) -> Result<Self, GpuError> {
        Self::with_sources(gpu, plan, preprocess, &wgsl).await
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
        let plan = plan.into();
        plan.validate()?;
        let invalid = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let mut compiler = Compiler::new(sources);
        let buffers = Buffers::create(gpu, &plan);
        let steps = plan.passes.iter().zip(&buffers.params_offsets).map(|(pass, params_offset)| {
            let resolved = compiler.resolve(gpu, &pass.dispatch);
            Step {
                pipeline: resolved.pipeline,
                bind_group: buffers.bind(gpu, pass, &resolved),
                params_offset: *params_offset,
                workgroups: pass.dispatch.workgroups,
            }
        });
        let steps = steps.collect();
        let input = buffers.of(plan.input.view.memory);
        let preparation =
            preprocess.map(|preprocess| Preparation::create(gpu, &plan, preprocess, input, &mut compiler));
        let (memory, invalid) = (memory.pop().await, invalid.pop().await);
        if let Some(error) = memory.or(invalid) {
            let doing = format!("preparing the plan of {}", plan.name);
            return Err(GpuError::Device { doing, reason: error.to_string() });
        }
        gpu.check()?;
        let pipelines = compiler.pipelines;
        Ok(Self { gpu: gpu.clone(), plan, pipelines, steps, buffers, preparation, upload: None })
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The device that runs it.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Runs the plan on `pictures` prepared pictures (channels-last values, at most the plan's batch of pictures).
    ///
    /// # Errors
    /// When the input has another size, or the device fails.
    pub async fn run(&mut self, pictures: u32, input: &[f32], scores: bool) -> Result<Results, GpuError> {
        let expected = pictures as usize * self.plan.input.map.padded_values();
        if pictures == 0 || pictures > self.plan.batch || input.len() != expected {
            return Err(GpuError::InputSize { pictures, expected, found: input.len() });
        }
        self.write_upload(bytemuck::cast_slice(input)).await?;
        let mut encoder = self.encoder();
        let target = self.plan.input.view;
        let bytes = size_of_val(input) as u64;
        encoder.copy_buffer_to_buffer(&self.buffers.upload, 0, self.buffers.of(target.memory), target.offset, bytes);
        self.encode(&mut encoder, pictures, None);
        let submitted = self.submit(encoder, pictures, scores);
        self.upload = Some(map(&self.buffers.upload, wgpu::MapMode::Write, self.buffers.upload.size()));
        submitted?.results().await
    }

    /// Whether [`GpuExecutor::run_pictures`] can prepare these pictures: the device has room for each.
    pub fn can_prepare(&self, pictures: &[&Picture]) -> bool {
        self.preparation.as_ref().is_some_and(|preparation| preparation.fits(&self.gpu, pictures))
    }

    /// Prepares pictures on the GPU and runs the plan on them, in one submit.
    ///
    /// # Errors
    /// When the executor was made without a preparation, a picture is too large for it, there are more pictures than the
    /// plan's batch, or the device fails.
    pub async fn run_pictures(&mut self, pictures: &[&Picture], scores: bool) -> Result<Results, GpuError> {
        let count = pictures.len() as u32;
        let mut encoder = self.encoder();
        let input = self.buffers.of(self.plan.input.view.memory);
        let launches = match &mut self.preparation {
            Some(preparation) if count >= 1 && count <= self.plan.batch && preparation.fits(&self.gpu, pictures) => {
                preparation.send(&self.gpu, &self.plan, input, pictures, &mut encoder).await?
            }
            _ => return Err(GpuError::CannotPrepare { pictures: count, batch: self.plan.batch }),
        };
        self.encode(&mut encoder, count, Some(&launches));
        let submitted = self.submit(encoder, count, scores);
        if let Some(preparation) = &mut self.preparation {
            preparation.reclaim();
        }
        submitted?.results().await
    }

    /// Whether [`GpuExecutor::start_frame`] can prepare a frame of this size: the device has room for it.
    pub fn can_prepare_frame(&self, width: u32, height: u32) -> bool {
        self.preparation.as_ref().is_some_and(|preparation| preparation.fits_frame(&self.gpu, width, height))
    }

    /// Prepares a frame on the GPU and starts the plan on it, in one submit. Two runs may be under way at once.
    ///
    /// # Errors
    /// When the executor was made without a preparation, the frame is not what it says or too large, two runs are under
    /// way, or the device fails.
    pub fn start_frame(&mut self, frame: &Frame<'_>, scores: bool) -> Result<Pending, GpuError> {
        let mut encoder = self.encoder();
        let input = self.buffers.of(self.plan.input.view.memory);
        let launches = match &mut self.preparation {
            Some(preparation) => preparation.send_frame(&self.gpu, &self.plan, input, frame, &mut encoder)?,
            None => return Err(GpuError::CannotPrepare { pictures: 1, batch: self.plan.batch }),
        };
        self.encode(&mut encoder, 1, Some(&launches));
        self.submit(encoder, 1, scores)
    }

    /// Starts the plan on one prepared picture (channels-last values). Two runs may be under way at once.
    ///
    /// # Errors
    /// When the input has another size, two runs are under way, or the device fails.
    pub fn start(&mut self, input: &[f32], scores: bool) -> Result<Pending, GpuError> {
        let expected = self.plan.input.map.padded_values();
        if input.len() != expected {
            return Err(GpuError::InputSize { pictures: 1, expected, found: input.len() });
        }
        self.write(self.plan.input.view, input);
        let mut encoder = self.encoder();
        self.encode(&mut encoder, 1, None);
        self.submit(encoder, 1, scores)
    }

    /// Asks for the heads of all dynamic layers that the plan keeps, one after another, as the run started last leaves them.
    ///
    /// # Errors
    /// When they are being read already, or the device fails.
    pub fn start_insight(&mut self) -> Result<Reading, GpuError> {
        let readback = self.buffers.heads.take()?;
        let mut encoder = self.encoder();
        let mut bytes = 0;
        for View { memory, offset, bytes: length } in self.plan.dynamic.iter().map(|layer| layer.heads) {
            encoder.copy_buffer_to_buffer(self.buffers.of(memory), offset, &readback, bytes, length);
            bytes += length;
        }
        self.gpu.queue.submit([encoder.finish()]);
        Ok(self.buffers.heads.read(&self.gpu, readback, bytes))
    }

    async fn write_upload(&mut self, bytes: &[u8]) -> Result<(), GpuError> {
        if let Some(mut mapping) = self.upload.take() {
            self.gpu.wait(&mut mapping).await?;
        }
        let mapped = self.buffers.upload.get_mapped_range_mut(..bytes.len() as u64);
        let mut view = mapped.map_err(|error| self.gpu.failure("writing the input", &error))?;
        view.slice(..).copy_from_slice(bytes);
        drop(view);
        self.buffers.upload.unmap();
        Ok(())
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("dynaconv") })
    }

    /// Records all launches in one pass.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder, pictures: u32, prepare: Option<&Launches>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        if let (Some(preparation), Some(launches)) = (&self.preparation, prepare) {
            preparation.encode(&mut pass, &self.pipelines, launches);
        }
        let mut current = None;
        for step in &self.steps {
            if current != Some(step.pipeline) {
                pass.set_pipeline(&self.pipelines[step.pipeline]);
                current = Some(step.pipeline);
            }
            pass.set_bind_group(0, &step.bind_group, &[step.params_offset]);
            let [x, y] = step.workgroups;
            pass.dispatch_workgroups(x, y, pictures);
        }
    }

    /// Submits, and asks for the best classes and, where wanted, the scores.
    fn submit(&mut self, mut encoder: wgpu::CommandEncoder, pictures: u32, scores: bool) -> Result<Pending, GpuError> {
        let readback = self.buffers.results.take()?;
        let mut copy = |view: View, target: u64| {
            let source = self.buffers.of(view.memory);
            encoder.copy_buffer_to_buffer(source, view.offset, &readback, target, view.bytes);
            target + view.bytes
        };
        let mut bytes = copy(self.plan.best, 0);
        if scores {
            bytes = copy(self.plan.scores.view, bytes);
        }
        self.gpu.queue.submit([encoder.finish()]);
        let reading = self.buffers.results.read(&self.gpu, readback, bytes);
        let score_values = pictures as usize * self.plan.scores.map.padded_values();
        Ok(Pending {
            reading,
            best_values: 2 * (pictures * self.plan.top) as usize,
            first_score: self.plan.best.bytes as usize / size_of::<f32>(),
            score_values: scores.then_some(score_values),
        })
    }
}
