//! `dynaconv profile`: where the time goes, launch by launch, against what the device can do at best.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use dynaconv::classifier::block_on;
use dynaconv::profile::{Profile, Profiler, View};

use super::network::NetworkArguments;
use super::output::{
    ensure_another, ensure_apart, ensure_writable, is_stdout, print_json, read_text, stdout, unless_closed, write_whole,
};
use super::settings::{DeviceArguments, introduce, note_runs};
use super::show::printable;
use super::{Outcome, failure, profile_table};

/// Measure where the time of a network goes, launch by launch, against what the device can do at best
///
/// The plan that ships is run, plain and timed in turns, on pictures of noise.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv profile
  dynaconv profile --model mobilenet.safetensors --batch 8 --by layer
  dynaconv profile --html report.html  # timeline, roofline, every launch
  dynaconv profile --trace trace.json  # for ui.perfetto.dev
  dynaconv profile --json before.json  # for `dynaconv compare`
  dynaconv profile --json | jq '.dispatches[].time.median'
  dynaconv profile --read browser.json --html report.html")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Pictures of each run, or of a batch that takes several
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Plain runs, and as many timed ones
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Runs of both kinds before the first that counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    warm_up: u32,
    /// Do not measure what the device can do at best
    #[arg(long)]
    no_roof: bool,
    /// What the table's rows are; without it the most costly launches are shown
    #[arg(long, value_enum, value_name = "VIEW")]
    by: Option<ViewName>,
    /// Write the profile as JSON to a file, or in place of the table to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write one run as a trace for Perfetto and Chrome
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a page with timeline, roofline and all launches, which opens in any browser and fetches nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show a profile that was written before, by this program or by a page, in place of taking one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "device", "form", "batch", "repeats", "warm_up", "no_roof", "network", "precision", "untuned"])]
    read: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewName {
    /// Each launch
    Dispatch,
    /// The layers
    Layer,
    /// The blocks of layers
    Block,
    /// Kernels and their entry points
    Kernel,
    /// Static work, and the parts of dynamic convolution
    Part,
}

impl From<ViewName> for View {
    fn from(name: ViewName) -> Self {
        match name {
            ViewName::Dispatch => Self::Dispatch,
            ViewName::Layer => Self::Layer,
            ViewName::Block => Self::Block,
            ViewName::Kernel => Self::Kernel,
            ViewName::Part => Self::Part,
        }
    }
}

/// Takes the profile and shows it.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { model, by, json, trace, html, read, .. } = arguments;
    let results = [("--json", json), ("--trace", trace), ("--html", html)];
    let results: Vec<_> = results.iter().filter_map(|(option, file)| Some((*option, file.as_deref()?))).collect();
    ensure_apart(&results)?;
    let (source, what) = match read {
        Some(file) => (Some(file.clone()), "profile that is read"),
        None => (model.file()?, "model"),
    };
    for (option, file) in &results {
        ensure_writable(file)?;
        ensure_another(file, source.as_deref(), &format!("{option} would replace the {what}"))?;
    }
    let to_stdout = results.iter().find(|(_, file)| is_stdout(file));
    if let (Some(_), Some((option, _))) = (by, to_stdout) {
        bail!("--by and {option} -: expected one result for standard output, found two");
    }
    let profile = match read {
        Some(file) => load(file)?,
        None => take(arguments)?,
    };
    // A measurement is not lost where one of the places for it fails.
    let json = json.as_ref().map(|file| match is_stdout(file) {
        true => print_json(&profile),
        false => written(file, &serde_json::to_vec(&profile)?, "profile"),
    });
    let html = html.as_ref().map(|file| written(file, profile.to_html()?.as_bytes(), "page"));
    let trace = trace.as_ref().map(|file| {
        let trace = profile.to_trace().context("there is no trace: the launches of this profile were not timed")?;
        written(file, &serde_json::to_vec(&trace)?, "trace")
    });
    let table = to_stdout.is_none().then(|| profile_table::print(&profile, by.map(View::from), &mut stdout()));
    // Who has closed the pipe knows; of files that were not written nobody does.
    let results = [json, html, trace, table].into_iter().flatten();
    let mut failures: Vec<_> = results.filter_map(|result| unless_closed(result).err()).collect();
    let Some(last) = failures.pop() else { return Ok(Outcome::Success) };
    for error in failures {
        failure::report(error.as_ref());
    }
    Err(last)
}

fn take(arguments: &Arguments) -> Result<Profile> {
    let Arguments { model, device, batch, repeats, warm_up, no_roof, .. } = arguments;
    let (_, mut classifier) = device.load_and_prepare(|| model.load(), *batch, 5)?;
    introduce(&classifier);
    let profiler = Profiler { warm_up: *warm_up, repeats: *repeats, roof: !no_roof };
    let (pictures, runs) = (classifier.plan().batch, classifier.plan().runs);
    note_runs(*batch, runs, pictures);
    Ok(block_on(classifier.profile(&profiler, pictures))?)
}

/// More than the profile of any network has.
const MOST_BYTES: u64 = 1 << 30;

/// Reads a profile from a file.
pub fn load(file: &Path) -> Result<Profile> {
    let text = read_text(file, MOST_BYTES)?;
    Profile::from_json(&text).with_context(|| file.display().to_string())
}

fn written(file: &Path, bytes: &[u8], what: &str) -> Result<()> {
    write_whole(file, bytes)?;
    if !is_stdout(file) {
        failure::say(&format!("{what} written to {}", printable(&file.to_string_lossy())));
    }
    Ok(())
}
