//! Makes burn's Rust code and weights from the ONNX files of the networks.

use std::path::Path;
use std::{env, process};

use burn_onnx::ModelGen;

fn main() {
    println!("cargo::rerun-if-env-changed=MODELS");
    let Some(folder) = env::var_os("MODELS") else {
        eprintln!("MODELS must be the absolute path of the folder that benches/models.sh puts the ONNX files in");
        process::exit(1);
    };
    for network in ["mobilenet-v2", "mobilenet-v2-dcd"] {
        let file = Path::new(&folder).join(network).with_extension("onnx");
        println!("cargo::rerun-if-changed={}", file.display());
        if !file.is_file() {
            eprintln!("{} is missing: benches/models.sh makes it", file.display());
            process::exit(1);
        }
        ModelGen::new().input(&file.to_string_lossy()).out_dir("networks").run_from_script();
    }
}
