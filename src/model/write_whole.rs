//! Writes files whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a temporary file beside `path`, which then takes its place. A link's file is replaced, not the link; what is no file, as a
/// pipe, is written to, and so is what stands for an open one, as `/dev/stdout`.
///
/// # Errors
/// When that fails. There is then the file that was there before, or none.
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    if stands_for_open(path) || path.metadata().is_ok_and(|found| !found.is_file()) {
        return File::options().append(true).open(path)?.write_all(bytes);
    }
    replace(&behind_links(path)?, bytes)
}

/// Whether [`write_whole`] could write there, as far as can be told before. Nothing is left there.
///
/// # Errors
/// When it is a folder, or its folder takes no file.
pub fn can_write(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    match path.metadata() {
        Ok(found) if found.is_dir() => Err(io::Error::other("it is a folder")),
        Ok(found) if stands_for_open(path) || !found.is_file() => Ok(()),
        _ => temporary(&behind_links(path)?).map(drop),
    }
}

fn stands_for_open(path: &Path) -> bool {
    ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"].iter().any(|name| path.starts_with(name))
}

/// Where links lead, also to no file yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        if !path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Ok(path);
        }
        let target = path.read_link()?;
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many links follow each other"))
}

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary(path)?;
    // Who may read the file that goes may read the one that comes.
    if let Ok(before) = path.metadata() {
        file.as_file().set_permissions(before.permissions())?;
    }
    // Not by way of the temporary file, whose errors say its name.
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A temporary file beside a path.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    // The parent of a bare file name is the empty path.
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are for their owner only; this one is to become an ordinary file, limited by the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Nobody knows the temporary file's name.
    let cause = |error: &io::Error| error.to_string().split(" at path ").next().unwrap_or_default().to_string();
    let in_folder = |error: io::Error| io::Error::new(error.kind(), format!("{}: {}", folder.display(), cause(&error)));
    builder.prefix(".dynaconv-").tempfile_in(folder).map_err(in_folder)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_links_file_is_replaced_and_not_the_link() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "before")?;
        std::os::unix::fs::symlink(&file, &link)?;
        write_whole(&link, b"after")?;
        assert!(link.symlink_metadata()?.is_symlink());
        assert_eq!(std::fs::read(&file)?, b"after");
        // Nor where there is no file yet; and a ring of links has none.
        std::fs::remove_file(&file)?;
        write_whole(&link, b"anew")?;
        assert!(link.symlink_metadata()?.is_symlink() && std::fs::read(&file)? == b"anew");
        let ring = folder.path().join("ring");
        std::os::unix::fs::symlink(&ring, &ring)?;
        assert!(write_whole(&ring, b"nowhere").is_err());
        Ok(())
    }

    #[test]
    fn whose_file_it_was_it_stays() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("private");
        std::fs::write(&file, "before")?;
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
        write_whole(&file, b"after")?;
        assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
        let error = write_whole(folder.path().join("none").join("file"), b"").unwrap_err().to_string();
        assert!(error.contains("none: No such file") && !error.contains(".dynaconv"), "{error}");
        Ok(())
    }

    #[test]
    fn what_is_no_file_is_written_to() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let link = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link)?;
        for path in [&link, Path::new("/dev/null")] {
            write_whole(path, b"gone")?;
            assert!(!path.metadata()?.is_file());
        }
        assert!(write_whole(folder.path(), b"a folder").is_err());
        Ok(())
    }

    #[test]
    fn open_files_are_known_by_name() {
        assert!(["/dev/stdout", "/dev/fd/1", "/proc/self/fd/2"].iter().all(|path| stands_for_open(Path::new(path))));
        assert!(["/dev/shm/a.json", "dev/stdout", "/device"].iter().all(|path| !stands_for_open(Path::new(path))));
    }

    #[test]
    fn nothing_else_is_left_in_the_folder() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        for contents in ["first", "second"] {
            write_whole(folder.path().join("file"), contents.as_bytes())?;
        }
        assert_eq!(std::fs::read(folder.path().join("file"))?, b"second");
        assert_eq!(folder.path().read_dir()?.count(), 1);
        Ok(())
    }

    #[test]
    fn what_can_be_written_is_told_before_and_nothing_is_left() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let place = |name: &str| folder.path().join(name);
        std::fs::create_dir(place("inner"))?;
        std::os::unix::fs::symlink("inner/file", place("link"))?;
        std::os::unix::fs::symlink("none/file", place("astray"))?;
        for path in [place("file"), place("link"), "/dev/null".into(), "/dev/fd/1".into()] {
            can_write(&path)?;
        }
        for path in [place("inner"), place("none/file"), place("astray")] {
            assert!(can_write(&path).is_err(), "{}", path.display());
        }
        assert_eq!((folder.path().read_dir()?.count(), place("inner").read_dir()?.count()), (3, 0));
        Ok(())
    }
}
