//! burn on one network, in a process of its own, as `engine.py` does it for other engines: loads it, answers once, warms up, times
//! runs, and prints one JSON object.
//!
//!     burn-bench --network FOLDER/mobilenet-v2 --runs N

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, panic};

use anyhow::{Context, Result, bail, ensure};
use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Parser;
use serde_json::json;

/// What burn's importer writes at build time, and the weights that belong to it.
#[allow(warnings, clippy::all)]
mod networks {
    pub mod mobilenet_v2 {
        include!(concat!(env!("OUT_DIR"), "/networks/mobilenet-v2.rs"));
    }
    pub mod mobilenet_v2_dcd {
        include!(concat!(env!("OUT_DIR"), "/networks/mobilenet-v2-dcd.rs"));
    }
}

const WEIGHTS: &str = concat!(env!("OUT_DIR"), "/networks");

/// burn's version, which `Cargo.toml` pins.
const VERSION: &str = "0.22.1";

/// Runs and time to warm up with: both at least, as in `dynaconv bench`.
const WARM_UP: (usize, Duration) = (3, Duration::from_millis(500));

/// From a picture in the processor's memory to scores in the processor's memory.
type Run = Box<dyn Fn(&[f32]) -> Result<Vec<f32>>>;

#[derive(Parser)]
struct Options {
    /// Path of the network's files without their extension
    #[arg(long)]
    network: PathBuf,
    #[arg(long, default_value_t = 10)]
    runs: usize,
}

fn main() -> ExitCode {
    // A reason is one line: `compare.py` takes the last one.
    panic::set_hook(Box::new(|panic| eprintln!("{}", panic.to_string().replace('\n', " "))));
    match bench(&Options::parse()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<serde_json::Value> {
    keep_tuning_beside_the_program()?;
    let picture = read_npy(&options.network.with_file_name("input.npy"))?;
    let expected = read_npy(&PathBuf::from(format!("{}.scores.npy", options.network.display())))?;

    let start = Instant::now();
    let device = Device::wgpu_options().init()?;
    let run = network_of(&options.network, &device)?;
    let loaded = Instant::now();
    let scores = run(&picture)?;
    let first = Instant::now();

    // burn's autotune is over by now: the run that first needs a kernel waits until it is chosen.
    while first.elapsed() < WARM_UP.1 {
        run(&picture)?;
    }
    for _ in 0..WARM_UP.0 {
        run(&picture)?;
    }
    let mut times = Vec::new();
    for _ in 0..options.runs {
        let begin = Instant::now();
        run(&picture)?;
        times.push(milliseconds(begin.elapsed()));
    }
    Ok(json!({
        "version": VERSION,
        "device": device.identity().context("burn does not name its device")?.name,
        "first_answer": {
            "load_ms": milliseconds(loaded - start),
            "run_ms": milliseconds(first - loaded),
            "total_ms": milliseconds(first - start),
        },
        "times_ms": times,
        "difference": difference(&scores, &expected)?,
    }))
}

fn network_of(network: &Path, device: &Device) -> Result<Run> {
    let name = network.file_name().unwrap_or_default().to_string_lossy();
    let weights = format!("{WEIGHTS}/{name}.bpk");
    let forward: Box<dyn Fn(Tensor<4>) -> Tensor<2>> = match &*name {
        "mobilenet-v2" => {
            let model = networks::mobilenet_v2::Model::from_file(&weights, device);
            Box::new(move |picture| model.forward(picture))
        }
        "mobilenet-v2-dcd" => {
            let model = networks::mobilenet_v2_dcd::Model::from_file(&weights, device);
            Box::new(move |picture| model.forward(picture))
        }
        _ => bail!("'{name}' is none of the networks that were built in"),
    };
    let device = device.clone();
    Ok(Box::new(move |picture| {
        let picture = Tensor::from_data(TensorData::new(picture.to_vec(), [1, 3, 224, 224]), &device);
        Ok(forward(picture).try_into_data()?.try_to_vec()?)
    }))
}

/// burn keeps what its autotune finds for the next process, by default in `target` of the outermost Cargo project: that is dynaconv's.
fn keep_tuning_beside_the_program() -> Result<()> {
    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.environment.path = CacheConfig::Directory(env::current_exe()?.with_file_name("environment"));
    CubeClRuntimeConfig::set(config);
    Ok(())
}

/// The values of a file of f32 as NumPy writes it.
fn read_npy(path: &Path) -> Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let header_end = match bytes.get(..10) {
        Some([0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high]) => {
            10 + usize::from(u16::from_le_bytes([*low, *high]))
        }
        _ => bail!("{} is no NumPy file of version 1", path.display()),
    };
    let header = String::from_utf8_lossy(bytes.get(10..header_end).unwrap_or_default());
    ensure!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{} holds no f32", path.display());
    let values = bytes.get(header_end..).unwrap_or_default();
    Ok(values.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect())
}

fn difference(scores: &[f32], expected: &[f32]) -> Result<f32> {
    ensure!(scores.len() == expected.len(), "{} scores, not {}", scores.len(), expected.len());
    // `max` would pass over not-a-number.
    ensure!(scores.iter().all(|score| score.is_finite()), "the scores are no numbers");
    let largest = expected.iter().fold(0.0, |largest, value| value.abs().max(largest));
    Ok(scores.iter().zip(expected).fold(0.0, |apart, (score, value)| (score - value).abs().max(apart)) / largest)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
