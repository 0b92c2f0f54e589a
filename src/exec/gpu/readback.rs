//! Reads results back. Each kind of result has a few buffers, made at load, so that a run may start while the results of
//! the one before are still on their way.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::memory::buffer;
use super::wait::{Mapping, map};
use super::{Gpu, GpuError};

/// The buffers of one kind of result.
pub(super) struct Readbacks {
    buffers: Vec<wgpu::Buffer>,
    /// Those that nothing is being read through, in the order in which they came free.
    free: Receiver<Free>,
    home: Sender<Free>,
}

/// A buffer that came free, and the submit after which the mapping can be there that nobody waited for.
type Free = (usize, Option<wgpu::SubmissionIndex>);

/// A buffer that is taken until this is dropped.
pub(super) struct Taken {
    index: usize,
    unawaited: Option<wgpu::SubmissionIndex>,
    home: Sender<Free>,
}

impl Readbacks {
    /// Makes `count` buffers of `bytes` bytes.
    pub fn create(gpu: &Gpu, name: &str, count: usize, bytes: u64) -> Self {
        let (home, free) = channel();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        for index in 0..count {
            // The receiving end lives as long as this does.
            let _ = home.send((index, None));
        }
        let buffers = (0..count).map(|index| buffer(gpu, &format!("{name} {index}"), bytes, usage, false));
        Self { buffers: buffers.collect(), free, home }
    }

    /// Takes a buffer, to submit copies to it.
    pub fn take(&self, gpu: &Gpu) -> Result<Taken, GpuError> {
        let (index, unawaited) = self.free.try_recv().map_err(|_| GpuError::Busy { most: self.buffers.len() })?;
        if let Some(after) = unawaited {
            // wgpu would take an unmapped buffer's mapping, once it is there, for that of the buffer's next run.
            gpu.pass(after);
            self.buffers[index].unmap();
        }
        Ok(Taken { index, unawaited: None, home: self.home.clone() })
    }

    /// The buffer that is taken after this one where results are waited for in order.
    pub fn next(&self, index: usize) -> usize {
        (index + 1) % self.buffers.len()
    }

    /// The buffer of an index, to record copies to.
    pub fn buffer(&self, index: usize) -> &wgpu::Buffer {
        &self.buffers[index]
    }

    /// Reads the first `bytes` of a taken buffer once the work submitted last, `after` which they are there, is done.
    pub fn read(&self, gpu: &Gpu, taken: Taken, bytes: u64, after: wgpu::SubmissionIndex) -> Reading {
        let buffer = self.buffers[taken.index].clone();
        let mapping = Some(map(&buffer, wgpu::MapMode::Read, bytes, after));
        Reading { gpu: gpu.clone(), buffer, taken, bytes, mapping }
    }
}

impl Taken {
    /// Its index.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Nobody wants the buffer when the executor is gone.
        let _ = self.home.send((self.index, self.unawaited.take()));
    }
}

/// Values on their way from the device. Its executor may be used meanwhile.
pub struct Reading {
    gpu: Gpu,
    buffer: wgpu::Buffer,
    taken: Taken,
    bytes: u64,
    /// Until it is there.
    mapping: Option<Mapping>,
}

impl Reading {
    /// Waits for the values.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn values(mut self) -> Result<Vec<f32>, GpuError> {
        if let Some(mapping) = &mut self.mapping {
            self.gpu.wait(mapping).await?;
        }
        self.mapping = None;
        let mapped = self.buffer.get_mapped_range(..self.bytes);
        let mapped = mapped.map_err(|error| self.gpu.failure("reading the result", &error))?;
        Ok(bytemuck::cast_slice(&mapped).to_vec())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        match self.mapping.take() {
            // A browser forgets the mapping with this.
            _ if cfg!(target_arch = "wasm32") => self.buffer.unmap(),
            Some(Mapping { after, .. }) => self.taken.unawaited = Some(after),
            None => self.buffer.unmap(),
        }
    }
}
