//! What a command says on standard output, and files that it writes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dynaconv::model;
use serde::Serialize;

use super::failure;

/// Standard output for text, whose errors say that it was that.
pub fn stdout() -> impl Write {
    Named(anstream::stdout().lock())
}

struct Named<W>(W);

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

fn named(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output: {error}"))
}

/// Whether a file's name stands for standard output, so that nothing else may be said there.
pub fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Prints an object as one line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    print_bytes(&line)
}

/// Prints bytes as they are: what takes colours out of text where there is no terminal takes more out of bytes.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("standard output")
}

/// What a command still has to do it does, though nobody reads on: whoever closed the pipe, as `head` does, has all that it wants.
pub fn unless_closed(printed: Result<()>) -> Result<()> {
    match printed {
        Err(error) if failure::is_closed_pipe(&error) => Ok(()),
        printed => printed,
    }
}

/// Reads a text of `most` bytes at most, from whatever has one: a pipe may have no end.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= most, "expected at most {most} bytes");
        String::from_utf8(bytes).context("expected text in UTF-8")
    };
    read().with_context(|| path.display().to_string())
}

/// Refuses to write where something is read from.
pub fn ensure_another<'a>(to: &Path, from: impl IntoIterator<Item = &'a Path>, otherwise: &str) -> Result<()> {
    // Where there is no file yet nothing is read.
    let Ok(place) = to.canonicalize() else { return Ok(()) };
    let same = from.into_iter().any(|from| from.canonicalize().is_ok_and(|from| from == place));
    ensure!(!same, "{}: {otherwise}", to.display());
    Ok(())
}

/// Refuses two results of one place: the later would replace the earlier, and standard output would mix them.
pub fn ensure_apart(results: &[(&str, &Path)]) -> Result<()> {
    for (index, (option, path)) in results.iter().enumerate() {
        let is_same = |other: &Path| (is_stdout(path) && is_stdout(other)) || place(path) == place(other);
        if let Some((before, _)) = results[..index].iter().find(|(_, other)| is_same(other)) {
            bail!("{}: expected another place for {option} than for {before}, found the same", path.display());
        }
    }
    Ok(())
}

/// Where a file is or would be.
fn place(path: &Path) -> PathBuf {
    let in_folder = || {
        let path = std::path::absolute(path).ok()?;
        Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.into())
}

/// Refuses a file that could not be written, before anything is computed for it.
pub fn ensure_writable(path: &Path) -> Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    model::can_write(path).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Writes a file whole or not at all; `-` is standard output.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) {
        return print_bytes(bytes);
    }
    model::write_whole(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}
