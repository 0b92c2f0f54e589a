//! Where what `dynaconv tune` found is kept: a file for each device in the user's cache folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dynaconv::exec::gpu::Gpu;
use dynaconv::lower::Choices;
use dynaconv::profile::Device;
use dynaconv::tune::Tuned;

use super::show::printable;
use super::{cache_file, failure};

/// More than all shapes of many networks need.
const MOST_BYTES: u64 = 1 << 20;

/// What was found on a device; nothing where there is none, with a note where there is a file that cannot be used.
pub fn choices(gpu: &Gpu) -> Choices {
    load(&gpu.info().into(), gpu.limits().cores).map_or_else(Choices::default, |tuned| tuned.choices())
}

/// Adds to what was found on a device, and says where it is kept.
pub fn update(gpu: &Gpu, add: impl FnOnce(&mut Tuned)) -> Result<PathBuf> {
    let (device, cores) = (gpu.info().into(), gpu.limits().cores);
    let path = place(&device)?;
    let mut tuned = load(&device, cores).unwrap_or_else(|| Tuned::new(device, cores));
    add(&mut tuned);
    cache_file::write(&path, tuned.to_json()?.as_bytes())?;
    Ok(path)
}

fn load(device: &Device, cores: u32) -> Option<Tuned> {
    let path = place(device).ok()?;
    match read(&path, device, cores) {
        Ok(tuned) => tuned,
        Err(error) => {
            let path = printable(&path.to_string_lossy());
            failure::note(&format!(
                "{path} is not used: {}; `dynaconv tune` makes a new one",
                failure::describe(error.as_ref())
            ));
            None
        }
    }
}

fn read(path: &Path, device: &Device, cores: u32) -> Result<Option<Tuned>> {
    let Some(bytes) = cache_file::read(path, MOST_BYTES)? else { return Ok(None) };
    Ok(Some(Tuned::from_json(&String::from_utf8(bytes)?, device, cores)?))
}

fn place(device: &Device) -> Result<PathBuf> {
    cache_file::place("tuned", device, "json")
}
