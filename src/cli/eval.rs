//! `dynaconv eval`: how often a network is right.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use dynaconv::classifier::{Classifier, Guess};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::labelled_folder::LabelledFolder;
use super::output::{ensure_another, ensure_writable, is_stdout, print_json, stdout, unless_closed, write_whole};
use super::settings::{DeviceArguments, ModelArguments, introduce};
use super::show::{percent, printable, thousands};
use super::table::{Side, Table};
use super::{Outcome, classify_files, failure};

/// Measure how often a network is right on pictures sorted into one folder per class
///
/// Folders are matched with classes by the model's labels; where the names are others, by their alphabetical order.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv eval --data test/
  dynaconv eval --model mobilenet.safetensors --data val/ --batch 32 --json
  dynaconv eval --data test/ --predictions found.tsv  # path, tab, class index")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Folder with one folder of pictures for each class
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// Pictures that the device takes at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// File for the most probable class of every picture; with - the table goes to standard error
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
}

/// How many classes a guess may name and still be among the best few.
const FEW: u32 = 5;

/// The result of a whole evaluation.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    device: &'a str,
    software: bool,
    #[serde(flatten)]
    all: Tally,
    broken: usize,
    seconds: f64,
    pictures_per_second: f64,
    classes: Vec<ClassReport<'a>>,
}

#[derive(Serialize)]
struct ClassReport<'a> {
    class: usize,
    label: Option<&'a str>,
    #[serde(flatten)]
    tally: Tally,
}

/// How many pictures were seen, and for how many the right class was the best guess or one of the best five.
#[derive(Clone, Copy, Default, Serialize)]
struct Tally {
    pictures: usize,
    top_1: usize,
    top_5: usize,
}

impl Tally {
    fn count(&mut self, guesses: &[Guess], class: usize) {
        let place = guesses.iter().position(|guess| guess.class == class);
        self.pictures += 1;
        self.top_1 += usize::from(place == Some(0));
        self.top_5 += usize::from(place.is_some());
    }

    fn sum(tallies: &[Self]) -> Self {
        tallies.iter().fold(Self::default(), |sum, tally| Self {
            pictures: sum.pictures + tally.pictures,
            top_1: sum.top_1 + tally.top_1,
            top_5: sum.top_5 + tally.top_5,
        })
    }
}

/// Evaluates a model on a folder.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let predictions_file = arguments.predictions.as_deref();
    let prints_predictions = predictions_file.is_some_and(is_stdout);
    ensure!(
        !(arguments.json && prints_predictions),
        "--json and --predictions -: expected one result for standard output, found two"
    );
    if let Some(file) = predictions_file {
        ensure_writable(file)?;
        ensure_another(file, [arguments.model.file()?.as_path()], "the predictions would replace the model")?;
    }
    let model = arguments.model.load()?;
    let labels = &model.description().labels;
    let class_count = model.graph().output().channels;
    let data = LabelledFolder::find(&arguments.data, labels, class_count)?;
    if let Some(file) = predictions_file {
        let pictures = data.files.iter().map(PathBuf::as_path);
        ensure_another(file, pictures, "the predictions would replace a picture that is evaluated")?;
    }
    if !data.by_name {
        failure::note("the folders are not named as the model's classes; they are taken in alphabetical order");
    }
    let batch = arguments.batch.min(u32::try_from(data.files.len()).unwrap_or(u32::MAX));
    let mut classifier = arguments.device.prepare(&model, batch, FEW)?;
    if !arguments.json {
        introduce(&classifier);
    }

    let progress = progress_bar(data.files.len());
    let start = Instant::now();
    let mut tallies = vec![Tally::default(); class_count];
    let mut broken = 0;
    let mut predictions = String::new();
    let mut classes = data.classes.iter().copied();
    classify_files::each(&mut classifier, &data.files, |_, file, guesses| {
        let class = classes.next().context("a class for every file")?;
        match guesses {
            Err(error) => {
                broken += 1;
                progress.suspend(|| failure::report(error.as_ref()));
            }
            Ok(guesses) => {
                tallies[class].count(&guesses, class);
                if let Some(best) = guesses.first() {
                    // Writing to a string does not fail.
                    let _ = writeln!(predictions, "{}\t{}", printable(&file.to_string_lossy()), best.class);
                }
            }
        }
        progress.inc(1);
        Ok(())
    })?;
    progress.finish_and_clear();
    let report = report(&classifier, &tallies, broken, start.elapsed().as_secs_f64());
    let few = classifier.plan().top;
    let printed = match arguments.json {
        true => print_json(&report),
        // One result is enough for standard output.
        false if prints_predictions => print(&report, few, &mut anstream::stderr()),
        false => print(&report, few, &mut stdout()),
    };
    // Neither of the two is lost where the other fails.
    let written = predictions_file.map_or(Ok(()), |path| write_whole(path, predictions.as_bytes()));
    unless_closed(printed)?;
    written?;
    Ok(if broken == 0 { Outcome::Success } else { Outcome::Negative })
}

/// A bar that is only seen on a terminal.
fn progress_bar(pictures: usize) -> ProgressBar {
    let bar = ProgressBar::new(pictures as u64);
    match ProgressStyle::with_template("{wide_bar} {pos}/{len} pictures, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn report<'a>(classifier: &'a Classifier, tallies: &[Tally], broken: usize, seconds: f64) -> Report<'a> {
    let all = Tally::sum(tallies);
    let seen = tallies.iter().enumerate().filter(|(_, tally)| tally.pictures > 0);
    let class = |(class, tally): (usize, &Tally)| ClassReport { class, label: classifier.label(class), tally: *tally };
    Report {
        model: classifier.name(),
        device: classifier.device(),
        software: classifier.is_software(),
        all,
        broken,
        seconds,
        pictures_per_second: if seconds > 0.0 { all.pictures as f64 / seconds } else { 0.0 },
        classes: seen.map(class).collect(),
    }
}

fn print(report: &Report<'_>, few: u32, out: &mut impl Write) -> Result<()> {
    let of_few = &format!("top-{few}")[..];
    let mut table =
        Table::new([("class", Side::Left), ("pictures", Side::Right), ("top-1", Side::Right), (of_few, Side::Right)]);
    for ClassReport { class, label, tally: Tally { pictures, top_1, top_5 } } in &report.classes {
        let name = label.map_or_else(|| format!("class {class}"), printable);
        table.push([name, thousands(*pictures as u64), percent(*top_1, *pictures), percent(*top_5, *pictures)]);
    }
    table.write(out)?;
    let Tally { pictures, top_1, top_5 } = report.all;
    writeln!(out)?;
    for (name, right) in [("top-1", top_1), (of_few, top_5)] {
        let [count, all] = [right, pictures].map(|number| thousands(number as u64));
        writeln!(out, "{name}  {}  ({count} of {all})", percent(right, pictures))?;
    }
    if report.broken > 0 {
        writeln!(out, "broken pictures, not counted: {}", report.broken)?;
    }
    let Report { seconds, pictures_per_second, .. } = report;
    writeln!(out, "{pictures_per_second:.1} pictures/s, decoding included, in {seconds:.1} s")?;
    Ok(())
}
