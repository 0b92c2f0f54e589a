//! Reads model files. Every length and offset in them is checked before it is used.

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
const LENGTH: usize = 8;
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
        let read = read_file(path).and_then(|bytes| parse(&bytes));
        read.map_err(|fault| ModelError::new(path.display(), fault))
    }

    /// Reads a model from the bytes of its file; `name` stands for the file in errors.
    ///
    /// # Errors
    /// When the bytes are not a whole and valid model.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        parse(bytes).map_err(|fault| ModelError::new(name, fault))
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Fault> {
    check_file_size(path)?;
    std::fs::read(path).map_err(|source| Fault::Io { doing: "read it", source })
}

/// Refuses what is no file, or one that is too large to be read into memory.
pub(super) fn check_file_size(path: &Path) -> Result<u64, Fault> {
    let metadata = std::fs::metadata(path).map_err(|source| Fault::Io { doing: "read it", source })?;
    if !metadata.is_file() {
        // A pipe or device has no size to check, and may have no end.
        return Err(Fault::Io { doing: "read it", source: std::io::Error::other("not a regular file") });
    }
    match metadata.len() {
        found if found > MAX_FILE => Err(Fault::TooLarge { most: MAX_FILE, found }),
        found => Ok(found),
    }
}

fn parse(bytes: &[u8]) -> Result<Model, Fault> {
    let (metadata, data) = split(bytes)?;
    let json = metadata.metadata().as_ref().and_then(|entries| entries.get(DESCRIPTION_KEY));
    let description = Description::parse(json.ok_or(Fault::NoDescription)?)?;
    let graph = description.graph()?;

    let tensors = metadata.tensors();
    check(&graph, tensors.iter().map(|(name, info)| (name.as_str(), info.shape.as_slice())))?;
    let read = |(name, info): (String, &TensorInfo)| read_tensor(&name, info, data).map(|tensor| (name, tensor));
    let weights = tensors.into_iter().map(read).collect::<Result<Weights, Fault>>()?;
    Ok(Model { description, graph, weights })
}

/// Refuses what would be refused if it were read: a header or a file that is too long.
pub(super) fn check_lengths(bytes: &[u8]) -> Result<(), Fault> {
    let found = bytes.len() as u64;
    if found > MAX_FILE {
        return Err(Fault::TooLarge { most: MAX_FILE, found });
    }
    match bytes.first_chunk::<LENGTH>().map(|length| u64::from_le_bytes(*length)) {
        Some(length) if length > MAX_HEADER => Err(Fault::HeaderTooLong { most: MAX_HEADER, found: length }),
        _ => Ok(()),
    }
}

/// Parses the header; gives it and the bytes of the tensors, which it covers without gaps.
///
/// The crate's own `SafeTensors::deserialize` adds the last offset and the header's length unchecked, and so panics on
/// some files where overflow is checked; hence only its header type is used.
fn split(bytes: &[u8]) -> Result<(Metadata, &[u8]), Fault> {
    let found = bytes.len() as u64;
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
        return Err(Fault::Truncated { expected: LENGTH as u64, found });
    };
    if CHECKPOINTS.iter().any(|start| bytes.starts_with(start)) {
        return Err(Fault::Header("it looks like a PyTorch checkpoint, which is to be imported first".into()));
    }
    check_lengths(bytes)?;
    let length = u64::from_le_bytes(*length);
    let data_start = LENGTH as u64 + length;
    let Some((header, data)) = rest.split_at_checked(length as usize) else {
        return Err(Fault::Truncated { expected: data_start, found });
    };
    let refused = |error: serde_json::Error| Fault::Header(brief(&error.to_string()));
    let metadata: Metadata = serde_json::from_slice(header).map_err(refused)?;
    serde_json::from_slice::<UniqueKeys>(header).map_err(refused)?;
    let data_end = metadata.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
    let expected = data_start.saturating_add(data_end);
    if expected > found {
        return Err(Fault::Truncated { expected, found });
    }
    if expected < found {
        return Err(Fault::Header(format!("{} bytes follow the last tensor", found - expected)));
    }
    Ok((metadata, data))
}

fn read_tensor(name: &str, info: &TensorInfo, data: &[u8]) -> Result<Tensor, Fault> {
    let encoding = match info.dtype {
        Dtype::F32 => Encoding::F32,
        Dtype::F16 => Encoding::F16,
        Dtype::BF16 => Encoding::BF16,
        other => {
            let found = format!("{other:?}");
            return Err(Fault::Type { tensor: name.into(), expected: "F32, F16 or BF16", found });
        }
    };
    let (begin, end) = info.data_offsets;
    let broken = || Fault::Header(format!("tensor {}: its offsets do not fit its shape", Quoted(name)));
    let values = encoding.decode(data.get(begin..end).ok_or_else(broken)?);
    values::check_finite(name, &values)?;
    Tensor::new(info.shape.clone(), values).map_err(|_| broken())
}
