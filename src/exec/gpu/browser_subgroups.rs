//! Has a browser open its device with subgroups, which wgpu does not ask for: it knows no such feature there.

use js_sys::{Array, Function, Object, Proxy, Reflect};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};

const FEATURE: &str = "subgroups";

/// Makes a call that asks for a device, and has it ask for subgroups too where the adapter has them. A browser without WebGPU is left
/// alone, and so is one that refuses to have its method replaced for as long as the call takes.
pub(super) fn asked_for<T>(call: impl FnOnce() -> T) -> T {
    let prototype = get(&js_sys::global(), "GPUAdapter").map(|class| get(&class, "prototype").unwrap_or_default());
    let Some(prototype) = prototype.filter(JsValue::is_object) else { return call() };
    let Some(method) = get(&prototype, "requestDevice").and_then(|m| m.dyn_into::<Function>().ok()) else {
        return call();
    };
    let original = method.clone();
    let apply = Closure::<dyn Fn(JsValue, JsValue, Array) -> Result<JsValue, JsValue>>::new(
        move |_: JsValue, adapter: JsValue, arguments: Array| {
            add_to(&arguments.get(0), &adapter);
            Reflect::apply(&original, &adapter, &arguments)
        },
    );
    let handler = Object::new();
    let _ = Reflect::set(&handler, &"apply".into(), apply.as_ref());
    let _ = Reflect::set(&prototype, &"requestDevice".into(), &Proxy::new(&method, &handler));
    let answer = call();
    let _ = Reflect::set(&prototype, &"requestDevice".into(), &method);
    answer
}

/// Adds the feature to those that a device's description requires, where the adapter has it.
fn add_to(description: &JsValue, adapter: &JsValue) {
    if has_feature(adapter)
        && let Some(required) = get(description, "requiredFeatures")
        && let Ok(required) = required.dyn_into::<Array>()
    {
        required.push(&FEATURE.into());
    }
}

/// Whether a browser's adapter or device has subgroups.
pub(super) fn has_feature(owner: &JsValue) -> bool {
    let has = || {
        let features = Reflect::get(owner, &"features".into()).ok()?;
        let has = Reflect::get(&features, &"has".into()).ok()?.dyn_into::<Function>().ok()?;
        has.call1(&features, &FEATURE.into()).ok()?.as_bool()
    };
    has().unwrap_or(false)
}

fn get(owner: &JsValue, member: &str) -> Option<JsValue> {
    Reflect::get(owner, &member.into()).ok()
}
