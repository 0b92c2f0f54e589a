//! Records launches. The network's are the same in every run of as many pictures, so they are recorded while the device
//! computes the run before: a run then only waits for its input to be written and its commands to be submitted.

use super::{GpuExecutor, Timer};
use crate::exec::TimingMethod;
use crate::plan::View;

/// One launch of the plan, resolved.
pub(super) struct Step {
    pub pipeline: usize,
    pub bind_group: wgpu::BindGroup,
    pub params_offset: u32,
    pub workgroups: [u32; 2],
    /// What it has in textures.
    pub textures: Vec<View>,
}

/// One launch of a run.
pub(super) struct Launch<'a> {
    pub pipeline: usize,
    pub bind_group: &'a wgpu::BindGroup,
    pub params_offset: u32,
    pub workgroups: [u32; 3],
}

/// The network's launches for a run to come.
pub(super) struct Ahead {
    pub pictures: u32,
    pub commands: wgpu::CommandBuffer,
}

impl GpuExecutor {
    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("dynaconv") })
    }

    /// Records the plan's first `most` launches.
    pub(super) fn record(&self, pictures: u32, most: usize, timer: Option<&Timer>) -> wgpu::CommandBuffer {
        let steps = self.steps.iter().take(most).map(|step| {
            let Step { pipeline, bind_group, params_offset, workgroups: [x, y], .. } = step;
            let workgroups = [*x, *y, pictures];
            Launch { pipeline: *pipeline, bind_group, params_offset: *params_offset, workgroups }
        });
        let mut encoder = self.encoder();
        self.encode(&mut encoder, steps, timer);
        encoder.finish()
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
