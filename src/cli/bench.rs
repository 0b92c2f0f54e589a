//! `dynaconv bench`: how fast a network answers, and how soon after its file is opened.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use dynaconv::classifier::{Classifier, block_on};
use dynaconv::plan::Plan;
use dynaconv::profile::{Samples, noise};
use dynaconv::tensor::{Tensor, nchw_from_channels_last};
use serde::Serialize;

use super::Outcome;
use super::settings::{DeviceArguments, ModelArguments, introduce};
use super::show::bytes;
use super::table::{Side, Table};

/// Measure how fast a network answers, and how soon after its file is opened
///
/// Prepared pictures of noise go in and class scores come out, both through the processor's memory. Runs are timed until the
/// median is known to one percent, with 95 % confidence.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv bench
  dynaconv bench --model mobilenet.safetensors --device cpu
  dynaconv bench --batch 1,8,64                  pictures per second against the size of the batch
  dynaconv bench --runs 100 --json               one JSON object per batch and line, with every run's time")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Pictures of one run; several sizes are measured one after another
    #[arg(long, value_name = "N,...", default_value = "1", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Vec<u32>,
    /// Time exactly so many runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// Stop after so many seconds even if the median is not known well
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Print one JSON object per batch and line
    #[arg(long)]
    json: bool,
}

/// Runs before the first that is timed, at least, and for how long: caches fill, and clocks rise.
const WARM_UP: (usize, Duration) = (3, Duration::from_millis(500));
/// Runs that are timed at least, where their number is not given.
const FEWEST_RUNS: usize = 10;
/// How well the median shall be known, to each side.
const PRECISION: f64 = 0.01;

/// What was measured for one size of the batch. Times in milliseconds.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    model: &'a str,
    device: &'a str,
    /// Whether the device is a GPU adapter that computes on the CPU.
    software: bool,
    batch: u32,
    dispatches: usize,
    weight_bytes: u64,
    activation_bytes: u64,
    first_answer: FirstAnswer,
    median_ms: f64,
    p10_ms: f64,
    p90_ms: f64,
    /// The median's 95 % confidence interval.
    median_within_ms: [f64; 2],
    pictures_per_second: f64,
    /// Every timed run, in order.
    times_ms: Vec<f64>,
}

/// The way from the file to the first answer.
#[derive(Serialize)]
struct FirstAnswer {
    /// The file is read and checked.
    read_ms: f64,
    /// The device is opened and the network prepared for it.
    prepare_ms: f64,
    /// The first run.
    run_ms: f64,
    total_ms: f64,
}

/// Measures the model.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut out = anstream::stdout().lock();
    let mut table = Table::new([
        ("batch", Side::Right),
        ("median ms", Side::Right),
        ("p10 – p90", Side::Right),
        ("runs", Side::Right),
        ("pictures/s", Side::Right),
        ("first answer ms", Side::Right),
        ("launches", Side::Right),
        ("weights", Side::Right),
        ("activations", Side::Right),
    ]);
    for (index, &batch) in arguments.batch.iter().enumerate() {
        let start = Instant::now();
        let model = arguments.model.load()?;
        let read_ms = milliseconds(start.elapsed());
        let mut classifier = arguments.device.prepare(&model, batch, 1)?;
        let prepare_ms = milliseconds(start.elapsed()) - read_ms;
        if index == 0 && !arguments.json {
            introduce(&classifier);
        }
        let input = input(classifier.plan())?;
        let run_ms = milliseconds(time_run(&mut classifier, &input)?);
        let first_answer = FirstAnswer { read_ms, prepare_ms, run_ms, total_ms: read_ms + prepare_ms + run_ms };
        let times = measure(arguments, &mut classifier, &input)?;
        let report = report(&classifier, first_answer, &times);
        if arguments.json {
            writeln!(out, "{}", serde_json::to_string(&report)?).context("standard output")?;
        } else {
            table.push(row(&report));
        }
    }
    if !arguments.json {
        table.write(&mut out).context("standard output")?;
    }
    Ok(Outcome::Success)
}

/// Warms up and times runs until enough is known.
fn measure(arguments: &Arguments, classifier: &mut Classifier, input: &Tensor) -> Result<Samples> {
    let (runs, time) = WARM_UP;
    let start = Instant::now();
    let mut warm_up = 0;
    while warm_up < runs || start.elapsed() < time {
        time_run(classifier, input)?;
        warm_up += 1;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    loop {
        times.push(time_run(classifier, input)?.as_nanos() as i64);
        if let Some(samples) = enough(&times, arguments, start.elapsed()) {
            return Ok(samples);
        }
    }
}

/// The samples, once they are as many or as good as they must be.
fn enough(times: &[i64], Arguments { runs, seconds, .. }: &Arguments, elapsed: Duration) -> Option<Samples> {
    let fewest = runs.map_or(FEWEST_RUNS, |runs| runs as usize);
    if times.len() < fewest {
        return None;
    }
    let samples = Samples::new(times.to_vec())?;
    let is_over = runs.is_some() || elapsed.as_secs() >= u64::from(*seconds) || is_precise(&samples);
    is_over.then_some(samples)
}

fn is_precise(times: &Samples) -> bool {
    let [low, high] = times.median_within();
    high - low <= 2.0 * PRECISION * times.median()
}

fn time_run(classifier: &mut Classifier, input: &Tensor) -> Result<Duration> {
    let start = Instant::now();
    block_on(classifier.scores(input))?;
    Ok(start.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prepared pictures of noise for a whole batch.
fn input(plan: &Plan) -> Result<Tensor> {
    let map = plan.input.map;
    let values = nchw_from_channels_last(map, &noise(plan, plan.batch));
    Ok(Tensor::new(vec![plan.batch as usize, map.channels, map.height, map.width], values)?)
}

fn report<'a>(classifier: &'a Classifier, first_answer: FirstAnswer, times: &Samples) -> Report<'a> {
    let plan = classifier.plan();
    let [p10_ms, median_ms, p90_ms] = [0.1, 0.5, 0.9].map(|q| times.quantile(q) / 1e6);
    Report {
        version: env!("CARGO_PKG_VERSION"),
        model: classifier.name(),
        device: classifier.device(),
        software: classifier.is_software(),
        batch: plan.batch,
        dispatches: plan.passes.len(),
        weight_bytes: size_of_val(plan.weights.as_slice()) as u64,
        activation_bytes: plan.activation_bytes(),
        first_answer,
        median_ms,
        p10_ms,
        p90_ms,
        median_within_ms: times.median_within().map(|bound| bound / 1e6),
        pictures_per_second: if median_ms > 0.0 { f64::from(plan.batch) * 1e3 / median_ms } else { 0.0 },
        times_ms: times.values().iter().map(|time| *time as f64 / 1e6).collect(),
    }
}

fn row(report: &Report<'_>) -> [String; 9] {
    [
        report.batch.to_string(),
        format!("{:.2}", report.median_ms),
        format!("{:.2} – {:.2}", report.p10_ms, report.p90_ms),
        report.times_ms.len().to_string(),
        format!("{:.1}", report.pictures_per_second),
        format!("{:.0}", report.first_answer.total_ms),
        report.dispatches.to_string(),
        bytes(report.weight_bytes),
        bytes(report.activation_bytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_when_the_median_is_known_or_the_time_is_over() {
        let arguments = |text: &str| {
            use clap::Parser;
            #[derive(Parser)]
            struct Bench {
                #[command(flatten)]
                arguments: Arguments,
            }
            Bench::parse_from(text.split(' ')).arguments
        };
        let is_enough = |times: &[i64], arguments: &Arguments, seconds| {
            enough(times, arguments, Duration::from_secs(seconds)).is_some()
        };
        let (steady, wild) = ([5; 10], (1..=10).collect::<Vec<_>>());
        let open = arguments("bench --seconds 10");
        assert!(!is_enough(&steady[..9], &open, 99));
        assert!(is_enough(&steady, &open, 0));
        assert!(!is_enough(&wild, &open, 9));
        assert!(is_enough(&wild, &open, 10));
        let exact = arguments("bench --runs 11 --seconds 1");
        assert!(!is_enough(&steady, &exact, 99));
        assert!(is_enough(&[5; 11], &exact, 0));
    }
}
