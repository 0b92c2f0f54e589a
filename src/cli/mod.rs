//! The program: arguments in, a command done, an exit code out. The only part of dynaconv that reads the environment.
//!
//! Results go to standard output, everything said about them to standard error.

#[cfg(feature = "gpu")]
mod ab;
mod bench;
mod bench_report;
#[cfg(feature = "gpu")]
mod cache_file;
mod classify;
mod classify_files;
mod compare;
mod decode_ahead;
mod describe;
mod devices;
mod eval;
mod failure;
mod find_model;
mod find_pictures;
mod import;
mod inspect;
mod labelled_folder;
mod launch_of;
mod network;
mod npy;
mod output;
#[cfg(feature = "gpu")]
mod pipeline_file;
mod predict;
mod profile;
mod profile_table;
mod run;
mod settings;
#[cfg(feature = "gpu")]
mod shader_contract;
mod shader_text;
mod shaders;
mod show;
mod table;
#[cfg(feature = "gpu")]
mod tune;
#[cfg(feature = "gpu")]
mod tuned_file;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Image networks with dynamic convolution on any GPU.
///
/// A dynamic convolution makes its own weights for each picture.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 for success, 1 where some pictures were broken or something is slower than allowed,
2 for errors.
Set RUST_LOG=info or RUST_LOG=wgpu=debug to see what happens inside, NO_COLOR=1 to have no colours.";

#[derive(Subcommand)]
enum Command {
    Classify(classify::Arguments),
    Run(run::Arguments),
    Eval(eval::Arguments),
    Bench(bench::Arguments),
    Inspect(inspect::Arguments),
    Profile(profile::Arguments),
    Predict(predict::Arguments),
    Compare(compare::Arguments),
    #[cfg(feature = "gpu")]
    Ab(ab::Arguments),
    #[cfg(feature = "gpu")]
    Tune(tune::Arguments),
    Shaders(shaders::Arguments),
    Import(import::Arguments),
    Devices(devices::Arguments),
}

/// How a command ended that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything is well.
    Success,
    /// The command was carried out, but found that not everything is well.
    Negative,
}

/// Makes the threads that share work. Left to the first work, a machine that allows no more would end the program.
fn share_work() -> Result<()> {
    rayon::ThreadPoolBuilder::new().build_global().context("threads to share work cannot be made")
}

/// Carries out what the command line says.
pub fn main() -> ExitCode {
    // Nothing is logged unless the user asks: the program says itself what matters.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let command = Arguments::parse().command;
    let outcome = share_work().and_then(|()| match command {
        Command::Classify(arguments) => classify::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        #[cfg(feature = "gpu")]
        Command::Ab(arguments) => ab::run(&arguments),
        #[cfg(feature = "gpu")]
        Command::Tune(arguments) => tune::run(&arguments),
        Command::Shaders(arguments) => shaders::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
    });
    match outcome {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(1),
        // Whoever closed the pipe, as `head` does, has all that it wants.
        Err(error) if failure::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            failure::report(error.as_ref());
            ExitCode::from(2)
        }
    }
}
