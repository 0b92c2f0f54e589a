//! Networks in words.

use dynaconv::graph::networks::{Architecture, MobileNetV2};

/// The network with its free sizes.
pub fn network(architecture: &Architecture) -> String {
    match architecture {
        Architecture::MobileNetV2(base) => format!("MobileNetV2 ×{}, {}", base.width, sizes(base)),
        Architecture::MobileNetV2Dcd { base, fc_squeeze } => {
            format!("MobileNetV2-DCD ×{}, fc_squeeze {fc_squeeze}, {}", base.width, sizes(base))
        }
        Architecture::EfficientNetLite0 { classes, input_size } => {
            format!("EfficientNet-Lite0, {classes} classes, input {input_size}×{input_size}")
        }
    }
}

fn sizes(base: &MobileNetV2) -> String {
    let MobileNetV2 { width: _, classes, input_size, stem_stride } = base;
    format!("{classes} classes, input {input_size}×{input_size}, stem stride {stem_stride}")
}
