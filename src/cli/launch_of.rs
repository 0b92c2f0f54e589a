//! Finds a launch by the names that people know.

use anyhow::{Result, bail};
use dynaconv::kernels::Kernel;
use dynaconv::plan::{Pass, Plan};

/// The launch of a layer; the layer's last where no kernel is named.
pub fn launch_of(plan: &Plan, layer: &str, kernel: Option<&str>) -> Result<usize> {
    let of_layer: Vec<(usize, &Pass)> = plan.passes.iter().enumerate().filter(|(_, pass)| pass.node == layer).collect();
    if of_layer.is_empty() {
        let mut names: Vec<&str> = plan.passes.iter().map(|pass| pass.node.as_str()).collect();
        names.dedup();
        bail!("no layer is called `{layer}`; there are {}", names.join(", "));
    }
    let stem = |pass: &Pass| stem(pass.dispatch.kernel);
    let found =
        of_layer.iter().rev().find(|(_, pass)| kernel.is_none_or(|kernel| family(kernel) == family(stem(pass))));
    let Some((index, _)) = found else {
        let names: Vec<&str> = of_layer.iter().map(|(_, pass)| stem(pass)).collect();
        bail!("{layer} has no kernel `{}`; it has {}", kernel.unwrap_or_default(), names.join(", "));
    };
    Ok(*index)
}

/// A kernel's name.
pub fn stem(kernel: Kernel) -> &'static str {
    kernel.spec().stem
}

/// The name that kernels of all tiles share.
pub fn family(stem: &str) -> &str {
    ["_wide", "_quad", "_scratch", "_subgroup", "_workgroup", "_split"]
        .iter()
        .find_map(|tile| stem.strip_suffix(tile))
        .unwrap_or(stem)
}
