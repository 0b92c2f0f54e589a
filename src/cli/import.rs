//! `dynaconv import`: a model file from a PyTorch checkpoint.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use dynaconv::model::{Description, ImportOptions, Model, Precision, import};
use dynaconv::picture::{Filter, Preprocess};

use super::describe::network;
use super::output::{ensure_another, read_text, write_whole};
use super::show::{bytes, printable, thousands};
use super::{Outcome, failure};

/// Make a model file from a PyTorch checkpoint
///
/// Checkpoints of MobileNetV2 in the naming of the DCD authors, with and without dynamic convolutions, and of
/// EfficientNet-Lite0 are known. Nothing in the checkpoint is executed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv import dcd.pth.tar --output dcd.safetensors --labels imagenet.txt
  dynaconv import small.pth --output small.safetensors --input-size 32 --half
  dynaconv import odd.pth --output odd.safetensors --filter bicubic
  dynaconv import odd.pth --output odd.safetensors --std 0.5,0.5,0.5")]
pub struct Arguments {
    /// PyTorch checkpoint
    source: PathBuf,
    /// Model file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Store kernels and matrices in half precision
    #[arg(long)]
    half: bool,
    /// What to call the model [default: the checkpoint's file name]
    #[arg(long)]
    name: Option<String>,
    /// Side of the square input in pixels; the checkpoint does not tell it
    #[arg(long, value_name = "N", default_value_t = 224)]
    input_size: usize,
    /// Stride of MobileNetV2's first convolution; the checkpoint does not tell it
    #[arg(long, value_name = "N", default_value_t = 2)]
    stem_stride: usize,
    /// MobileNetV2's channel multiplier [default: the usual one that fits]
    #[arg(long, value_name = "W")]
    width: Option<f64>,
    /// Divisor of the dynamic layers' hidden width [default: the usual one that fits]
    #[arg(long, value_name = "N")]
    fc_squeeze: Option<usize>,
    /// Text file with the classes' names, one per line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Shorter side of a picture before its centre is cut out, in pixels [default: the network's usual one]
    #[arg(long, value_name = "N")]
    resize: Option<u32>,
    /// Filter that resizes pictures [default: the network's usual one]
    #[arg(long, value_enum)]
    filter: Option<FilterName>,
    /// Means of red, green and blue between 0 and 1 [default: the network's usual ones]
    #[arg(long, value_name = "R,G,B", value_parser = triple, allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// Deviations of red, green and blue [default: the network's usual ones]
    #[arg(long, value_name = "R,G,B", value_parser = triple, allow_hyphen_values = true)]
    std: Option<[f32; 3]>,
    /// Where the weights come from, and under which licence
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FilterName {
    Bilinear,
    Bicubic,
}

/// Imports a checkpoint and says what it holds.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { source, output, .. } = arguments;
    ensure_another(output, source, "the model would replace its own source")?;
    let options = ImportOptions {
        name: arguments.name.clone(),
        input_size: arguments.input_size,
        stem_stride: arguments.stem_stride,
        width: arguments.width,
        fc_squeeze: arguments.fc_squeeze,
        labels: arguments.labels.as_deref().map_or(Ok(Vec::new()), read_labels)?,
        preprocess: None,
        notes: arguments.notes.clone(),
    };
    let model = import(source, &options)?;
    // How a network usually wants its pictures is known only now that it is recognised.
    let (mut description, _, weights) = model.into_parts();
    arguments.adjust(&mut description.preprocess);
    let model = Model::new(description, weights)?;
    let precision = if arguments.half { Precision::F16 } else { Precision::F32 };
    let bytes = model.to_bytes(precision)?;
    write_whole(output, &bytes)?;
    say(&model, output, bytes.len() as u64);
    Ok(Outcome::Success)
}

impl Arguments {
    fn adjust(&self, preprocess: &mut Preprocess) {
        preprocess.resize = self.resize.unwrap_or(preprocess.resize);
        preprocess.mean = self.mean.unwrap_or(preprocess.mean);
        preprocess.std = self.std.unwrap_or(preprocess.std);
        preprocess.filter = match self.filter {
            Some(FilterName::Bilinear) => Filter::Bilinear,
            Some(FilterName::Bicubic) => Filter::Bicubic,
            None => preprocess.filter,
        };
    }
}

fn say(model: &Model, output: &Path, size: u64) {
    let description = model.description();
    let Preprocess { resize, crop, filter, mean, std } = &description.preprocess;
    let labels = match description.labels.len() {
        0 => "none".into(),
        count => format!("{count}"),
    };
    let Description { name, architecture, .. } = description;
    failure::say(&format!("name        {}", printable(name)));
    failure::say(&format!("network     {}", network(architecture)));
    failure::say(&format!("parameters  {}", thousands(model.graph().parameter_count() as u64)));
    failure::say(&format!(
        "pictures    resized to {resize}, cut to {crop}×{crop}, {filter:?}, mean {mean:?}, std {std:?}"
    ));
    failure::say(&format!("labels      {labels}"));
    failure::say(&format!("written     {} ({})", printable(&output.to_string_lossy()), bytes(size)));
}

/// More than the labels of any network have.
const MOST_LABELS: u64 = 16 << 20;

/// The lines of a file; each is the name of a class.
fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path, MOST_LABELS)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.lines().map(|line| line.trim().to_string()).collect())
}

/// Three numbers with commas between them.
fn triple(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let expected = || format!("expected three numbers such as 0.5,0.5,0.5, found `{text}`");
    numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or_else(expected)
}
