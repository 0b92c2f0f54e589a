//! What a run writes its input through: buffers that stay mapped between runs, one for each run that may be under way.

use super::memory::buffer;
use super::wait::{Mapping, map};
use super::{Gpu, GpuError};

/// The buffers of one kind of input. They take turns.
pub(super) struct Uploads {
    /// Each with its next mapping, where it is not mapped.
    buffers: Vec<(wgpu::Buffer, Option<Mapping>)>,
    current: usize,
}

impl Uploads {
    /// Makes `count` buffers of `bytes` bytes.
    pub fn create(gpu: &Gpu, name: &str, count: usize, bytes: u64) -> Self {
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        // In a browser they are mapped once they are there: wgpu panics where there is no memory to map them as they are created.
        let is_native = cfg!(not(target_arch = "wasm32"));
        let buffers = (0..count).map(|index| {
            let buffer = buffer(gpu, &format!("{name} {index}"), bytes, usage, is_native);
            let mapping = (!is_native).then(|| map(&buffer, wgpu::MapMode::Write, buffer.size(), gpu.queue.submit([])));
            (buffer, mapping)
        });
        Self { buffers: buffers.collect(), current: 0 }
    }

    /// The buffer whose turn it is.
    pub fn current(&self) -> usize {
        self.current
    }

    /// The buffer of an index, to record copies from.
    pub fn buffer(&self, index: usize) -> &wgpu::Buffer {
        &self.buffers[index].0
    }

    /// Has the first `bytes` bytes of the current buffer written, once the run that it served last has read them.
    pub async fn write(
        &mut self,
        gpu: &Gpu,
        bytes: u64,
        write: impl FnOnce(&mut wgpu::BufferViewMut),
    ) -> Result<(), GpuError> {
        let (buffer, mapping) = &mut self.buffers[self.current];
        if let Some(coming) = mapping {
            gpu.wait(coming).await?;
        }
        *mapping = None;
        let view = buffer.get_mapped_range_mut(..bytes);
        let mut view = view.map_err(|error| gpu.failure("writing the input", &error))?;
        write(&mut view);
        drop(view);
        buffer.unmap();
        Ok(())
    }

    /// Asks for the buffer written last back, once the submitted run has read it, and goes on to the next.
    pub fn reclaim(&mut self, after: wgpu::SubmissionIndex) {
        let (buffer, mapping) = &mut self.buffers[self.current];
        *mapping = Some(map(buffer, wgpu::MapMode::Write, buffer.size(), after));
        self.current = (self.current + 1) % self.buffers.len();
    }
}
