//! `dynaconv bench`: how fast a network answers, and how soon after its file is opened.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use dynaconv::classifier::{Classifier, block_on};
use dynaconv::plan::Plan;
use dynaconv::tensor::Tensor;
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
        let read_ms = milliseconds(start);
        let mut classifier = arguments.device.prepare(&model, batch, 1)?;
        let prepare_ms = milliseconds(start) - read_ms;
        if index == 0 && !arguments.json {
            introduce(&classifier);
        }
        let input = noise(classifier.plan());
        let run_ms = time_run(&mut classifier, &input)?;
        let first_answer = FirstAnswer { read_ms, prepare_ms, run_ms, total_ms: read_ms + prepare_ms + run_ms };
        let times = measure(arguments, &mut classifier, &input)?;
        let report = report(&classifier, first_answer, times);
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
fn measure(arguments: &Arguments, classifier: &mut Classifier, input: &Tensor) -> Result<Vec<f64>> {
    let (runs, time) = WARM_UP;
    let start = Instant::now();
    let mut warm_up = 0;
    while warm_up < runs || start.elapsed() < time {
        time_run(classifier, input)?;
        warm_up += 1;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while !is_enough(&times, arguments, start.elapsed()) {
        times.push(time_run(classifier, input)?);
    }
    Ok(times)
}

fn is_enough(times: &[f64], Arguments { runs, seconds, .. }: &Arguments, elapsed: Duration) -> bool {
    match runs {
        Some(runs) => times.len() >= *runs as usize,
        None if times.len() < FEWEST_RUNS => false,
        None => elapsed.as_secs() >= u64::from(*seconds) || is_precise(times),
    }
}

fn is_precise(times: &[f64]) -> bool {
    let sorted = sorted(times);
    let (median, [low, high]) = (quantile(&sorted, 0.5), median_within(&sorted));
    high - low <= 2.0 * PRECISION * median
}

fn time_run(classifier: &mut Classifier, input: &Tensor) -> Result<f64> {
    let start = Instant::now();
    block_on(classifier.scores(input))?;
    Ok(milliseconds(start))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Prepared pictures for a whole batch: evenly spread from -2 to 2, the same at each call.
fn noise(plan: &Plan) -> Tensor {
    let map = plan.input.map;
    let mut input = Tensor::filled(vec![plan.batch as usize, map.channels, map.height, map.width], 0.0);
    for (value, index) in input.data_mut().iter_mut().zip(0u32..) {
        // The multiples of the golden ratio spread over all 32-bit numbers.
        *value = index.wrapping_mul(0x9E37_79B9) as f32 / 2f32.powi(30) - 2.0;
    }
    input
}

fn report(classifier: &Classifier, first_answer: FirstAnswer, times_ms: Vec<f64>) -> Report<'_> {
    let plan = classifier.plan();
    let sorted = sorted(&times_ms);
    let median_ms = quantile(&sorted, 0.5);
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
        p10_ms: quantile(&sorted, 0.1),
        p90_ms: quantile(&sorted, 0.9),
        median_within_ms: median_within(&sorted),
        pictures_per_second: if median_ms > 0.0 { f64::from(plan.batch) * 1e3 / median_ms } else { 0.0 },
        times_ms,
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

fn sorted(times: &[f64]) -> Vec<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The quantile of sorted values, in proportion between two of them.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * sorted.len().saturating_sub(1) as f64;
    let low = place as usize;
    let value = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(low), value((low + 1).min(sorted.len().saturating_sub(1))));
    low + (high - low) * place.fract()
}

/// The 95 % confidence interval of the median of sorted values, whatever their distribution: each of n values lies below the
/// true median with probability 1/2, so the ranks spread by √n/2 around n/2.
fn median_within(sorted: &[f64]) -> [f64; 2] {
    let count = sorted.len() as f64;
    let half = 0.98 * count.sqrt();
    let low = (count / 2.0 - half).floor().max(0.0) as usize;
    let high = ((count / 2.0 + half).ceil() as usize).min(sorted.len().saturating_sub(1));
    [low, high].map(|rank| sorted.get(rank).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values_in_proportion() {
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0], q)), [1.0, 1.2, 2.0, 4.0]);
        assert_eq!(quantile(&[3.0], 0.9), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_median_is_surer_the_more_runs_there_are() {
        let ramp = |count: u32| (0..count).map(|index| f64::from(index) / f64::from(count)).collect::<Vec<_>>();
        assert_eq!(median_within(&ramp(100)), [0.4, 0.6]);
        assert_eq!(median_within(&ramp(10_000)), [0.4902, 0.5098]);
        assert_eq!(median_within(&ramp(3)), [0.0, 2.0 / 3.0]);
        assert!(median_within(&[]).iter().all(|bound| bound.is_nan()));
    }

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
        let (steady, wild) = (vec![5.0; 10], (1..=10).map(f64::from).collect::<Vec<_>>());
        let open = arguments("bench --seconds 10");
        assert!(!is_enough(&steady[..9], &open, Duration::from_secs(99)));
        assert!(is_enough(&steady, &open, Duration::ZERO));
        assert!(!is_enough(&wild, &open, Duration::from_secs(9)));
        assert!(is_enough(&wild, &open, Duration::from_secs(10)));
        let exact = arguments("bench --runs 11 --seconds 1");
        assert!(!is_enough(&steady, &exact, Duration::from_secs(99)));
        assert!(is_enough(&[5.0; 11], &exact, Duration::ZERO));
        assert!(!is_precise(&[f64::NAN; 20]));
    }
}
