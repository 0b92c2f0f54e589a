//! Waits for buffer mappings: by polling the device natively, by the event loop in a browser.

use futures_channel::oneshot;

use super::{Gpu, GpuError};

/// A mapping under way.
pub(super) struct Mapping {
    pub done: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    /// The submit after which it can be there.
    pub after: wgpu::SubmissionIndex,
}

/// Asks for the first `bytes` of a buffer to be mapped once the work submitted `after` which it is free is done.
pub(super) fn map(buffer: &wgpu::Buffer, mode: wgpu::MapMode, bytes: u64, after: wgpu::SubmissionIndex) -> Mapping {
    let (sender, done) = oneshot::channel();
    buffer.map_async(mode, 0..bytes, move |result| {
        // Nobody listens any more when the run was dropped half-way; the mapping is then of no use.
        let _ = sender.send(result);
    });
    Mapping { done, after }
}

impl Gpu {
    /// Waits until a mapping is there, and for no later work.
    pub(super) async fn wait(&self, mapping: &mut Mapping) -> Result<(), GpuError> {
        let Mapping { done, after } = mapping;
        let failed = |error: &dyn std::fmt::Display| self.failure("mapping a buffer", error);
        let mapped = match done.try_recv().map_err(|error| failed(&error))? {
            Some(mapped) => mapped,
            None => {
                #[cfg(not(target_arch = "wasm32"))]
                if let Err(error) =
                    self.device.poll(wgpu::PollType::Wait { submission_index: Some(after.clone()), timeout: None })
                {
                    return Err(failed(&error));
                }
                // A browser goes on by itself.
                #[cfg(target_arch = "wasm32")]
                let _ = after;
                done.await.map_err(|error| failed(&error))?
            }
        };
        self.check()?;
        mapped.map_err(|error| failed(&error))
    }

    /// Lets all that was submitted up to here pass, with the mappings that hang on it; a browser does so by itself. Whether the
    /// device still works, the next call sees.
    pub(super) fn pass(&self, submitted: wgpu::SubmissionIndex) {
        #[cfg(not(target_arch = "wasm32"))]
        let _ = self.device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None });
        #[cfg(target_arch = "wasm32")]
        let _ = submitted;
    }
}
