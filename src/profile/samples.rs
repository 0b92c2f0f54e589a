//! Samples of one duration, and what can be said of them.

use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap: enough for the 2.5 % at either end.
const RESAMPLES: usize = 2000;
/// Samples below which no interval holds a median at 95 % confidence: of five, all lie to one side of it in one case of sixteen.
const FEWEST: usize = 6;

/// Samples in nanoseconds, in the order in which they were taken; never none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Summary")]
pub struct Samples {
    values: Vec<i64>,
    sorted: Vec<i64>,
}

/// Samples as they are read: what else a file says of them follows from the values.
#[derive(Deserialize)]
struct Stored {
    values: Vec<i64>,
}

#[derive(Serialize)]
struct Summary {
    median: f64,
    p10: f64,
    p90: f64,
    n: usize,
    values: Vec<i64>,
}

impl Samples {
    /// The samples; nothing where there are none.
    pub fn new(values: Vec<i64>) -> Option<Self> {
        let mut sorted = values.clone();
        sorted.sort_unstable();
        (!values.is_empty()).then_some(Self { values, sorted })
    }

    /// The samples in the order in which they were taken, in nanoseconds.
    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// The value below which the share `q` of the samples lies, from 0 to 1, in nanoseconds; between two samples in proportion. Of a
    /// share beyond these it is the first or the last; of one that is not a number, the first.
    pub fn quantile(&self, q: f64) -> f64 {
        quantile(&self.sorted, if q.is_nan() { 0.0 } else { q.clamp(0.0, 1.0) })
    }

    /// The middle one, in nanoseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The interval that holds the true median at 95 % confidence, in nanoseconds, whatever the distribution: each of n
    /// samples lies below it with probability 1/2, so the ranks spread by √n/2 around n/2. Nothing where there are fewer than six.
    pub fn median_within(&self) -> Option<[f64; 2]> {
        if self.sorted.len() < FEWEST {
            return None;
        }
        let count = self.sorted.len() as f64;
        let half = 0.98 * count.sqrt();
        // The lower rank counts from 1, places from 0.
        let low = ((count / 2.0 - half).floor() - 1.0).max(0.0) as usize;
        let high = ((count / 2.0 + half).ceil() as usize).min(self.sorted.len() - 1);
        Some([low, high].map(|rank| self.sorted[rank] as f64))
    }

    /// Sums with the samples of the same runs of something else.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a.saturating_add(*b)).collect();
        Self::new(values).unwrap_or_else(|| self.clone())
    }
}

impl TryFrom<Stored> for Samples {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        Self::new(stored.values).ok_or("expected at least one sample, found none")
    }
}

impl From<Samples> for Summary {
    fn from(samples: Samples) -> Self {
        let [p10, median, p90] = [0.1, 0.5, 0.9].map(|q| samples.quantile(q));
        Self { median, p10, p90, n: samples.values.len(), values: samples.values }
    }
}

fn quantile(sorted: &[i64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize] as f64, sorted[place.ceil() as usize] as f64);
    below + (above - below) * place.fract()
}

/// A change from one median to another, in parts of the first, with the interval that holds it at 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// −0.5 where the second takes half the time of the first.
    pub relative: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Change {
    /// The change between the medians of two sets of samples, its interval by the bootstrap: both are drawn again many
    /// times with replacement. Nothing where the first median is not above zero or might not be, or of one there are fewer than six
    /// samples.
    pub fn between(before: &Samples, after: &Samples) -> Option<Self> {
        let ratio = |before: f64, after: f64| after / before - 1.0;
        let few = before.values.len().min(after.values.len()) < FEWEST;
        if few || !(before.median() > 0.0) {
            return None;
        }
        let mut random = Random(0x5eed);
        let drawn = (0..RESAMPLES).map(|_| {
            let (before, after) = (random.median_of(&before.values), random.median_of(&after.values));
            (before > 0.0).then(|| ratio(before, after))
        });
        let mut changes = drawn.collect::<Option<Vec<f64>>>()?;
        changes.sort_by(f64::total_cmp);
        let at = |q: f64| changes[(q * (RESAMPLES - 1) as f64).round() as usize];
        Some(Self { relative: ratio(before.median(), after.median()), low: at(0.025), high: at(0.975) })
    }

    /// Whether the interval leaves out zero.
    pub fn is_certain(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// SplitMix64: the same draws every time, so that a comparison can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The median of as many values as there are, drawn with replacement.
    fn median_of(&mut self, values: &[i64]) -> f64 {
        let mut drawn: Vec<i64> = values.iter().map(|_| values[(self.next() % values.len() as u64) as usize]).collect();
        drawn.sort_unstable();
        quantile(&drawn, 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[i64]) -> Samples {
        Samples::new(values.to_vec()).unwrap()
    }

    #[test]
    fn quantiles_lie_between_samples_in_proportion() {
        let of = samples(&[50, 10, 40, 20, 30]);
        assert_eq!([0.0, 0.1, 0.5, 0.9, 1.0].map(|q| of.quantile(q)), [10.0, 14.0, 30.0, 46.0, 50.0]);
        assert_eq!(samples(&[7]).quantile(0.9), 7.0);
        assert_eq!([-1.0, 1.5, f64::INFINITY, f64::NAN].map(|q| of.quantile(q)), [10.0, 50.0, 50.0, 10.0]);
        assert!(Samples::new(vec![]).is_none());
        assert_eq!(of.plus(&samples(&[1, 2, 3, 4, 5])).values(), [51, 12, 43, 24, 35]);
    }

    #[test]
    fn the_median_is_surer_the_more_samples_there_are() {
        let ramp = |count: i64| samples(&(0..count).collect::<Vec<_>>());
        assert_eq!(ramp(100).median_within(), Some([39.0, 60.0]));
        assert_eq!(ramp(10_000).median_within(), Some([4901.0, 5098.0]));
        assert_eq!(ramp(6).median_within(), Some([0.0, 5.0]));
        assert_eq!(ramp(5).median_within(), None);
    }

    #[test]
    fn files_hold_what_follows_but_only_values_are_believed() {
        let text = serde_json::to_string(&samples(&[1, 3])).unwrap();
        assert_eq!(text, r#"{"median":2.0,"p10":1.2,"p90":2.8,"n":2,"values":[1,3]}"#);
        let lie = text.replace("2.0", "9.0");
        assert_eq!(serde_json::from_str::<Samples>(&lie).unwrap(), samples(&[1, 3]));
        assert!(serde_json::from_str::<Samples>(r#"{"values":[]}"#).is_err());
    }

    #[test]
    fn a_change_is_certain_only_where_the_samples_are_apart() {
        let before: Vec<i64> = (100..120).collect();
        let twice: Vec<i64> = before.iter().map(|value| 2 * value).collect();
        let change = Change::between(&samples(&before), &samples(&twice)).unwrap();
        assert_eq!(change.relative, 1.0);
        assert!(change.low > 0.8 && change.high < 1.2 && change.is_certain(), "{change:?}");
        let same = Change::between(&samples(&before), &samples(&before)).unwrap();
        assert!(same.relative == 0.0 && !same.is_certain() && same.low < 0.0 && same.high > 0.0, "{same:?}");
        assert!(Change::between(&samples(&[0; 6]), &samples(&[1; 6])).is_none());
        let hardly = [[0; 10].as_slice(), &[200; 11]].concat();
        assert!(Change::between(&samples(&hardly), &samples(&[100; 21])).is_none());
        assert!(
            Change::between(&samples(&[1; 5]), &samples(&[9; 20])).is_none(),
            "of too few samples nothing is certain"
        );
    }
}
