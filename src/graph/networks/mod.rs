//! The networks that dynaconv knows how to write down.

mod efficientnet_lite0;
mod mobilenet_v2;

pub use mobilenet_v2::MobileNetV2;

use serde::{Deserialize, Serialize};

use super::{Graph, GraphError};

/// A network's architecture with its free sizes: all that a model file says of its structure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Architecture {
    /// MobileNetV2 with static convolutions.
    #[serde(rename = "mobilenet_v2")]
    MobileNetV2(MobileNetV2),
    /// MobileNetV2 whose expand and project convolutions and classifier are dynamic, by the DCD authors' layer rules.
    #[serde(rename = "mobilenet_v2_dcd")]
    MobileNetV2Dcd {
        /// The sizes shared with the static network.
        #[serde(flatten)]
        base: MobileNetV2,
        /// Divisor of the MLP's hidden width: 16 in the authors' ×1.0 network.
        fc_squeeze: usize,
    },
    /// EfficientNet-Lite0.
    #[serde(rename = "efficientnet_lite0")]
    EfficientNetLite0 {
        /// Classes.
        classes: usize,
        /// Side of the square input, in pixels.
        input_size: usize,
    },
}

impl Architecture {
    /// Writes the network down.
    ///
    /// # Errors
    /// When a size is outside what the network can have; the error names the node.
    pub fn build(&self) -> Result<Graph, GraphError> {
        match self {
            Self::MobileNetV2(base) => base.build(None),
            Self::MobileNetV2Dcd { base, fc_squeeze } => base.build(Some(*fc_squeeze)),
            Self::EfficientNetLite0 { classes, input_size } => efficientnet_lite0::build(*classes, *input_size),
        }
    }
}

/// Rounds a channel count to a multiple of `divisor`, never below nine tenths of it.
fn make_divisible(channels: f64, divisor: usize) -> usize {
    let d = divisor as f64;
    let rounded = (((channels + d / 2.0) / d).floor() * d).max(d);
    (if rounded < 0.9 * channels { rounded + d } else { rounded }) as usize
}
