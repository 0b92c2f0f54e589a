//! The one-way order of the modules: each may use only those below it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module and what it may use.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("tensor", &[]),
    ("graph", &["tensor"]),
    ("picture", &["tensor"]),
    ("model", &["tensor", "graph", "picture"]),
    ("kernels", &["tensor", "picture"]),
    ("plan", &["tensor", "kernels"]),
    ("lower", &["tensor", "graph", "kernels", "plan"]),
    ("exec", &["tensor", "kernels", "plan", "picture"]),
    ("profile", &["tensor", "plan", "kernels", "exec"]),
    ("tune", &["tensor", "graph", "kernels", "plan", "lower", "exec", "profile"]),
    ("classifier", &["tensor", "graph", "picture", "model", "kernels", "plan", "lower", "exec", "profile"]),
    (
        "cli",
        &["tensor", "graph", "picture", "model", "kernels", "plan", "lower", "exec", "profile", "tune", "classifier"],
    ),
    ("web", &["tensor", "graph", "picture", "model", "kernels", "plan", "lower", "exec", "profile", "classifier"]),
];

/// The only files that may name the GPU library.
const GPU_FILES: &str = "src/exec/gpu";

/// Files that never see a module beside them.
const APART: [(&str, &str); 2] = [("src/exec/cpu", "gpu"), ("src/exec/gpu", "cpu")];

/// The text without comments, the library named as within itself. Strings stay: none of ours looks like a path.
fn code_of(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n").replace("dynaconv::", "crate::")
}

/// Top-level modules that a file names, as `crate::module` or within `crate::{...}`; names of items are left out.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let heads: Vec<&str> = match rest.strip_prefix('{') {
            None => vec![rest],
            Some(group) => top_level_items(group),
        };
        named.extend(heads.into_iter().map(first_word).filter(|word| MAY_USE.iter().any(|(m, _)| m == word)));
    }
    named
}

/// The items of a `use` group up to its closing brace.
fn top_level_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether code uses the GPU library, as `wgpu::...` or by an import of it; a help text may say its name.
fn names_wgpu(code: &str) -> bool {
    code.contains("wgpu::") || code.contains("use wgpu")
}

/// What is wrong with one file of a module.
fn faults(module: &str, path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut faults = Vec::new();
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{path}: the module `{module}` has no row in the table")];
    };
    for used in modules_named(&code) {
        if used != module && !allowed.contains(&used.as_str()) {
            faults.push(format!("{path}: `{module}` may not use `{used}`"));
        }
    }
    for (_, other) in APART.iter().filter(|(files, _)| path.starts_with(files)) {
        if ["exec", "super"].iter().any(|above| code.contains(&format!("{above}::{other}"))) {
            faults.push(format!("{path}: sees `exec::{other}`"));
        }
    }
    if names_wgpu(&code) && !path.starts_with(GPU_FILES) {
        faults.push(format!("{path}: names wgpu outside {GPU_FILES}"));
    }
    faults
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the sources are here").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

/// The module of `src/module.rs` and `src/module/...`; none for the roots, which only put modules together.
fn module_of(path: &Path) -> Option<String> {
    let name = path.strip_prefix("src").ok()?.components().next()?.as_os_str().to_str()?;
    let module = name.strip_suffix(".rs").unwrap_or(name);
    (!["lib", "main"].contains(&module)).then(|| module.to_string())
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut found = Vec::new();
    let mut checked = 0;
    for path in rust_files(Path::new("src")) {
        let Some(module) = module_of(&path) else { continue };
        let text = fs::read_to_string(&path).expect("a text file");
        found.extend(faults(&module, &path.to_string_lossy(), &text));
        checked += 1;
    }
    assert!(checked > 30, "only {checked} files were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_checker_sees_forbidden_edges() {
    let lowering = "src/lower/pack.rs";
    assert_eq!(
        faults("lower", lowering, "use crate::graph::DynamicWeights;\nuse crate::tensor::{GROUP, groups};"),
        [""; 0]
    );
    assert_eq!(faults("lower", lowering, "// use crate::exec::cpu\nuse crate::plan;"), [""; 0]);
    for text in [
        "use crate::exec::cpu::CpuExecutor;",
        "use crate::{plan::{Plan, View}, exec};",
        "use crate::{\n    exec::gpu::Gpu,\n    plan,\n};",
        "fn run() { crate::exec::cpu::run() }",
    ] {
        assert_eq!(faults("lower", lowering, text), ["src/lower/pack.rs: `lower` may not use `exec`"], "{text}");
    }
    assert_eq!(faults("plan", "src/plan/mod.rs", "use crate::graph::Graph;").len(), 1);
    assert_eq!(faults("plan", "src/plan/mod.rs", "let device: wgpu::Device;").len(), 1);
    assert_eq!(faults("exec", "src/exec/gpu/run.rs", "let device: wgpu::Device;"), [""; 0]);
    assert_eq!(faults("exec", "src/exec/cpu.rs", "use wgpu as gpu;").len(), 1);
    assert_eq!(faults("exec", "src/exec/cpu.rs", "use super::gpu::Gpu;"), ["src/exec/cpu.rs: sees `exec::gpu`"]);
    assert_eq!(faults("exec", "src/exec/gpu/run.rs", "use crate::exec::cpu::CpuExecutor;").len(), 1);
    assert_eq!(faults("model", "src/model/read.rs", "use dynaconv::lower;").len(), 1);
    assert_eq!(faults("unknown", "src/unknown.rs", "").len(), 1);
    // Nobody may use what is beside it or above.
    for (index, (module, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let place = MAY_USE.iter().position(|(name, _)| name == used).expect("a module of the table");
            assert!(place < index, "`{module}` may use `{used}`, which is not below it");
        }
    }
}
