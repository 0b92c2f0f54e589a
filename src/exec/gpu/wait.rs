//! Waits for buffer mappings: by polling the device natively, by the event loop in a browser.

use futures_channel::oneshot;

use super::{Gpu, GpuError};

/// A mapping under way.
pub(super) type Mapping = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;

/// Asks for the first `bytes` of a buffer to be mapped once the work submitted so far is done.
pub(super) fn map(buffer: &wgpu::Buffer, mode: wgpu::MapMode, bytes: u64) -> Mapping {
    let (sender, receiver) = oneshot::channel();
    buffer.map_async(mode, 0..bytes, move |result| {
        // Nobody listens any more when the run was dropped half-way; the mapping is then of no use.
        let _ = sender.send(result);
    });
    receiver
}

impl Gpu {
    /// Waits until a mapping is there.
    pub(super) async fn wait(&self, mapping: &mut Mapping) -> Result<(), GpuError> {
        let failed = |error: &dyn std::fmt::Display| self.failure("mapping a buffer", error);
        #[cfg(not(target_arch = "wasm32"))]
        if let Err(error) = self.device.poll(wgpu::PollType::wait_indefinitely()) {
            return Err(failed(&error));
        }
        let mapped = mapping.await.map_err(|error| failed(&error))?;
        self.check()?;
        mapped.map_err(|error| failed(&error))
    }
}
