//! Pictures in batches, of which two may be under way: the host decodes and prepares one while the device computes the other.

use super::check::{check_count, guesses};
use super::{Classifier, ClassifierError, Executor, Guess, prepare_on_cpu};
#[cfg(feature = "gpu")]
use crate::exec::gpu::{GpuExecutor, Pending};
use crate::picture::Picture;
#[cfg(feature = "gpu")]
use crate::picture::Preprocess;

/// The most probable classes of a batch of pictures, on their way.
pub struct PendingBatch {
    model: String,
    classes: usize,
    pictures: usize,
    /// Values of one picture: pairs of class and probability.
    values: usize,
    /// From the CPU they are here.
    best: Vec<f32>,
    /// From a GPU they are on their way, run by run.
    #[cfg(feature = "gpu")]
    coming: Vec<Pending>,
}

impl PendingBatch {
    /// Waits for each picture's classes, best first.
    ///
    /// # Errors
    /// When the network's result is not finite, or the device fails.
    pub async fn guesses(self) -> Result<Vec<Vec<Guess>>, ClassifierError> {
        let model = self.model.clone();
        let found = self.guesses_of_each().await?.into_iter().enumerate();
        let not_finite = |picture| ClassifierError::NotFinite { model: model.clone(), picture };
        found.map(|(picture, guesses)| guesses.ok_or_else(|| not_finite(picture))).collect()
    }

    /// Waits for each picture's classes, best first; there are none of a picture for which the network's result is not finite.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn guesses_of_each(self) -> Result<Vec<Option<Vec<Guess>>>, ClassifierError> {
        #[cfg_attr(not(feature = "gpu"), expect(unused_mut, reason = "only a GPU adds to it"))]
        let mut best = self.best;
        #[cfg(feature = "gpu")]
        for pending in self.coming {
            best.extend(pending.results().await?.best);
        }
        let pictures = best.chunks_exact(self.values).take(self.pictures);
        Ok(pictures.map(|pairs| guesses(pairs, self.classes)).collect())
    }
}

impl Classifier {
    /// Prepares pictures and gives them to the device. On a GPU two batches may be under way at once, and the first must have
    /// been waited for before a third; the CPU computes at once.
    ///
    /// # Errors
    /// When there are no pictures or more than the batch, two batches are under way, or the device fails.
    pub async fn start_batch(&mut self, pictures: &[&Picture]) -> Result<PendingBatch, ClassifierError> {
        check_count(pictures.len(), self.batch)?;
        #[cfg(feature = "gpu")]
        let mut coming = Vec::new();
        let best = match &mut self.executor {
            Executor::Cpu(executor) => {
                prepare_on_cpu(&self.preprocess, pictures, executor.input_mut());
                executor.run(pictures.len() as u32);
                executor.view(executor.plan().best).to_vec()
            }
            #[cfg(feature = "gpu")]
            Executor::Gpu(executor) => {
                for pictures in pictures.chunks(executor.plan().batch as usize) {
                    coming.push(start(executor, &self.preprocess, pictures).await?);
                }
                Vec::new()
            }
        };
        let (classes, values) = (self.plan().scores.map.channels, 2 * self.plan().top as usize);
        Ok(PendingBatch {
            model: self.name.clone(),
            classes,
            pictures: pictures.len(),
            values,
            best,
            #[cfg(feature = "gpu")]
            coming,
        })
    }
}

/// Starts a run on pictures, which the device prepares where it has room for them.
#[cfg(feature = "gpu")]
async fn start(
    executor: &mut GpuExecutor,
    preprocess: &Preprocess,
    pictures: &[&Picture],
) -> Result<Pending, ClassifierError> {
    if executor.can_prepare(pictures) {
        return Ok(executor.start_pictures(pictures, false).await?);
    }
    let mut input = vec![0.0; pictures.len() * executor.plan().input.map.padded_values()];
    prepare_on_cpu(preprocess, pictures, &mut input);
    Ok(executor.start_values(pictures.len() as u32, &input, false).await?)
}

#[cfg(test)]
mod tests {
    use super::super::block_on;
    use super::*;

    #[test]
    fn a_picture_without_finite_scores_does_not_take_the_others_answers() {
        let pending = || PendingBatch {
            model: "steep".into(),
            classes: 4,
            pictures: 2,
            values: 2,
            best: vec![2.0, 0.7, 1.0, f32::NAN],
            #[cfg(feature = "gpu")]
            coming: Vec::new(),
        };
        let each = block_on(pending().guesses_of_each()).unwrap();
        assert_eq!(each, [Some(vec![Guess { class: 2, probability: 0.7 }]), None]);
        let whole = block_on(pending().guesses());
        assert!(matches!(whole, Err(ClassifierError::NotFinite { picture: 1, .. })), "{whole:?}");
    }
}
