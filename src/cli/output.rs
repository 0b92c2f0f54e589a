//! What a command says on standard output, and files that it writes.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use dynaconv::model;
use serde::Serialize;

use super::failure;

/// Prints an object as one line of JSON.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    print_bytes(&line)
}

/// Prints bytes as they are: what takes colours out of text where there is no terminal takes more out of bytes.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("standard output")
}

/// What a command still has to do it does, though nobody reads on: whoever closed the pipe, as `head` does, has all that it wants.
pub fn unless_closed(printed: Result<()>) -> Result<()> {
    match printed {
        Err(error) if failure::is_closed_pipe(&error) => Ok(()),
        printed => printed,
    }
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    model::write_whole(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}
