//! What the host knows of each shader against the shader itself, and each shader against every backend's compiler.

mod common;

use std::collections::BTreeSet;

use common::cases;
use dynaconv::kernels::resize::Resize;
use dynaconv::kernels::{
    Access, Dispatch, Kernel, Precision, SAMPLER, Subgroups, Texels, in_pairs, in_texels, texels_of, wgsl,
};
use dynaconv::picture::{Filter, Preprocess};
use naga::back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, GlobalVariable, ImageClass, Module, ScalarKind, ShaderStage, StorageAccess, StorageFormat, TypeInner,
};

/// A kernel's module, parsed and validated with no optional capability but what its specification says of subgroups.
fn parse(kernel: Kernel, precision: Precision) -> (Module, ModuleInfo) {
    let text = wgsl(kernel, precision);
    let module =
        naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{kernel:?}: {}", e.emit_to_string(&text)));
    let info = validate(&module, kernel);
    (module, info)
}

fn validate(module: &Module, kernel: Kernel) -> ModuleInfo {
    validate_with(module, kernel, Capabilities::empty())
}

fn validate_with(module: &Module, kernel: Kernel, more: Capabilities) -> ModuleInfo {
    let subgroups = match kernel.spec().subgroups {
        Subgroups::None => Capabilities::empty(),
        Subgroups::OfFour | Subgroups::OfEight => Capabilities::SUBGROUP,
        Subgroups::Whole => Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER,
    };
    // Packing halves into words is no option in WebGPU, only in what naga serves beside it.
    let capabilities = subgroups | Capabilities::SHADER_FLOAT16_IN_FLOAT32 | more;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator.validate(module).unwrap_or_else(|error| panic!("{error:?}"))
}

fn binding_of(variable: &GlobalVariable) -> Option<(u32, &str)> {
    let binding = variable.binding.as_ref()?;
    assert_eq!(binding.group, 0);
    Some((binding.binding, variable.name.as_deref().expect("a binding has a name")))
}

/// Every text that is compiled.
fn texts() -> impl Iterator<Item = (Kernel, Precision)> {
    let stored =
        |(kernel, precision): &(Kernel, Precision)| *precision == Precision::F32 || !kernel.spec().stored.is_empty();
    Kernel::ALL.into_iter().flat_map(|kernel| Precision::ALL.map(|precision| (kernel, precision))).filter(stored)
}

/// Every dispatch of the suite's cases, and those of the picture preparation; each distinct pipeline once.
fn dispatches() -> Vec<Dispatch> {
    let resizes = [Filter::Bilinear, Filter::Bicubic]
        .into_iter()
        .flat_map(|filter| Resize::new(451, 300, &Preprocess { filter, ..Preprocess::imagenet(224) }, 0).dispatches());
    let mut seen = BTreeSet::new();
    let all = Kernel::ALL.into_iter().flat_map(cases::of).map(|case| case.dispatch).chain(resizes);
    all.filter(|d| seen.insert((d.kernel, d.entry, d.overrides.clone()))).collect()
}

#[test]
fn entry_points_and_bindings_are_those_of_the_spec() {
    for (kernel, precision) in texts() {
        let (spec, (module, info)) = (kernel.spec(), parse(kernel, precision));
        // Where shared text stands before a kernel's bindings, they come in the order in which it uses them.
        let mut declared: Vec<(u32, &str, AddressSpace)> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| binding_of(variable).map(|(number, name)| (number, name, variable.space)))
            .collect();
        declared.sort_by_key(|(number, _, _)| *number);
        let params = (0, "params", AddressSpace::Uniform);
        // A stored binding holds vec4 of f32, or of halves in pairs.
        let size = |name: &str| match spec.bindings.iter().position(|(n, _)| *n == name) {
            Some(_) if spec.stored.contains(&name) => Some(4 * precision.bytes() as u32),
            _ => None,
        };
        for (_, variable) in module.global_variables.iter() {
            let (Some((_, name)), TypeInner::Array { stride, .. }) =
                (binding_of(variable), &module.types[variable.ty].inner)
            else {
                continue;
            };
            assert!(size(name).is_none_or(|size| size == *stride), "{} {name}: {stride} bytes", spec.stem);
        }
        let storage = spec.bindings.iter().zip(1..).map(|((name, access), number)| {
            let access = match access {
                Access::Read => StorageAccess::LOAD,
                Access::Write | Access::Scratch => StorageAccess::LOAD | StorageAccess::STORE,
            };
            (number, *name, AddressSpace::Storage { access })
        });
        assert_eq!(declared, std::iter::once(params).chain(storage).collect::<Vec<_>>(), "{}", spec.stem);

        let entries: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(entries, spec.entries.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{}", spec.stem);
        for (index, entry) in module.entry_points.iter().enumerate() {
            assert_eq!(entry.stage, ShaderStage::Compute);
            let uses = info.get_entry_point(index);
            let used = module.global_variables.iter().filter(|(handle, _)| !uses[*handle].is_empty());
            let mut used: Vec<(u32, &str)> = used.filter_map(|(_, variable)| binding_of(variable)).collect();
            used.sort_by_key(|(number, _)| *number);
            let named = spec.bindings_of(&entry.name).expect("an entry point").map(|(number, name, _)| (number, name));
            let expected: Vec<_> = std::iter::once((0, "params")).chain(named).collect();
            assert_eq!(used, expected, "{} {}", spec.stem, entry.name);
        }
    }
}

#[test]
fn overrides_are_those_of_the_spec() {
    for (kernel, precision) in texts() {
        let (module, _) = parse(kernel, precision);
        let declared: BTreeSet<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
        let known: BTreeSet<&str> = kernel.spec().overrides.iter().copied().collect();
        assert_eq!(declared, known, "{}", kernel.spec().stem);
    }
    for dispatch in dispatches() {
        let named: Vec<&str> = dispatch.overrides.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, dispatch.kernel.spec().overrides, "{:?}", dispatch.kernel);
    }
}

/// With overrides that share no factor, a product tells what it was made of.
#[test]
fn workgroups_and_their_memory_are_those_of_the_spec() {
    for (kernel, precision) in texts() {
        let (spec, (module, info)) = (kernel.spec(), parse(kernel, precision));
        for (entry, _) in spec.entries {
            let overrides = spec.overrides.iter().zip([2, 3, 5, 7, 11, 13]).map(|(name, prime)| (*name, prime));
            // A subgroup is known to be a part of a row of invocations alone.
            let overrides = overrides.map(|(name, n)| {
                (name, if spec.subgroups != Subgroups::None && name == "WORKGROUP_Y" { 1 } else { n })
            });
            let dispatch = Dispatch {
                kernel,
                entry,
                precision,
                overrides: overrides.collect(),
                params: vec![],
                workgroups: [1, 1],
                cost: Default::default(),
            };
            let (module, info) = resolve(&module, &info, &dispatch);
            let point = module.entry_points.iter().position(|e| e.name == *entry).expect("the entry point");
            let invocations: u32 = module.entry_points[point].workgroup_size.iter().product();
            assert_eq!(invocations, dispatch.invocations(), "{} {entry}", spec.stem);
            let uses = info.get_entry_point(point);
            let shared = module
                .global_variables
                .iter()
                .filter(|(handle, variable)| variable.space == AddressSpace::WorkGroup && !uses[*handle].is_empty());
            let bytes: u32 = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum();
            // What pools nothing has no use for the memory in which rows of invocations add up their sums.
            let sums = matches!(kernel, Kernel::ConvPointwise | Kernel::ConvPointwiseWorkgroup) && *entry == "plain";
            let unused = if sums { 32 * invocations } else { 0 };
            assert_eq!(bytes + unused, dispatch.workgroup_bytes(), "{} {entry}", spec.stem);
        }
    }
}

/// The struct `Params` in a kernel's Rust module: names of 32-bit members, `name_1`, `name_2`, ... for those of an array.
fn rust_params(stem: &str) -> Vec<(String, usize)> {
    let text = std::fs::read_to_string(format!("src/kernels/{stem}.rs")).expect("a kernel has a module of its name");
    let (_, rest) = text.split_once("struct Params {").expect("it has params");
    let (body, _) = rest.split_once('}').expect("which end");
    let members = body.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
    let length = |of: &str| match of {
        "u32" | "f32" | "i32" => 1,
        array => {
            let (_, length) = array.trim_matches(['[', ']']).split_once("; ").expect("an array of scalars");
            length.parse().expect("a length")
        }
    };
    members.map(|(name, of)| (name.to_string(), length(of))).collect()
}

#[test]
fn params_lie_alike_on_both_sides() {
    for kernel in Kernel::ALL {
        let (spec, (module, _)) = (kernel.spec(), parse(kernel, Precision::F32));
        let (_, params) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Params")).expect("params");
        let TypeInner::Struct { members, span } = &params.inner else { panic!("{params:?}") };
        assert_eq!(*span as usize, spec.params_bytes, "{}", spec.stem);
        assert_eq!(spec.params_bytes % 16, 0, "{}", spec.stem);
        let mut shader = members.iter().enumerate().map(|(index, member)| {
            assert_eq!(member.offset as usize, 4 * index, "{}: members are 32-bit scalars", spec.stem);
            member.name.as_deref().expect("members have names")
        });
        // Variants of a kernel share its module.
        let module_of = ["_quad", "_scratch", "_split", "_subgroup", "_wide", "_workgroup"]
            .iter()
            .fold(spec.stem, |stem, end| stem.trim_end_matches(end));
        for (name, length) in rust_params(module_of) {
            for _ in 0..length {
                let found = shader.next().unwrap_or_else(|| panic!("{}: no member for `{name}`", spec.stem));
                let alike = if length == 1 { found == name } else { found.starts_with(&format!("{name}_")) };
                assert!(alike, "{}: `{name}` in Rust is `{found}` in the shader", spec.stem);
            }
        }
        assert_eq!(shader.next(), None, "{}", spec.stem);
    }
}

#[test]
fn shaders_ask_for_no_extension() {
    for (kernel, precision) in texts() {
        let text = wgsl(kernel, precision);
        let directive = text
            .lines()
            .map(str::trim_start)
            .find(|line| ["enable", "requires", "diagnostic", "#"].iter().any(|word| line.starts_with(word)));
        assert_eq!(directive, None, "{}", kernel.spec().stem);
    }
}

/// They are compiled for Vulkan alone, and the suites run on a device that takes them.
#[test]
fn texts_in_pairs_bind_the_same_bytes() {
    for (kernel, precision) in texts() {
        let strides = |module: &Module| -> Vec<(Option<String>, u32)> {
            let bound = module.global_variables.iter().filter(|(_, variable)| variable.binding.is_some());
            let arrays = bound.filter_map(|(_, variable)| match module.types[variable.ty].inner {
                TypeInner::Array { stride, .. } => Some((variable.name.clone(), stride)),
                _ => None,
            });
            arrays.collect()
        };
        let (plain, _) = parse(kernel, precision);
        let text = in_pairs(&wgsl(kernel, precision));
        let pairs =
            naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{kernel:?}: {}", e.emit_to_string(&text)));
        validate_with(&pairs, kernel, Capabilities::SHADER_INT64);
        assert_eq!(strides(&pairs), strides(&plain), "{kernel:?} {precision:?}");
    }
}

/// WGSL has all that they use but a texture of vec4 that is read and written, which is compiled for Vulkan alone.
#[test]
fn texts_in_texels_have_the_same_bindings() {
    let texts =
        texts().flat_map(|(kernel, precision)| [Texels::Stored, Texels::Sampled].map(|t| (kernel, precision, t)));
    for (kernel, precision, kind) in texts {
        let bindings = |module: &Module| -> BTreeSet<(u32, String)> {
            let bound = module.global_variables.iter().filter_map(|(_, variable)| binding_of(variable));
            bound.map(|(number, name)| (number, name.to_string())).collect()
        };
        let (plain, _) = parse(kernel, precision);
        let text = in_texels(&wgsl(kernel, precision), precision, kind);
        let texels =
            naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{kernel:?}: {}", e.emit_to_string(&text)));
        validate(&texels, kernel);
        let mut expected = bindings(&plain);
        if texels_of(&text) == Some(Texels::Sampled) && precision == Precision::F32 {
            expected.insert((SAMPLER, "nearest".into()));
        }
        assert_eq!(bindings(&texels), expected, "{kernel:?} {precision:?} {kind:?}");
        let images = texels.global_variables.iter().filter_map(|(_, variable)| match texels.types[variable.ty].inner {
            TypeInner::Image { class, arrayed, .. } => {
                Some((variable.name.as_deref().unwrap_or_default(), (class, arrayed)))
            }
            _ => None,
        });
        for (name, found) in images {
            let spec = kernel.spec();
            let (_, known) = spec.bindings.iter().find(|(known, _)| *known == name).expect("a texture is a binding");
            let access = match known {
                Access::Read => StorageAccess::LOAD,
                Access::Write => StorageAccess::STORE,
                Access::Scratch => StorageAccess::LOAD | StorageAccess::STORE,
            };
            let halves = precision == Precision::F16 && spec.stored.contains(&name);
            let (format, scalar) = match halves {
                true => (StorageFormat::Rg32Uint, ScalarKind::Uint),
                false => (StorageFormat::Rgba32Float, ScalarKind::Float),
            };
            let class = match kind {
                Texels::Sampled if *known == Access::Read => ImageClass::Sampled { kind: scalar, multi: false },
                _ => ImageClass::Storage { format, access },
            };
            let expected = (class, kind == Texels::Sampled);
            assert_eq!(found, expected, "{kernel:?} {precision:?} {name}");
        }
    }
}

fn resolve(module: &Module, info: &ModuleInfo, dispatch: &Dispatch) -> (Module, ModuleInfo) {
    let constants: PipelineConstants =
        dispatch.overrides.iter().map(|(name, value)| ((*name).to_owned(), f64::from(*value))).collect();
    let entry = Some((ShaderStage::Compute, dispatch.entry));
    let (module, _) = process_overrides(module, info, entry, &constants)
        .unwrap_or_else(|error| panic!("{:?} {}: {error:?}", dispatch.kernel, dispatch.entry));
    let info = validate(&module, dispatch.kernel);
    (module.into_owned(), info)
}

#[test]
fn every_pipeline_compiles_for_every_backend() {
    let dispatches = dispatches();
    for (kernel, precision) in texts() {
        let (module, info) = parse(kernel, precision);
        for (entry, _) in kernel.spec().entries {
            let of_entry = dispatches.iter().filter(|d| d.kernel == kernel && d.entry == *entry);
            assert!(of_entry.clone().count() > 0, "no case has {kernel:?} {entry}");
            // One in a few is enough here: the GPU suite compiles them all.
            for dispatch in of_entry.step_by(3) {
                let (module, info) = resolve(&module, &info, dispatch);
                let texts = backends(&module, &info, entry, kernel.spec().subgroups != Subgroups::None);
                assert!(texts.iter().all(|text| !text.is_empty()), "{kernel:?} {entry}");
                let [_, metal, hlsl, _] = &texts;
                assert!(clears_by_a_known_index(metal), "{kernel:?} {entry}: {metal}");
                assert!(hlsl.matches("SV_GroupIndex").count() <= 1, "{kernel:?} {entry}: {hlsl}");
            }
        }
    }
}

/// Browsers clear workgroup memory, for which naga 30's Metal asks each invocation for its index: by a name that does not exist where
/// a shader has the index in a struct.
fn clears_by_a_known_index(metal: &str) -> bool {
    let body = metal.rsplit_once("kernel void").map_or("", |(_, kernel)| kernel);
    let conditions = body.split("if (").skip(1).filter_map(|rest| rest.split_once(" == 0u) {")).map(|(name, _)| name);
    let names: Vec<&str> = conditions.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')).collect();
    let is_known = |name: &&str| body.contains(&format!("uint {name} [[thread_index_in_threadgroup]]"));
    !metal.contains("threadgroup ") || names.first().is_some_and(is_known)
}

/// SPIR-V, Metal, HLSL and GLSL ES 3.1, or what is the least that has subgroups of each.
fn backends(module: &Module, info: &ModuleInfo, entry: &str, subgroups: bool) -> [String; 4] {
    let stage = ShaderStage::Compute;
    let name = || entry.to_owned();

    let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: name() };
    let lang_version = if subgroups { (1, 3) } else { spv::Options::default().lang_version };
    let spirv = spv::Options { lang_version, ..spv::Options::default() };
    let words = spv::write_vec(module, info, &spirv, Some(&pipeline)).expect("SPIR-V");

    let options = msl::Options {
        fake_missing_bindings: true,
        lang_version: if subgroups { (2, 4) } else { msl::Options::default().lang_version },
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions { entry_point: Some((stage, name())), ..Default::default() };
    let (metal, _) = msl::write_string(module, info, &options, &pipeline).expect("Metal");

    let shader_model = if subgroups { hlsl::ShaderModel::V6_0 } else { hlsl::Options::default().shader_model };
    let (mut text, options) = (String::new(), hlsl::Options { shader_model, ..hlsl::Options::default() });
    let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, name())) };
    hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None).expect("HLSL");

    let version = glsl::Version::Embedded { version: if subgroups { 320 } else { 310 }, is_webgl: false };
    let (mut gl, options) = (String::new(), glsl::Options { version, ..glsl::Options::default() });
    let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point: name(), multiview: None };
    let bounds = BoundsCheckPolicies::default();
    let mut writer = glsl::Writer::new(&mut gl, module, info, &options, &pipeline, bounds).expect("GLSL");
    writer.write().expect("GLSL");
    [words.len().to_string(), metal, text, gl]
}
