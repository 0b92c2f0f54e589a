//! Shader texts: parsed, and written in every backend's language.

use anyhow::{Error, Result, anyhow};
use clap::ValueEnum;
use dynaconv::kernels::{Dispatch, wgsl};
use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

use super::failure;
use super::show::printable;

/// The languages that the backends take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// What wgpu is given; browsers get a line more where subgroups are used
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
    let text = wgsl(dispatch.kernel, dispatch.precision);
    if language == Language::Wgsl {
        // An override's value is the pipeline's, not the text's.
        let values: String = dispatch.overrides.iter().map(|(name, value)| format!("// {name} = {value}\n")).collect();
        return Ok(format!("// entry point {}\n{values}\n{text}", dispatch.entry).into_bytes());
    }
    let (module, info) = resolved(&text, dispatch.kernel.spec().stem, dispatch)?;
    // As the program has it compiled: workgroup memory is not cleared.
    let stage = ShaderStage::Compute;
    let entry_point = dispatch.entry.to_string();
    match language {
        Language::Wgsl => unreachable!("written above"),
        Language::Spirv => {
            let zero_initialize_workgroup_memory = spv::ZeroInitializeWorkgroupMemoryMode::None;
            let options = spv::Options { zero_initialize_workgroup_memory, ..spv::Options::default() };
            let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point };
            let words = spv::write_vec(&module, &info, &options, Some(&pipeline))?;
            Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
        }
        Language::Msl => {
            let options = msl::Options {
                fake_missing_bindings: true,
                zero_initialize_workgroup_memory: false,
                ..msl::Options::default()
            };
            let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry_point)), ..Default::default() };
            Ok(msl::write_string(&module, &info, &options, &pipeline)?.0.into_bytes())
        }
        Language::Hlsl => {
            let mut text = String::new();
            let options = hlsl::Options { zero_initialize_workgroup_memory: false, ..hlsl::Options::default() };
            let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry_point)) };
            hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None)?;
            Ok(text.into_bytes())
        }
        Language::Glsl => {
            let version = glsl::Version::Embedded { version: 310, is_webgl: false };
            let options =
                glsl::Options { version, zero_initialize_workgroup_memory: false, ..glsl::Options::default() };
            let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point, multiview: None };
            let mut text = String::new();
            let bounds = BoundsCheckPolicies::default();
            glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, bounds)?.write()?;
            Ok(text.into_bytes())
        }
    }
}

/// A text, parsed and validated. Where it is wrong, naga's picture of the place is shown.
pub fn parsed(text: &str, path: &str) -> Result<(Module, ModuleInfo)> {
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
        Error::new(error.into_inner()).context(format!("{path}:{line}"))
    })?;
    Ok((module, info))
}

/// A text with the override values of a launch.
pub fn resolved(text: &str, path: &str, dispatch: &Dispatch) -> Result<(Module, ModuleInfo)> {
    let (module, info) = parsed(text, path)?;
    let constants: PipelineConstants =
        dispatch.overrides.iter().map(|(name, value)| ((*name).to_owned(), f64::from(*value))).collect();
    let entry = Some((ShaderStage::Compute, dispatch.entry));
    let (module, info) = process_overrides(&module, &info, entry, &constants)
        .map_err(|error| Error::new(error).context(path.to_string()))?;
    Ok((module.into_owned(), info.into_owned()))
}
