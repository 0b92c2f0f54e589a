//! Where what `dynaconv tune` found is kept: a file for each device in the user's cache folder.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use dynaconv::lower::Choices;
use dynaconv::profile::Device;
use dynaconv::tune::Tuned;
use etcetera::BaseStrategy;

use super::failure;
use super::show::printable;
use super::write_whole::write_whole;

/// More than all shapes of many networks need.
const MOST_BYTES: u64 = 1 << 20;

/// What was found on a device; nothing where there is none, with a note where there is a file that cannot be used.
pub fn choices(device: &Device) -> Choices {
    load(device).map_or_else(Choices::default, |tuned| tuned.choices())
}

/// Adds to what was found on a device, and says where it is kept.
pub fn update(device: &Device, add: impl FnOnce(&mut Tuned)) -> Result<PathBuf> {
    let path = place(device)?;
    let mut tuned = load(device).unwrap_or_else(|| Tuned::new(device.clone()));
    add(&mut tuned);
    let folder = path.parent().context("a cache folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    write_whole(&path, tuned.to_json()?.as_bytes())?;
    Ok(path)
}

fn load(device: &Device) -> Option<Tuned> {
    let path = place(device).ok()?;
    match read(&path, device) {
        Ok(tuned) => tuned,
        Err(error) => {
            let path = printable(&path.to_string_lossy());
            failure::note(&format!("{path} is not used: {error:#}; `dynaconv tune` makes a new one"));
            None
        }
    }
}

fn read(path: &PathBuf, device: &Device) -> Result<Option<Tuned>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    ensure!(file.metadata()?.is_file(), "expected a file");
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= MOST_BYTES, "expected at most {MOST_BYTES} bytes");
    Ok(Some(Tuned::from_json(&text, device)?))
}

/// The file of a device. What its name cannot tell apart its contents do.
fn place(device: &Device) -> Result<PathBuf> {
    let folder = etcetera::choose_base_strategy().context("there is no home folder")?.cache_dir();
    let name = format!("{} {}", device.name, device.api).to_lowercase();
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(80).collect();
    Ok(folder.join("dynaconv").join(format!("tuned-{name}.json")))
}
