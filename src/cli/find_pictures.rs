//! Which pictures the user means.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The extensions of pictures, in any case.
const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// The named files as they are, and in place of folders the pictures in them. Of several names one may be missing: it is a picture that
/// cannot be read, among others that can.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for path in paths {
        let is_folder = match path.metadata() {
            Err(_) if paths.len() > 1 => false,
            found => found.with_context(|| path.display().to_string())?.is_dir(),
        };
        if is_folder {
            let found = in_folder(path)?;
            if found.is_empty() {
                bail!("{}: no pictures are in this folder ({})", path.display(), EXTENSIONS.join(", "));
            }
            pictures.extend(found);
        } else {
            pictures.push(path.clone());
        }
    }
    Ok(pictures)
}

/// The pictures of a folder and all its subfolders, sorted.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
            let entry = entry.with_context(|| folder.display().to_string())?;
            let kind = entry.file_type().with_context(|| entry.path().display().to_string())?;
            // A linked folder is not entered, for it may lead round in a circle.
            if kind.is_dir() {
                folders.push(entry.path());
            } else if is_picture(&entry.path()) && entry.path().is_file() {
                pictures.push(entry.path());
            }
        }
    }
    pictures.sort();
    Ok(pictures)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str());
    extension.is_some_and(|it| EXTENSIONS.iter().any(|known| it.eq_ignore_ascii_case(known)))
}
