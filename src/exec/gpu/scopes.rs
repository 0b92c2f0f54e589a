//! What the device says to the objects that one piece of work makes on one thread.

use super::{Gpu, GpuError};

/// Catches errors of this thread until it is closed.
pub(super) struct Scopes {
    invalid: wgpu::ErrorScopeGuard,
    memory: wgpu::ErrorScopeGuard,
}

impl Scopes {
    pub fn open(gpu: &Gpu) -> Self {
        let invalid = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        Self { invalid, memory: gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory) }
    }

    /// Ends at once; the error, if there was one, may be asked for later and on another thread.
    pub fn close(self) -> impl Future<Output = Option<wgpu::Error>> {
        let (memory, invalid) = (self.memory.pop(), self.invalid.pop());
        async move {
            // Both are awaited: whoever drops a browser's promise never hears of its failure.
            let (memory, invalid) = (memory.await, invalid.await);
            memory.or(invalid)
        }
    }
}

/// What was made, where the device has nothing against it.
pub(super) async fn sound<T>(
    (made, error): (T, impl Future<Output = Option<wgpu::Error>>),
    doing: &str,
) -> Result<T, GpuError> {
    match error.await {
        Some(error) => Err(GpuError::Device { doing: doing.into(), reason: error.to_string() }),
        None => Ok(made),
    }
}
