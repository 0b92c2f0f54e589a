//! Pictures sorted into one folder for each class.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::find_pictures::{self, Found};

/// The pictures of all classes.
pub struct LabelledFolder {
    /// The files, class by class.
    pub files: Vec<PathBuf>,
    /// The class of each file.
    pub classes: Vec<usize>,
    /// Whether the folders' names are the model's labels; if not, their alphabetical order is the classes' order.
    pub by_name: bool,
}

impl LabelledFolder {
    /// Finds the pictures below `folder` for a model of `classes` classes.
    pub fn find(folder: &Path, labels: &[String], classes: usize) -> Result<Self> {
        let names = subfolders(folder).with_context(|| folder.display().to_string())?;
        ensure!(!names.is_empty(), "{}: expected one folder for each class, found none", folder.display());
        let found: Vec<Vec<usize>> = names.iter().map(|name| classes_of(name, labels)).collect();
        let odd = names.iter().zip(&found).find(|(_, classes)| classes.len() != 1);
        let (indices, by_name) = match odd {
            None => (found.concat(), true),
            // Names that are none of the labels say nothing; where some are, the others are mistakes.
            Some(_) if found.iter().all(Vec::is_empty) && names.len() == classes => ((0..classes).collect(), false),
            Some((name, among)) => bail!(
                "{}: expected folders named after the model's classes, or {classes} of other names; found {}, of which `{}` is the \
                 name of {}",
                folder.display(),
                names.len(),
                name.to_string_lossy(),
                if among.is_empty() { "none".into() } else { format!("{} classes", among.len()) }
            ),
        };
        let mut found = Self { files: Vec::new(), classes: Vec::new(), by_name };
        for (name, class) in names.iter().zip(indices) {
            let Found { pictures: files, unread } = find_pictures::in_folder(&folder.join(name));
            // What cannot be read would be missing in every figure.
            if let Some((_, error)) = unread.into_iter().next() {
                return Err(error);
            }
            found.classes.extend(std::iter::repeat_n(class, files.len()));
            found.files.extend(files);
        }
        ensure!(!found.files.is_empty(), "{}: the folders of the classes hold no pictures", folder.display());
        Ok(found)
    }
}

/// The names of the folders in a folder, sorted; hidden ones are not meant.
fn subfolders(folder: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        // A linked folder is a class like any other.
        if !name.as_encoded_bytes().starts_with(b".") && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The classes of this name.
fn classes_of(name: &OsString, labels: &[String]) -> Vec<usize> {
    labels.iter().enumerate().filter(|(_, label)| name == label.as_str()).map(|(class, _)| class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_where_one_is_a_label() {
        let found = |names: &[&str], labels: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            for name in names {
                std::fs::create_dir(folder.path().join(name)).unwrap();
                std::fs::write(folder.path().join(name).join("a.png"), b"").unwrap();
            }
            let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
            let found = LabelledFolder::find(folder.path(), &labels, labels.len().max(2));
            found.map(|found| (found.classes, found.by_name)).map_err(|error| error.to_string())
        };
        let labels = ["plane", "car", "crane", "crane"];
        assert_eq!(found(&["car", "plane"], &labels), Ok((vec![1, 0], true)));
        assert_eq!(found(&["a", "b", "c", "d"], &labels), Ok((vec![0, 1, 2, 3], false)));
        assert_eq!(found(&["a", "b"], &[]), Ok((vec![0, 1], false)));
        // A label and as many names that are none as there are classes.
        let error = found(&["Katze", "car", "dog", "ship"], &labels).unwrap_err();
        assert!(error.contains("`Katze` is the name of none"), "{error}");
        assert!(found(&["car", "crane"], &labels).unwrap_err().contains("`crane` is the name of 2 classes"));
        assert!(found(&["a", "b", "c"], &labels).unwrap_err().contains("or 4 of other names; found 3, of which `a`"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
        std::fs::create_dir(&class).unwrap();
        std::fs::write(class.join("a.png"), b"").unwrap();
        std::fs::create_dir(folder.path().join(".hidden")).unwrap();
        let found = LabelledFolder::find(folder.path(), &[], 1).unwrap();
        assert_eq!((found.files, found.classes), (vec![class.join("a.png")], vec![0]));
    }
}
