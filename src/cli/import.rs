//! `dynaconv import`: a model file from a PyTorch checkpoint.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use dynaconv::graph::networks::Architecture;
use dynaconv::model::{Description, Fault, ImportOptions, Model, ModelError, Precision, import};
use dynaconv::picture::{Filter, Preprocess};

use super::describe::network;
use super::output::{ensure_another, ensure_writable, read_text, write_whole};
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
    #[arg(long, value_name = "N", default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=16384))]
    input_size: u32,
    /// Stride of MobileNetV2's first convolution; the checkpoint does not tell it [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=15))]
    stem_stride: Option<u32>,
    /// MobileNetV2's channel multiplier [default: the usual one that fits]
    #[arg(long, value_name = "W", value_parser = width)]
    width: Option<f64>,
    /// Divisor of the dynamic layers' hidden width [default: the usual one that fits]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fc_squeeze: Option<u32>,
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
    #[arg(long, value_name = "R,G,B", value_parser = means, allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// Deviations of red, green and blue, where 1 is the full range [default: the network's usual ones]
    #[arg(long, value_name = "R,G,B", value_parser = deviations, allow_hyphen_values = true)]
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
    ensure_another(output, [source.as_path()], "the model would replace its own source")?;
    ensure_another(output, arguments.labels.as_deref(), "the model would replace the file of its labels")?;
    ensure_writable(output)?;
    let labels = arguments.labels.as_deref().map_or(Ok(Vec::new()), read_labels)?;
    let usual = ImportOptions::default();
    let options = ImportOptions {
        name: arguments.name.clone(),
        input_size: arguments.input_size as usize,
        stem_stride: arguments.stem_stride.map_or(usual.stem_stride, |stride| stride as usize),
        width: arguments.width,
        fc_squeeze: arguments.fc_squeeze.map(|squeeze| squeeze as usize),
        notes: arguments.notes.clone(),
        ..usual
    };
    let model = import(source, &options).map_err(|error| arguments.blame(error))?;
    // How a network usually wants its pictures is known only now that it is recognised.
    let (mut description, _, weights) = model.into_parts();
    for option in arguments.unused(&description.architecture) {
        failure::note(&format!("{option} changes nothing: this is {}", network(&description.architecture)));
    }
    description.labels = labels;
    arguments.adjust(&mut description.preprocess);
    let model = Model::new(description, weights).map_err(|error| arguments.blame(error))?;
    let precision = if arguments.half { Precision::F16 } else { Precision::F32 };
    let bytes = model.to_bytes(precision).map_err(|error| arguments.blame(error))?;
    write_whole(output, &bytes)?;
    say(&model, output, bytes.len() as u64);
    Ok(Outcome::Success)
}

impl Arguments {
    /// What was given that says nothing of such a network.
    fn unused(&self, architecture: &Architecture) -> impl Iterator<Item = &'static str> {
        let has_stem = !matches!(architecture, Architecture::EfficientNetLite0 { .. });
        let is_dynamic = matches!(architecture, Architecture::MobileNetV2Dcd { .. });
        let options = [
            ("--stem-stride", self.stem_stride.is_some(), has_stem),
            ("--width", self.width.is_some(), has_stem),
            ("--fc-squeeze", self.fc_squeeze.is_some(), is_dynamic),
        ];
        options.into_iter().filter(|(_, given, used)| *given && !used).map(|(option, ..)| option)
    }

    /// Names the option that is to blame: a field of the description may have its value from one.
    fn blame(&self, error: ModelError) -> anyhow::Error {
        let (field, expected, found) = match error.fault() {
            Fault::Field { field, expected, found } => (*field, expected, found),
            fault @ Fault::HalfOverflow { .. } => return anyhow!("{}: --half: {fault}", self.source.display()),
            _ => return error.into(),
        };
        let option = match (field, &self.labels, self.resize) {
            ("name", ..) if self.name.is_some() => "--name".into(),
            ("labels", Some(file), _) => format!("--labels {}", file.display()),
            ("preprocess.resize", _, Some(side)) => format!("--resize {side}"),
            _ => return error.into(),
        };
        anyhow!("{option}: expected {expected}, found {found}")
    }

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
    let labels: Vec<_> = text.lines().map(|line| line.trim().to_string()).collect();
    ensure!(!labels.is_empty(), "--labels {}: expected the classes' names, found none", path.display());
    Ok(labels)
}

fn width(text: &str) -> Result<f64, String> {
    let width = text.parse().ok().filter(|width: &f64| width.is_finite() && *width > 0.0);
    width.ok_or_else(|| "expected a finite number above zero".into())
}

fn means(text: &str) -> Result<[f32; 3], String> {
    let means = triple(text)?;
    let is_share = means.iter().all(|mean| (0.0..=1.0).contains(mean));
    let expected = || format!("expected means between 0 and 1 (of levels from 0 to 255 a 255th), found `{text}`");
    is_share.then_some(means).ok_or_else(expected)
}

fn deviations(text: &str) -> Result<[f32; 3], String> {
    let deviations = triple(text)?;
    // Levels between 0 and 1 deviate by no more than a half, but some networks are given other ranges.
    let divides = deviations.iter().all(|deviation| *deviation > 0.0 && *deviation <= 10.0);
    let expected =
        || format!("expected deviations above 0 and at most 10 (of levels from 0 to 255 a 255th), found `{text}`");
    divides.then_some(deviations).ok_or_else(expected)
}

/// Three numbers with commas between them.
fn triple(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let expected = || format!("expected three numbers such as 0.5,0.5,0.5, found `{text}`");
    numbers.ok().and_then(|numbers| numbers.try_into().ok()).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use dynaconv::graph::networks::MobileNetV2;

    use super::*;

    fn arguments(more: &str) -> Arguments {
        #[derive(Parser)]
        struct Import {
            #[command(flatten)]
            arguments: Arguments,
        }
        let text = format!("import a.pth -o b.safetensors{more}");
        Import::parse_from(text.split(' ')).arguments
    }

    #[test]
    fn weights_too_large_for_halves_are_told_with_file_and_option() {
        let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 1 };
        let model = Model::untrained("small", Architecture::MobileNetV2(base)).unwrap();
        let (description, _, mut weights) = model.into_parts();
        weights.get_mut("conv.0.weight").unwrap().data_mut()[7] = 1e6;
        let error = Model::new(description, weights).unwrap().to_bytes(Precision::F16).unwrap_err();
        let said = arguments(" --half").blame(error).to_string();
        assert!(said.starts_with("a.pth: --half: tensor `conv.0.weight`: expected values within ±65504"), "{said}");
    }

    #[test]
    fn options_that_say_nothing_of_a_network_are_known() {
        let base = MobileNetV2::imagenet(1.0);
        let lite = Architecture::EfficientNetLite0 { classes: 10, input_size: 32 };
        let fixed = Architecture::MobileNetV2(base.clone());
        let dynamic = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 };
        let unused = |more, architecture: &Architecture| arguments(more).unused(architecture).collect::<Vec<_>>();
        let all = " --stem-stride 1 --width 0.5 --fc-squeeze 8";
        assert_eq!(unused(all, &lite), ["--stem-stride", "--width", "--fc-squeeze"]);
        assert_eq!(unused(all, &fixed), ["--fc-squeeze"]);
        assert!(unused(all, &dynamic).is_empty() && unused("", &lite).is_empty());
    }
}
