//! The browser package's way to the classifier: JavaScript's values in, promises of them out, errors with a `kind`.
//! `web/package/index.js` is what a page uses; it downloads, queues, and opens lost devices again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;

use js_sys::{Array, Error, Float32Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

use crate::classifier::{Classifier, ClassifierError, FoldedModel, Probe};
use crate::exec::gpu::{Frame, Gpu, GpuChoice, GpuError, Pixels};
use crate::lower::{LowerError, Options};
use crate::model::{Model, Precision};
use crate::picture::Window;
use crate::plan::Insight;
use crate::profile::{Profile, ProfileError, Profiler};
use crate::tensor::Tensor;

/// An open device of the browser.
#[wasm_bindgen]
pub struct Device(Gpu);

#[wasm_bindgen]
impl Device {
    /// Opens the browser's best adapter.
    ///
    /// # Errors
    /// When there is none, or it gives no device.
    pub async fn open() -> Result<Device, JsValue> {
        tell_panics();
        Gpu::open(&GpuChoice::Best).await.map(Self).map_err(|error| thrown(&error.into()))
    }

    /// The same device once more: what takes a device keeps it.
    pub fn share(&self) -> Device {
        Self(self.0.clone())
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> JsValue {
        self.0.handle()
    }
}

/// Milliseconds that a device, or the CPU, takes for a convolution.
///
/// # Errors
/// When the device fails.
#[wasm_bindgen]
pub async fn probe(device: Option<Device>) -> Result<f64, JsValue> {
    let mut probe = Probe::new(device.map(|Device(gpu)| gpu)).await.map_err(|error| thrown(&error))?;
    // The first run may still wait for the compiler.
    let mut milliseconds = 0.0;
    for _ in 0..2 {
        let begin = now();
        probe.run().await.map_err(|error| thrown(&error))?;
        milliseconds = now() - begin;
    }
    Ok(milliseconds)
}

/// A model that is ready to answer.
#[wasm_bindgen]
pub struct Engine {
    classifier: Rc<RefCell<Classifier>>,
    description: String,
}

#[wasm_bindgen]
impl Engine {
    /// Prepares the model of a file's bytes on a device, or on the CPU; with `half` its maps and weights are stored as f16.
    ///
    /// # Errors
    /// When the bytes are no model, or the device cannot be made ready for it.
    pub async fn load(bytes: Vec<u8>, top: u32, half: bool, device: Option<Device>) -> Result<Engine, JsValue> {
        tell_panics();
        let model = Model::from_bytes("model", &bytes).map_err(|error| failure("bad-model", &error.to_string()))?;
        drop(bytes);
        let precision = if half { Precision::F16 } else { Precision::F32 };
        let options = Options { top, precision, insight: true, ..Options::default() };
        let folded = FoldedModel::new(&model).map_err(|error| thrown(&error))?;
        let classifier = match device {
            Some(Device(gpu)) => Classifier::on_gpu(&folded, gpu, options).await,
            None => Classifier::on_cpu(&folded, options),
        };
        let classifier = classifier.map_err(|error| thrown(&error))?;
        let description = describe(&model, &classifier);
        Ok(Self { classifier: Rc::new(RefCell::new(classifier)), description })
    }

    /// Makes everything again on a new device, from the weights that are kept.
    ///
    /// # Errors
    /// When the device cannot be made ready.
    pub async fn reopen(&self, device: Device) -> Result<(), JsValue> {
        let reopened = self.classifier.borrow().reopened(device.0);
        *self.classifier.borrow_mut() = reopened.await.map_err(|error| thrown(&error))?;
        Ok(())
    }

    /// What is known of the model and its plan, as JSON.
    #[wasm_bindgen(getter)]
    pub fn description(&self) -> String {
        self.description.clone()
    }

    /// Whether a picture of this size may be given as it is: there is room for it.
    pub fn fits(&self, width: u32, height: u32) -> bool {
        self.classifier.borrow().can_start(width, height)
    }

    /// The part of a picture that the network sees: its left, its top, its columns and its rows.
    pub fn window(&self, width: u32, height: u32) -> Vec<u32> {
        let Window { columns, rows } = self.classifier.borrow().window(width, height);
        vec![columns.first, rows.first, columns.length, rows.length]
    }

    /// Starts on a picture that WebGPU can copy from, or on its window `cut` out of it; gives a promise of pairs of class and
    /// probability, best first. The picture is copied before this returns.
    ///
    /// # Errors
    /// When the picture cannot be copied, or two are under way.
    pub fn classify(&self, source: &JsValue, width: u32, height: u32, cut: bool) -> Result<Promise, JsValue> {
        self.start(&Frame { width, height, pixels: Pixels::External { source, cut } })
    }

    /// As `classify`, of the window's pixels: RGBA, row after row.
    ///
    /// # Errors
    /// When there are not as many pixels as the window has, or two pictures are under way.
    #[wasm_bindgen(js_name = classifyPixels)]
    pub fn classify_pixels(&self, pixels: &[u32], width: u32, height: u32) -> Result<Promise, JsValue> {
        self.start(&Frame { width, height, pixels: Pixels::Packed(pixels) })
    }

    fn start(&self, frame: &Frame<'_>) -> Result<Promise, JsValue> {
        let pending = self.classifier.borrow_mut().start(frame).map_err(|error| thrown(&error))?;
        Ok(future_to_promise(async move {
            let guesses = pending.guesses().await.map_err(|error| thrown(&error))?;
            let pairs: Vec<f32> = guesses.iter().flat_map(|guess| [guess.class as f32, guess.probability]).collect();
            Ok(Float32Array::from(pairs.as_slice()).into())
        }))
    }

    /// Runs the network on a prepared picture; gives a promise of the class scores.
    ///
    /// # Errors
    /// When there are not as many values as the network's input has, when one is not finite, or when two pictures are under way.
    pub fn run(&self, values: Vec<f32>) -> Result<Promise, JsValue> {
        let mut classifier = self.classifier.borrow_mut();
        let map = classifier.plan().input.map;
        let shape = vec![1, map.channels, map.height, map.width];
        let input = Tensor::new(shape, values).map_err(|error| failure("bad-input", &error.to_string()))?;
        let pending = classifier.start_scores(&input).map_err(|error| thrown(&error))?;
        Ok(future_to_promise(async move {
            let scores = pending.scores().await.map_err(|error| thrown(&error))?;
            Ok(Float32Array::from(scores.as_slice()).into())
        }))
    }

    /// Gives a promise of what the last picture made of each dynamic layer.
    ///
    /// # Errors
    /// When it is being read already.
    pub fn insight(&self) -> Result<Promise, JsValue> {
        let pending = self.classifier.borrow_mut().start_insight().map_err(|error| thrown(&error))?;
        Ok(future_to_promise(async move {
            let layers = pending.layers().await.map_err(|error| thrown(&error))?;
            Ok(layers.iter().map(insight_object).collect::<Array>().into())
        }))
    }

    /// Profiles the network; gives a promise of the profile as JSON. On a GPU it is made ready a second time for that, so
    /// that pictures are answered meanwhile.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "the CPU's profile never waits, so nobody else asks meanwhile"
    )]
    pub fn profile(&self, repeats: u32, warm_up: u32, roof: bool) -> Promise {
        let profiler = Profiler { warm_up, repeats, roof };
        let classifier = Rc::clone(&self.classifier);
        let gpu = classifier.borrow().gpu().cloned();
        let second = gpu.map(|gpu| classifier.borrow().reopened(gpu));
        future_to_promise(async move {
            let profile = match second {
                Some(second) => second.await.map_err(|error| thrown(&error))?.profile(&profiler, 1).await,
                None => classifier.borrow_mut().profile(&profiler, 1).await,
            };
            let json = serde_json::to_string(&profile.map_err(|error| thrown(&error))?);
            json.map(JsValue::from).map_err(|error| failure("device", &error.to_string()))
        })
    }
}

/// A profile's JSON as a page of its own, for `Engine.profile`.
///
/// # Errors
/// When the JSON is no profile.
#[wasm_bindgen(js_name = profilePage)]
pub fn profile_page(json: &str) -> Result<String, JsValue> {
    let refused = |error: &dyn std::fmt::Display| failure("bad-input", &error.to_string());
    let profile = Profile::from_json(json).map_err(|error| refused(&error))?;
    profile.to_html().map_err(|error| refused(&error))
}

fn describe(model: &Model, classifier: &Classifier) -> String {
    let (description, plan) = (model.description(), classifier.plan());
    let map = plan.input.map;
    let facts = serde_json::json!({
        "model": description.name,
        "labels": description.labels,
        "classes": plan.scores.map.channels,
        "input": [map.channels, map.height, map.width],
        "dynamicLayers": plan.dynamic.len(),
        "parameters": model.graph().parameter_count(),
        "launches": plan.passes.len(),
        "precision": plan.precision,
    });
    facts.to_string()
}

fn insight_object(layer: &Insight) -> JsValue {
    let entries: [(&str, JsValue); 6] = [
        ("name", layer.node.as_str().into()),
        ("inputs", (layer.inputs as u32).into()),
        ("outputs", (layer.outputs as u32).into()),
        ("latent", (layer.latent as u32).into()),
        ("lambda", Float32Array::from(layer.lambda.as_slice()).into()),
        ("phi", Float32Array::from(layer.phi.as_slice()).into()),
    ];
    let object = Object::new();
    for (name, value) in entries {
        set(&object, name, &value);
    }
    object.into()
}

/// An `Error` with a `kind`.
fn failure(kind: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    set(&error, "kind", &kind.into());
    error.into()
}

fn thrown(error: &ClassifierError) -> JsValue {
    let kind = match error {
        ClassifierError::Lower {
            error: LowerError::TooLarge { .. } | LowerError::WeightsTooLarge { .. } | LowerError::Invalid(_),
            ..
        }
        | ClassifierError::Plan(_) => "limits",
        ClassifierError::Graph(_)
        | ClassifierError::Fold { .. }
        | ClassifierError::Lower { error: LowerError::Unsupported { .. }, .. }
        | ClassifierError::NotFinite { .. } => "bad-model",
        ClassifierError::Batch { .. }
        | ClassifierError::Pixels
        | ClassifierError::InputShape { .. }
        | ClassifierError::InputValue { .. } => "bad-input",
        ClassifierError::Profile(
            ProfileError::Input { .. } | ProfileError::NoLaunch { .. } | ProfileError::NoneNamed,
        ) => "bad-input",
        ClassifierError::Profile(ProfileError::Gpu(error)) | ClassifierError::Gpu(error) => match error {
            GpuError::NoAdapter | GpuError::NoMatch { .. } => "no-adapter",
            GpuError::InvalidPlan(_) => "limits",
            GpuError::Lost(_) => "device-lost",
            GpuError::CannotPrepare { .. }
            | GpuError::Frame { .. }
            | GpuError::InputSize { .. }
            | GpuError::Pictures { .. } => "bad-input",
            GpuError::NoDevice { .. } | GpuError::Device { .. } | GpuError::Busy { .. } => "device",
        },
    };
    failure(kind, &error.to_string())
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a property of an object that was just made cannot fail.
    let _ = Reflect::set(object, &name.into(), value);
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);

    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// A panic would be a fault of this crate; it is at least told where.
fn tell_panics() {
    // Once: whoever sets the hook after a panic, which nothing ends here, panics again.
    static TOLD: Once = Once::new();
    TOLD.call_once(|| std::panic::set_hook(Box::new(|info| console_error(&info.to_string()))));
}
