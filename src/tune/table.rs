//! What was found on a device, as a file holds it. A file may hold anything: it is only believed where it says that it was
//! made on this device, by this driver and with these shaders, and all that it can do is to name ways that layers have.

use std::collections::BTreeMap;
use std::hash::Hasher;

use fnv::FnvHasher;
use serde::{Deserialize, Serialize};

use crate::kernels::{Kernel, Precision, Texels, in_pairs, in_texels, wgsl};
use crate::lower::Choices;
use crate::profile::Device;

/// The version of the JSON form.
pub const SCHEMA: u32 = 2;

/// The fastest ways on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuned {
    /// [`SCHEMA`] of the program that wrote it.
    schema: u32,
    /// The device with its driver.
    device: Device,
    /// Cores that compute for it, where it is software; else zero.
    cores: u32,
    /// The hash of the program's version and shaders.
    shaders: String,
    /// The name of the fastest way for each shape of layer.
    ways: BTreeMap<String, String>,
}

/// Why a file says nothing of a device.
#[derive(Debug, thiserror::Error)]
pub enum TunedError {
    /// It is no JSON, or its fields are others.
    #[error("expected the JSON that `dynaconv tune` writes: {0}")]
    Json(#[from] serde_json::Error),
    /// It was made elsewhere, or by another program.
    #[error("made for {what} `{found}`, expected `{expected}`")]
    Foreign {
        /// What differs.
        what: &'static str,
        /// What it says.
        found: String,
        /// What is so here.
        expected: String,
    },
}

impl Tuned {
    /// Nothing found yet; `cores` as in [`Limits::cores`](crate::plan::Limits::cores).
    pub fn new(device: Device, cores: u32) -> Self {
        Self { schema: SCHEMA, device, cores, shaders: shaders(), ways: BTreeMap::new() }
    }

    /// Reads what was found on a device.
    ///
    /// # Errors
    /// When the text is something else, or was made for another device, driver, schema, number of cores or other shaders.
    pub fn from_json(text: &str, device: &Device, cores: u32) -> Result<Self, TunedError> {
        let read: Self = serde_json::from_str(text)?;
        let own = Self::new(device.clone(), cores);
        let said = |it: &Self| {
            let Device { name, api, driver, .. } = &it.device;
            let [schema, cores] = [it.schema, it.cores].map(|number| number.to_string());
            [schema, name.clone(), api.clone(), driver.clone(), cores, it.shaders.clone()]
        };
        let names = ["schema", "the device", "the API", "the driver", "a number of cores of", "the shaders"];
        for ((what, found), expected) in names.into_iter().zip(said(&read)).zip(said(&own)) {
            if found != expected {
                return Err(TunedError::Foreign { what, found, expected });
            }
        }
        Ok(read)
    }

    /// As a file holds it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Adds what was found for a shape, in place of what was found before.
    pub fn insert(&mut self, shape: &str, way: &str) {
        self.ways.insert(shape.into(), way.into());
    }

    /// The ways, to be taken in place of the rule's.
    pub fn choices(&self) -> Choices {
        Choices { shapes: self.ways.clone(), ..Choices::default() }
    }
}

/// The hash of the program's version and of all texts that are compiled: FNV-1a, which is the same everywhere and for ever.
fn shaders() -> String {
    let texts = Precision::ALL.into_iter().flat_map(|precision| {
        Kernel::ALL.into_iter().flat_map(move |kernel| {
            let text = wgsl(kernel, precision);
            let texels = [Texels::Stored, Texels::Sampled].map(|texels| in_texels(&text, precision, texels));
            texels.into_iter().chain([in_pairs(&text), text])
        })
    });
    let texts = std::iter::once(env!("CARGO_PKG_VERSION").to_string()).chain(texts);
    let mut hasher = FnvHasher::default();
    for text in texts {
        hasher.write(text.as_bytes());
        // No text has a zero, so that what ends one cannot begin the next.
        hasher.write_u8(0);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device { name: "llvmpipe".into(), api: "vulkan".into(), driver: "Mesa 25.0.7".into(), ..Device::default() }
    }

    #[test]
    fn what_was_found_is_read_back() {
        let mut tuned = Tuned::new(device(), 2);
        tuned.insert("pointwise 14×14 96 → 576", "wide");
        let text = tuned.to_json().unwrap();
        let read = Tuned::from_json(&text, &device(), 2).unwrap();
        assert_eq!(read, tuned);
        assert_eq!(read.choices().shapes["pointwise 14×14 96 → 576"], "wide");
        assert!(read.choices().layers.is_empty());
    }

    #[test]
    fn what_is_foreign_stale_or_no_table_is_refused() {
        let text = Tuned::new(device(), 2).to_json().unwrap();
        let error = |text: &str, device: &Device| Tuned::from_json(text, device, 2).unwrap_err().to_string();
        let newer = Device { driver: "Mesa 26.0.0".into(), ..device() };
        assert_eq!(error(&text, &newer), "made for the driver `Mesa 25.0.7`, expected `Mesa 26.0.0`");
        let other = Device { name: "GeForce".into(), ..device() };
        assert_eq!(error(&text, &other), "made for the device `llvmpipe`, expected `GeForce`");
        assert!(error(&text.replace("\"schema\": 2", "\"schema\": 3"), &device()).contains("made for schema `3`"));
        let of_more = text.replace("\"cores\": 2", "\"cores\": 16");
        assert_eq!(error(&of_more, &device()), "made for a number of cores of `16`, expected `2`");
        let stale = text.replace(&shaders(), "0123456789abcdef");
        assert!(error(&stale, &device()).starts_with("made for the shaders `0123456789abcdef`, expected "));
        for hostile in
            ["", "{}", "[]", "null", "\u{0}", &text[..text.len() / 2], &text.replace("{}", "[1]"), &"[".repeat(1 << 20)]
        {
            assert!(error(hostile, &device()).starts_with("expected the JSON that"), "{hostile:.40}");
        }
    }
}
