//! Whether a shader from elsewhere may stand in for a kernel's: it must bind what the kernel binds.

use anyhow::{Result, anyhow, bail, ensure};
use dynaconv::kernels::{Dispatch, wgsl};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

use super::shader_text::{parsed, resolved};

/// Whether `text` may stand in for the shader of `dispatch`: it must be valid and have the entry point, its bindings with
/// their types, the overrides that are set and the workgroup's size. What naga finds is shown at its line.
///
/// # Errors
/// What does not fit.
pub fn check_candidate(text: &str, path: &str, dispatch: &Dispatch) -> Result<()> {
    let spec = dispatch.kernel.spec();
    let (module, info) = parsed(text, path)?;
    let entry = module.entry_points.iter().position(|entry| entry.name == dispatch.entry);
    let entry = entry.ok_or_else(|| {
        let found: Vec<_> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        let found = if found.is_empty() { "none".into() } else { found.join(", ") };
        anyhow!("{path}: expected the entry point `{}` of {}, found {found}", dispatch.entry, spec.stem)
    })?;
    let declared: Vec<&str> = module.overrides.iter().filter_map(|(_, value)| value.name.as_deref()).collect();
    for (name, value) in &dispatch.overrides {
        ensure!(declared.contains(name), "{path}: expected an override `{name}`, which the launch sets to {value}");
    }
    let shipped = wgsl(dispatch.kernel, dispatch.precision);
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

/// Whether a text is valid, where nobody needs to know why not.
pub fn is_valid(text: &str) -> bool {
    let module = naga::front::wgsl::parse_str(text);
    module.is_ok_and(|it| Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&it).is_ok())
}

/// What an entry point binds: place and type, in words.
fn bindings(module: &Module, info: &ModuleInfo, entry: usize) -> Vec<(String, String)> {
    let uses = info.get_entry_point(entry);
    let used = module.global_variables.iter().filter(|(handle, _)| !uses[*handle].is_empty());
    let bound = used.filter_map(|(_, variable)| {
        let place = variable.binding.as_ref()?;
        let space = match variable.space {
            AddressSpace::Uniform => "uniform".to_string(),
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => "writable storage".into(),
            AddressSpace::Storage { .. } => "storage".into(),
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
