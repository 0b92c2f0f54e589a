//! How the maps and weights of a launch lie in memory.

use super::{Cost, Dispatch};
use crate::tensor::Precision;

impl Dispatch {
    /// This launch with its maps and weights stored otherwise. Kernels without any stay as they are.
    #[must_use]
    pub fn stored_as(self, precision: Precision) -> Self {
        if self.precision == precision || self.kernel.spec().stored.is_empty() {
            return self;
        }
        let scaled = |bytes: u64, single: u64| single + (bytes - single) / self.precision.bytes() * precision.bytes();
        let Cost { flops, bytes_read, bytes_written, single_read, single_written } = self.cost;
        let (bytes_read, bytes_written) = (scaled(bytes_read, single_read), scaled(bytes_written, single_written));
        Self { precision, cost: Cost { flops, bytes_read, bytes_written, single_read, single_written }, ..self }
    }

    /// How the memory that it binds by this name is stored.
    pub fn precision_of(&self, binding: &str) -> Precision {
        if self.kernel.spec().stored.contains(&binding) { self.precision } else { Precision::F32 }
    }
}
