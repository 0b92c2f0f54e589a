//! Networks without training: what one takes on a device hangs on its sizes, not on its values.

use std::hash::Hasher;

use fnv::FnvHasher;

use super::description::usual_preprocess;
use super::read::MAX_FILE;
use super::{Description, Fault, Model, ModelError};
use crate::graph::networks::Architecture;
use crate::graph::{Parameter, Weights};
use crate::tensor::Tensor;

impl Model {
    /// A network of this architecture whose weights are made up: the same ones each time, and of a size that keeps values
    /// finite through all layers. What it answers means nothing.
    ///
    /// # Errors
    /// When a size is outside what the network can have.
    pub fn untrained(name: &str, architecture: Architecture) -> Result<Self, ModelError> {
        let graph = architecture.build().map_err(|error| ModelError::new(name, error.into()))?;
        let parameters = graph.parameters();
        let bytes = |parameter: &Parameter| parameter.shape.iter().fold(4, |all: u64, n| all.saturating_mul(*n as u64));
        let found = parameters.iter().map(bytes).fold(0, u64::saturating_add);
        if found > MAX_FILE {
            return Err(ModelError::new(name, Fault::TooLarge { most: MAX_FILE, found }));
        }
        let preprocess = usual_preprocess(&architecture, graph.input().height);
        let weights: Weights = parameters.iter().map(|it| (it.name.clone(), value(it))).collect();
        Self::new(Description::new(name, architecture, preprocess), weights)
    }
}

/// Parts of the names of controllers' matrices and of the factors on both sides of Φ(x). They are made smaller: otherwise the order
/// of sums alone would take values far apart after a few layers. With a quarter of the variance of 1 / inputs it does not.
const FACTORS: [&str; 6] = [".fc.", ".fc_phi.", ".conv_q.", ".conv_p.", ".cls_q.", ".cls_p."];
const FACTOR_SCALE: f32 = 0.35;

/// Norms that change nothing, no biases, and kernels and matrices of variance 2 / inputs, which a rectifier halves (He et al.,
/// *Delving Deep into Rectifiers*, 2015).
fn value(parameter: &Parameter) -> Tensor {
    let shape = parameter.shape.clone();
    let inputs: usize = shape.iter().skip(1).product();
    if shape.len() > 1 {
        let is_factor = FACTORS.iter().any(|part| parameter.name.contains(part));
        let bound = (6.0 / inputs as f32).sqrt() * if is_factor { FACTOR_SCALE } else { 1.0 };
        let numbers = uniform(&parameter.name).map(|number| bound * (2.0 * number - 1.0));
        let mut values = Tensor::filled(shape, 0.0);
        for (value, number) in values.data_mut().iter_mut().zip(numbers) {
            *value = number;
        }
        return values;
    }
    let is_one = parameter.name.ends_with("weight") || parameter.name.ends_with("running_var");
    Tensor::filled(shape, if is_one { 1.0 } else { 0.0 })
}

/// Numbers from 0 to 1 that follow from a name: SplitMix64, from the name's FNV-1a hash on.
fn uniform(name: &str) -> impl Iterator<Item = f32> {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    let mut state = hasher.finish();
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 40) as f32 / (1 << 24) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::MobileNetV2;

    #[test]
    fn made_up_weights_are_the_same_each_time_and_no_two_tensors_alike() {
        let architecture = Architecture::MobileNetV2(MobileNetV2 { width: 0.35, ..MobileNetV2::imagenet(1.0) });
        let model = Model::untrained("made up", architecture.clone()).unwrap();
        assert_eq!(model, Model::untrained("made up", architecture).unwrap());
        let of = |name: &str| model.weights()[name].data();
        assert_ne!(of("features.3.conv.0.weight")[..9], of("features.3.conv.6.weight")[..9]);
        let stem = of("features.0.0.weight");
        let mean = stem.iter().sum::<f32>() / stem.len() as f32;
        let variance = stem.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / stem.len() as f32;
        assert!(mean.abs() < 0.05 && (variance / (2.0 / 27.0) - 1.0).abs() < 0.2, "{mean} {variance}");
    }

    #[test]
    fn senseless_sizes_are_refused() {
        let base = MobileNetV2 { width: 1e9, ..MobileNetV2::imagenet(1.0) };
        let error = Model::untrained("huge", Architecture::MobileNetV2(base)).unwrap_err().to_string();
        assert!(error.contains("huge"), "{error}");
        let base = MobileNetV2 { input_size: 32, ..MobileNetV2::imagenet(50.0) };
        let error = Model::untrained("wide", Architecture::MobileNetV2(base)).unwrap_err().to_string();
        assert!(error.starts_with("wide: ") && error.contains("bytes are more than the 2147483648"), "{error}");
    }

    #[test]
    fn a_side_may_be_as_long_as_a_description_allows() {
        let base = MobileNetV2 { width: 0.1, input_size: 16384, ..MobileNetV2::imagenet(1.0) };
        let model = Model::untrained("large", Architecture::MobileNetV2(base)).unwrap();
        assert_eq!(model.description().preprocess.resize, 16384);
    }
}
