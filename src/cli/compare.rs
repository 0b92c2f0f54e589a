//! `dynaconv compare`: what changed from one profile to another.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dynaconv::profile::{Comparison, Row, View};
use serde::Serialize;

use super::output::{print_json, stdout, unless_closed};
use super::profile::{ViewName, load};
use super::show::{duration, printable, resolved};
use super::table::{Side, Table};
use super::{Outcome, failure};

/// Compare two profiles: before and after a change, two devices, a browser and this program
///
/// What changed most comes first. Intervals hold the change of the median at 95 % confidence, as far as the runs of the two
/// profiles tell: other programs that ran at the same time are not seen by them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv compare before.json after.json
  dynaconv compare before.json after.json --by kernel
  dynaconv compare before.json after.json --fail-above 5%  # code 1 if slower
  dynaconv compare before.json after.json --fail-above 20% --each")]
pub struct Arguments {
    /// Profile written by `dynaconv profile --json`
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// Profile to compare with it
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// What the rows are
    #[arg(long, value_enum, value_name = "VIEW", default_value = "layer")]
    by: ViewName,
    /// End with exit code 1 where a plain run or all launches together are slower by more than this, for certain; with 0 and a note
    /// where neither can be told: fewer than six runs, or too short for the clock
    #[arg(long, value_name = "PERCENT", value_parser = percentage, allow_hyphen_values = true)]
    fail_above: Option<f64>,
    /// Hold each row to --fail-above as well
    #[arg(long, requires = "fail_above")]
    each: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// Whether plain runs or all launches together tell which is slower.
    judged: bool,
}

/// A share from text such as `5%` or `5`.
fn percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    let number = number.map_err(|_| "expected a number of percent such as 5%".to_string())?;
    if number.is_finite() && number >= 0.0 { Ok(number / 100.0) } else { Err("expected 0 % or more".into()) }
}

/// Compares and judges.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let (before, after) = (load(&arguments.before)?, load(&arguments.after)?);
    let comparison = Comparison::new(&before, &after, View::from(arguments.by));
    let totals = [Some(&comparison.run), comparison.launches.as_ref()];
    let judged = totals.into_iter().flatten().any(|row| row.change.is_some());
    let printed = if arguments.json {
        print_json(&Report { comparison: &comparison, judged })
    } else {
        for difference in &comparison.differences {
            failure::note(difference);
        }
        print(&comparison, &mut stdout())
    };
    unless_closed(printed)?;
    let Some(threshold) = arguments.fail_above else { return Ok(Outcome::Success) };
    if !judged {
        failure::note(
            "these profiles do not tell which is slower: that takes six runs of each at least, longer than the clock's tick",
        );
    }
    let slower = comparison.slower(threshold, arguments.each);
    for row in &slower {
        let change = row.change.map_or(String::new(), |change| format!("{:+.1} %", 100.0 * change.relative));
        failure::note(&format!("{} is slower by more than {:.1} %: {change}", row.name, 100.0 * threshold));
    }
    Ok(if slower.is_empty() { Outcome::Success } else { Outcome::Negative })
}

fn print(comparison: &Comparison, out: &mut impl Write) -> Result<()> {
    let (left, right) = (Side::Left, Side::Right);
    let header = [
        ("", left),
        ("before", right),
        ("after", right),
        ("difference", right),
        ("change", right),
        ("95 % interval", right),
        ("", left),
    ];
    let mut table = Table::new(header);
    for row in [&comparison.run].into_iter().chain(&comparison.launches).chain(&comparison.rows) {
        table.push(cells(row));
    }
    Ok(table.write(out)?)
}

fn cells(row: &Row) -> [String; 7] {
    let time = |time: Option<f64>| time.map_or("–".into(), |time| resolved(time, row.resolution));
    let percent = |share: f64| format!("{:+.1} %", 100.0 * share);
    let [change, interval, word] = row.change.map_or(["–".into(), String::new(), String::new()], |change| {
        let word = match change.is_certain() {
            true if change.relative > 0.0 => "slower",
            true => "faster",
            false => "",
        };
        [percent(change.relative), format!("{} to {}", percent(change.low), percent(change.high)), word.into()]
    });
    let is_known = |time: Option<f64>| time.filter(|time| *time >= row.resolution);
    let difference = is_known(row.before).and(is_known(row.after)).map(|_| row.difference());
    let difference =
        difference.map_or("–".into(), |by| format!("{}{}", if by > 0.0 { "+" } else { "" }, duration(by)));
    [printable(&row.name), time(row.before), time(row.after), difference, change, interval, word]
}
