//! `dynaconv run`: class scores for prepared pictures.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dynaconv::classifier::{ClassifierError, block_on};

use super::output::{ensure_another, ensure_writable, write_whole};
use super::settings::{DeviceArguments, ModelArguments, introduce};
use super::show::printable;
use super::{Outcome, failure, npy};

/// Run a network on an array of prepared pictures
///
/// The input is a NumPy file of float32 values, [N, 3, height, width], already normalised, of any N from 1 on. The output is one of
/// [N, classes]: the scores before the softmax.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv run --input x.npy --output y.npy
  dynaconv run --model mobilenet.safetensors --device cpu --form branch --input x.npy --output y.npy
  dynaconv run --model mobilenet.safetensors --batch 32 --input many.npy --output y.npy")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// NumPy file to read
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// NumPy file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// Pictures that the device takes at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
}

/// Runs the network on all pictures of the input.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { input, output, .. } = arguments;
    ensure_another(output, [input.as_path()], "the scores would replace their own input")?;
    ensure_another(output, [arguments.model.file()?.as_path()], "the scores would replace the model")?;
    ensure_writable(output)?;
    let model = arguments.model.load()?;
    let pictures = npy::read(input)?;
    let count = pictures.shape().first().copied().unwrap_or(0);
    let batch = arguments.batch.min(u32::try_from(count).unwrap_or(u32::MAX)).max(1);
    let mut classifier = arguments.device.prepare(&model, batch, 1)?;
    introduce(&classifier);
    let scores = block_on(classifier.scores(&pictures)).map_err(|error| match error {
        // The file is to blame.
        ClassifierError::InputShape { .. } | ClassifierError::InputValue { .. } => {
            anyhow::Error::new(error).context(input.display().to_string())
        }
        error => error.into(),
    })?;
    write_whole(output, &npy::to_bytes(&scores))?;
    let shape = scores.shape();
    failure::say(&format!("scores {shape:?} written to {}", printable(&output.to_string_lossy())));
    Ok(Outcome::Success)
}
