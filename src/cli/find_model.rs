//! Where models are looked for.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The model that answers when none is named.
pub const DEFAULT: &str = "mobilenet-v2-dcd-cifar10";

/// The extension of model files.
const EXTENSION: &str = "safetensors";

/// Finds a model by its path or, where that is a bare name, among the models of this machine.
pub fn find(model: &Path) -> Result<PathBuf> {
    find_in(model, places())
}

/// The folders that may hold models: the user's, the current folder's, and those of the checkout that built the program.
fn places() -> Vec<PathBuf> {
    let user = env::var_os("DYNACONV_MODELS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let models = Path::new("assets").join("models");
    let program = env::current_exe().unwrap_or_default();
    // A program lies in `target/release` or deeper, or beside its assets.
    let beside = program.ancestors().skip(1).take(4).map(|folder| folder.join(&models));
    let mut seen = BTreeSet::new();
    let places = user.into_iter().chain([models.clone()]).chain(beside);
    places.filter(|place| seen.insert(place.canonicalize().unwrap_or_else(|_| place.clone()))).collect()
}

fn find_in(model: &Path, places: Vec<PathBuf>) -> Result<PathBuf> {
    let is_name = model.components().count() == 1 && model.extension().is_none_or(|it| it != EXTENSION);
    // A folder may have a model's name.
    if (model.exists() && !model.is_dir()) || !is_name {
        // A path is taken by its word; reading it says what is wrong with it.
        return Ok(model.into());
    }
    let mut file = model.as_os_str().to_owned();
    file.push(".");
    file.push(EXTENSION);
    if let Some(found) = places.iter().map(|place| place.join(&file)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let names: BTreeSet<String> = places.iter().flat_map(|place| names_in(place)).collect();
    let found = if names.is_empty() { "no models".into() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    bail!("no model is called `{}`; looked in {}; found there: {found}", model.display(), places.join(", "))
}

/// The names of the models in a folder; none where it cannot be read.
fn names_in(folder: &Path) -> Vec<String> {
    let files = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let models = files.filter(|path| path.extension().is_some_and(|it| it == EXTENSION));
    models.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_paths_are_taken_by_their_word() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("small-v1.0.safetensors");
        std::fs::write(&model, "").unwrap();
        let places = || vec![folder.path().join("missing"), folder.path().to_path_buf()];
        assert_eq!(find_in(Path::new("small-v1.0"), places()).unwrap(), model);
        assert_eq!(find_in(&model, places()).unwrap(), model);
        // The tests run where a folder has this name.
        let src = folder.path().join("src.safetensors");
        std::fs::write(&src, "").unwrap();
        assert_eq!(find_in(Path::new("src"), places()).unwrap(), src);
        std::fs::remove_file(&src).unwrap();
        for path in ["there/is/none", "none.safetensors", "./none"] {
            assert_eq!(find_in(Path::new(path), places()).unwrap(), Path::new(path));
        }
        let error = find_in(Path::new("large"), places()).unwrap_err().to_string();
        assert!(error.starts_with("no model is called `large`; looked in "), "{error}");
        assert!(error.contains("missing") && error.ends_with("found there: small-v1.0"), "{error}");
        let error = find_in(Path::new("large"), Vec::new()).unwrap_err().to_string();
        assert!(error.ends_with("found there: no models"), "{error}");
    }
}
