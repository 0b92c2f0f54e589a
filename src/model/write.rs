//! Writes model files.

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError};

use super::read::{DESCRIPTION_KEY, check_lengths};
use super::values::{encode_half, encode_single};
use super::{Fault, Model, ModelError};
use crate::tensor::{Precision, Tensor};

impl Model {
    /// The bytes of the model's file. Equal models give equal bytes. Kernels and matrices are stored in `precision`; vectors
    /// (biases, norms), which are few and which the network is most sensitive to, as f32.
    ///
    /// # Errors
    /// When a value does not fit half precision, or the file would be too long to be read again.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, ModelError> {
        self.serialise(precision).map_err(|fault| ModelError::new(&self.description.name, fault))
    }

    /// Writes the model to a file, whole or not at all: first to a temporary one beside it, which then takes its place.
    ///
    /// # Errors
    /// When a value does not fit half precision, the file would be too long to be read again, or it cannot be written.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save(&self, path: impl AsRef<std::path::Path>, precision: Precision) -> Result<(), ModelError> {
        let path = path.as_ref();
        let saved = self.serialise(precision).and_then(|bytes| {
            super::write_whole(path, &bytes).map_err(|source| Fault::Io { doing: "write it", source })
        });
        saved.map_err(|fault| ModelError::new(path.display(), fault))
    }

    fn serialise(&self, precision: Precision) -> Result<Vec<u8>, Fault> {
        let json =
            serde_json::to_string(&self.description).map_err(|source| Fault::Description { field: None, source })?;
        let metadata = HashMap::from([(DESCRIPTION_KEY.to_string(), json)]);
        let encode = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), Encoded::new(name, tensor, precision)?));
        let tensors = self.weights.iter().map(encode).collect::<Result<Vec<_>, Fault>>()?;
        let views = tensors.iter().map(|(name, tensor)| Ok((name, tensor.view()?)));
        let views = views.collect::<Result<Vec<_>, SafeTensorError>>();
        let bytes = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
        let bytes = bytes.map_err(|error| Fault::Header(error.to_string()))?;
        check_lengths(&bytes)?;
        Ok(bytes)
    }
}

struct Encoded {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Encoded {
    fn new(name: &str, tensor: &Tensor, precision: Precision) -> Result<Self, Fault> {
        let shape = tensor.shape().to_vec();
        Ok(match precision {
            Precision::F16 if shape.len() > 1 => {
                Self { dtype: Dtype::F16, shape, bytes: encode_half(name, tensor.data())? }
            }
            _ => Self { dtype: Dtype::F32, shape, bytes: encode_single(tensor.data()) },
        })
    }

    fn view(&self) -> Result<TensorView<'_>, SafeTensorError> {
        TensorView::new(self.dtype, self.shape.clone(), &self.bytes)
    }
}
