//! Tensor values as bytes.

use std::io::{self, Read};

use half::{bf16, f16};

use super::Fault;

/// How a value is stored. All forms are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    F32,
    F16,
    BF16,
    /// Rounded to the nearest `f32`.
    #[cfg_attr(
        target_arch = "wasm32",
        expect(dead_code, reason = "only checkpoints have it, which a browser does not import")
    )]
    F64,
}

impl Encoding {
    /// Reads values that take so many bytes.
    pub(super) fn read(self, file: &mut impl Read, bytes: usize) -> io::Result<Vec<f32>> {
        if self == Self::F32 && bytes.is_multiple_of(size_of::<f32>()) {
            let mut values = vec![0.0f32; bytes / size_of::<f32>()];
            file.read_exact(bytemuck::cast_slice_mut(&mut values))?;
            if cfg!(target_endian = "big") {
                values.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
            }
            return Ok(values);
        }
        let mut stored = vec![0; bytes];
        file.read_exact(&mut stored)?;
        Ok(self.decode(&stored))
    }

    /// Reads values; bytes beyond the last whole value are not read.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Self::BF16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
            Self::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        }
    }
}

/// Refuses NaN and infinities, the mark of a broken training run or file.
pub(super) fn check_finite(tensor: &str, values: &[f32]) -> Result<(), Fault> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Fault::NotFinite { tensor: tensor.into(), index, value: values[index] }),
    }
}

/// Writes values in single precision.
pub(super) fn encode_single(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes values in half precision, rounded to nearest.
///
/// # Errors
/// When a value rounds to infinity.
pub(super) fn encode_half(tensor: &str, values: &[f32]) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(values.len() * 2);
    for (index, &value) in values.iter().enumerate() {
        let half = f16::from_f32(value);
        if !half.is_finite() {
            return Err(Fault::HalfOverflow { tensor: tensor.into(), index, value });
        }
        bytes.extend(half.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_reads_its_own_bytes() {
        let values = [0.0, -1.5, 1024.0];
        assert_eq!(Encoding::F32.decode(&encode_single(&values)), values);
        assert_eq!(Encoding::F16.decode(&encode_half("t", &values).unwrap()), values);
        let bytes: Vec<u8> = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        assert_eq!(Encoding::BF16.decode(&bytes), values);
        let bytes: Vec<u8> = values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
        assert_eq!(Encoding::F64.decode(&bytes), values);
        assert_eq!(Encoding::F64.decode(&1e300f64.to_le_bytes()), [f32::INFINITY]);
    }

    #[test]
    fn half_precision_ends_at_65504() {
        // The largest half is 65504; from 65520 on, the nearest one would be infinity.
        assert!(encode_half("t", &[65519.0, -65519.0]).is_ok());
        let fault = encode_half("t", &[1.0, 65520.0]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "tensor `t`: expected values within ±65504 for half precision, found 65520 at index 1"
        );
    }
}
