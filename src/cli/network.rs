//! Networks by name: for what hangs on their sizes alone, no model file is needed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::model::Model;

use super::failure;
use super::settings::ModelArguments;

/// A model file, or a network by name.
#[derive(Args)]
pub struct NetworkArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// In place of a model, a network without training: mobilenet-v2[:WIDTH][@SIDE], mobilenet-v2-dcd[:WIDTH][@SIDE] or
    /// efficientnet-lite0[@SIDE], 1000 classes
    #[arg(long, value_name = "NETWORK", conflicts_with = "model")]
    network: Option<Network>,
}

/// A network and what it was called by.
#[derive(Clone)]
struct Network {
    name: String,
    architecture: Architecture,
}

impl NetworkArguments {
    /// The file that has the model; none of a network by name.
    pub fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        if self.network.is_some() { Ok(None) } else { self.model.file().map(Some) }
    }

    /// Reads the model, or makes the network up and says so.
    pub fn load(&self) -> anyhow::Result<Model> {
        match &self.network {
            None => self.model.load(),
            Some(Network { name, architecture }) => {
                failure::note(&format!("the weights of {name} are made up: it has had no training"));
                Ok(Model::untrained(name, architecture.clone())?)
            }
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, side) = match text.split_once('@') {
            Some((rest, side)) => (rest, side.parse().map_err(|_| format!("`{side}` is no side in pixels"))?),
            None => (text, 224),
        };
        let (kind, width) = match rest.split_once(':') {
            Some((kind, width)) => {
                let multiplier = width.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
                (kind, Some(multiplier.ok_or_else(|| format!("`{width}` is no width multiplier"))?))
            }
            None => (rest, None),
        };
        let base = MobileNetV2 { input_size: side, ..MobileNetV2::imagenet(width.unwrap_or(1.0)) };
        let architecture = match (kind, width) {
            ("mobilenet-v2", _) => Architecture::MobileNetV2(base),
            ("mobilenet-v2-dcd", _) => Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 },
            ("efficientnet-lite0", None) => Architecture::EfficientNetLite0 { classes: 1000, input_size: side },
            ("efficientnet-lite0", Some(_)) => return Err("efficientnet-lite0 has one width".into()),
            _ => return Err("expected mobilenet-v2, mobilenet-v2-dcd or efficientnet-lite0".into()),
        };
        architecture.build().map_err(|error| error.to_string())?;
        Ok(Self { name: text.into(), architecture })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_kind_width_and_side() {
        let of = |text: &str| text.parse::<Network>().map(|network| network.architecture);
        let base = |width, input_size| MobileNetV2 { input_size, ..MobileNetV2::imagenet(width) };
        assert_eq!(of("mobilenet-v2"), Ok(Architecture::MobileNetV2(base(1.0, 224))));
        let half = Architecture::MobileNetV2Dcd { base: base(0.5, 160), fc_squeeze: 16 };
        assert_eq!(of("mobilenet-v2-dcd:0.5@160"), Ok(half));
        let lite = Architecture::EfficientNetLite0 { classes: 1000, input_size: 192 };
        assert_eq!(of("efficientnet-lite0@192"), Ok(lite));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "resnet", "mobilenet-v2:", "mobilenet-v2@", "mobilenet-v2:x", "mobilenet-v2@-3", "mobilenet-v2@0"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in
            ["mobilenet-v2:NaN", "mobilenet-v2:-1", "mobilenet-v2:1e30", "mobilenet-v2:inf", "efficientnet-lite0:2"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
