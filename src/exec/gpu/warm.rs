//! Has a browser compile pipelines on its own threads before wgpu asks for them one by one.
//!
//! wgpu has only the call that waits for each (gfx-rs/wgpu#3794). A browser that holds a pipeline gives it out again for an
//! equal description, so whoever asked for all of them at once before finds them made. Where a browser does otherwise, or
//! refuses one, nothing is lost but time: wgpu's own call says what is wrong.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::Gpu;
use crate::kernels::{Access, Dispatch, Precision, SAMPLER, holds_weights, texels_of, through_sampler};

/// Pipelines that a browser was asked for.
pub(super) struct Warm {
    pipelines: JsFuture,
}

/// `GPUShaderStage.COMPUTE`
const COMPUTE: u32 = 4;

impl Warm {
    /// Asks for the pipelines of these launches, each from a text, all at once.
    pub fn up<'a>(gpu: &Gpu, wanted: impl Iterator<Item = (&'a Dispatch, String)>) -> Self {
        let device = gpu.handle();
        // What is refused here is no failure: wgpu asks again.
        let scopes = ["validation", "out-of-memory", "internal"];
        let opened = scopes.map(|scope| call(&device, "pushErrorScope", &[scope.into()]).is_ok());
        let asked: Array = wanted.filter_map(|(dispatch, text)| ask(&device, dispatch, &text).ok()).collect();
        for _ in opened.into_iter().filter(|is_open| *is_open) {
            asked.push(&call(&device, "popErrorScope", &[]).unwrap_or_default());
        }
        Self { pipelines: JsFuture::from(Promise::all_settled(&asked)) }
    }

    /// Waits for them; the browser has them as long as what this gives is kept.
    pub async fn done(self) -> JsValue {
        self.pipelines.await.unwrap_or_default()
    }
}

/// What wgpu would ask for, but for the labels.
fn ask(device: &JsValue, dispatch: &Dispatch, text: &str) -> Result<JsValue, JsValue> {
    let buffer =
        |kind: &str, dynamic: bool| ("buffer", object(&[("type", kind.into()), ("hasDynamicOffset", dynamic.into())]));
    let entry = |number: u32, (kind, layout): (&str, JsValue)| {
        object(&[("binding", number.into()), ("visibility", COMPUTE.into()), (kind, layout)])
    };
    let texels = texels_of(text);
    let has_textures = texels.is_some();
    let bindings = dispatch.kernel.spec().bindings_of(dispatch.entry).into_iter().flatten();
    let storage = bindings.map(|(number, name, access)| {
        let [loaded, stored] = match dispatch.precision_of(name) {
            Precision::F32 => ["unfilterable-float", "rgba32float"],
            Precision::F16 => ["uint", "rg32uint"],
        };
        let layout = match access {
            Access::Read if has_textures && holds_weights(name) => {
                ("texture", object(&[("sampleType", loaded.into()), ("viewDimension", "2d-array".into())]))
            }
            _ if has_textures && holds_weights(name) => {
                let members = [("access", "write-only"), ("format", stored), ("viewDimension", "2d-array")];
                ("storageTexture", object(&members.map(|(name, value)| (name, value.into()))))
            }
            Access::Read => buffer("read-only-storage", false),
            _ => buffer("storage", false),
        };
        entry(number, layout)
    });
    let mut bindings = dispatch.kernel.spec().bindings_of(dispatch.entry).into_iter().flatten();
    let samples = bindings.any(|(_, name, access)| {
        holds_weights(name) && texels.is_some_and(|texels| through_sampler(access, dispatch.precision_of(name), texels))
    });
    let nearest = samples.then(|| entry(SAMPLER, ("sampler", object(&[("type", "non-filtering".into())]))));
    let entries: Array = std::iter::once(entry(0, buffer("uniform", true))).chain(storage).chain(nearest).collect();
    let group = call(device, "createBindGroupLayout", &[object(&[("entries", entries.into())])])?;
    let groups = Array::of1(&group);
    let layout = call(device, "createPipelineLayout", &[object(&[("bindGroupLayouts", groups.into())])])?;
    let module = call(device, "createShaderModule", &[object(&[("code", text.into())])])?;
    let constants: Vec<_> = dispatch.overrides.iter().map(|(name, value)| (*name, JsValue::from(*value))).collect();
    let compute =
        object(&[("module", module), ("entryPoint", dispatch.entry.into()), ("constants", object(&constants))]);
    call(device, "createComputePipelineAsync", &[object(&[("layout", layout), ("compute", compute)])])
}

fn object(members: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in members {
        // Setting a member of a plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

fn call(device: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = Reflect::get(device, &method.into())?.dyn_into()?;
    Reflect::apply(&method, device, &arguments.iter().collect())
}
