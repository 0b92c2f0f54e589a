//! What a device can do at best: the rates that multiply-adds, copies and reads for their own sake reach on it.

use serde::{Deserialize, Serialize};

/// The limits of a device, measured or from its data sheet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roof {
    /// Operations per second of f32 multiply-adds, which count two.
    pub f32_flops: f64,
    /// Of f16, where the device has it.
    pub f16_flops: Option<f64>,
    /// The rates of memory for growing sizes.
    pub memory: Vec<MemoryRate>,
    /// Nanoseconds that one more empty launch adds to a plain run.
    pub empty_dispatch: f64,
    /// Nanoseconds from an empty submit to hearing of its end.
    pub empty_submit: f64,
    /// Operations per second that one workgroup of 64 invocations reaches alone; none in profiles of older programs.
    #[serde(default)]
    pub workgroup_flops: Option<f64>,
    /// Invocations that keep as much of the device busy as that workgroup, where it takes fewer: software computes a subgroup after the
    /// other on each core.
    #[serde(default)]
    pub busy_with: Option<u32>,
}

/// The rates of memory for one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryRate {
    /// Bytes that are gone through.
    pub bytes: u64,
    /// Bytes per second of a copy, read and written counted together.
    pub copy: f64,
    /// Bytes per second where they are only read.
    pub read: f64,
}

impl MemoryRate {
    /// The better of the two: what is written costs some devices far more than what is read.
    pub fn best(&self) -> f64 {
        self.copy.max(self.read)
    }
}

impl Roof {
    /// Bytes per second that the device reaches at best with at least `bytes`: small amounts stay in its caches. Beyond
    /// the largest size that of the largest.
    pub fn bandwidth(&self, bytes: u64) -> f64 {
        let last = self.memory.iter().max_by_key(|rate| rate.bytes).into_iter();
        self.memory.iter().filter(|rate| rate.bytes >= bytes).chain(last).map(MemoryRate::best).fold(0.0, f64::max)
    }

    /// The share of the roof that work of `flops` and `bytes` reached in `nanoseconds`: the time it would take at the
    /// rates of the roof, by the time it took.
    pub fn share(&self, flops: u64, bytes: u64, nanoseconds: f64) -> Option<f64> {
        let seconds = (flops as f64 / self.f32_flops).max(bytes as f64 / self.bandwidth(bytes));
        let share = 1e9 * seconds / nanoseconds;
        (share.is_finite() && share > 0.0).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roof_is_the_lower_of_arithmetic_and_memory() {
        let rates = [(1 << 10, 1e9, 1e9), (1 << 16, 8e9, 7e9), (1 << 20, 3e9, 4e9), (1 << 26, 2e9, 2e9)];
        let memory = rates.map(|(bytes, copy, read)| MemoryRate { bytes, copy, read }).to_vec();
        let roof = Roof {
            f32_flops: 1e12,
            f16_flops: None,
            memory,
            empty_dispatch: 0.0,
            empty_submit: 0.0,
            workgroup_flops: None,
            busy_with: None,
        };
        assert_eq!([1, 1 << 16, (1 << 16) + 1, 1 << 26, 1 << 30].map(|n| roof.bandwidth(n)), [8e9, 8e9, 4e9, 2e9, 2e9]);
        // A kilobyte at 8 GB/s takes 128 ns, a thousand operations one.
        assert_eq!(roof.share(1000, 1024, 256.0), Some(0.5));
        assert_eq!(roof.share(1_000_000, 1024, 2000.0), Some(0.5));
        assert_eq!(roof.share(0, 0, 10.0), None);
        assert_eq!(roof.share(1, 1, 0.0), None);
    }
}
