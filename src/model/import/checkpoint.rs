//! The tensors of a PyTorch checkpoint, under the names that they have in dynaconv.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};

use super::super::error::brief;
use super::super::values::{self, Encoding};
use super::{Fault, scan};
use crate::graph::Weights;
use crate::tensor::Tensor;

/// A checkpoint's tensors by name: shapes and types are known, values not yet read.
pub(super) type Tensors = BTreeMap<String, pytorch_reader::Tensor>;

/// Opens a checkpoint.
pub(super) fn open(path: &Path) -> Result<Tensors, Fault> {
    scan::scan(path)?;
    let reader = PytorchReader::new(path).map_err(|error| refused(&error.to_string()))?;
    rename(reader.into_tensors())
}

/// Reads the values. The tensors must be a network's, each needed once.
pub(super) fn read(tensors: Tensors, file_bytes: u64) -> Result<Weights, Fault> {
    // A checkpoint can stretch one stored value to a tensor of any size, which no network's file does.
    let bytes = tensors.values().map(|tensor| tensor.byte_len() as u64).fold(0, u64::saturating_add);
    if bytes > file_bytes {
        return Err(refused(&format!("its tensors would have {bytes} bytes, the file has {file_bytes}")));
    }
    tensors.into_iter().map(|(name, tensor)| Ok((name.clone(), read_tensor(name, &tensor)?))).collect()
}

fn read_tensor(name: String, tensor: &pytorch_reader::Tensor) -> Result<Tensor, Fault> {
    let encoding = match tensor.dtype() {
        DType::F32 => Encoding::F32,
        DType::F16 => Encoding::F16,
        DType::BF16 => Encoding::BF16,
        DType::F64 => Encoding::F64,
        other => {
            let found = format!("{other:?}");
            return Err(Fault::Type { tensor: name, expected: "F32, F16, BF16 or F64", found });
        }
    };
    let bytes = tensor.read().map_err(|source| match source.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => refused(&source.to_string()),
        _ => Fault::Io { doing: "read it", source },
    })?;
    let values = encoding.decode(&bytes);
    values::check_finite(&name, &values)?;
    Tensor::new(tensor.shape().to_vec(), values).map_err(|error| refused(&format!("tensor `{name}`: {error}")))
}

/// Brings names into dynaconv's form; drops step counters and whatever is stored beside the state dict.
fn rename<T>(tensors: impl IntoIterator<Item = (String, T)>) -> Result<BTreeMap<String, T>, Fault> {
    let mut tensors: BTreeMap<String, T> = tensors.into_iter().collect();
    const STATE: &str = "state_dict.";
    if tensors.keys().any(|name| name.starts_with(STATE)) {
        tensors = strip(tensors, STATE);
    }
    if tensors.is_empty() {
        return Err(refused("it holds no tensors by name"));
    }

    const PARALLEL: &str = "module.";
    match tensors.keys().filter(|name| name.starts_with(PARALLEL)).count() {
        0 => {}
        all if all == tensors.len() => tensors = strip(tensors, PARALLEL),
        some => return Err(refused(&format!("{some} of {} names begin with `module.`, not all", tensors.len()))),
    }

    tensors.retain(|name, _| name.rsplit('.').next() != Some("num_batches_tracked"));
    const WITH_DROPOUT: &str = "classifier.1.";
    const WITHOUT: &str = "classifier.0.";
    if !tensors.keys().any(|name| name.starts_with(WITH_DROPOUT)) {
        let renamed = |name: String| match name.strip_prefix(WITHOUT) {
            Some(rest) => format!("{WITH_DROPOUT}{rest}"),
            None => name,
        };
        tensors = tensors.into_iter().map(|(name, tensor)| (renamed(name), tensor)).collect();
    }
    Ok(tensors)
}

/// Keeps the tensors whose names begin with `prefix`, without it.
fn strip<T>(tensors: BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    let stripped = |(name, tensor): (String, T)| name.strip_prefix(prefix).map(|rest| (rest.to_string(), tensor));
    tensors.into_iter().filter_map(stripped).collect()
}

/// An error in words that may quote the file: made harmless and short.
fn refused(reason: &str) -> Fault {
    Fault::Checkpoint(brief(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(names: &[&str]) -> Result<Vec<String>, String> {
        let tensors = names.iter().map(|name| (name.to_string(), ()));
        rename(tensors).map(|tensors| tensors.into_keys().collect()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn names_lose_what_training_added() {
        assert_eq!(renamed(&["b", "a"]).unwrap(), ["a", "b"]);
        let wrapped = ["state_dict.module.a", "optimizer.state.0.momentum_buffer", "state_dict.module.classifier.0.b"];
        assert_eq!(renamed(&wrapped).unwrap(), ["a", "classifier.1.b"]);
        assert_eq!(renamed(&["bn.weight", "bn.num_batches_tracked"]).unwrap(), ["bn.weight"]);
    }

    #[test]
    fn a_second_classifier_is_left_to_be_refused() {
        assert_eq!(renamed(&["classifier.0.w", "classifier.1.w"]).unwrap(), ["classifier.0.w", "classifier.1.w"]);
    }

    #[test]
    fn a_prefix_on_some_names_alone_is_refused() {
        assert!(renamed(&["module.a", "module.b", "c"]).unwrap_err().contains("2 of 3 names begin with `module.`"));
        assert!(renamed(&[]).unwrap_err().contains("no tensors"));
        assert!(!refused("a\x1b[2J").to_string().contains('\x1b'));
    }
}
