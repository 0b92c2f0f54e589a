//! Which pictures the user means.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

/// The extensions of pictures, in any case.
const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// The pictures that were found, and the folders that were asked for in vain, each with the reason.
#[derive(Default)]
pub struct Found {
    pub pictures: Vec<PathBuf>,
    pub unread: Vec<(PathBuf, anyhow::Error)>,
}

/// The named files as they are, and in place of folders the pictures in them. Of several names one may be missing: it is a picture that
/// cannot be read, among others that can.
pub fn find(paths: &[PathBuf]) -> Result<Found> {
    let mut all = Found::default();
    for path in paths {
        let is_folder = match path.metadata() {
            Err(_) if paths.len() > 1 => false,
            found => found.with_context(|| path.display().to_string())?.is_dir(),
        };
        if !is_folder {
            all.pictures.push(path.clone());
            continue;
        }
        let mut found = in_folder(path);
        if found.pictures.is_empty() && found.unread.is_empty() {
            let known = EXTENSIONS.join(", ");
            found.unread.push((path.clone(), anyhow!("{}: no pictures are in this folder ({known})", path.display())));
        }
        all.pictures.append(&mut found.pictures);
        all.unread.append(&mut found.unread);
    }
    if all.pictures.is_empty() && !all.unread.is_empty() {
        return Err(all.unread.remove(0).1);
    }
    Ok(all)
}

/// The pictures of a folder and all its subfolders, sorted, and those of the folders that cannot be read.
pub fn in_folder(folder: &Path) -> Found {
    let mut found = Found::default();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        if let Err(error) = read_folder(&folder, &mut found.pictures, &mut folders) {
            let error = error.context(folder.display().to_string());
            found.unread.push((folder, error));
        }
    }
    found.pictures.sort();
    found
}

fn read_folder(folder: &Path, pictures: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        // A linked folder is not entered, for it may lead round in a circle.
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        } else if is_picture(&entry.path()) && entry.path().metadata().map_or(true, |found| found.is_file()) {
            // A link that leads nowhere is a picture that cannot be read.
            pictures.push(entry.path());
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str());
    extension.is_some_and(|it| EXTENSIONS.iter().any(|known| it.eq_ignore_ascii_case(known)))
}
