//! The kernel suite in a page: the same cases, shapes, values and references as `tests/kernels.rs`, compiled by the browser's
//! own WGSL compiler. `tests/browser/kernels.mjs` drives it.
#![cfg(target_arch = "wasm32")]

#[path = "../../common"]
#[allow(dead_code, reason = "every test program compiles these modules and uses a part of them")]
mod common {
    pub mod array;
    pub mod cases;
    pub mod generator;
    pub mod real;
    pub mod reference;
    pub mod suite;
}

use std::collections::{HashMap, HashSet};

use common::cases;
use common::generator;
use common::suite::{BATCH, Word, judge, outputs, plan, poisoned};
use dynaconv::exec::gpu::{Gpu, GpuChoice, GpuExecutor};
use dynaconv::graph::fold;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::kernels::resize::Resize;
use dynaconv::kernels::{Dispatch, Kernel, Precision, Subgroups, Texels, in_browser, in_texels, wgsl};
use dynaconv::lower::{Form, FormChoice, Options, lower};
use dynaconv::picture::{Filter, Preprocess};
use dynaconv::plan::Limits;
use serde_json::json;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// The stem, precision and final texts of every kernel, also those whose weights are textures and how they are loaded, and what it
/// needs of subgroups, as JSON. In a browser no plan has one that needs more than quads, nor stored textures.
#[wasm_bindgen]
pub fn kernels() -> String {
    let describe = |(kernel, precision): (Kernel, Precision)| {
        let spec = kernel.spec();
        // The barrier of subgroups is naga's, not WGSL's: browsers are asked about all but that.
        let text = wgsl(kernel, precision).replace("subgroupBarrier();", "workgroupBarrier();");
        let texels = [("stored", Texels::Stored), ("sampled", Texels::Sampled)];
        let texels = texels.map(|(how, texels)| (in_texels(&text, precision, texels), Some(how)));
        // Nor has WGSL a texture of vec4 that is read and written.
        let texels = texels.into_iter().filter(|(changed, _)| *changed != text && !changed.contains("read_write>;"));
        let texels: Vec<_> = texels.collect();
        let texts = std::iter::once((text, None)).chain(texels);
        let subgroups = match spec.subgroups {
            Subgroups::None => None,
            Subgroups::OfFour => Some("quads"),
            Subgroups::OfEight | Subgroups::Whole => Some("eight"),
        };
        let describe = |(text, texels): (String, Option<&str>)| {
            let text = in_browser(kernel, text);
            json!({ "stem": spec.stem, "precision": precision, "wgsl": text, "subgroups": subgroups, "texels": texels })
        };
        texts.map(describe).collect::<Vec<_>>()
    };
    let texts = Kernel::ALL.into_iter().flat_map(|kernel| Precision::ALL.map(|precision| (kernel, precision)));
    let texts = texts.filter(|(kernel, precision)| *precision == Precision::F32 || !kernel.spec().stored.is_empty());
    json!(texts.flat_map(describe).collect::<Vec<_>>()).to_string()
}

/// Runs a kernel's cases on the page's GPU, with maps and weights stored as halves or not, and weights in sampled textures or not: on the
/// whole batch, on a part of it, and on the whole again. With `fault`, a text of the kernel and what it is replaced by, the suite should fail. Gives JSON.
///
/// # Errors
/// When there is no GPU, or it fails.
#[wasm_bindgen]
pub async fn check(kernel: String, half: bool, sampled: bool, fault: Vec<String>) -> Result<String, JsError> {
    let found = Kernel::ALL.into_iter().find(|known| known.spec().stem == kernel);
    let precision = if half { Precision::F16 } else { Precision::F32 };
    let cases = found.map(cases::of).ok_or_else(|| JsError::new(&format!("there is no kernel `{kernel}`")))?;
    let mut cases: Vec<_> = cases.into_iter().map(|case| case.stored_as(precision)).collect();
    // WGSL lets a compiler assume that there are no infinities and nothing that is not a number, and Chromium's does.
    for word in cases.iter_mut().flat_map(|case| &mut case.outputs).flat_map(|output| &mut output.words) {
        if matches!(word, Word::NotANumber) {
            *word = Word::Unspecified;
        }
    }
    let plan = plan(&cases);
    let source = |kernel, precision| {
        let text = in_browser(kernel, wgsl(kernel, precision));
        let text = if sampled { in_texels(&text, precision, Texels::Sampled) } else { text };
        match fault.as_slice() {
            [right, wrong] => text.replacen(right, wrong, 1),
            _ => text,
        }
    };
    let gpu = Gpu::open(&GpuChoice::Best).await?;
    let mut executor = GpuExecutor::with_sources(&gpu, plan.clone(), None, &source).await?;
    let mut failures = Vec::new();
    for pictures in [BATCH, 1, BATCH - 1, BATCH] {
        for view in outputs(&plan) {
            executor.write(view, &poisoned(view));
        }
        executor.run(pictures as u32, &[0.0; 4 * BATCH][..4 * pictures], false).await?;
        let mut values = HashMap::new();
        for view in outputs(&plan) {
            values.insert(view, executor.read(view).await?);
        }
        failures.extend(judge(&cases, &plan, pictures, &|view| values[&view].clone()));
    }
    Ok(json!({ "cases": cases.len(), "failures": failures }).to_string())
}

/// Every distinct pipeline of whole networks in each form, on hardware and in software, one of them stored as halves, and of the
/// preparation of pictures: stem, precision, entry point and the values of its overrides, as JSON.
///
/// # Errors
/// When a network cannot be planned.
#[wasm_bindgen]
pub fn pipelines() -> Result<String, JsError> {
    let base = |width, input_size, stem_stride| MobileNetV2 { width, classes: 1000, input_size, stem_stride };
    let dcd = |base| Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 };
    let auto = FormChoice::Auto;
    let [assemble, branch, in_load] = [Form::Assemble, Form::Branch, Form::InLoad].map(FormChoice::Always);
    let (single, half) = (Precision::F32, Precision::F16);
    let networks = [
        (Architecture::MobileNetV2(base(1.0, 224, 2)), auto, single),
        (dcd(base(1.0, 224, 2)), auto, single),
        (dcd(base(1.0, 224, 2)), assemble, single),
        (dcd(base(1.0, 224, 2)), branch, single),
        (dcd(base(1.0, 224, 2)), in_load, single),
        (dcd(base(0.5, 96, 2)), auto, half),
        (Architecture::EfficientNetLite0 { classes: 1000, input_size: 224 }, auto, single),
    ];
    let mut dispatches: Vec<Dispatch> = Vec::new();
    for (architecture, form, precision) in networks {
        let graph = architecture.build()?;
        let folded = fold(&graph, &generator::weights(&graph))?;
        for (software, quads) in [(false, false), (true, false), (true, true)] {
            let limits = Limits { software, quads, ..Limits::default() };
            let plan = lower("network", &folded, Options { form, precision, ..Options::default() }, limits)?;
            dispatches.extend(plan.passes.into_iter().map(|pass| pass.dispatch));
        }
    }
    for filter in [Filter::Bilinear, Filter::Bicubic] {
        let preprocess = Preprocess { filter, ..Preprocess::imagenet(224) };
        let resize = Resize::new(451, 300, &preprocess, 0);
        for precision in Precision::ALL {
            dispatches.extend(resize.dispatches().map(|dispatch| dispatch.stored_as(precision)));
        }
    }
    let mut seen = HashSet::new();
    dispatches.retain(|d| seen.insert((d.kernel, d.precision, d.entry, d.overrides.clone())));
    let describe = |d: &Dispatch| {
        let constants: HashMap<_, _> = d.overrides.iter().copied().collect();
        json!({ "stem": d.kernel.spec().stem, "precision": d.precision, "entry": d.entry, "constants": constants })
    };
    Ok(json!(dispatches.iter().map(describe).collect::<Vec<_>>()).to_string())
}
