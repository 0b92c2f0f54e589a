//! `dynaconv classify`: what is in pictures.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use dynaconv::classifier::{Classifier, Guess};
use serde::Serialize;

use super::classify_files::Found;
use super::output::{print_json, stdout, unless_closed};
use super::settings::{DeviceArguments, ModelArguments, introduce};
use super::show::{bar, clipped, printable};
use super::{Outcome, classify_files, failure, find_pictures};

/// Say what is in pictures
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv classify cat.jpg
  dynaconv classify holiday/ --top 3  # all pictures in and below a folder
  dynaconv classify --json *.jpg      # one JSON object per line
  dynaconv classify --device cpu cat.jpg
  dynaconv classify --model efficientnet-lite0 cat.jpg")]
pub struct Arguments {
    /// Pictures, or folders of them
    #[arg(required = true, value_name = "PICTURE|FOLDER")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// How many classes to show, most probable first
    #[arg(long, short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Pictures that the device takes at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Print one JSON object per picture and line
    #[arg(long)]
    json: bool,
}

/// One picture's line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    model: &'a str,
    device: &'a str,
    software: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    guesses: Option<Vec<NamedGuess<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct NamedGuess<'a> {
    class: usize,
    label: Option<&'a str>,
    probability: f32,
}

/// Classifies pictures; a broken one does not keep the others from being classified.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let find_pictures::Found { pictures, unread } = find_pictures::find(&arguments.paths)?;
    let batch = arguments.batch.min(u32::try_from(pictures.len()).unwrap_or(u32::MAX));
    let Arguments { model, device, top, .. } = arguments;
    let (_, mut classifier) = device.load_and_prepare(|| model.load(), batch, *top)?;
    if !arguments.json {
        introduce(&classifier);
    }
    let mut outcome = Outcome::Success;
    let mut print = |classifier: &Classifier, file: &Path, guesses: Found| {
        if guesses.is_err() {
            outcome = Outcome::Negative;
        }
        let print = if arguments.json { print_line } else { print_guesses };
        print(classifier, file, guesses)
    };
    // Nobody wants the rest of what nobody reads; the exit code is of what was seen.
    let mut unread = unread.into_iter();
    let printed = unread
        .try_for_each(|(folder, error)| print(&classifier, &folder, Err(error)))
        .and_then(|()| classify_files::each(&mut classifier, &pictures, &mut print));
    unless_closed(printed)?;
    Ok(outcome)
}

fn print_line(classifier: &Classifier, file: &Path, guesses: Found) -> Result<()> {
    let named = |Guess { class, probability }| NamedGuess { class, label: classifier.label(class), probability };
    let line = Line {
        file: file.to_string_lossy().into_owned(),
        model: classifier.name(),
        device: classifier.device(),
        software: classifier.is_software(),
        error: guesses.as_ref().err().map(|error| failure::report(error.as_ref())),
        guesses: guesses.ok().map(|guesses| guesses.into_iter().map(named).collect()),
    };
    print_json(&line)
}

fn print_guesses(classifier: &Classifier, file: &Path, guesses: Found) -> Result<()> {
    const CELLS: usize = 24;
    let guesses = match guesses {
        Ok(guesses) => guesses,
        Err(error) => {
            failure::report(error.as_ref());
            return Ok(());
        }
    };
    let label =
        |class| classifier.label(class).map_or_else(|| format!("class {class}"), |label| clipped(&printable(label)));
    let width = guesses.iter().map(|guess| label(guess.class).chars().count()).max().unwrap_or(0);
    let (bold, green) = (anstyle::Style::new().bold(), anstyle::AnsiColor::Green.on_default());
    let mut out = stdout();
    writeln!(out, "{bold}{}{bold:#}", printable(&file.to_string_lossy()))?;
    for Guess { class, probability } in guesses {
        let bar = bar(f64::from(probability), CELLS);
        writeln!(out, "  {:width$}  {:5.1} %  {green}{bar}{green:#}", label(class), 100.0 * probability)?;
    }
    Ok(())
}
