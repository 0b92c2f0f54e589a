//! How numbers lie in memory and files. Whatever they are stored as, they are computed with as f32.

use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::Serialize;

/// The largest number that [`Precision::F16`] stores.
pub const MOST_STORED: f32 = 65504.0;

/// What numbers are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits each.
    #[default]
    F32,
    /// 16 bits each, rounded to nearest; what is larger than [`MOST_STORED`] becomes that.
    F16,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of one number.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Its name: `f32` or `f16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Makes of each number what is read where it was stored.
    pub fn round(self, values: &mut [f32]) {
        if self == Self::F16 {
            let mut stored = [f16::ZERO; 256];
            for block in values.chunks_mut(stored.len()) {
                let stored = &mut stored[..block.len()];
                saturate(block);
                stored.convert_from_f32_slice(block);
                stored.convert_to_f32_slice(block);
            }
        }
    }

    /// Gives numbers as they are stored to `put`, one part after another.
    pub fn encode(self, values: &[f32], put: &mut dyn FnMut(&[u8])) {
        match self {
            Self::F32 => put(bytemuck::cast_slice(values)),
            Self::F16 => {
                let (mut block, mut stored) = ([0.0; 256], [f16::ZERO; 256]);
                for values in values.chunks(block.len()) {
                    let (block, stored) = (&mut block[..values.len()], &mut stored[..values.len()]);
                    block.copy_from_slice(values);
                    saturate(block);
                    stored.convert_from_f32_slice(block);
                    put(bytemuck::cast_slice(stored));
                }
            }
        }
    }

    /// Reads numbers that are stored one after another.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytemuck::pod_collect_to_vec(bytes),
            Self::F16 => bytemuck::pod_collect_to_vec::<u8, f16>(bytes).to_f32_vec(),
        }
    }
}

/// As `shaders/shared/storage_f16.wgsl` does it. What is not a number stays so.
fn saturate(values: &mut [f32]) {
    for value in values {
        *value = value.clamp(-MOST_STORED, MOST_STORED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_rounded_to_what_is_stored() {
        let values = [0.0, -1.0, 0.1, 1.0e-7, 65504.0, 1.0e9, f32::NEG_INFINITY, 2049.0];
        let expected = [0.0, -1.0, 0.099_975_586, 1.192_092_9e-7, 65504.0, 65504.0, -65504.0, 2048.0];
        for precision in Precision::ALL {
            let mut bytes = Vec::new();
            precision.encode(&values, &mut |part| bytes.extend_from_slice(part));
            assert_eq!(bytes.len() as u64, values.len() as u64 * precision.bytes());
            let mut rounded = values;
            precision.round(&mut rounded);
            assert_eq!(precision.decode(&bytes), rounded);
            assert_eq!(rounded, if precision == Precision::F16 { expected } else { values });
        }
    }

    #[test]
    fn what_is_no_number_is_stored_as_none() {
        let mut values = [f32::NAN; 3];
        Precision::F16.round(&mut values);
        assert!(values.iter().all(|value| value.is_nan()));
    }
}
