//! What the commands that run a network share: which model, on which device, in which form.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
#[cfg(feature = "gpu")]
use dynaconv::classifier::block_on;
use dynaconv::classifier::{Classifier, Device, FoldedModel, NO_GPU};
#[cfg(feature = "gpu")]
use dynaconv::exec::gpu::{Gpu, GpuChoice, GpuError};
use dynaconv::graph::fold;
use dynaconv::lower::{Form, FormChoice, Options, forms, lower};
use dynaconv::model::{Model, Precision};
use dynaconv::plan::{Limits, Plan};

use super::{failure, find_model};
#[cfg(feature = "gpu")]
use super::{pipeline_file, tuned_file};

/// Which model.
#[derive(Args)]
pub struct ModelArguments {
    /// Model file, or the name of one in $DYNACONV_MODELS or assets/models
    #[arg(long, short, value_name = "FILE|NAME", default_value = find_model::DEFAULT)]
    model: PathBuf,
}

impl ModelArguments {
    /// The file that has the model.
    pub fn file(&self) -> Result<PathBuf> {
        find_model::find(&self.model)
    }

    /// Finds and reads the model.
    pub fn load(&self) -> Result<Model> {
        Ok(Model::load(self.file()?)?)
    }
}

/// How a network is planned.
#[derive(Args)]
pub struct PlanArguments {
    /// Form of the dynamic convolutions: for each the cheaper one, or the same for all
    #[arg(long, value_enum, default_value_t = FormName::Auto)]
    form: FormName,
    /// How maps and weights are stored; computed is with f32 in any case
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    precision: PrecisionName,
}

/// A precision's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// 32 bits each
    F32,
    /// 16 bits each: half the memory on a GPU; the CPU rounds to them, and keeps 32
    F16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::F16 => Self::F16,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// For each layer the form that costs less on the device
    Auto,
    /// W(x) is assembled, then one convolution is run
    Assemble,
    /// The low-rank branch runs beside the static convolution
    Branch,
    /// W(x) is formed where the convolution loads it, in one launch with its controller
    InLoad,
}

impl PlanArguments {
    /// What was decided; says so where the model has nothing to choose.
    pub fn options(&self, model: &Model) -> Options {
        Options { form: self.form(model), precision: self.precision.into(), ..Options::default() }
    }

    fn form(&self, model: &Model) -> FormChoice {
        let graph = model.graph();
        if self.form != FormName::Auto && graph.nodes().iter().all(|node| graph.dynamic_cost_of(node).is_none()) {
            failure::note(&format!("--form changes nothing: {} has no dynamic layers", model.description().name));
        }
        match self.form {
            FormName::Auto => FormChoice::Auto,
            FormName::Assemble => FormChoice::Always(Form::Assemble),
            FormName::Branch => FormChoice::Always(Form::Branch),
            FormName::InLoad => FormChoice::Always(Form::InLoad),
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
    plan: PlanArguments,
    #[command(flatten)]
    tuned: TunedArguments,
}

/// Whether what `dynaconv tune` found is taken.
#[derive(Args)]
pub struct TunedArguments {
    /// Take the rule's way for every layer, whatever `dynaconv tune` found on the device
    #[arg(long)]
    untuned: bool,
}

impl DeviceArguments {
    /// Opens the device while `load` reads the model and the network is folded, then prepares the one for the other, for `batch`
    /// pictures a run and the `top` best classes of each.
    pub fn load_and_prepare<M: Borrow<Model> + Send>(
        &self,
        load: impl FnOnce() -> Result<M> + Send,
        batch: u32,
        top: u32,
    ) -> Result<(M, Classifier)> {
        let load = || {
            let model = load()?;
            let folded = FoldedModel::new(model.borrow())?;
            Ok((model, folded))
        };
        #[cfg(feature = "gpu")]
        let (loaded, gpu): (Result<_>, _) = rayon::join(load, || open_gpu(self.device.as_deref()));
        #[cfg(not(feature = "gpu"))]
        let loaded: Result<_> = load();
        let (model, folded) = loaded?;
        #[cfg(feature = "gpu")]
        if let Some(gpu) = gpu? {
            let classifier = self.prepare_on(model.borrow(), &folded, gpu, batch, top)?;
            return Ok((model, classifier));
        }
        let classifier = self.prepare_without_gpu(model.borrow(), &folded, batch, top)?;
        Ok((model, classifier))
    }

    /// The same with a model that is there.
    pub fn prepare(&self, model: &Model, batch: u32, top: u32) -> Result<Classifier> {
        Ok(self.load_and_prepare(|| Ok(model), batch, top)?.1)
    }

    #[cfg(feature = "gpu")]
    fn prepare_on(
        &self,
        model: &Model,
        folded: &FoldedModel,
        mut gpu: Gpu,
        batch: u32,
        top: u32,
    ) -> Result<Classifier> {
        let options = Options { top, ..self.options(model, &gpu, batch) };
        if self.device.is_none() && gpu.info().software {
            failure::note(
                "this adapter is a program that computes on the CPU; `--device cpu` does without, and is mostly faster",
            );
        }
        pipeline_file::load(&mut gpu);
        let classifier = block_on(Classifier::on_gpu(folded, gpu, options))?;
        if let Some(gpu) = classifier.gpu() {
            pipeline_file::store(gpu);
        }
        Ok(classifier)
    }

    /// Prepares the model on the CPU, and says so where nobody asked for that.
    fn prepare_without_gpu(&self, model: &Model, folded: &FoldedModel, batch: u32, top: u32) -> Result<Classifier> {
        let options = Options { batch, top, ..self.plan.options(model) };
        if device(self.device.as_deref())? == Device::Best {
            failure::note(NO_GPU);
        }
        Ok(Classifier::on_cpu(folded, options)?)
    }

    /// Opens the device, with what is planned for it for `batch` pictures a run; nothing where that is the CPU.
    #[cfg(feature = "gpu")]
    pub fn open(&self, model: &Model, batch: u32) -> Result<Option<(Gpu, Options)>> {
        let Some(gpu) = open_gpu(self.device.as_deref())? else { return Ok(None) };
        let options = self.options(model, &gpu, batch);
        Ok(Some((gpu, options)))
    }

    /// Why there is no GPU.
    #[cfg(feature = "gpu")]
    pub fn without_gpu(&self, of_cpu: &str) -> String {
        without_gpu(self.device.as_deref(), of_cpu)
    }

    #[cfg(feature = "gpu")]
    fn options(&self, model: &Model, gpu: &Gpu, batch: u32) -> Options {
        Options { batch, choices: self.tuned.choices(gpu), ..self.plan.options(model) }
    }
}

impl TunedArguments {
    #[cfg(feature = "gpu")]
    fn choices(&self, gpu: &Gpu) -> dynaconv::lower::Choices {
        if self.untuned { dynaconv::lower::Choices::default() } else { tuned_file::choices(gpu) }
    }
}

/// The GPU of this name, or the best one; nothing where the CPU was asked for, or nothing else is there.
#[cfg(feature = "gpu")]
pub fn open_gpu(name: Option<&str>) -> Result<Option<Gpu>> {
    let choice = match device(name)? {
        Device::Cpu => return Ok(None),
        Device::Best => GpuChoice::Best,
        Device::Gpu(choice) => choice,
    };
    match block_on(Gpu::open(&choice)) {
        Err(GpuError::NoAdapter) if name.is_none() => Ok(None),
        gpu => Ok(Some(gpu?)),
    }
}

/// Why a command that needs a GPU has none: the CPU was asked for, or there is nothing else.
#[cfg(feature = "gpu")]
pub fn without_gpu(name: Option<&str>, of_cpu: &str) -> String {
    if name.is_some() { of_cpu.into() } else { format!("no GPU adapter was found, and {of_cpu}") }
}

/// Says where what is told of a run is not of the whole batch.
pub fn note_runs(batch: u32, runs: u32, pictures: u32) {
    if runs > 1 {
        failure::note(&format!("{batch} pictures take {runs} runs here; this is one of {pictures} pictures"));
    }
}

fn device(name: Option<&str>) -> Result<Device> {
    match name.map(str::to_lowercase).as_deref() {
        None => Ok(Device::Best),
        Some("cpu") => Ok(Device::Cpu),
        Some("") => bail!("--device names no device; `dynaconv devices` lists them"),
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
    plan: PlanArguments,
    #[command(flatten)]
    tuned: TunedArguments,
}

/// What plans depend on beside the network.
pub struct Target {
    /// What the user decides, and what was found on the device, for one picture a run.
    pub options: Options,
    /// What the device allows.
    pub limits: Limits,
}

impl TargetArguments {
    /// Asks the device, where one is named, what it allows.
    pub fn target(&self, model: &Model) -> Result<Target> {
        let options = self.plan.options(model);
        Ok(match device(self.device.as_deref())? {
            Device::Best => Target { options, limits: Limits::default() },
            Device::Cpu => Target { options, limits: Limits::cpu() },
            #[cfg(feature = "gpu")]
            Device::Gpu(choice) => {
                let gpu = block_on(Gpu::open(&choice))?;
                Target { options: Options { choices: self.tuned.choices(&gpu), ..options }, limits: gpu.limits() }
            }
        })
    }
}

impl Target {
    /// The form of each dynamic convolution, by node.
    pub fn forms(&self, model: &Model) -> Result<BTreeMap<String, Form>> {
        Ok(forms(&fold(model.graph(), model.weights())?, &self.options, &self.limits))
    }

    /// The plan for one picture.
    pub fn plan(&self, model: &Model) -> Result<Plan> {
        let folded = fold(model.graph(), model.weights())?;
        Ok(lower(&model.description().name, &folded, self.options.clone(), self.limits)?)
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
    bail!("this build has no GPU support, so --device {wanted} cannot be had; --device cpu can")
}

/// Says what answers before it does.
pub fn introduce(classifier: &Classifier) {
    let plan = classifier.plan();
    introduce_plan(plan, plan.chosen.len(), classifier.device(), classifier.is_software());
}

/// Says what runs on a device, which is marked where it is a GPU adapter that computes on the CPU.
pub fn introduce_plan(plan: &Plan, tuned: usize, device: &str, software: bool) {
    let dim = anstyle::Style::new().dimmed();
    let mark = if software && !device.contains("software") { ", software" } else { "" };
    failure::say(&format!("{dim}model   {}{dim:#}", super::show::printable(&plan.name)));
    failure::say(&format!("{dim}device  {}{mark}{dim:#}", super::show::printable(device)));
    if plan.precision != Precision::F32 {
        failure::say(&format!("{dim}stored  as {}{dim:#}", plan.precision.name()));
    }
    if tuned > 0 {
        failure::say(&format!("{dim}tuned   {tuned} layers, as `dynaconv tune` found on this device{dim:#}"));
    }
}
