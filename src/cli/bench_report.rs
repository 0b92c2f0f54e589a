//! What `dynaconv bench` says of a network: as JSON, and as tables for people.

use std::io::{self, Write};
use std::time::Duration;

use dynaconv::classifier::{Classifier, Loading};
use dynaconv::kernels::Precision;
use dynaconv::profile::{Profile, Roof, Samples};
use serde::Serialize;

use super::show::bytes;
use super::table::{Side, Table};

/// What was measured for one size of the batch. Times in milliseconds.
#[derive(Serialize)]
pub struct Report {
    version: &'static str,
    model: String,
    device: String,
    /// Whether the device is a GPU adapter that computes on the CPU.
    software: bool,
    batch: u32,
    /// The runs of a batch; dispatches, activations, `host` and `launches` are those of one.
    runs: u32,
    /// How maps and weights are stored.
    precision: Precision,
    dispatches: usize,
    weight_bytes: u64,
    activation_bytes: u64,
    first_answer: FirstAnswer,
    median_ms: f64,
    p10_ms: f64,
    p90_ms: f64,
    /// The median's 95 % confidence interval; none of fewer than six times.
    median_within_ms: Option<[f64; 2]>,
    pictures_per_second: f64,
    /// What a run costs the host beside waiting for the device; none where the CPU answers.
    host: Option<Host>,
    /// Pictures per second where a run is given to the device while it computes another; none where the CPU answers.
    two_under_way_per_second: Option<f64>,
    /// What was found by timing launches; none where that was not asked for.
    launches: Option<Launches>,
    /// Every timed batch, in order.
    times_ms: Vec<f64>,
}

/// The way from the file to the first answer.
#[derive(Clone, Copy, Serialize)]
pub struct FirstAnswer {
    /// The file is read and checked, while a GPU is opened.
    pub read_ms: f64,
    /// All before the first run: the sum of `open_ms`, `lower_ms` and the longer of `pipelines_ms` and `memory_ms`.
    pub prepare_ms: f64,
    /// The device is opened, while the file is read and its network folded, and what is none of the other steps.
    open_ms: f64,
    /// The network is folded, while a GPU is opened.
    fold_ms: f64,
    /// It is lowered to a plan.
    lower_ms: f64,
    /// All pipelines are compiled.
    pipelines_ms: f64,
    /// Memory is made and the weights are written to it, while the texts of the pipelines are read.
    memory_ms: f64,
    /// The first run.
    pub run_ms: f64,
    total_ms: f64,
}

/// Medians of what runs cost the host.
#[derive(Clone, Copy, Serialize)]
pub struct Host {
    /// Writing the input to memory that the device reads.
    pub write_ms: f64,
    /// Recording what was not recorded ahead.
    pub encode_ms: f64,
    /// Handing it all to the device's queue.
    pub submit_ms: f64,
    /// Recording the next run, while the device computes.
    pub ahead_ms: f64,
}

/// What all launches of a run take together, and of what the device can do at best.
#[derive(Clone, Copy, Serialize)]
pub struct Launches {
    /// From the first launch's begin to the last one's end, by the device's clock; by the host's where the CPU answers.
    device_ms: Option<f64>,
    flops: u64,
    /// Bytes of distinct values that launches read and write.
    moved_bytes: u64,
    /// The share of the measured rate of multiply-adds.
    fma_share: Option<f64>,
    /// The share of the measured rate of memory.
    bandwidth_share: Option<f64>,
    /// The share of what each launch could do at best by its operations and bytes, by time.
    roof_share: Option<f64>,
}

impl FirstAnswer {
    /// The way's steps: reading, all before the first run, and that took so long.
    pub fn new([read, prepare, run]: [Duration; 3], loading: Loading) -> Self {
        let Loading { fold, lower, pipelines, memory } = loading;
        let open = prepare.saturating_sub(lower + pipelines.max(memory));
        let [read_ms, prepare_ms, run_ms] = [read, prepare, run].map(milliseconds);
        Self {
            read_ms,
            prepare_ms,
            open_ms: milliseconds(open),
            fold_ms: milliseconds(fold),
            lower_ms: milliseconds(lower),
            pipelines_ms: milliseconds(pipelines),
            memory_ms: milliseconds(memory),
            run_ms,
            total_ms: prepare_ms + run_ms,
        }
    }
}

impl Launches {
    /// Sums up a profile; shares need a roof.
    pub fn new(profile: &Profile, roof: Option<&Roof>) -> Self {
        let launches = &profile.dispatches;
        let flops = launches.iter().map(|launch| launch.flops).sum();
        let moved_bytes = launches.iter().map(|launch| launch.bytes()).sum();
        let parts = profile.runs.parts.as_ref();
        let device = parts.map(|parts| parts.launches.plus(&parts.gaps).median());
        let seconds = device.map(|nanoseconds| nanoseconds / 1e9).filter(|seconds| *seconds > 0.0);
        let known = || roof.zip(seconds);
        let at_roof = |roof: &Roof| launches.iter().filter_map(|l| roof.share(l.flops, l.bytes(), 1e9)).sum::<f64>();
        Self {
            device_ms: device.map(|nanoseconds| nanoseconds / 1e6),
            flops,
            moved_bytes,
            fma_share: known().map(|(roof, seconds)| flops as f64 / seconds / roof.f32_flops),
            bandwidth_share: known().map(|(roof, seconds)| moved_bytes as f64 / seconds / roof.bandwidth(moved_bytes)),
            roof_share: known().map(|(roof, seconds)| at_roof(roof) / seconds),
        }
    }
}

impl Report {
    /// What was measured of a classifier.
    pub fn new(
        classifier: &Classifier,
        first_answer: FirstAnswer,
        times: &Samples,
        host: Option<Host>,
        two_under_way_per_second: Option<f64>,
        launches: Option<Launches>,
    ) -> Self {
        let plan = classifier.plan();
        let [p10_ms, median_ms, p90_ms] = [0.1, 0.5, 0.9].map(|q| times.quantile(q) / 1e6);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            model: classifier.name().into(),
            device: classifier.device().into(),
            software: classifier.is_software(),
            batch: classifier.batch(),
            runs: plan.runs,
            precision: plan.precision,
            dispatches: plan.passes.len(),
            weight_bytes: plan.weights.len() as u64,
            activation_bytes: plan.activation_bytes(),
            first_answer,
            median_ms,
            p10_ms,
            p90_ms,
            median_within_ms: times.median_within().map(|bounds| bounds.map(|bound| bound / 1e6)),
            pictures_per_second: if median_ms > 0.0 { f64::from(classifier.batch()) * 1e3 / median_ms } else { 0.0 },
            host,
            two_under_way_per_second,
            launches,
            times_ms: times.values().iter().map(|time| *time as f64 / 1e6).collect(),
        }
    }
}

/// Prints how fast runs are, what they do, and how soon the first answer was there.
pub fn write_tables(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    let right = |title| (title, Side::Right);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let two_digits = |number: f64| format!("{number:.2}");
    let mut runs = Table::new(
        [
            "batch",
            "median ms",
            "p10 – p90",
            "times",
            "device ms",
            "write µs",
            "encode µs",
            "submit µs",
            "ahead µs",
            "pictures/s",
            "two under way/s",
        ]
        .map(right),
    );
    let mut work = Table::new(
        [
            "batch",
            "runs",
            "launches",
            "weights",
            "activations",
            "moved",
            "GFLOP",
            "of FMA rate",
            "of bandwidth",
            "of roof",
        ]
        .map(right),
    );
    let mut ways = Table::new(
        ["batch", "first answer ms", "read", "open", "fold", "lower", "pipelines", "memory", "first run"].map(right),
    );
    for report in reports {
        let (batch, first, launches) = (report.batch.to_string(), &report.first_answer, report.launches.as_ref());
        let host =
            |time: fn(&Host) -> f64| or_none(report.host.as_ref().map(|host| format!("{:.0}", 1e3 * time(host))));
        let percent = |share: fn(&Launches) -> Option<f64>| {
            or_none(launches.and_then(share).map(|share| format!("{:.1} %", 100.0 * share)))
        };
        runs.push([
            batch.clone(),
            two_digits(report.median_ms),
            format!("{:.2} – {:.2}", report.p10_ms, report.p90_ms),
            report.times_ms.len().to_string(),
            or_none(launches.and_then(|launches| launches.device_ms).map(two_digits)),
            host(|host| host.write_ms),
            host(|host| host.encode_ms),
            host(|host| host.submit_ms),
            host(|host| host.ahead_ms),
            format!("{:.1}", report.pictures_per_second),
            or_none(report.two_under_way_per_second.map(|rate| format!("{rate:.1}"))),
        ]);
        work.push([
            batch.clone(),
            report.runs.to_string(),
            report.dispatches.to_string(),
            bytes(report.weight_bytes),
            bytes(report.activation_bytes),
            or_none(launches.map(|launches| bytes(launches.moved_bytes))),
            or_none(launches.map(|launches| format!("{:.3}", launches.flops as f64 / 1e9))),
            percent(|launches| launches.fma_share),
            percent(|launches| launches.bandwidth_share),
            percent(|launches| launches.roof_share),
        ]);
        let FirstAnswer { read_ms, open_ms, fold_ms, lower_ms, pipelines_ms, memory_ms, run_ms, total_ms, .. } = *first;
        let whole = |time: f64| format!("{time:.0}");
        ways.push([
            batch,
            whole(total_ms),
            whole(read_ms),
            whole(open_ms),
            whole(fold_ms),
            whole(lower_ms),
            whole(pipelines_ms),
            whole(memory_ms),
            whole(run_ms),
        ]);
    }
    runs.write(out)?;
    writeln!(out)?;
    work.write(out)?;
    writeln!(out)?;
    ways.write(out)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
