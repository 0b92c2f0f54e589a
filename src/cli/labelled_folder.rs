//! Pictures sorted into one folder for each class.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::find_pictures;

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
        let (indices, by_name) = match by_name(&names, labels) {
            Some(indices) => (indices, true),
            None if names.len() == classes => ((0..classes).collect(), false),
            None => bail!(
                "{}: expected folders named after the model's classes, or {classes} of any name; found {}, such as `{}`",
                folder.display(),
                names.len(),
                names[0].to_string_lossy()
            ),
        };
        let mut found = Self { files: Vec::new(), classes: Vec::new(), by_name };
        for (name, class) in names.iter().zip(indices) {
            let files = find_pictures::in_folder(&folder.join(name))?;
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

/// The classes of these names; nothing where a name is no label, or two labels.
fn by_name(names: &[OsString], labels: &[String]) -> Option<Vec<usize>> {
    let class = |name: &OsString| {
        let mut classes = labels.iter().enumerate().filter(|(_, label)| name == label.as_str()).map(|(class, _)| class);
        classes.next().filter(|_| classes.next().is_none())
    };
    names.iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_where_each_is_one_label() {
        let text = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
        let labels = ["plane", "car", "crane", "crane"].map(String::from);
        assert_eq!(by_name(&text(&["car", "plane"]), &labels), Some(vec![1, 0]));
        assert_eq!(by_name(&text(&["car", "crane"]), &labels), None);
        assert_eq!(by_name(&text(&["car", "ship"]), &labels), None);
        assert_eq!(by_name(&text(&["car"]), &[]), None);
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
