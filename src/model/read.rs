//! Reads model files. Every length and offset in them is checked before it is used.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::error::{Quoted, brief};
use super::unique::UniqueKeys;
use super::values::{self, Encoding};
use super::{Description, Fault, Model, ModelError, check};
use crate::graph::Weights;
use crate::tensor::Tensor;

/// Larger files are not read.
pub(super) const MAX_FILE: u64 = 2 << 30;
/// Longer headers are not read: the largest network's has a tenth of a mebibyte.
const MAX_HEADER: u64 = 16 << 20;
/// Bytes of the header's length.
const LENGTH: u64 = 8;
/// What PyTorch's files begin with: a zip archive, or the pickle of a certain large number.
const CHECKPOINTS: [&[u8]; 2] = [b"PK\x03\x04", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46"];
/// The metadata's entry that holds the description.
pub(super) const DESCRIPTION_KEY: &str = "dynaconv";

impl Model {
    /// Reads a model file; its format is specified [here](super).
    ///
    /// # Errors
    /// When the file cannot be read, or is not a whole and valid model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let read = open(path).and_then(|(file, length)| parse(BufReader::new(file), length));
        read.map_err(|fault| ModelError::new(path.display(), fault))
    }

    /// Reads a model from the bytes of its file; `name` stands for the file in errors.
    ///
    /// # Errors
    /// When the bytes are not a whole and valid model.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        parse(bytes, bytes.len() as u64).map_err(|fault| ModelError::new(name, fault))
    }
}

/// A file and its length.
fn open(path: &Path) -> Result<(File, u64), Fault> {
    let length = check_file_size(path)?;
    Ok((File::open(path).map_err(unreadable)?, length))
}

fn unreadable(source: std::io::Error) -> Fault {
    Fault::Io { doing: "read it", source }
}

/// Refuses what is no file, or one that is too large to be read into memory.
pub(super) fn check_file_size(path: &Path) -> Result<u64, Fault> {
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        // A pipe or device has no size to check, and may have no end.
        return Err(unreadable(std::io::Error::other("not a regular file")));
    }
    check_file_length(metadata.len())?;
    Ok(metadata.len())
}

/// Reads a file of so many bytes, each tensor to where it stays.
fn parse(mut file: impl Read, length: u64) -> Result<Model, Fault> {
    let metadata = read_header(&mut file, length)?;
    let json = metadata.metadata().as_ref().and_then(|entries| entries.get(DESCRIPTION_KEY));
    let description = Description::parse(json.ok_or(Fault::NoDescription)?)?;
    let graph = description.graph()?;

    let mut tensors: Vec<(String, &TensorInfo)> = metadata.tensors().into_iter().collect();
    check(&graph, tensors.iter().map(|(name, info)| (name.as_str(), info.shape.as_slice())))?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let read = |(name, info): (String, &TensorInfo)| read_tensor(&name, info, &mut file).map(|tensor| (name, tensor));
    let weights = tensors.into_iter().map(read).collect::<Result<Weights, Fault>>()?;
    Ok(Model { description, graph, weights })
}

/// Refuses what would be refused if it were read: a header or a file that is too long.
pub(super) fn check_lengths(bytes: &[u8]) -> Result<(), Fault> {
    check_file_length(bytes.len() as u64)?;
    bytes.first_chunk().map_or(Ok(()), |header| check_header_length(u64::from_le_bytes(*header)))
}

fn check_file_length(found: u64) -> Result<(), Fault> {
    if found > MAX_FILE { Err(Fault::TooLarge { most: MAX_FILE, found }) } else { Ok(()) }
}

fn check_header_length(found: u64) -> Result<(), Fault> {
    if found > MAX_HEADER { Err(Fault::HeaderTooLong { most: MAX_HEADER, found }) } else { Ok(()) }
}

/// Reads the header, whose tensors cover the rest of the file without gaps.
///
/// The crate's own `SafeTensors::deserialize` adds the last offset and the header's length unchecked, and so panics on
/// some files where overflow is checked; hence only its header type is used.
fn read_header(file: &mut impl Read, found: u64) -> Result<Metadata, Fault> {
    if found < LENGTH {
        return Err(Fault::Truncated { expected: LENGTH, found });
    }
    let mut start = [0; LENGTH as usize];
    file.read_exact(&mut start).map_err(unreadable)?;
    if CHECKPOINTS.iter().any(|checkpoint| start.starts_with(checkpoint)) {
        return Err(Fault::Header("it looks like a PyTorch checkpoint, which is to be imported first".into()));
    }
    let length = u64::from_le_bytes(start);
    check_file_length(found)?;
    check_header_length(length)?;
    let data_start = LENGTH + length;
    if data_start > found {
        return Err(Fault::Truncated { expected: data_start, found });
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(unreadable)?;
    let refused = |error: serde_json::Error| Fault::Header(brief(&error.to_string()));
    let metadata: Metadata = serde_json::from_slice(&header).map_err(refused)?;
    serde_json::from_slice::<UniqueKeys>(&header).map_err(refused)?;
    let data_end = metadata.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
    let expected = data_start.saturating_add(data_end);
    if expected > found {
        return Err(Fault::Truncated { expected, found });
    }
    if expected < found {
        return Err(Fault::Header(format!("{} bytes follow the last tensor", found - expected)));
    }
    Ok(metadata)
}

/// Reads the tensor that comes next.
fn read_tensor(name: &str, info: &TensorInfo, file: &mut impl Read) -> Result<Tensor, Fault> {
    let encoding = match info.dtype {
        Dtype::F32 => Encoding::F32,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::BF16,
        other => {
            let found = format!("{other:?}");
            return Err(Fault::Type { tensor: name.into(), expected: "F32, F16 or BF16", found });
        }
    };
    let broken = || Fault::Header(format!("tensor {}: its offsets do not fit its shape", Quoted(name)));
    let (begin, end) = info.data_offsets;
    let bytes = end.checked_sub(begin).ok_or_else(broken)?;
    let values = encoding.read(file, bytes).map_err(unreadable)?;
    values::check_finite(name, &values)?;
    Tensor::new(info.shape.clone(), values).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::{Architecture, MobileNetV2};
    use crate::model::Precision;

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_refused() {
        let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 1 };
        let model = Model::untrained("shrinks", Architecture::MobileNetV2(base)).unwrap();
        let bytes = model.to_bytes(Precision::F32).unwrap();
        let length = bytes.len() as u64;
        assert_eq!(parse(&bytes[..], length).unwrap(), model);
        for left in [4, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(parse(&bytes[..left], length), Err(Fault::Io { doing: "read it", .. })), "{left} bytes");
        }
    }
}
