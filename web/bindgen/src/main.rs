//! Turns a wasm binary into an ES module beside it, with its types: what the `wasm-bindgen` program does, from the library
//! that it is made of, so that no tool of a matching version has to be installed.

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder, name] = arguments.as_slice() else {
        bail!("usage: dynaconv-bindgen INPUT.wasm FOLDER NAME (makes FOLDER/NAME.js and FOLDER/NAME_bg.wasm)");
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name(name).web(true)?.typescript(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder).with_context(|| format!("{input} cannot be turned into an ES module"))
}
