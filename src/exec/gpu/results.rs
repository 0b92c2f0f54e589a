//! What a run gives back.

use super::GpuError;
use super::readback::Reading;

/// The results of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// For each picture the pairs of class and probability, best first, `[pictures][top][2]`.
    pub best: Vec<f32>,
    /// The class scores in the channels-last layout, where they were asked for.
    pub scores: Option<Vec<f32>>,
}

/// A submitted run whose results are on their way. Its executor may be used meanwhile.
pub struct Pending {
    pub(super) reading: Reading,
    pub(super) best_values: usize,
    pub(super) first_score: usize,
    /// Number of scores, where they were asked for.
    pub(super) score_values: Option<usize>,
}

impl Pending {
    /// Waits for the results.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn results(self) -> Result<Results, GpuError> {
        let values = self.reading.values().await?;
        let (best, scores) = values.split_at(self.first_score);
        let scores = self.score_values.map(|count| scores[..count].to_vec());
        Ok(Results { best: best[..self.best_values].to_vec(), scores })
    }
}
