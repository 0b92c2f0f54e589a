//! Files of the user's cache folder: one of each kind for each device.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dynaconv::profile::Device;
use etcetera::BaseStrategy;

use super::output::write_whole;

/// The file of a device. What its name cannot tell apart its contents do.
pub fn place(kind: &str, device: &Device, ending: &str) -> Result<PathBuf> {
    let folder = etcetera::choose_base_strategy().context("there is no home folder")?.cache_dir();
    let name = format!("{} {}", device.name, device.api).to_lowercase();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(80).collect();
    Ok(folder.join("dynaconv").join(format!("{kind}-{name}.{ending}")))
}

/// The contents, of `most` bytes at most; nothing where there is no file.
pub fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    // Asked before it is opened: a pipe would keep who opens it waiting.
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => ensure!(found?.is_file(), "expected a file"),
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= most, "expected at most {most} bytes");
    Ok(Some(bytes))
}

/// Writes it whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a cache folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    write_whole(path, bytes)
}
