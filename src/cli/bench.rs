//! `dynaconv bench`: how fast a network answers, and how soon after its file is opened.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use dynaconv::classifier::{Classifier, block_on};
use dynaconv::plan::Plan;
use dynaconv::profile::{Profiler, Roof, Samples, noise};
use dynaconv::tensor::{Tensor, nchw_from_channels_last};

use super::Outcome;
use super::bench_report::{FirstAnswer, Host, Launches, Report, milliseconds, write_tables};
use super::network::NetworkArguments;
use super::output::{print_json, stdout};
use super::settings::{DeviceArguments, introduce};

/// Measure how fast a network answers, and how soon after its file is opened
///
/// Prepared pictures of noise go in and class scores come out, both through the processor's memory. Batches are timed until the
/// median is known to one percent, with 95 % confidence. Then some runs are timed launch by launch, what the device can do at
/// best is measured, and runs are given to it while it computes those before. A batch is one run, but for large ones in
/// software, which takes several; what is said of launches and of the host is of one run.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv bench
  dynaconv bench --model mobilenet.safetensors --device cpu
  dynaconv bench --network mobilenet-v2-dcd:0.5@160  # made-up weights
  dynaconv bench --batch 1,8,64                      # against the batch
  dynaconv bench --runs 100 --json                   # with every run's time")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Pictures of a batch; several sizes are measured one after another
    #[arg(long, value_name = "N,...", default_value = "1", value_delimiter = ',')]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Vec<u32>,
    /// Time exactly so many batches
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// Stop after so many seconds even if the median is not known well; ten batches are timed at least
    #[arg(long, value_name = "S", default_value_t = 10, conflicts_with = "runs", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Only time whole runs, one after another: no launches, no roof, no two runs at once
    #[arg(long)]
    brief: bool,
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
/// Runs of which each launch is timed.
const TIMED_RUNS: u32 = 10;
/// How long runs follow one another, two of them under way, and how many at least.
const IN_A_ROW_FOR: Duration = Duration::from_millis(500);
const FEWEST_IN_A_ROW: usize = 4;
/// Bytes of input beyond which there are no more runs than the fewest.
const MOST_INPUT_BYTES: usize = 256 << 20;

/// Measures the model.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut reports = Vec::new();
    let mut roof = None;
    let measured = arguments.batch.iter().try_for_each(|&batch| {
        let is_first = reports.is_empty();
        let report = report(arguments, batch, is_first, &mut roof)?;
        if arguments.json {
            return print_json(&report);
        }
        reports.push(report);
        Ok(())
    });
    // What was measured is not lost where a later batch fails.
    let printed = if reports.is_empty() { Ok(()) } else { write_tables(&reports, &mut stdout()) };
    measured?;
    printed?;
    Ok(Outcome::Success)
}

/// Loads the model and measures it with one size of the batch; the first says for people what is measured.
fn report(arguments: &Arguments, batch: u32, is_first: bool, roof: &mut Option<Roof>) -> Result<Report> {
    let start = Instant::now();
    let mut read = Duration::ZERO;
    let load = || {
        let start = Instant::now();
        let model = arguments.model.load();
        read = start.elapsed();
        model
    };
    let (_, mut classifier) = arguments.device.load_and_prepare(load, batch, 1)?;
    let prepare = start.elapsed();
    if is_first && !arguments.json {
        introduce(&classifier);
    }
    let input = input(classifier.plan(), batch as usize)?;
    let first = time_run(&mut classifier, &input)?;
    let first_answer = FirstAnswer::new([read, prepare, first], classifier.loading());
    let (times, host) = measure(arguments, &mut classifier, &input)?;
    let (rate, launches) = if arguments.brief {
        (None, None)
    } else {
        (two_under_way(&mut classifier, times.median())?, Some(launches(&mut classifier, roof)?))
    };
    Ok(Report::new(&classifier, first_answer, &times, host, rate, launches))
}

/// Profiles the launches of a run; with the roof, which is measured once.
fn launches(classifier: &mut Classifier, roof: &mut Option<Roof>) -> Result<Launches> {
    let profiler = Profiler { warm_up: 1, repeats: TIMED_RUNS, roof: roof.is_none() };
    let batch = classifier.plan().batch;
    let profile = block_on(classifier.profile(&profiler, batch))?;
    if roof.is_none() {
        roof.clone_from(&profile.roof);
    }
    Ok(Launches::new(&profile, roof.as_ref()))
}

/// Pictures per second where two runs are under way; nothing where the CPU answers, which computes one after another.
fn two_under_way(classifier: &mut Classifier, batch_nanoseconds: f64) -> Result<Option<f64>> {
    if host_times(classifier).is_none() {
        return Ok(None);
    }
    let (plan, batch) = (classifier.plan(), classifier.batch() as usize);
    let wanted = (IN_A_ROW_FOR.as_nanos() as f64 / batch_nanoseconds.max(1.0)) as usize;
    let most = MOST_INPUT_BYTES / (batch * plan.input.map.padded_values() * size_of::<f32>());
    let batches = wanted.min(most).max(FEWEST_IN_A_ROW);
    let input = input(plan, batches * batch)?;
    let pictures = input.shape()[0] as f64;
    let start = Instant::now();
    let mut rates = Vec::new();
    while rates.is_empty() || (rates.len() < 5 && start.elapsed() < 4 * IN_A_ROW_FOR) {
        rates.push(pictures / time_run(classifier, &input)?.as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(Some(rates[rates.len() / 2]))
}

/// Warms up and times runs until enough is known.
fn measure(arguments: &Arguments, classifier: &mut Classifier, input: &Tensor) -> Result<(Samples, Option<Host>)> {
    let (runs, time) = WARM_UP;
    let start = Instant::now();
    let mut warm_up = 0;
    while warm_up < runs || start.elapsed() < time {
        time_run(classifier, input)?;
        warm_up += 1;
    }
    let (mut times, mut host) = (Vec::new(), Vec::new());
    let start = Instant::now();
    loop {
        times.push(time_run(classifier, input)?.as_nanos() as i64);
        host.extend(host_times(classifier));
        if let Some(samples) = enough(&times, arguments, start.elapsed()) {
            return Ok((samples, medians(&host)));
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
    times.median_within().is_some_and(|[low, high]| high - low <= 2.0 * PRECISION * times.median())
}

fn time_run(classifier: &mut Classifier, input: &Tensor) -> Result<Duration> {
    let start = Instant::now();
    block_on(classifier.scores(input))?;
    Ok(start.elapsed())
}

/// What the run started last cost the host: writing the input, encoding, submitting and recording ahead.
fn host_times(classifier: &Classifier) -> Option<[Duration; 4]> {
    #[cfg(feature = "gpu")]
    return classifier.host_times().map(|times| [times.write, times.encode, times.submit, times.ahead]);
    #[cfg(not(feature = "gpu"))]
    return {
        let _ = classifier;
        None
    };
}

fn medians(times: &[[Duration; 4]]) -> Option<Host> {
    let median = |index: usize| {
        let mut times: Vec<_> = times.iter().map(|times| milliseconds(times[index])).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    Some(Host { write_ms: median(0)?, encode_ms: median(1)?, submit_ms: median(2)?, ahead_ms: median(3)? })
}

/// Prepared pictures of noise.
fn input(plan: &Plan, pictures: usize) -> Result<Tensor> {
    let map = plan.input.map;
    let run = nchw_from_channels_last(map, &noise(plan, plan.batch));
    let values = run.into_iter().cycle().take(pictures * map.channels * map.pixels()).collect();
    Ok(Tensor::new(vec![pictures, map.channels, map.height, map.width], values)?)
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
        let exact = arguments("bench --runs 11");
        assert!(!is_enough(&steady, &exact, 99));
        assert!(is_enough(&[5; 11], &exact, 0));
    }
}
