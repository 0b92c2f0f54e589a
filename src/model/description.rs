//! What a model file says of its network besides the weights.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::graph::Graph;
use crate::graph::networks::Architecture;
use crate::picture::{Filter, Preprocess};

/// The version of the description that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// No picture of this program's kind has a longer side.
const MAX_SIDE: u32 = 1 << 14;

/// No label of a class is longer, in bytes.
const MAX_LABEL: usize = 1000;

/// Everything about a model but its weights; kept as JSON in the file's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// What to call the model.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// How it wants its pictures.
    pub preprocess: Preprocess,
    /// The classes' names in order, or none where they are not known.
    pub labels: Vec<String>,
    /// Where the weights come from, and under which licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl Description {
    /// Describes a network of unnamed classes.
    pub fn new(name: impl Into<String>, architecture: Architecture, preprocess: Preprocess) -> Self {
        let name = name.into();
        Self { format_version: FORMAT_VERSION, name, architecture, preprocess, labels: Vec::new(), notes: None }
    }

    /// Reads a description from its JSON; the version comes first, as it decides what the rest may be.
    pub(super) fn parse(json: &str) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let Version { format_version: found } = read(json)?;
        if found != u64::from(FORMAT_VERSION) {
            return Err(Fault::FormatVersion { known: FORMAT_VERSION, found });
        }
        read(json)
    }

    /// Builds the network, having checked the whole description.
    pub(super) fn graph(&self) -> Result<Graph, Fault> {
        if self.format_version != FORMAT_VERSION {
            return Err(Fault::FormatVersion { known: FORMAT_VERSION, found: self.format_version.into() });
        }
        if self.name.is_empty() {
            return Err(Fault::Field { field: "name", expected: "a name".into(), found: "none".into() });
        }
        self.check_width()?;
        let graph = self.architecture.build()?;
        self.check_labels(graph.output().channels)?;
        self.check_preprocess(graph.input().height)?;
        Ok(graph)
    }

    fn check_width(&self) -> Result<(), Fault> {
        let (Architecture::MobileNetV2(base) | Architecture::MobileNetV2Dcd { base, .. }) = &self.architecture else {
            return Ok(());
        };
        // JSON has no NaN, so a file that said so could not be read again.
        if base.width.is_finite() && base.width > 0.0 {
            return Ok(());
        }
        let expected = "a finite number above zero".into();
        Err(Fault::Field { field: "architecture.width", expected, found: base.width.to_string() })
    }

    fn check_labels(&self, classes: usize) -> Result<(), Fault> {
        let refused = |expected, found: String| Err(Fault::Field { field: "labels", expected, found });
        if !self.labels.is_empty() && self.labels.len() != classes {
            return refused(format!("none or {classes}, one for each class"), self.labels.len().to_string());
        }
        match self.labels.iter().map(String::len).find(|length| *length > MAX_LABEL) {
            Some(found) => refused(format!("labels of at most {MAX_LABEL} bytes"), format!("one of {found}")),
            None => Ok(()),
        }
    }

    fn check_preprocess(&self, input_size: usize) -> Result<(), Fault> {
        let Preprocess { resize, crop, filter: _, mean, std } = &self.preprocess;
        let require = |holds: bool, field: &'static str, expected: String, found: String| {
            if holds { Ok(()) } else { Err(Fault::Field { field, expected, found }) }
        };
        let input = format!("the network's input size, {input_size}");
        require(*crop as usize == input_size, "preprocess.crop", input, crop.to_string())?;
        let sides = format!("{crop} (the crop) to {MAX_SIDE} pixels");
        require((*crop..=MAX_SIDE).contains(resize), "preprocess.resize", sides, resize.to_string())?;
        let finite = mean.iter().all(|m| m.is_finite());
        require(finite, "preprocess.mean", "finite values".into(), format!("{mean:?}"))?;
        let positive = std.iter().all(|s| s.is_finite() && *s > 0.0);
        require(positive, "preprocess.std", "finite values above zero".into(), format!("{std:?}"))
    }
}

/// Reads JSON; an error says in which field, where it is in one.
fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Fault> {
    let reader = &mut serde_json::Deserializer::from_str(json);
    let read = serde_path_to_error::deserialize(&mut *reader).map_err(|error| {
        let field = error.path().iter().next().map(|_| error.path().to_string());
        Fault::Description { field, source: error.into_inner() }
    })?;
    reader.end().map_err(|source| Fault::Description { field: None, source })?;
    Ok(read)
}

/// How the authors of a network prepared their pictures.
pub(super) fn usual_preprocess(architecture: &Architecture, input_size: usize) -> Preprocess {
    // The network was built, so its input is small; the description's check refuses what would be too large after all.
    let crop = u32::try_from(input_size).unwrap_or(u32::MAX).min(1 << 24);
    let usual = match architecture {
        Architecture::MobileNetV2(_) | Architecture::MobileNetV2Dcd { .. } => Preprocess::imagenet(crop),
        // For 8-bit values v, (v − 127) / 128.
        Architecture::EfficientNetLite0 { .. } => Preprocess {
            resize: (f64::from(crop) / 0.875).round() as u32,
            crop,
            filter: Filter::Bicubic,
            mean: [127.0 / 255.0; 3],
            std: [128.0 / 255.0; 3],
        },
    };
    // As much as a description allows.
    Preprocess { resize: usual.resize.min(MAX_SIDE.max(crop)), ..usual }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::MobileNetV2;

    fn description() -> Description {
        let base = MobileNetV2 { width: 0.5, classes: 3, input_size: 32, stem_stride: 1 };
        let architecture = Architecture::MobileNetV2Dcd { base, fc_squeeze: 8 };
        Description::new("tiny", architecture, Preprocess::imagenet(32))
    }

    fn refused(change: impl FnOnce(&mut Description)) -> String {
        let mut description = description();
        change(&mut description);
        description.graph().unwrap_err().to_string()
    }

    #[test]
    fn every_architecture_survives_json() {
        let base = MobileNetV2 { width: 0.35, classes: 3, input_size: 32, stem_stride: 1 };
        for architecture in [
            Architecture::MobileNetV2(base.clone()),
            Architecture::MobileNetV2Dcd { base, fc_squeeze: 8 },
            Architecture::EfficientNetLite0 { classes: 3, input_size: 32 },
        ] {
            let mut described = Description::new("a \"name\"", architecture, Preprocess::imagenet(32));
            described.labels = vec!["katze".into(), "犬".into(), String::new()];
            described.notes = Some("CC0".into());
            let json = serde_json::to_string(&described).unwrap();
            assert_eq!(Description::parse(&json).unwrap(), described, "{json}");
            described.graph().unwrap();
        }
    }

    #[test]
    fn the_documented_example_is_a_description() {
        let lines = include_str!("mod.rs").lines().skip_while(|line| !line.ends_with("```json")).skip(1);
        let json: String =
            lines.take_while(|line| !line.ends_with("```")).map(|line| line.replace("//!", "")).collect();
        Description::parse(&json).unwrap().graph().unwrap();
    }

    #[test]
    fn the_version_is_looked_at_before_anything_else() {
        let parse = |json: &str| Description::parse(json).unwrap_err().to_string();
        assert_eq!(
            parse(r#"{"format_version": 2, "shape_of_things_to_come": []}"#),
            "field `format_version`: expected 1, found 2: written by a newer dynaconv"
        );
        assert_eq!(parse(r#"{"format_version": 0}"#), "field `format_version`: expected 1, found 0");
        assert!(parse(r#"{"format_version": 1}"#).contains("missing field `name`"));
        assert!(parse("[]").starts_with("description: "));
        assert!(parse("{").contains("EOF"));
        assert!(parse(r#"{"name": "x"}"#).contains("missing field `format_version`"));
    }

    #[test]
    fn fields_of_the_wrong_type_are_named() {
        let parse = |pointer: &str| {
            let mut json = serde_json::to_value(Description { labels: vec!["a".into(); 3], ..description() }).unwrap();
            *json.pointer_mut(pointer).unwrap() = true.into();
            Description::parse(&json.to_string()).unwrap_err().to_string()
        };
        for (pointer, field) in [
            ("/name", "name"),
            ("/labels/1", "labels[1]"),
            ("/preprocess/mean/2", "preprocess.mean[2]"),
            ("/architecture/classes", "architecture"),
            ("/format_version", "format_version"),
        ] {
            let error = parse(pointer);
            assert!(
                error.starts_with(&format!("description: field `{field}`: invalid type: boolean `true`")),
                "{error}"
            );
        }
        let json = serde_json::to_string(&description()).unwrap() + "}";
        assert!(Description::parse(&json).unwrap_err().to_string().contains("trailing characters"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut json = serde_json::to_value(description()).unwrap();
        json["colour"] = "red".into();
        assert!(Description::parse(&json.to_string()).unwrap_err().to_string().contains("unknown field `colour`"));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(description().graph().is_ok());
        assert_eq!(
            refused(|d| d.labels = vec!["one".into()]),
            "field `labels`: expected none or 3, one for each class, found 1"
        );
        assert_eq!(
            refused(|d| d.preprocess.crop = 31),
            "field `preprocess.crop`: expected the network's input size, 32, found 31"
        );
        assert_eq!(
            refused(|d| d.preprocess.resize = 31),
            "field `preprocess.resize`: expected 32 (the crop) to 16384 pixels, found 31"
        );
        assert!(refused(|d| d.preprocess.resize = 16385).contains("found 16385"));
        assert_eq!(refused(|d| d.name.clear()), "field `name`: expected a name, found none");
        assert_eq!(
            refused(|d| d.labels = vec!["a".into(), "b".repeat(1001), "c".into()]),
            "field `labels`: expected labels of at most 1000 bytes, found one of 1001"
        );
        assert!(refused(|d| d.preprocess.mean[1] = f32::NAN).contains("`preprocess.mean`"));
        for std in [0.0, -1.0, f32::INFINITY, f32::NAN] {
            assert!(refused(|d| d.preprocess.std[2] = std).contains("`preprocess.std`"), "{std}");
        }
        let nothing = Architecture::EfficientNetLite0 { classes: 0, input_size: 32 };
        assert!(refused(|d| d.architecture = nothing).starts_with("field `architecture`: node `_fc`"));
        for width in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let base = MobileNetV2 { width, ..MobileNetV2::imagenet(1.0) };
            assert!(refused(|d| d.architecture = Architecture::MobileNetV2(base)).contains("`architecture.width`"));
        }
        let base = MobileNetV2::imagenet(1.0);
        let undivided = Architecture::MobileNetV2Dcd { base, fc_squeeze: 0 };
        assert!(refused(|d| d.architecture = undivided).contains("an fc_squeeze of 0"));
        assert!(refused(|d| d.format_version = 7).contains("newer dynaconv"));
    }
}
