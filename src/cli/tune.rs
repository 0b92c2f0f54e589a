//! `dynaconv tune`: which way to compute each layer is the fastest on this device.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use dynaconv::classifier::block_on;
use dynaconv::graph::fold;
use dynaconv::lower::Options;
use dynaconv::tensor::Precision;
use dynaconv::tune::{Outcome as Found, Shape, Step, Tuner};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::network::NetworkArguments;
use super::output::{print_json, stdout, unless_closed};
use super::settings::{PrecisionName, note_runs, open_gpu, without_gpu};
use super::show::{duration, printable};
use super::table::{Side, Table};
use super::{Outcome, failure, tuned_file};

/// Find out which way to compute each layer is the fastest on a device, and remember it
///
/// Every distinct layer of the network is computed in all ways that it has, within the network and in turns, and the results are
/// compared with each other. The fastest ways are kept in the user's cache folder, with the device, its driver and a hash of
/// the shaders; whatever runs a network takes them, until one of these changes, for as many pictures a run and the precision that
/// they were found with. --untuned takes the rule's ways again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv tune
  dynaconv tune --model mobilenet.safetensors --device vulkan
  dynaconv tune --batch 8         # for batches of eight pictures
  dynaconv tune --dry-run --json  # keep nothing; every way's time")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    /// gpu, vulkan, metal, dx12, gl, or a part of an adapter's name [default: the best GPU]
    #[arg(long, short, value_name = "DEVICE")]
    device: Option<String>,
    /// Pictures of each run, or of a batch that takes several
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// How maps and weights are stored
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    precision: PrecisionName,
    /// Timed runs of each set of ways
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    rounds: u32,
    /// Begin no more timed rounds after so many seconds; compiling and checking every way, and three rounds, take their time
    #[arg(long, value_name = "S", default_value_t = 45, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Keep nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    device: String,
    /// Pictures that were asked for; they take several runs where `pictures` are fewer.
    batch: u32,
    /// Pictures of each run.
    pictures: u32,
    precision: Precision,
    #[serde(flatten)]
    found: &'a Found,
}

/// Tunes the model.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { batch, rounds, seconds, .. } = *arguments;
    let precision = arguments.precision.into();
    let model = arguments.model.load()?;
    let Some(gpu) = open_gpu(arguments.device.as_deref())? else {
        let nothing = "the CPU computes each layer in one way, so there is nothing to tune";
        bail!(without_gpu(arguments.device.as_deref(), nothing));
    };
    let network = fold(model.graph(), model.weights())?;
    let options = Options { batch, precision, ..Options::default() };
    let [runs, pictures] = options.runs(&gpu.limits());
    note_runs(batch, runs, pictures);
    let tuner = Tuner { rounds, time: Duration::from_secs(seconds.into()) };
    let bar = progress_bar();
    let found = block_on(tuner.tune(&gpu, &network, options, |step| show(&bar, step)))?;
    bar.finish_and_clear();
    let (model, device) = (&model.description().name[..], gpu.info().to_string());
    // What took so long is kept although it may not be printed, and printed although it may not be kept.
    let keep = || tuned_file::update(&gpu, |tuned| found.add_to(tuned));
    let kept = (!arguments.dry_run).then(keep);
    let wrong = found.shapes.iter().flat_map(|shape| shape.wrong.iter().map(|way| (&shape.shape, way)));
    for (shape, way) in wrong {
        failure::note(&format!("`{way}` computes something else than the rule's way for {shape}; it is left out"));
    }
    let printed = if arguments.json {
        print_json(&Report { model, device, batch, pictures, precision, found: &found })
    } else {
        print(model, &device, &found)
    };
    if let Some(path) = kept {
        failure::say(&format!("kept in {}", printable(&path?.to_string_lossy())));
    }
    unless_closed(printed)?;
    Ok(Outcome::Success)
}

/// A bar that is only seen on a terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    match ProgressStyle::with_template("{wide_bar} {msg}, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Compiling takes most of the time where there is little, timing where there is much.
fn show(bar: &ProgressBar, step: Step) {
    let ((begin, end), (done, all), message) = match step {
        Step::Prepare(done, all) => ((0, 50), (done, all), "compiling"),
        Step::Check(done, all) => ((50, 60), (done, all), "checking results"),
        Step::Time(done, all) => ((60, 100), (done, all), "timing"),
    };
    bar.set_message(message);
    bar.set_position(begin + (end - begin) * done as u64 / all.max(1) as u64);
}

fn print(model: &str, device: &str, found: &Found) -> Result<()> {
    let mut out = stdout();
    writeln!(out, "{} on {}", printable(model), printable(device))?;
    let (left, right) = (Side::Left, Side::Right);
    let header = [
        ("layer", left),
        ("times", right),
        ("rule's way", left),
        ("takes", right),
        ("fastest way", left),
        ("takes", right),
        ("ratio", right),
    ];
    let mut table = Table::new(header);
    for shape in &found.shapes {
        let Shape { shape: name, layers, rule, best, ways, .. } = shape;
        let (rule, best) = (&ways[*rule], &ways[*best]);
        table.push([
            printable(name),
            layers.to_string(),
            rule.name.clone(),
            duration(rule.time),
            best.name.clone(),
            duration(best.time),
            format!("{:.2}", shape.ratio()),
        ]);
    }
    table.write(&mut out)?;
    writeln!(out)?;
    for (name, times) in [("these layers", found.totals()), ("whole runs", found.runs)] {
        let more = 100.0 * (times[0] / times[1] - 1.0);
        let [rule, best] = times.map(duration);
        writeln!(out, "{name:12}  {rule} by the rule, {best} tuned: the rule takes {more:.1} % more")?;
    }
    writeln!(out, "{} timed runs of each way at least; the shortest times are shown", found.rounds)?;
    Ok(())
}
