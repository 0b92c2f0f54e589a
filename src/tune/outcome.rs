//! What a tuner found.

use serde::Serialize;

use super::Tuned;

/// A way has to be faster than the rule's by more than this, or chance would choose.
const MARGIN: f64 = 0.03;

/// What was found for a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The distinct layers, in the order of the network.
    pub shapes: Vec<Shape>,
    /// Nanoseconds of whole runs with the rule's ways and with the fastest, by the host's clock.
    pub runs: [f64; 2],
    /// Timed runs of each set of ways.
    pub rounds: u32,
}

/// One shape of layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// Kind and sizes.
    pub shape: String,
    /// Layers that have it.
    pub layers: usize,
    /// The rule's way, an index into `ways`.
    pub rule: usize,
    /// The fastest, an index into `ways`; the rule's where no other is faster by more than chance.
    pub best: usize,
    /// All ways that compute what the rule's does.
    pub ways: Vec<Way>,
    /// The names of those that do not: nobody takes them.
    pub wrong: Vec<String>,
    /// Whether the times of the next layer, some of whose ways compute this one too, already include this one's fastest.
    pub within: bool,
}

/// One way of a shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// Its name.
    pub name: String,
    /// Nanoseconds of all layers of the shape in one run, the shortest time that was seen; with their expansions, where some
    /// ways compute those too.
    pub time: f64,
}

impl Shape {
    /// How many times as long as the fastest way the rule's takes.
    pub fn ratio(&self) -> f64 {
        self.ways[self.rule].time / self.ways[self.best].time
    }
}

impl Outcome {
    /// Nanoseconds of all layers that have several ways: with the rule's, and with the fastest.
    pub fn totals(&self) -> [f64; 2] {
        let apart = || self.shapes.iter().filter(|shape| !shape.within);
        let sum = |way: fn(&Shape) -> usize| apart().map(|shape| shape.ways[way(shape)].time).sum();
        [sum(|shape| shape.rule), sum(|shape| shape.best)]
    }

    /// Adds the fastest ways to what is known of a device.
    pub fn add_to(&self, tuned: &mut Tuned) {
        for Shape { shape, ways, best, .. } in &self.shapes {
            tuned.insert(shape, &ways[*best].name);
        }
    }
}

/// The fastest of the ways; the rule's, where it is as fast but for chance.
pub(super) fn best(ways: &[Way], rule: usize) -> usize {
    let fastest = (0..ways.len()).min_by(|a, b| ways[*a].time.total_cmp(&ways[*b].time)).unwrap_or(rule);
    if ways[fastest].time < (1.0 - MARGIN) * ways[rule].time { fastest } else { rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_gives_way_only_to_what_is_faster_by_more_than_chance() {
        let ways =
            |times: &[f64]| -> Vec<Way> { times.iter().map(|time| Way { name: String::new(), time: *time }).collect() };
        assert_eq!(best(&ways(&[100.0, 98.0, 110.0]), 0), 0);
        assert_eq!(best(&ways(&[100.0, 96.0, 90.0]), 0), 2);
        assert_eq!(best(&ways(&[100.0, f64::NAN]), 0), 0);
        let shape = |rule, times: &[f64]| Shape {
            shape: "s".into(),
            layers: 1,
            rule,
            best: best(&ways(times), rule),
            ways: ways(times),
            wrong: Vec::new(),
            within: false,
        };
        let outcome =
            Outcome { shapes: vec![shape(0, &[100.0, 50.0]), shape(1, &[99.0, 100.0])], runs: [1.0; 2], rounds: 1 };
        assert_eq!(outcome.totals(), [200.0, 150.0]);
        assert_eq!(outcome.shapes[0].ratio(), 2.0);
    }
}
