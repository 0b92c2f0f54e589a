//! Whether what a caller gives and what a device answers can be meant.

use super::{ClassifierError, Guess};
use crate::tensor::Tensor;

/// How far above 1 a device's quotient of two nearly equal sums may be.
const ROUNDING: f32 = 1e-5;

/// The classes of pairs of class and probability, where each is sound.
///
/// The largest of so many probabilities is at least their mean. That is checked because a browser's shaders may make zero of
/// what is not a number.
pub(super) fn guesses(pairs: &[f32], classes: usize) -> Option<Vec<Guess>> {
    let guess = |pair: &[f32]| {
        let (class, probability) = (pair[0] as usize, pair[1]);
        let sound = class < classes && (0.0..=1.0 + ROUNDING).contains(&probability);
        sound.then_some(Guess { class, probability: probability.min(1.0) })
    };
    let guesses: Option<Vec<Guess>> = pairs.chunks_exact(2).map(guess).collect();
    guesses.filter(|guesses| guesses.first().is_some_and(|best| best.probability * classes as f32 >= 0.99))
}

pub(super) fn check_finite(input: &Tensor) -> Result<(), ClassifierError> {
    let found = input.data().iter().position(|value| !value.is_finite());
    found.map_or(Ok(()), |index| Err(ClassifierError::InputValue { index, value: input.data()[index] }))
}

pub(super) fn check_count(found: usize, batch: u32) -> Result<(), ClassifierError> {
    if (1..=batch as usize).contains(&found) { Ok(()) } else { Err(ClassifierError::Batch { found, batch }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_probabilities_are_believed() {
        assert_eq!(guesses(&[2.0, 0.7, 0.0, 0.2], 3).map(|found| found[0].class), Some(2));
        assert!(guesses(&[0.0, 0.25, 1.0, 0.25], 4).is_some(), "all the same");
        let certain = guesses(&[2.0, 1.0 + 8.0 * f32::EPSILON], 4).map(|found| found[0].probability);
        assert_eq!(certain, Some(1.0), "rounded up");
        for pairs in [[1.0, f32::NAN], [1.0, 1.001], [1.0, -0.1], [4.0, 0.9], [0.0, 0.0], [0.0, 0.2]] {
            assert_eq!(guesses(&pairs, 4), None, "{pairs:?}");
        }
    }
}
