//! Imports PyTorch checkpoints of the networks that dynaconv knows.

mod checkpoint;
mod copies;
mod recognise;
mod scan;

use std::path::Path;

use super::description::usual_preprocess;
use super::read::check_file_size;
use super::{Description, Fault, Model, ModelError};
use crate::picture::Preprocess;

/// What a checkpoint does not tell of its network.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// What to call the model; the file's name without `.pth` and the like, if not given.
    pub name: Option<String>,
    /// Side of the square input, in pixels. Cannot be seen in the file.
    pub input_size: usize,
    /// Stride of MobileNetV2's stem. Cannot be seen in the file.
    pub stem_stride: usize,
    /// MobileNetV2's channel multiplier; if not given, the usual ones are tried. Needed for unusual ones.
    pub width: Option<f64>,
    /// Divisor of the dynamic layers' hidden width; if not given, the usual ones are tried.
    pub fc_squeeze: Option<usize>,
    /// The classes' names in order, or none.
    pub labels: Vec<String>,
    /// How the network wants its pictures; if not given, as its authors trained it on ImageNet.
    pub preprocess: Option<Preprocess>,
    /// Where the weights come from, and under which licence.
    pub notes: Option<String>,
}

impl Default for ImportOptions {
    /// 224 pixels, stem stride 2, everything else from the file.
    fn default() -> Self {
        Self {
            name: None,
            input_size: 224,
            stem_stride: 2,
            width: None,
            fc_squeeze: None,
            labels: Vec::new(),
            preprocess: None,
            notes: None,
        }
    }
}

/// Imports a PyTorch checkpoint of a network that dynaconv knows.
///
/// A checkpoint is a bare state dict, or a dict with a `state_dict` and other entries, which are ignored; in PyTorch's
/// zip or its older stream form; from any device. Names may carry `DataParallel`'s prefix `module.`, and the classifier
/// may be `classifier.0` or `classifier.1` (it depends on dropout). The steps that batch norms counted
/// (`num_batches_tracked`) are dropped; every other tensor must be one of the network's.
///
/// A checkpoint is a pickle, which Python would run. Here it is only read as data: calls to anything but the few
/// functions that describe tensors become inert values.
///
/// # Errors
/// When the file is no checkpoint or holds no network that dynaconv knows, when a tensor is missing or superfluous,
/// when a value is not finite, or when the options do not fit the network.
pub fn import(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Model, ModelError> {
    let path = path.as_ref();
    import_checkpoint(path, options).map_err(|fault| ModelError::new(path.display(), fault))
}

fn import_checkpoint(path: &Path, options: &ImportOptions) -> Result<Model, Fault> {
    let file_bytes = check_file_size(path)?;
    let tensors = checkpoint::open(path)?;
    let architecture = recognise::recognise(&tensors, options)?;
    let weights = checkpoint::read(tensors, file_bytes)?;

    let name = options.name.clone().unwrap_or_else(|| file_name(path));
    let preprocess = options.preprocess.clone().unwrap_or_else(|| usual_preprocess(&architecture, options.input_size));
    let mut description = Description::new(name, architecture, preprocess);
    description.labels = options.labels.clone();
    description.notes = options.notes.clone();
    Model::assemble(description, weights)
}

/// The file's name without the extensions of checkpoints, of which `.pth.tar` is the usual double.
fn file_name(path: &Path) -> String {
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for extension in [".tar", ".pth", ".pt"] {
        if let Some(rest) = name.strip_suffix(extension).filter(|rest| !rest.is_empty()) {
            name.truncate(rest.len());
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_after_its_file() {
        let names = ["a/mv2x1.0_dcd.pth.tar", "b.pt", ".pth", "c.bin", ""].map(|path| file_name(Path::new(path)));
        assert_eq!(names, ["mv2x1.0_dcd", "b", ".pth", "c.bin", ""]);
    }
}
