//! Reads results back. Each kind of result has a few buffers, made at load, so that a run may start while the results of
//! the one before are still on their way.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::memory::buffer;
use super::wait::{Mapping, map};
use super::{Gpu, GpuError};

/// The buffers of one kind of result that nothing is being read through.
pub(super) struct Readbacks {
    free: Receiver<wgpu::Buffer>,
    home: Sender<wgpu::Buffer>,
    count: usize,
}

impl Readbacks {
    /// Makes `count` buffers of `bytes` bytes.
    pub fn create(gpu: &Gpu, name: &str, count: usize, bytes: u64) -> Self {
        let (home, free) = channel();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        for index in 0..count {
            // The receiving end lives as long as this does.
            let _ = home.send(buffer(gpu, &format!("{name} {index}"), bytes, usage, false));
        }
        Self { free, home, count }
    }

    /// A buffer to record copies to.
    pub fn take(&self) -> Result<wgpu::Buffer, GpuError> {
        self.free.try_recv().map_err(|_| GpuError::Busy { most: self.count })
    }

    /// Reads the first `bytes` of a taken buffer once the work submitted last, `after` which they are there, is done.
    pub fn read(&self, gpu: &Gpu, buffer: wgpu::Buffer, bytes: u64, after: wgpu::SubmissionIndex) -> Reading {
        let mapping = Some(map(&buffer, wgpu::MapMode::Read, bytes, Some(after)));
        Reading { gpu: gpu.clone(), buffer, bytes, mapping, home: self.home.clone() }
    }
}

/// Values on their way from the device. Its executor may be used meanwhile.
pub struct Reading {
    gpu: Gpu,
    buffer: wgpu::Buffer,
    bytes: u64,
    mapping: Option<Mapping>,
    home: Sender<wgpu::Buffer>,
}

impl Reading {
    /// Waits for the values.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn values(mut self) -> Result<Vec<f32>, GpuError> {
        if let Some(mapping) = self.mapping.take() {
            self.gpu.wait(mapping).await?;
        }
        let mapped = self.buffer.get_mapped_range(..self.bytes);
        let mapped = mapped.map_err(|error| self.gpu.failure("reading the result", &error))?;
        Ok(bytemuck::cast_slice(&mapped).to_vec())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.buffer.unmap();
        // Nobody wants the buffer when the executor is gone.
        let _ = self.home.send(self.buffer.clone());
    }
}
