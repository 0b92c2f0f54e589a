//! `dynaconv shaders`: the final text of every launch, in every backend's language.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dynaconv::plan::{Pass, Plan};

use super::launch_of::launch_of;
use super::network::NetworkArguments;
use super::output::{print_bytes, write_whole};
use super::settings::TargetArguments;
use super::shader_text::{Language, emit};
use super::show::printable;
use super::{Outcome, failure};

/// Write the shaders of a network as its launches use them, in the language of any backend
///
/// Without --out the text of one launch goes to standard output. Software Vulkan is given WGSL with loads and stores of its own in
/// place of those of `shared/storage` and `shared/weights`, as `ab` does with a text that keeps them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv shaders --pass 5                    # of `dynaconv inspect --plan`
  dynaconv shaders --pass 5 --emit msl         # what Metal compiles
  dynaconv shaders --emit hlsl --out shaders/  # all, a file for each
  dynaconv shaders --device gpu --layer features.3.conv.3 > my.wgsl
  dynaconv ab --layer features.3.conv.3 --shader my.wgsl")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    target: TargetArguments,
    /// Which launch, by its number in the plan [default: all, which need --out]
    #[arg(long, value_name = "N")]
    pass: Option<usize>,
    /// Or by its layer's name there
    #[arg(long, value_name = "NAME", conflicts_with = "pass")]
    layer: Option<String>,
    /// Kernel of the layer's launch [default: that of its last launch]
    #[arg(long, value_name = "NAME", requires = "layer")]
    kernel: Option<String>,
    /// Language
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value = "wgsl")]
    emit: Language,
    /// Folder to write to, a file for each pipeline
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Writes the shaders.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let model = arguments.model.load()?;
    let plan = arguments.target.target(&model)?.plan(&model)?;
    let passes = match (arguments.pass, &arguments.layer) {
        (Some(pass), _) => vec![find(&plan, pass)?],
        (None, Some(layer)) => vec![&plan.passes[launch_of(&plan, layer, arguments.kernel.as_deref())?]],
        (None, None) => plan.passes.iter().collect(),
    };
    let language = arguments.emit;
    let Some(folder) = &arguments.out else {
        let [pass] = passes[..] else {
            bail!("--pass N or --layer NAME says which launch's shader, or --out FOLDER where all go to")
        };
        print_bytes(&emit(&pass.dispatch, language)?)?;
        return Ok(Outcome::Success);
    };
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut seen = BTreeSet::new();
    for pass in passes {
        // One name for each pipeline: launches of the same one share its file.
        let name = pass.dispatch.pipeline_name().replace([' ', '='], "-");
        if seen.insert(name.clone()) {
            write_whole(&folder.join(format!("{name}.{}", language.ending())), &emit(&pass.dispatch, language)?)?;
        }
    }
    failure::say(&format!("{} shader(s) written to {}", seen.len(), printable(&folder.to_string_lossy())));
    Ok(Outcome::Success)
}

fn find(plan: &Plan, index: usize) -> Result<&Pass> {
    ensure!(index < plan.passes.len(), "there is no launch {index}: {} has {}", plan.name, plan.passes.len());
    Ok(&plan.passes[index])
}
