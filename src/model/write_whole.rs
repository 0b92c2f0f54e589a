//! Writes files whole or not at all.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::Path;

/// Writes a temporary file beside `path`, which then takes its place. A link's file is replaced, not the link; what is no file, as a
/// pipe, is written to.
///
/// # Errors
/// When that fails. There is then the file that was there before, or none.
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    match path.metadata().as_ref().map(Metadata::is_file) {
        Ok(true) => replace(&path.canonicalize()?, bytes),
        Ok(false) => File::options().write(true).open(path)?.write_all(bytes),
        Err(_) => replace(path, bytes),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The parent of a bare file name is the empty path.
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are for their owner only; this one is to become an ordinary file, limited by the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".dynaconv-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
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
        Ok(())
    }

    #[test]
    fn what_is_no_file_is_written_to() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let link = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link)?;
        write_whole(&link, b"gone")?;
        assert!(!link.metadata()?.is_file());
        assert!(write_whole(folder.path(), b"a folder").is_err());
        Ok(())
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
}
