//! Has a browser open its device with subgroups, which wgpu does not ask for: it knows no such feature there.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Proxy, Reflect};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};

const FEATURE: &str = "subgroups";
const METHOD: &str = "requestDevice";

/// Makes a call that asks for a device, and has it ask for subgroups too where they are wanted and the adapter has them.
///
/// While it lasts the method that browsers have for it is another. Where a page has one that cannot be replaced and put back, it is
/// left alone, and the device has no subgroups.
pub(super) fn asked_for<T>(wanted: bool, call: impl FnOnce() -> T) -> T {
    let Some((prototype, own)) = own_method() else { return call() };
    let over = Rc::new(Cell::new(false));
    let replaced = get(&own, "value").and_then(|method| replacement(&method, wanted, Rc::clone(&over)));
    if !replaced.is_some_and(|replaced| define(&prototype, &replaced)) {
        return call();
    }
    let answer = call();
    over.set(true);
    define(&prototype, &own);
    answer
}

/// What adapters inherit the method from, and the method's description, if it may be changed.
fn own_method() -> Option<(Object, Object)> {
    let class = get(&js_sys::global(), "GPUAdapter")?;
    let prototype: Object = get(&class, "prototype")?.dyn_into().ok()?;
    let own: Object = Reflect::get_own_property_descriptor(&prototype, &METHOD.into()).ok()?.dyn_into().ok()?;
    let may = |change: &str| get(&own, change).is_some_and(|may| may.is_truthy());
    (may("writable") && may("configurable")).then_some((prototype, own))
}

/// The description of a method that asks for subgroups too, where they are wanted, until it is over.
fn replacement(method: &JsValue, wanted: bool, over: Rc<Cell<bool>>) -> Option<Object> {
    let method: Function = method.clone().dyn_into().ok()?;
    let original = method.clone();
    let apply = move |_: JsValue, adapter: JsValue, arguments: Array| {
        let adds = wanted && !over.get();
        let asked = if adds { Array::of1(&with_feature(&arguments.get(0), &adapter)) } else { arguments };
        // wgpu expects a promise: what a page's own method throws would pass by all that is to be done after the call.
        Reflect::apply(&original, &adapter, &asked).unwrap_or_else(|error| Promise::reject(&error).into())
    };
    // A page may keep what it saw there, so it lives as long as the page does.
    let apply = Closure::<dyn Fn(JsValue, JsValue, Array) -> JsValue>::new(apply).into_js_value();
    let members = [("value", Proxy::new(&method, &object(&[("apply", apply)])).into())];
    let may = ["writable", "configurable"].map(|change| (change, JsValue::TRUE));
    Some(object(&[&members[..], &may[..]].concat()))
}

/// A device's description that requires the feature, where the adapter has it.
fn with_feature(description: &JsValue, adapter: &JsValue) -> JsValue {
    let required = get(description, "requiredFeatures").and_then(|required| required.dyn_into::<Array>().ok());
    match (required, description.dyn_ref::<Object>()) {
        (Some(required), Some(description)) if has_feature(adapter) => {
            let all = required.concat(&Array::of1(&FEATURE.into()));
            let copy = Object::assign(&Object::new(), description);
            let is_set = Reflect::set(&copy, &"requiredFeatures".into(), &all).unwrap_or(false);
            if is_set { copy.into() } else { description.into() }
        }
        _ => description.clone(),
    }
}

/// Whether a browser's adapter or device has subgroups.
pub(super) fn has_feature(owner: &JsValue) -> bool {
    let has = || {
        let features = get(owner, "features")?;
        get(&features, "has")?.dyn_into::<Function>().ok()?.call1(&features, &FEATURE.into()).ok()?.as_bool()
    };
    has().unwrap_or(false)
}

fn define(prototype: &Object, description: &Object) -> bool {
    Reflect::define_property(prototype, &METHOD.into(), description).unwrap_or(false)
}

fn get(owner: &JsValue, member: &str) -> Option<JsValue> {
    Reflect::get(owner, &member.into()).ok()
}

fn object(members: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in members {
        // Setting a member of a plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}
