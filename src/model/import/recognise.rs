//! Tells from a checkpoint's names and shapes which network it holds.

use super::checkpoint::Tensors;
use super::{Fault, ImportOptions};
use crate::graph::networks::{Architecture, MobileNetV2};
use crate::model::{Mismatch, check};

/// Widths that MobileNetV2s are trained at; the most usual first.
const WIDTHS: [f64; 9] = [1.0, 0.5, 0.75, 0.35, 0.25, 0.1, 1.3, 1.4, 2.0];
/// Divisors of the dynamic layers' hidden width; the authors' first.
const SQUEEZES: [usize; 7] = [16, 8, 4, 32, 2, 64, 1];
/// Classes to assume where the classifier is missing, so that the error can say so.
const USUAL_CLASSES: usize = 1000;

/// Finds the network whose tensors are exactly the checkpoint's.
pub(super) fn recognise(tensors: &Tensors, options: &ImportOptions) -> Result<Architecture, Fault> {
    let mut closest: Option<(Mismatch, Architecture)> = None;
    let mut unbuilt = None;
    for candidate in candidates(tensors, options)? {
        let graph = match candidate.build() {
            Ok(graph) => graph,
            Err(error) => {
                unbuilt.get_or_insert(error);
                continue;
            }
        };
        let Err(mismatch) = check(&graph, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape()))) else {
            return Ok(candidate);
        };
        if closest.as_ref().is_none_or(|(best, _)| mismatch.count() < best.count()) {
            closest = Some((mismatch, candidate));
        }
    }
    match (closest, unbuilt) {
        (Some((mismatch, network)), _) => Err(Fault::NoNetwork { closest: describe(&network), mismatch }),
        (None, Some(error)) => Err(Fault::Architecture(error)),
        (None, None) => Err(unknown(tensors)),
    }
}

/// The networks that the checkpoint may hold.
fn candidates(tensors: &Tensors, options: &ImportOptions) -> Result<Vec<Architecture>, Fault> {
    let has = |name: &str| tensors.contains_key(name);
    let rows = |name: &str| tensors.get(name).and_then(|tensor| tensor.shape().first().copied());
    let ImportOptions { input_size, stem_stride, .. } = *options;

    if has("_conv_stem.weight") {
        let classes = rows("_fc.weight").unwrap_or(USUAL_CLASSES);
        return Ok(vec![Architecture::EfficientNetLite0 { classes, input_size }]);
    }
    let dynamic = has("classifier.1.cls.weight") || tensors.keys().any(|name| name.ends_with(".conv_q.weight"));
    if !dynamic && !has("features.0.0.weight") {
        return Err(unknown(tensors));
    }
    let classifier = if dynamic { "classifier.1.cls.weight" } else { "classifier.1.weight" };
    let classes = rows(classifier).unwrap_or(USUAL_CLASSES);
    let widths = options.width.map_or(WIDTHS.to_vec(), |width| vec![width]);
    let bases = widths.into_iter().map(|width| MobileNetV2 { width, classes, input_size, stem_stride });
    if !dynamic {
        return Ok(bases.map(Architecture::MobileNetV2).collect());
    }
    let squeezes = options.fc_squeeze.map_or(SQUEEZES.to_vec(), |fc_squeeze| vec![fc_squeeze]);
    let with_squeezes = |base: MobileNetV2| {
        squeezes.iter().map(move |&fc_squeeze| Architecture::MobileNetV2Dcd { base: base.clone(), fc_squeeze })
    };
    Ok(bases.flat_map(with_squeezes).collect())
}

fn unknown(tensors: &Tensors) -> Fault {
    let names: Vec<&str> = tensors.keys().take(3).map(String::as_str).collect();
    Fault::Checkpoint(format!(
        "no network is known with its {} tensors (such as {}); known are MobileNetV2 in the DCD authors' naming, with \
         and without dynamic convolutions, and EfficientNet-Lite0",
        tensors.len(),
        names.iter().map(|name| super::super::error::Quoted(name).to_string()).collect::<Vec<_>>().join(", ")
    ))
}

/// The network and its free sizes as a phrase.
fn describe(architecture: &Architecture) -> String {
    match architecture {
        Architecture::MobileNetV2(base) => format!("MobileNetV2 of width {}, {} classes", base.width, base.classes),
        Architecture::MobileNetV2Dcd { base, fc_squeeze } => {
            format!("MobileNetV2-DCD of width {}, fc_squeeze {fc_squeeze}, {} classes", base.width, base.classes)
        }
        Architecture::EfficientNetLite0 { classes, .. } => format!("EfficientNet-Lite0, {classes} classes"),
    }
}
