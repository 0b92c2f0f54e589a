//! Records runs. All of a run but its input's values is known before it starts, so it is recorded while the device computes
//! the run before: between the two the host only writes the input and submits.

use super::{GpuExecutor, Timer};
use crate::exec::TimingMethod;
use crate::kernels::Texels;
use crate::plan::View;

/// One launch of the plan, resolved.
pub(super) struct Step {
    pub pipeline: usize,
    pub bind_group: wgpu::BindGroup,
    pub params_offset: u32,
    pub workgroups: [u32; 2],
    /// What it has in textures, and how it loads them.
    pub textures: Vec<(View, Texels)>,
}

/// One launch of a run.
pub(super) struct Launch<'a> {
    pub pipeline: usize,
    pub bind_group: &'a wgpu::BindGroup,
    pub params_offset: u32,
    pub workgroups: [u32; 3],
}

impl Step {
    /// Its launch for so many pictures.
    pub fn launch(&self, pictures: u32) -> Launch<'_> {
        let Self { pipeline, ref bind_group, params_offset, workgroups: [x, y], .. } = *self;
        Launch { pipeline, bind_group, params_offset, workgroups: [x, y, pictures] }
    }
}

/// All that a run's commands hang on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    pub pictures: u32,
    /// The buffer that prepared pictures come through; none where they are prepared on the device, or lie there.
    pub upload: Option<usize>,
    /// The plan's first launches, so many of them.
    pub launches: usize,
    /// Whether the scores go back beside the best classes.
    pub scores: bool,
    /// The buffer that results go back through.
    pub readback: usize,
}

/// A run to come.
pub(super) struct Ahead {
    pub course: Course,
    pub commands: wgpu::CommandBuffer,
}

impl GpuExecutor {
    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("dynaconv") })
    }

    /// Records the run that is most likely the next: one like this, through the buffers whose turn it is then.
    pub(super) fn record_after(&self, course: Course) -> Ahead {
        let upload = course.upload.map(|_| self.buffers.uploads.current());
        let launches = self.steps.len();
        let course = Course { upload, launches, readback: self.buffers.results.next(course.readback), ..course };
        Ahead { course, commands: self.record(&course, None) }
    }

    /// Records a run: the way of its input, the launches in one pass, and the way of its results.
    pub(super) fn record(&self, course: &Course, timer: Option<&Timer>) -> wgpu::CommandBuffer {
        let mut encoder = self.encoder();
        if let Some(upload) = course.upload {
            let View { memory, offset, .. } = self.plan.input.view;
            let (upload, input) = (self.buffers.uploads.buffer(upload), self.buffers.of(memory));
            encoder.copy_buffer_to_buffer(upload, 0, input, offset, self.input_bytes(course.pictures));
        }
        let steps = self.steps.iter().take(course.launches).map(|step| step.launch(course.pictures));
        self.encode(&mut encoder, steps, timer);
        let mut at = 0;
        for View { memory, offset, bytes, .. } in self.results(course.scores) {
            let readback = self.buffers.results.buffer(course.readback);
            encoder.copy_buffer_to_buffer(self.buffers.of(memory), offset, readback, at, bytes);
            at += bytes;
        }
        encoder.finish()
    }

    /// Bytes of so many prepared pictures.
    pub(super) fn input_bytes(&self, pictures: u32) -> u64 {
        let input = &self.plan.input;
        u64::from(pictures) * input.map.padded_values() as u64 * input.view.precision.bytes()
    }

    /// What goes back after a run, one behind another.
    pub(super) fn results(&self, scores: bool) -> impl Iterator<Item = View> + use<> {
        let scores = scores.then_some(self.plan.scores.view);
        std::iter::once(self.plan.best).chain(scores)
    }

    /// Records launches in one pass; in a pass for each where a timer can time nothing smaller.
    pub(super) fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        launches: impl Iterator<Item = Launch<'a>>,
        timer: Option<&Timer>,
    ) {
        let mut launches = (0..).zip(launches).peekable();
        let timed = |index: &u32| timer.filter(|timer| *index < timer.capacity());
        while let Some((first, _)) = launches.peek() {
            let boundaries = timed(first).filter(|timer| timer.method() == TimingMethod::PassBoundaries);
            let timestamp_writes = boundaries.map(|timer| timer.boundaries(*first));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            let mut current = None;
            for (index, launch) in launches.by_ref() {
                if current != Some(launch.pipeline) {
                    pass.set_pipeline(&self.pipelines[launch.pipeline]);
                    current = Some(launch.pipeline);
                }
                pass.set_bind_group(0, launch.bind_group, &[launch.params_offset]);
                let [x, y, z] = launch.workgroups;
                let timer = timed(&index);
                if let Some(timer) = timer {
                    timer.stamp(&mut pass, index, 0);
                }
                pass.dispatch_workgroups(x, y, z);
                if let Some(timer) = timer {
                    timer.stamp(&mut pass, index, 1);
                }
                if boundaries.is_some() {
                    break;
                }
            }
        }
    }
}
