//! `dynaconv devices`: what a network can run on here.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::output::{print_json, stdout};
use super::show::printable;
use super::table::{Side, Table};

/// List what networks can run on: every GPU adapter, best first, and the CPU
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv devices
  dynaconv devices --json                     # one JSON object per line
  dynaconv classify --device geforce cat.jpg  # any part of a name will do")]
pub struct Arguments {
    /// Print one JSON object per device and line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Device {
    name: String,
    api: String,
    kind: String,
    driver: String,
    software: bool,
    features: Vec<&'static str>,
}

/// Lists the devices.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut devices = gpus();
    devices.push(cpu());
    if arguments.json {
        devices.iter().try_for_each(print_json)?;
        return Ok(Outcome::Success);
    }
    let mut table = Table::new(["device", "api", "kind", "driver", "features"].map(|title| (title, Side::Left)));
    for Device { name, api, kind, driver, software: _, features } in devices {
        table.push([printable(&name), api, kind, printable(&driver), features.join(", ")]);
    }
    table.write(&mut stdout())?;
    Ok(Outcome::Success)
}

#[cfg(feature = "gpu")]
fn gpus() -> Vec<Device> {
    use dynaconv::exec::gpu::{Gpu, GpuInfo};
    let list = dynaconv::classifier::block_on(Gpu::list());
    let device = |info| {
        let GpuInfo { name, api, kind, driver, software, features } = info;
        Device { name, api, kind, driver, software, features }
    };
    list.into_iter().map(device).collect()
}

#[cfg(not(feature = "gpu"))]
fn gpus() -> Vec<Device> {
    super::failure::note("this build has no GPU support");
    Vec::new()
}

fn cpu() -> Device {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name = format!("CPU, {cores} core(s)");
    Device { name, api: "cpu".into(), kind: "cpu".into(), driver: String::new(), software: false, features: Vec::new() }
}
