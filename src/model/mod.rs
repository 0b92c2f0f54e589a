//! Model files: a network's description and its weights in one file. Knows graphs and pictures, never kernels.
//!
//! # The file format
//!
//! A model is a [safetensors] file. Its first 8 bytes are the header's length n, a little-endian `u64`; then n bytes of
//! JSON, at most 16 MiB, in which no object has a key twice; then the tensors' bytes, back to back, to the end of the file. A file has at most 2 GiB.
//!
//! The JSON maps each tensor's name to `{"dtype": …, "shape": […], "data_offsets": [begin, end]}`, with offsets counted
//! from the end of the header. Values are little-endian and row-major, `F32`, `F16` or `BF16`, and finite. The tensors
//! are exactly those of [`Graph::parameters`] in name and shape: none missing, none besides. Batch norms have `weight`,
//! `bias`, `running_mean` and `running_var`, but no step counter.
//!
//! The JSON's `__metadata__` has one entry, `dynaconv`: a string that is itself JSON, the [`Description`]. For instance
//! (as a string its quotes are escaped):
//!
//! ```json
//! {
//!   "format_version": 1,
//!   "name": "mobilenet_v2_dcd",
//!   "architecture": {
//!     "kind": "mobilenet_v2_dcd",
//!     "width": 1.0, "classes": 1000, "input_size": 224, "stem_stride": 2, "fc_squeeze": 16
//!   },
//!   "preprocess": {
//!     "resize": 256, "crop": 224, "filter": "bilinear",
//!     "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]
//!   },
//!   "labels": [],
//!   "notes": "where it comes from, under which licence"
//! }
//! ```
//!
//! `kind` is `mobilenet_v2` (without `fc_squeeze`), `mobilenet_v2_dcd` or `efficientnet_lite0` (with `classes` and
//! `input_size` alone); see [`Architecture`](crate::graph::networks::Architecture). The width is above zero. `filter`
//! is `bilinear` or `bicubic`; see [`Preprocess`](crate::picture::Preprocess). `crop` is the network's input size,
//! `resize` is at least `crop` and at most 16384, the means are finite, the deviations finite and above zero. `labels`
//! is empty or has one label per class, each of at most 1000 bytes; `name` is not empty. `notes` may be absent or null. Other fields of the description itself and of
//! `preprocess` are refused, and so is any other `format_version`.
//!
//! [safetensors]: https://huggingface.co/docs/safetensors

mod check;
mod description;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod import;
mod read;
mod unique;
mod untrained;
mod values;
mod write;
#[cfg(not(target_arch = "wasm32"))]
mod write_whole;

pub use crate::tensor::Precision;
pub use check::{Mismatch, Misshapen, check};
pub use description::{Description, FORMAT_VERSION};
pub use error::{Fault, ModelError};
#[cfg(not(target_arch = "wasm32"))]
pub use import::{ImportOptions, import};
#[cfg(not(target_arch = "wasm32"))]
pub use write_whole::{can_write, write_whole};

use crate::graph::{Graph, Weights};

/// A network ready to be folded: its description, its graph, and a value for each of the graph's parameters.
///
/// A model that exists is valid: the description fits the graph, and the weights are exactly the graph's, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    description: Description,
    graph: Graph,
    weights: Weights,
}

impl Model {
    /// Joins a description with the weights of the network that it describes.
    ///
    /// # Errors
    /// When the description is not valid in itself, a tensor is missing, misshapen or not the network's, or a value is
    /// not finite. The error names the description's `name` in place of a file.
    pub fn new(description: Description, weights: Weights) -> Result<Self, ModelError> {
        let name = description.name.clone();
        Self::assemble(description, weights).map_err(|fault| ModelError::new(name, fault))
    }

    fn assemble(description: Description, weights: Weights) -> Result<Self, Fault> {
        let graph = description.graph()?;
        check(&graph, weights.iter().map(|(name, tensor)| (name.as_str(), tensor.shape())))?;
        for (name, tensor) in &weights {
            values::check_finite(name, tensor.data())?;
        }
        Ok(Self { description, graph, weights })
    }

    /// What the file says of the network.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The network.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The values of the network's parameters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Takes the model apart.
    pub fn into_parts(self) -> (Description, Graph, Weights) {
        (self.description, self.graph, self.weights)
    }
}
