//! Reads and writes a plan's memory between runs: for tests and tools, no run needs it.

use super::memory::buffer;
use super::wait::map;
use super::{GpuError, GpuExecutor};
use crate::kernels::Texels;
use crate::plan::{Memory, View};

impl GpuExecutor {
    /// Writes as many of `values` as it holds to the beginning of a view, before the next run. Memory is written four values at a time:
    /// what is left of the last four becomes 0.
    pub fn write(&self, view: View, values: &[f32]) {
        let values = &values[..values.len().min(view.values() as usize)];
        let mut bytes = Vec::with_capacity(view.bytes as usize);
        view.precision.encode(values, &mut |part| bytes.extend_from_slice(part));
        bytes.resize(bytes.len().next_multiple_of(4 * view.precision.bytes() as usize), 0);
        self.gpu.queue.write_buffer(self.buffers.of(view.memory), view.offset, &bytes);
        self.buffers.textures.write(&self.gpu, &view, &bytes);
    }

    /// The values of a view as the last run left them. Makes a buffer to read them through.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn read(&self, view: View) -> Result<Vec<f32>, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = buffer(&self.gpu, "inspection", view.bytes, usage, false);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        match self.texture_of(view) {
            Some(loads) => self.buffers.textures.copy(&view, loads, &staging, &mut encoder),
            None => encoder.copy_buffer_to_buffer(self.buffers.of(view.memory), view.offset, &staging, 0, view.bytes),
        }
        let submitted = self.gpu.queue.submit([encoder.finish()]);
        self.gpu.wait(&mut map(&staging, wgpu::MapMode::Read, view.bytes, submitted)).await?;
        let mapped = staging.get_mapped_range(..view.bytes);
        let mapped = mapped.map_err(|error| self.gpu.failure("reading a view", &error))?;
        Ok(view.precision.decode(&mapped))
    }

    /// The kind of texture in which the last launch of the last run that used a view had it, if in any; static weights lie in the same
    /// place whatever ran.
    fn texture_of(&self, view: View) -> Option<Texels> {
        let launched = if view.memory == Memory::Weights { self.steps.len() } else { self.launched() };
        let launches = self.plan.passes.iter().zip(&self.steps).take(launched).rev();
        let (_, last) = launches.into_iter().find(|(pass, _)| pass.bindings.contains(&view))?;
        last.textures.iter().find(|(known, _)| *known == view).map(|(_, loads)| *loads)
    }
}
