//! What the commands that run a network share: which model, on which device, in which form.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use dynaconv::classifier::{Classifier, Device, block_on};
#[cfg(feature = "gpu")]
use dynaconv::exec::gpu::{Gpu, GpuChoice};
use dynaconv::graph::fold;
use dynaconv::lower::{Form, FormChoice, Options, lower};
use dynaconv::model::Model;
use dynaconv::plan::{Limits, Plan};

use super::{failure, find_model};

/// Which model.
#[derive(Args)]
pub struct ModelArguments {
    /// Model file, or the name of one in $DYNACONV_MODELS or assets/models
    #[arg(long, short, value_name = "FILE|NAME", default_value = find_model::DEFAULT)]
    model: PathBuf,
}

impl ModelArguments {
    /// Finds and reads the model.
    pub fn load(&self) -> Result<Model> {
        Ok(Model::load(find_model::find(&self.model)?)?)
    }
}

/// The form of the dynamic layers.
#[derive(Args)]
pub struct FormArguments {
    /// Form of the dynamic convolutions: for each the cheaper one, or the same for all
    #[arg(long, value_enum, default_value_t = FormName::Auto)]
    form: FormName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// For each layer the form that costs less on the device
    Auto,
    /// W(x) is assembled, then one convolution is run
    Assemble,
    /// The low-rank branch runs beside the static convolution
    Branch,
}

impl FormArguments {
    /// The choice; says so where the model has nothing to choose.
    pub fn choice(&self, model: &Model) -> FormChoice {
        let graph = model.graph();
        if self.form != FormName::Auto && graph.nodes().iter().all(|node| graph.dynamic_cost_of(node).is_none()) {
            failure::note(&format!("--form changes nothing: {} has no dynamic layers", model.description().name));
        }
        match self.form {
            FormName::Auto => FormChoice::Auto,
            FormName::Assemble => FormChoice::Always(Form::Assemble),
            FormName::Branch => FormChoice::Always(Form::Branch),
        }
    }
}

/// Where a network runs.
#[derive(Args)]
pub struct DeviceArguments {
    /// cpu, gpu, vulkan, metal, dx12, gl, or a part of an adapter's name [default: the best GPU, else the CPU]
    #[arg(long, short, value_name = "DEVICE")]
    device: Option<String>,
    #[command(flatten)]
    form: FormArguments,
}

impl DeviceArguments {
    /// Prepares the model on its device, for `batch` pictures a run and the `top` best classes of each.
    pub fn prepare(&self, model: &Model, batch: u32, top: u32) -> Result<Classifier> {
        let options = Options { batch, form: self.form.choice(model), top, ..Options::default() };
        let classifier = block_on(Classifier::new(model, &device(self.device.as_deref())?, options))?;
        if let Some(notice) = classifier.notice() {
            failure::note(notice);
        }
        Ok(classifier)
    }
}

fn device(name: Option<&str>) -> Result<Device> {
    match name.map(str::to_lowercase).as_deref() {
        None => Ok(Device::Best),
        Some("cpu") => Ok(Device::Cpu),
        Some(other) => gpu(other),
    }
}

/// What a network is planned for where it is not run.
#[derive(Args)]
pub struct TargetArguments {
    /// Plan for this device of the machine, named as elsewhere [default: what every device with WebGPU allows]
    #[arg(long, short, value_name = "DEVICE")]
    device: Option<String>,
    #[command(flatten)]
    form: FormArguments,
}

/// What plans depend on beside the network.
pub struct Target {
    /// The form of the dynamic layers.
    pub form: FormChoice,
    /// What the device allows.
    pub limits: Limits,
}

impl TargetArguments {
    /// Asks the device, where one is named, what it allows.
    pub fn target(&self, model: &Model) -> Result<Target> {
        let limits = match device(self.device.as_deref())? {
            Device::Best | Device::Cpu => Limits::default(),
            #[cfg(feature = "gpu")]
            Device::Gpu(choice) => block_on(Gpu::open(&choice))?.limits(),
        };
        Ok(Target { form: self.form.choice(model), limits })
    }
}

impl Target {
    /// The plan for one picture.
    pub fn plan(&self, model: &Model) -> Result<Plan> {
        let folded = fold(model.graph(), model.weights())?;
        let options = Options { form: self.form, ..Options::default() };
        Ok(lower(&model.description().name, &folded, options, self.limits)?)
    }
}

#[cfg(feature = "gpu")]
fn gpu(wanted: &str) -> Result<Device> {
    Ok(Device::Gpu(match wanted {
        "gpu" => GpuChoice::Best,
        "vulkan" | "metal" | "dx12" | "gl" => GpuChoice::Api(wanted.into()),
        name => GpuChoice::Name(name.into()),
    }))
}

#[cfg(not(feature = "gpu"))]
fn gpu(wanted: &str) -> Result<Device> {
    anyhow::bail!("this build has no GPU support, so --device {wanted} cannot be had; --device cpu can")
}

/// Says what answers before it does.
pub fn introduce(classifier: &Classifier) {
    let dim = anstyle::Style::new().dimmed();
    let device = describe_device(classifier);
    failure::say(&format!("{dim}model   {}{dim:#}", super::show::printable(classifier.name())));
    failure::say(&format!("{dim}device  {}{dim:#}", super::show::printable(&device)));
}

/// The device, marked where it is a GPU adapter that computes on the CPU.
fn describe_device(classifier: &Classifier) -> String {
    let device = classifier.device();
    let known = !classifier.is_software() || device.contains("software");
    if known { device.into() } else { format!("{device}, software") }
}
