//! Shader texts: parsed, checked against what a kernel binds, and written in every backend's language.

use anyhow::{Result, anyhow, bail, ensure};
use clap::ValueEnum;
use dynaconv::kernels::{Dispatch, wgsl};
use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, TypeInner};

use super::failure;
use super::show::printable;

/// The languages that the backends take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// What wgpu and browsers are given
    Wgsl,
    /// Vulkan
    Spirv,
    /// Metal
    Msl,
    /// DirectX 12
    Hlsl,
    /// OpenGL ES 3.1
    Glsl,
}

impl Language {
    /// The usual ending of file names.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Wgsl => "wgsl",
            Self::Spirv => "spv",
            Self::Msl => "metal",
            Self::Hlsl => "hlsl",
            Self::Glsl => "comp",
        }
    }
}

/// The text of a launch in a backend's language, with its override values, as naga writes it for wgpu.
pub fn emit(dispatch: &Dispatch, language: Language) -> Result<Vec<u8>> {
    let text = wgsl(dispatch.kernel);
    if language == Language::Wgsl {
        // An override's value is the pipeline's, not the text's.
        let values: String = dispatch.overrides.iter().map(|(name, value)| format!("// {name} = {value}\n")).collect();
        return Ok(format!("// entry point {}\n{values}\n{text}", dispatch.entry).into_bytes());
    }
    let (module, info) = resolved(&text, dispatch.kernel.spec().stem, dispatch)?;
    let stage = ShaderStage::Compute;
    let entry_point = dispatch.entry.to_string();
    match language {
        Language::Wgsl => unreachable!("written above"),
        Language::Spirv => {
            let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point };
            let words = spv::write_vec(&module, &info, &spv::Options::default(), Some(&pipeline))?;
            Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
        }
        Language::Msl => {
            let options = msl::Options { fake_missing_bindings: true, ..msl::Options::default() };
            let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry_point)), ..Default::default() };
            Ok(msl::write_string(&module, &info, &options, &pipeline)?.0.into_bytes())
        }
        Language::Hlsl => {
            let mut text = String::new();
            let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry_point)) };
            hlsl::Writer::new(&mut text, &hlsl::Options::default(), &pipeline).write(&module, &info, None)?;
            Ok(text.into_bytes())
        }
        Language::Glsl => {
            let version = glsl::Version::Embedded { version: 310, is_webgl: false };
            let options = glsl::Options { version, ..glsl::Options::default() };
            let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point, multiview: None };
            let mut text = String::new();
            let bounds = BoundsCheckPolicies::default();
            glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, bounds)?.write()?;
            Ok(text.into_bytes())
        }
    }
}

/// Whether `text` may stand in for the shader of `dispatch`: it must be valid and have the entry point, its bindings with
/// their types, the overrides that are set and the workgroup's size. What naga finds is shown at its line.
///
/// # Errors
/// What does not fit.
#[cfg(feature = "gpu")]
pub fn check_candidate(text: &str, path: &str, dispatch: &Dispatch) -> Result<()> {
    let spec = dispatch.kernel.spec();
    let (module, info) = parsed(text, path)?;
    let entry = module.entry_points.iter().position(|entry| entry.name == dispatch.entry);
    let entry = entry.ok_or_else(|| {
        let found: Vec<_> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        anyhow!("{path}: expected the entry point `{}`, found {}", dispatch.entry, found.join(", "))
    })?;
    let declared: Vec<&str> = module.overrides.iter().filter_map(|(_, value)| value.name.as_deref()).collect();
    for (name, value) in &dispatch.overrides {
        ensure!(declared.contains(name), "{path}: expected an override `{name}`, which the launch sets to {value}");
    }
    let shipped = wgsl(dispatch.kernel);
    let (own, own_info) = parsed(&shipped, spec.stem)?;
    let own_entry = own.entry_points.iter().position(|entry| entry.name == dispatch.entry).unwrap_or(0);
    let expected = bindings(&own, &own_info, own_entry);
    let found = bindings(&module, &info, entry);
    for (place, what) in &found {
        match expected.iter().find(|(other, _)| other == place) {
            None => bail!("{path}: binds {what} at {place}, where the kernel binds nothing"),
            Some((_, other)) if other != what => bail!("{path}: expected {other} at {place}, found {what}"),
            Some(_) => {}
        }
    }
    let (final_module, _) = resolved(text, path, dispatch)?;
    let size: u32 = final_module
        .entry_points
        .iter()
        .find(|e| e.name == dispatch.entry)
        .map_or(0, |entry| entry.workgroup_size.iter().product());
    let expected = dispatch.invocations();
    ensure!(size == expected, "{path}: expected workgroups of {expected} invocations, found {size}");
    Ok(())
}

/// A text, parsed and validated. Where it is wrong, naga's picture of the place is shown.
fn parsed(text: &str, path: &str) -> Result<(Module, ModuleInfo)> {
    let shown = |picture: String| {
        for line in picture.lines() {
            failure::say(&printable(line));
        }
    };
    let module = naga::front::wgsl::parse_str(text).map_err(|error| {
        shown(error.emit_to_string_with_path(text, path));
        let line = error.location(text).map_or(0, |place| place.line_number);
        anyhow!("{path}:{line}: {}", error.message())
    })?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).map_err(|error| {
        shown(error.emit_to_string_with_path(text, path));
        let line = error.location(text).map_or(0, |place| place.line_number);
        anyhow!("{path}:{line}: {}", error.as_inner())
    })?;
    Ok((module, info))
}

/// A text with the override values of a launch.
fn resolved(text: &str, path: &str, dispatch: &Dispatch) -> Result<(Module, ModuleInfo)> {
    let (module, info) = parsed(text, path)?;
    let constants: PipelineConstants =
        dispatch.overrides.iter().map(|(name, value)| ((*name).to_owned(), f64::from(*value))).collect();
    let entry = Some((ShaderStage::Compute, dispatch.entry));
    let (module, info) =
        process_overrides(&module, &info, entry, &constants).map_err(|error| anyhow!("{path}: {error}"))?;
    Ok((module.into_owned(), info.into_owned()))
}

/// What an entry point binds: place and type, in words.
fn bindings(module: &Module, info: &ModuleInfo, entry: usize) -> Vec<(String, String)> {
    let uses = info.get_entry_point(entry);
    let used = module.global_variables.iter().filter(|(handle, _)| !uses[*handle].is_empty());
    let bound = used.filter_map(|(_, variable)| {
        let place = variable.binding.as_ref()?;
        let space = match variable.space {
            AddressSpace::Uniform => "uniform".to_string(),
            AddressSpace::Storage { access } => format!("storage {access:?}"),
            other => format!("{other:?}"),
        };
        let words = format!("{space} of {}", type_in_words(module, variable.ty));
        Some((format!("group {} binding {}", place.group, place.binding), words))
    });
    bound.collect()
}

/// A type without its names, so that two modules' types can be compared.
fn type_in_words(module: &Module, ty: naga::Handle<naga::Type>) -> String {
    match &module.types[ty].inner {
        TypeInner::Array { base, size, .. } => {
            let size = match size {
                naga::ArraySize::Constant(length) => format!(", {length}"),
                naga::ArraySize::Pending(_) => ", override".into(),
                naga::ArraySize::Dynamic => String::new(),
            };
            format!("array<{}{size}>", type_in_words(module, *base))
        }
        TypeInner::Struct { members, .. } => {
            let members = members.iter().map(|member| type_in_words(module, member.ty));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        TypeInner::Scalar(scalar) => scalar_in_words(*scalar),
        TypeInner::Vector { size, scalar } => format!("vec{}<{}>", *size as u8, scalar_in_words(*scalar)),
        other => format!("{other:?}"),
    }
}

fn scalar_in_words(scalar: naga::Scalar) -> String {
    let kind = match scalar.kind {
        naga::ScalarKind::Float => "f",
        naga::ScalarKind::Sint => "i",
        naga::ScalarKind::Uint => "u",
        _ => return "bool".into(),
    };
    format!("{kind}{}", 8 * scalar.width)
}
