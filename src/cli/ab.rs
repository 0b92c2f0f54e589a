//! `dynaconv ab`: two ways to compute one layer of a real network, or two variants of one of its shaders.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dynaconv::classifier::block_on;
use dynaconv::exec::gpu::Gpu;
use dynaconv::graph::{FoldedNetwork, fold};
use dynaconv::kernels::{Precision, Variant, holds_weights, in_pairs, in_texels, textures};
use dynaconv::lower::{Alternatives, Options, alternatives, lower};
use dynaconv::plan::{Limits, Pass, Plan};
use dynaconv::profile::{Candidate, Difference, Samples, Trial, ab, noise};
use serde::Serialize;

use super::Outcome;
use super::failure::note;
use super::launch_of::{family, launch_of, stem};
use super::network::NetworkArguments;
use super::output::{print_json, read_text, stdout};
use super::settings::{DeviceArguments, introduce_plan, note_runs};
use super::shader_contract::{check_candidate, is_valid};
use super::show::{duration, printable};
use super::table::{Side, Table};

/// Run two ways to compute a layer in turns, and compare their times and what they write
///
/// The network is run up to the layer each time, so that it meets the caches as it does in the network.
///
/// A variant is the size of a launch's workgroups, such as 16x4, or a way to compute the layer: small, wide, quad or subgroup for the
/// tiles of a convolution over all channels, of a 1×1 one also workgroup or split; rolling-4 or plain-4 for a depthwise one with tiles
/// of four rows, expand-small or expand-subgroup for one that computes the layer before it too; assemble or branch for a dynamic one,
/// with tiles as above, and latent, latent_wide, latent_quad or latent_subgroup for its branch's middle, one-launch for all of it at once on
/// software of few cores, or in-load for weights that are formed where they are loaded, on hardware. A part of a way's name will do:
/// the rest is as it ships, where that has it. A shader of your own may stand in for a kernel's, if it binds the same.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv ab --layer features.3.conv.3                   # lists the variants
  dynaconv ab --layer features.3.conv.3 --variant 8×8 --variant 16×4
  dynaconv ab --layer features.3.conv.3 --variant plain   # against what ships
  dynaconv ab --layer features.8.conv.0 --variant assemble --variant branch
  dynaconv ab --layer features.8.conv.0 --variant latent --variant latent_wide
  dynaconv ab --layer features.3.conv.3 --shader my.wgsl  # your own against it")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Layer, by its name in `dynaconv inspect --plan`
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// Kernel of the layer's launch [default: that of its last launch]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Variant to try, such as 8x8 or wide; of one alone the other is the one that ships
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// WGSL file that stands in for the kernel's shader
    #[arg(long, value_name = "FILE", conflicts_with = "variant")]
    shader: Option<PathBuf>,
    /// Pictures of each run, or of a batch that takes several
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: u32,
    /// Runs of each
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// More than any shader has.
const MOST_SHADER: u64 = 16 << 20;

/// A layer in the plan that ships.
struct Subject<'a> {
    network: &'a FoldedNetwork,
    options: &'a Options,
    limits: Limits,
    gpu: &'a Gpu,
    plan: &'a Plan,
    /// The launch whose workgroups and shader may be others.
    launch: usize,
    /// The ways to compute the layer; none where there is but one.
    ways: Option<Alternatives>,
}

/// What there is to try.
#[derive(Serialize)]
struct Variants<'a> {
    layer: &'a str,
    variants: &'a [String],
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    device: String,
    precision: Precision,
    /// Pictures of each run.
    pictures: u32,
    layer: &'a str,
    launch: usize,
    kernel: String,
    sizes: String,
    names: [String; 2],
    #[serde(flatten)]
    trial: &'a Trial,
}

/// Tries the two.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let Arguments { layer, kernel, batch, repeats, .. } = arguments;
    let model = arguments.model.load()?;
    let Some((gpu, mut options)) = arguments.device.open(&model, *batch)? else {
        bail!(arguments.device.without_gpu("variants are those of shaders, which the CPU does not run"));
    };
    let network = fold(model.graph(), model.weights())?;
    let limits = gpu.limits();
    let tuned = options.choices.layers.clone();
    // Only what has launches of its own can be told from what is computed with it.
    let expanding = |ways: &Alternatives| ways.expansion.as_ref() == Some(layer) && ways.expands();
    if let Some(after) = alternatives(&network, &options, &limits).into_iter().find(expanding) {
        note(&format!("as it ships, {} computes {layer} too; here it does not", after.node));
        options.choices.layers.extend(after.names.into_iter().next().map(|alone| (after.node, alone)));
    }
    let plan = lower(&model.description().name, &network, options.clone(), limits)?;
    let launch = launch_of(&plan, layer, kernel.as_deref())?;
    let ways = alternatives(&network, &options, &limits).into_iter().find(|ways| ways.node == *layer);
    let subject = Subject { network: &network, options: &options, limits, gpu: &gpu, plan: &plan, launch, ways };
    if arguments.variant.is_empty() && arguments.shader.is_none() {
        let sizes = subject.pass().dispatch.variants();
        let names = subject.names(&sizes);
        if arguments.json {
            print_json(&Variants { layer, variants: &names })?;
        } else {
            names.iter().try_for_each(|name| writeln!(stdout(), "{}", printable(name)))?;
        }
        return Ok(Outcome::Success);
    }
    let candidates = subject.candidates(arguments)?;
    // What is chosen for the comparison's sake is not tuned.
    let of_tuner = |layer: &String| tuned.contains_key(layer);
    let chosen = plan.chosen.keys().filter(|layer| of_tuner(layer)).count();
    introduce_plan(&plan, chosen, &gpu.info().to_string(), gpu.info().software);
    note_runs(*batch, plan.runs, plan.batch);
    let names = candidates.each_ref().map(|candidate| candidate.name.clone());
    let trial = block_on(ab(&gpu, candidates, &noise(&plan, plan.batch), *repeats))?;
    let dispatch = &plan.passes[launch].dispatch;
    let kernel = format!("{} {}", dispatch.kernel.spec().stem, dispatch.entry);
    let (device, precision, sizes) = (gpu.info().to_string(), plan.precision, dispatch.shape());
    let (model, pictures) = (&plan.name, plan.batch);
    let report = Report { model, device, precision, pictures, layer, launch, kernel, sizes, names, trial: &trial };
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report, &mut stdout())?;
    }
    Ok(Outcome::Success)
}

impl Subject<'_> {
    fn pass(&self) -> &Pass {
        &self.plan.passes[self.launch]
    }

    /// A text that loads and stores as the shipped one does, where it leaves that to the shared files.
    fn as_shipped(&self, text: String) -> String {
        let dispatch = &self.pass().dispatch;
        let spec = dispatch.kernel.spec();
        let pairs = self.gpu.loads_pairs() && !spec.stored.is_empty();
        let weights = spec.bindings.iter().filter(|(name, _)| holds_weights(name)).count();
        let texels = self.gpu.loads_texels_of(self.plan).filter(|_| weights > 0);
        let text = changed_where(pairs, text, "words of 64 bits", in_pairs);
        changed_where(texels.is_some(), text, "weights from textures", |text| {
            // All of them or none.
            let changed = texels.map(|texels| in_texels(text, dispatch.precision, texels));
            changed.filter(|changed| textures(changed) == weights).unwrap_or_else(|| text.into())
        })
    }

    fn candidates(&self, arguments: &Arguments) -> Result<[Candidate; 2]> {
        let shipped = || self.with_launch(format!("{} (shipped)", self.pass().dispatch.variant_name()), None);
        if let Some(file) = &arguments.shader {
            let path = file.display().to_string();
            let text = read_text(file, MOST_SHADER)?;
            check_candidate(&text, &path, &self.pass().dispatch)?;
            return Ok([shipped(), Candidate { text: Some(self.as_shipped(text)), ..self.with_launch(path, None) }]);
        }
        let sizes = self.pass().dispatch.variants();
        // An × is not on every keyboard.
        let size = |name: &String| sizes.iter().find(|size| size.name == name.replace('x', "×"));
        let named = |name: &String| match size(name) {
            Some(size) => Ok(self.with_launch(size.name.clone(), Some(size))),
            None => self.with_way(self.way(name, &sizes)?),
        };
        let [first, second] = match &arguments.variant[..] {
            [one] => {
                let ships = self.ways.as_ref().filter(|_| size(one).is_none());
                let shipped =
                    ships.map_or_else(shipped, |ways| self.with_launch(format!("{} (shipped)", ways.taken), None));
                [shipped, named(one)?]
            }
            [one, other] => {
                let both = [named(one)?, named(other)?];
                ensure!(both[0].name != both[1].name, "--variant: expected two, found {} twice", both[0].name);
                both
            }
            given => bail!("expected one or two of --variant, or --shader; found {}", given.len()),
        };
        let whole = arguments.variant.iter().any(|name| size(name).is_none());
        let timed = |candidate: Candidate| {
            let launches = match whole {
                true => self.launches_in(&candidate.plan, arguments.kernel.as_deref()),
                false => vec![self.launch],
            };
            Candidate { launches, ..candidate }
        };
        Ok([timed(first), timed(second)])
    }

    /// The launches of the layer, and of the one before where some ways compute both; where a kernel is named, those of its family.
    fn launches_in(&self, plan: &Plan, kernel: Option<&str>) -> Vec<usize> {
        let expansion = self.ways.as_ref().and_then(|ways| ways.expansion.as_ref());
        let wanted = |pass: &Pass| {
            (pass.node == self.pass().node || Some(&pass.node) == expansion)
                && kernel.is_none_or(|kernel| family(kernel) == family(stem(pass.dispatch.kernel)))
        };
        let passes = plan.passes.iter().enumerate().filter(|(_, pass)| wanted(pass));
        passes.map(|(index, _)| index).collect()
    }

    /// The plan that ships, its launch with workgroups of another size where that is wanted.
    fn with_launch(&self, name: String, size: Option<&Variant>) -> Candidate {
        let mut plan = self.plan.clone();
        if let Some(size) = size {
            plan.passes[self.launch].dispatch = size.dispatch.clone();
        }
        Candidate { name, plan, launches: vec![self.launch], text: None }
    }

    /// The plan with the layer computed in another way.
    fn with_way(&self, way: &str) -> Result<Candidate> {
        let mut options = self.options.clone();
        options.choices.layers.insert(self.pass().node.clone(), way.into());
        let plan = lower(&self.plan.name, self.network, options, self.limits)?;
        Ok(Candidate { name: way.into(), plan, launches: Vec::new(), text: None })
    }

    /// Of the ways whose names have all parts of `name` the one most like that which ships.
    fn way(&self, name: &str, sizes: &[Variant]) -> Result<&str> {
        let has = |way: &str, part: &&str| parts(way).contains(part);
        let found = self.ways.as_ref().and_then(|ways| {
            // Where all of it is one launch, launches of their own would be in subgroups.
            let taken = ways.taken.replace("one-launch", "one-launch-subgroup-latent_subgroup");
            let shipped = parts(&taken);
            let alike = |way: &str| shipped.iter().filter(|part| has(way, part)).count();
            let also_one = |way: &str| [&ways.taken, way].iter().all(|way| way.ends_with("one-launch"));
            let fitting = ways.names.iter().rev().filter(|way| parts(name).iter().all(|part| has(way, part)));
            fitting.max_by_key(|way| (also_one(way), alike(way)))
        });
        found.map(String::as_str).with_context(|| {
            let names = self.names(sizes).join(", ");
            format!("no variant of {} is called `{name}`; there are {names}", self.pass().node)
        })
    }

    fn names(&self, sizes: &[Variant]) -> Vec<String> {
        let ways = self.ways.iter().flat_map(|ways| ways.names.iter());
        ways.chain(sizes.iter().map(|size| &size.name)).cloned().collect()
    }
}

fn parts(name: &str) -> Vec<&str> {
    name.split('-').collect()
}

/// A text with a change, where it is wanted and leaves the text valid; otherwise the text, and a note.
fn changed_where(wanted: bool, text: String, what: &str, change: impl Fn(&str) -> String) -> String {
    if !wanted {
        return text;
    }
    let changed = change(&text);
    if changed != text && is_valid(&changed) {
        return changed;
    }
    note(&format!("what ships loads {what} here, your shader loads what it says: that alone is a difference"));
    text
}

fn print(report: &Report<'_>, out: &mut impl Write) -> Result<()> {
    let Report { layer, launch, kernel, sizes, names, trial, .. } = report;
    writeln!(out, "{} | launch {launch} | {} | {}", printable(layer), printable(kernel), printable(sizes))?;
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
    } else {
        writeln!(out, "which is faster these times do not tell: that takes six of each at least")?;
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
