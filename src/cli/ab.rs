//! `dynaconv ab`: two variants of a shader on one layer of a real network.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use dynaconv::classifier::block_on;
use dynaconv::plan::{Pass, Plan};
use dynaconv::profile::{Candidate, Difference, Samples, Trial, ab, noise};
use serde::Serialize;

use super::Outcome;
use super::settings::{DeviceArguments, ModelArguments, introduce};
use super::shader_contract::check_candidate;
use super::show::{duration, printable};
use super::table::{Side, Table};

/// Run two variants of a layer's shader in turns, and compare their times and what they write
///
/// The network is run up to the layer each time, so that the launch meets the caches as it does in the network. The variants
/// of a launch differ in the size of their workgroups. A shader of your own may stand in for a kernel's, if it binds the same.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv ab --layer features.3.conv.3                           lists the variants
  dynaconv ab --layer features.3.conv.3 --variant 8×8 --variant 16×4
  dynaconv ab --layer features.3.conv.0 --kernel assemble --variant 64 --variant 128
  dynaconv ab --layer features.3.conv.3 --shader my.wgsl          the one that ships against your own")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Layer, by its name in `dynaconv inspect --plan`
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// Kernel of the layer's launch [default: that of its last launch]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Variant to try, such as 8x8; of one alone the other is the one that ships
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// WGSL file that stands in for the kernel's shader
    #[arg(long, value_name = "FILE", conflicts_with = "variant")]
    shader: Option<PathBuf>,
    /// Pictures of each run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Runs of each
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    layer: &'a str,
    launch: usize,
    kernel: String,
    names: [String; 2],
    #[serde(flatten)]
    trial: &'a Trial,
}

/// Tries the two.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { layer, kernel, batch, repeats, .. } = arguments;
    let model = arguments.model.load()?;
    let classifier = arguments.device.prepare(&model, *batch, 5)?;
    let Some(gpu) = classifier.gpu() else { bail!("variants are those of shaders, which the CPU does not run") };
    let plan = classifier.plan();
    let launch = find(plan, layer, kernel.as_deref())?;
    let pass = &plan.passes[launch];
    let candidates = candidates(arguments, pass)?;
    introduce(&classifier);
    let names = candidates.each_ref().map(|candidate| candidate.name.clone());
    let trial = block_on(ab(gpu, plan, launch, candidates, &noise(plan, *batch), *repeats))?;
    let dispatch = &pass.dispatch;
    let kernel = format!("{} {}", dispatch.kernel.spec().stem, dispatch.entry);
    let report = Report { layer, launch, kernel, names, trial: &trial };
    let mut out = anstream::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        print(&report, &dispatch.shape(), &mut out)?;
    }
    Ok(Outcome::Success)
}

/// The launch of a layer; the layer's last where no kernel is named.
fn find(plan: &Plan, layer: &str, kernel: Option<&str>) -> Result<usize> {
    let of_layer: Vec<(usize, &Pass)> = plan.passes.iter().enumerate().filter(|(_, pass)| pass.node == layer).collect();
    if of_layer.is_empty() {
        let mut names: Vec<&str> = plan.passes.iter().map(|pass| pass.node.as_str()).collect();
        names.dedup();
        bail!("no layer is called `{layer}`; there are {}", names.join(", "));
    }
    let stem = |pass: &Pass| pass.dispatch.kernel.spec().stem;
    let found = of_layer.iter().rev().find(|(_, pass)| kernel.is_none_or(|kernel| kernel == stem(pass)));
    let Some((index, _)) = found else {
        let names: Vec<&str> = of_layer.iter().map(|(_, pass)| stem(pass)).collect();
        bail!("{layer} has no kernel `{}`; it has {}", kernel.unwrap_or_default(), names.join(", "));
    };
    Ok(*index)
}

fn candidates(arguments: &Arguments, pass: &Pass) -> Result<[Candidate; 2]> {
    let shipped = Candidate {
        name: format!("{} (shipped)", pass.dispatch.variant_name()),
        dispatch: pass.dispatch.clone(),
        text: None,
    };
    if let Some(file) = &arguments.shader {
        let path = file.display().to_string();
        let text = fs::read_to_string(file).with_context(|| path.clone())?;
        check_candidate(&text, &path, &pass.dispatch)?;
        return Ok([shipped, Candidate { name: path, dispatch: pass.dispatch.clone(), text: Some(text) }]);
    }
    let variants = pass.dispatch.variants();
    let named = |name: &String| -> Result<Candidate> {
        // An × is not on every keyboard.
        let variant = variants.iter().find(|variant| variant.name == name.replace('x', "×"));
        let variant = variant.with_context(|| {
            let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
            format!("no variant of {} is called `{name}`; there are {}", pass.node, names.join(", "))
        })?;
        Ok(Candidate { name: variant.name.clone(), dispatch: variant.dispatch.clone(), text: None })
    };
    match &arguments.variant[..] {
        [one] => Ok([shipped, named(one)?]),
        [one, other] => Ok([named(one)?, named(other)?]),
        given => {
            let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
            let (count, node, names) = (given.len(), &pass.node, names.join(", "));
            bail!("expected one or two of --variant, or --shader; found {count}. The variants of {node} are {names}")
        }
    }
}

fn print(report: &Report<'_>, shape: &str, out: &mut impl Write) -> Result<()> {
    let Report { layer, launch, kernel, names, trial } = report;
    writeln!(out, "{} | launch {launch} | {} | {}", printable(layer), printable(kernel), printable(shape))?;
    let header = ["", "median", "p10", "p90", "samples"];
    let mut table = Table::new(header.map(|title| (title, if title.is_empty() { Side::Left } else { Side::Right })));
    let row = |name: String, samples: &Samples| {
        let [median, p10, p90] = [0.5, 0.1, 0.9].map(|q| duration(samples.quantile(q)));
        [name, median, p10, p90, samples.values().len().to_string()]
    };
    for (index, name) in names.iter().enumerate() {
        if let Some(times) = &trial.times {
            table.push(row(printable(name), &times[index]));
        }
    }
    for (index, name) in names.iter().enumerate() {
        table.push(row(format!("{}, the run up to it", printable(name)), &trial.runs[index]));
    }
    table.write(out)?;
    if trial.times.is_none() {
        writeln!(out, "the device has no timestamps: only whole runs were timed")?;
    }
    if let Some(change) = trial.change {
        let [relative, low, high] = [change.relative, change.low, change.high].map(|share| 100.0 * share);
        let verdict = match change.is_certain() {
            true if relative > 0.0 => "slower",
            true => "faster",
            false => "no certain difference",
        };
        writeln!(out, "the second: {relative:+.1} % ({low:+.1} % to {high:+.1} % at 95 % confidence), {verdict}")?;
    }
    for Difference { name, values, differing, largest, scale } in &trial.outputs {
        let largest = largest.map_or("some are no finite numbers".into(), |apart| format!("by at most {apart:.3e}"));
        let same = format!("{name}: all {values} values are the same");
        let differ =
            format!("{name}: {differing} of {values} values differ, {largest}; the largest value is {scale:.3e}");
        writeln!(out, "{}", if *differing == 0 { same } else { differ })?;
    }
    Ok(())
}
