//! Where compiled pipelines are kept from one start to the next: a file for each device in the user's cache folder. It only
//! ever saves time, so whatever is wrong with it is said to nobody but the log.

use anyhow::Result;
use dynaconv::exec::gpu::{Gpu, MOST_PIPELINE_BYTES};

use super::cache_file;

/// Compiles from here on with what is in the device's file.
pub fn load(gpu: &mut Gpu) {
    match read(gpu) {
        Ok(bytes) => {
            let used = gpu.keep_pipelines(&bytes);
            log::info!(
                "compiled pipelines: a file of {} bytes, {}",
                bytes.len(),
                if used { "used" } else { "not used" }
            );
        }
        Err(error) => {
            gpu.keep_pipelines(&[]);
            log::info!("compiled pipelines cannot be read: {error:#}");
        }
    }
}

/// Writes the device's file where pipelines were compiled that are not in it.
pub fn store(gpu: &Gpu) {
    let Some(bytes) = gpu.new_pipelines() else { return };
    let written = cache_file::place(KIND, &gpu.info().into(), "bin").and_then(|path| cache_file::write(&path, &bytes));
    match written {
        Ok(()) => log::info!("compiled pipelines: {} bytes written", bytes.len()),
        Err(error) => log::info!("compiled pipelines cannot be kept: {error:#}"),
    }
}

const KIND: &str = "pipelines";

fn read(gpu: &Gpu) -> Result<Vec<u8>> {
    let path = cache_file::place(KIND, &gpu.info().into(), "bin")?;
    Ok(cache_file::read(&path, MOST_PIPELINE_BYTES as u64)?.unwrap_or_default())
}
