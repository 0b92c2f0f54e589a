//! `dynaconv predict`: what a network ought to take on GPUs that are not at hand.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use dynaconv::graph::fold;
use dynaconv::lower::{Options, lower};
use dynaconv::plan::Limits;
use dynaconv::profile::{DATA_SHEETS, Prediction};
use serde::Serialize;

use super::Outcome;
use super::network::NetworkArguments;
use super::output::{print_json, stdout};
use super::settings::PlanArguments;
use super::show::{duration, printable};
use super::table::{Side, Table};

/// Predict what a network takes on well-known GPUs, from their data sheets
///
/// Nothing is run. Each launch is taken to need the longer of its arithmetic, as far as its invocations fill the GPU, and its
/// memory traffic at the rates of the data sheet, and 3 µs beside, which is an assumption. That is what a network takes at best:
/// real launches reach a part of these rates. `dynaconv profile` shows how large a part on a device at hand.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv predict
  dynaconv predict --model mobilenet.safetensors --batch 32
  dynaconv predict --json  # one JSON object per GPU and line")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    plan: PlanArguments,
    /// Pictures of each run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Print one JSON object per GPU and line
    #[arg(long)]
    json: bool,
}

/// A run's prediction, times in nanoseconds.
#[derive(Serialize)]
struct Row<'a> {
    model: &'a str,
    batch: u32,
    dispatches: usize,
    gpu: &'static str,
    source: &'static str,
    /// Always true: nothing was measured.
    predicted: bool,
    time: f64,
    pictures_per_second: f64,
    launching: f64,
    arithmetic: f64,
    memory: f64,
}

/// Predicts.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let batch = arguments.batch;
    let model = arguments.model.load()?;
    let folded = fold(model.graph(), model.weights())?;
    let options = Options { batch, ..arguments.plan.options(&model) };
    // Larger batches than WebGPU's least limits allow are no matter to a GPU of today.
    let limits = Limits { storage_binding_bytes: 1 << 31, buffer_bytes: 1 << 32, ..Limits::default() };
    let plan = lower(&model.description().name, &folded, options, limits)?;
    let rows = DATA_SHEETS.iter().map(|sheet| {
        let predicted = sheet.roof().predict_plan(&plan, batch);
        let Prediction { launch, arithmetic, memory } = predicted;
        let time = predicted.total();
        Row {
            model: &plan.name,
            batch,
            dispatches: plan.passes.len(),
            gpu: sheet.name,
            source: sheet.source,
            predicted: true,
            time,
            pictures_per_second: f64::from(batch) * 1e9 / time,
            launching: launch,
            arithmetic,
            memory,
        }
    });
    let rows: Vec<Row<'_>> = rows.collect();
    if arguments.json {
        rows.iter().try_for_each(print_json)?;
        return Ok(Outcome::Success);
    }
    let mut out = stdout();
    let count = plan.passes.len();
    writeln!(
        out,
        "{}, {batch} picture(s), {count} launches: predictions from data sheets, not measurements",
        printable(&plan.name)
    )?;
    let (left, right) = (Side::Left, Side::Right);
    let header = [
        ("GPU", left),
        ("at best", right),
        ("launching", right),
        ("bound by arithmetic", right),
        ("bound by memory", right),
        ("pictures/s", right),
        ("source", left),
    ];
    let mut table = Table::new(header);
    for row in &rows {
        let [time, launching, arithmetic, memory] = [row.time, row.launching, row.arithmetic, row.memory].map(duration);
        let rate = format!("{:.0}", row.pictures_per_second);
        table.push([row.gpu.into(), time, launching, arithmetic, memory, rate, row.source.into()]);
    }
    table.write(&mut out)?;
    Ok(Outcome::Success)
}
