//! Tries the ways of all layers at once: plan k takes the k-th way of each, so a network with nine ways for its richest layer
//! needs nine plans, and every way is timed within the network, between the launches that it meets there.

use std::collections::{BTreeMap, BTreeSet};

use web_time::Instant;

use super::TuneError;
use super::agreement::{agree, output_of, tolerance};
use super::charge::launches_by_node;
use super::outcome::{Shape, Way, best};
use crate::exec::gpu::{Gpu, GpuExecutor, Timer};
use crate::graph::FoldedNetwork;
use crate::lower::{Alternatives, Choices, Options, alternatives, lower};
use crate::profile::{Samples, noise};

/// Runs of each plan before the first that counts.
pub(super) const WARM_UP: u32 = 1;

/// What else the machine does only ever adds to times, so the shortest tells more than the median.
const QUANTILE: f64 = 0.0;

/// The layers of one shape.
struct OfShape {
    shape: String,
    nodes: Vec<String>,
    names: Vec<String>,
    /// How many of these compute nothing but the layer itself: the first ones.
    alone: usize,
    /// The shape of the layers before, which the other ways compute too. It is no other layer's shape.
    expansion: Option<usize>,
    rule: usize,
    /// The ways that were found to compute the same.
    right: BTreeSet<usize>,
    /// Those that compute something else.
    wrong: BTreeSet<usize>,
    /// Times of each way, one of each run: those of all layers of the shape together.
    times: Vec<Vec<i64>>,
}

impl OfShape {
    /// The rule's way, or one that computes the layer alone where that does not.
    fn rule_alone(&self) -> usize {
        if self.rule < self.alone { self.rule } else { 0 }
    }
}

/// A plan with the way that it takes for each shape.
struct Subject {
    executor: GpuExecutor,
    ways: Vec<usize>,
    /// The launches of each shape; none of an expansion that another one's launches compute.
    launches: Vec<Vec<usize>>,
}

/// Plans that take other ways than the rule's, beside the rule's own.
pub(super) struct Trials<'a> {
    gpu: &'a Gpu,
    network: &'a FoldedNetwork,
    options: Options,
    shapes: Vec<OfShape>,
    input: Vec<f32>,
    rule: Subject,
    /// What the first layer of each shape computes in the rule's way.
    expected: Vec<Vec<f32>>,
    subjects: Vec<Subject>,
}

impl<'a> Trials<'a> {
    /// Prepares the rule's plan, and keeps what it computes.
    pub async fn new(gpu: &'a Gpu, network: &'a FoldedNetwork, options: Options) -> Result<Self, TuneError> {
        let mut shapes: Vec<OfShape> = Vec::new();
        for Alternatives { node, shape, expansion, names, alone, rule, .. } in
            alternatives(network, &options, &gpu.limits())
        {
            match shapes.iter_mut().find(|known| known.shape == shape) {
                Some(known) => known.nodes.push(node),
                None => {
                    let rule = names.iter().position(|name| *name == rule).unwrap_or(0);
                    let expansion = expansion.and_then(|node| shapes.iter().position(|it| it.nodes.contains(&node)));
                    let (right, wrong) = (BTreeSet::new(), BTreeSet::new());
                    let (nodes, times) = (vec![node], vec![Vec::new(); names.len()]);
                    shapes.push(OfShape { shape, nodes, names, alone, expansion, rule, right, wrong, times });
                }
            }
        }
        let ways: Vec<usize> = shapes.iter().map(|shape| shape.rule).collect();
        let rule = prepare(gpu, network, &options, &shapes, ways).await?;
        let input = noise(rule.executor.plan(), rule.executor.plan().batch);
        let mut trials =
            Self { gpu, network, options, shapes, input, rule, expected: Vec::new(), subjects: Vec::new() };
        // Where each layer has launches of its own, and so a result.
        let apart: Vec<usize> = trials.shapes.iter().map(OfShape::rule_alone).collect();
        let mut apart = match apart == trials.rule.ways {
            true => None,
            false => Some(prepare(gpu, network, &trials.options, &trials.shapes, apart).await?),
        };
        for shape in &trials.shapes {
            let executor = &mut apart.as_mut().unwrap_or(&mut trials.rule).executor;
            let found = output_of(executor, &shape.nodes[0], &trials.input).await?;
            trials.expected.push(found);
        }
        Ok(trials)
    }

    /// The way of each shape in each plan: the k-th of those that compute a layer alone, round and round where there are fewer, and
    /// then, with the rule's for all others, the k-th of those that compute its expansion too.
    pub fn plans(&self) -> Vec<Vec<usize>> {
        let most = |count: fn(&OfShape) -> usize| self.shapes.iter().map(count).max().unwrap_or(0);
        let alone = (0..most(|it| it.alone)).map(|k| self.shapes.iter().map(|it| k % it.alone).collect());
        let expanding = (0..most(|it| it.names.len() - it.alone)).map(|k| {
            let way = |it: &OfShape| if it.alone + k < it.names.len() { it.alone + k } else { it.rule };
            self.shapes.iter().map(way).collect()
        });
        alone.chain(expanding).map(|ways: Vec<usize>| self.possible(ways)).collect()
    }

    /// These ways, with the rule's for expansions that others compute: it leaves their weights as a matrix.
    fn possible(&self, mut ways: Vec<usize>) -> Vec<usize> {
        for (index, it) in self.shapes.iter().enumerate() {
            if let Some(expansion) = it.expansion.filter(|_| ways[index] >= it.alone) {
                ways[expansion] = self.shapes[expansion].rule;
            }
        }
        ways
    }

    /// Launches of the longest plan.
    pub fn most_launches(&self) -> u32 {
        let subjects = self.subjects.iter().chain([&self.rule]);
        subjects.map(|subject| subject.executor.plan().passes.len()).max().unwrap_or(0) as u32
    }

    /// Prepares the plan that takes these ways.
    pub async fn add(&mut self, ways: Vec<usize>) -> Result<(), TuneError> {
        self.subjects.push(prepare(self.gpu, self.network, &self.options, &self.shapes, ways).await?);
        Ok(())
    }

    /// Compares what the k-th plan computes with the rule's, layer by layer, where no plan before had the same way. One that computes
    /// something else is left out, and the rule's put in its place, so that the layers after it can be judged.
    pub async fn check(&mut self, k: usize) -> Result<(), TuneError> {
        for index in 0..self.shapes.len() {
            let (way, shape) = (self.subjects[k].ways[index], &self.shapes[index]);
            // What the others are compared with is right.
            let right = shape.rule_alone();
            if way == right || shape.right.contains(&way) || self.subjects[k].launches[index].is_empty() {
                continue;
            }
            if !shape.wrong.contains(&way) {
                let is_right = self.agrees(k, index).await? || self.is_right(index, way).await?;
                let shape = &mut self.shapes[index];
                if is_right { &mut shape.right } else { &mut shape.wrong }.insert(way);
                if is_right {
                    continue;
                }
            }
            let mut ways = self.subjects[k].ways.clone();
            ways[index] = right;
            self.subjects[k] = prepare(self.gpu, self.network, &self.options, &self.shapes, ways).await?;
        }
        Ok(())
    }

    /// Whether the k-th plan leaves what the rule's way does at the first layer of a shape.
    async fn agrees(&mut self, k: usize, index: usize) -> Result<bool, TuneError> {
        let executor = &mut self.subjects[k].executor;
        let found = output_of(executor, &self.shapes[index].nodes[0], &self.input).await?;
        Ok(agree(&self.expected[index], &found, tolerance(self.options.precision)))
    }

    /// Whether a way computes what the rule's does after layers in the rule's ways: small differences of many layers before may have
    /// become large ones.
    async fn is_right(&self, index: usize, way: usize) -> Result<bool, TuneError> {
        let mut ways: Vec<usize> = self.shapes.iter().map(OfShape::rule_alone).collect();
        ways[index] = way;
        let ways = self.possible(ways);
        let mut subject = prepare(self.gpu, self.network, &self.options, &self.shapes, ways).await?;
        let found = output_of(&mut subject.executor, &self.shapes[index].nodes[0], &self.input).await?;
        Ok(agree(&self.expected[index], &found, tolerance(self.options.precision)))
    }

    /// Runs every plan once, each time after another one.
    pub async fn time(&mut self, round: usize, timer: &mut Timer, counts: bool) -> Result<(), TuneError> {
        let count = self.subjects.len() + 1;
        for turn in 0..count {
            let turn = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
            let which = (turn + round) % count;
            let subject = self.subjects.get_mut(which).unwrap_or(&mut self.rule);
            let (_, timing) = subject.executor.run_timed(subject.executor.plan().batch, &self.input, timer).await?;
            if !counts {
                continue;
            }
            for ((shape, way), launches) in self.shapes.iter_mut().zip(&subject.ways).zip(&subject.launches) {
                if !launches.is_empty() {
                    shape.times[*way].extend(timing.sum_of(launches).map(|time| time as i64));
                }
            }
        }
        Ok(())
    }

    /// What the times say.
    pub fn shapes(&self) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::new();
        for it in &self.shapes {
            let sound: Vec<usize> = (0..it.names.len()).filter(|way| !it.wrong.contains(way)).collect();
            // An expansion lies before what reads it.
            let expansion = it.expansion.map_or(0.0, |index| shapes[index].ways[shapes[index].best].time);
            let time = |way: usize| {
                let own = Samples::new(it.times[way].clone()).map_or(f64::NAN, |times| times.quantile(QUANTILE));
                if way < it.alone { own + expansion } else { own }
            };
            let ways: Vec<Way> =
                sound.iter().map(|way| Way { name: it.names[*way].clone(), time: time(*way) }).collect();
            let rule = sound.iter().position(|way| *way == it.rule).unwrap_or(0);
            let best = best(&ways, rule);
            if let Some(index) = it.expansion {
                let before = &mut shapes[index];
                before.within = true;
                if sound[best] >= it.alone {
                    before.best = before.rule;
                }
            }
            let wrong = it.wrong.iter().map(|way| it.names[*way].clone()).collect();
            let (shape, layers) = (it.shape.clone(), it.nodes.len());
            shapes.push(Shape { shape, layers, rule, best, ways, wrong, within: false });
        }
        shapes
    }

    /// Whole plain runs with the rule's ways and with these, in turns.
    pub async fn compare(&mut self, shapes: BTreeMap<String, String>, rounds: u32) -> Result<[f64; 2], TuneError> {
        let choices = Choices { shapes, ..Choices::default() };
        let plan = lower("tuned", self.network, Options { choices, ..self.options.clone() }, self.gpu.limits())?;
        let mut tuned = GpuExecutor::new(self.gpu, plan, None).await?;
        self.subjects.clear();
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..WARM_UP + rounds {
            for (executor, times) in [&mut self.rule.executor, &mut tuned].into_iter().zip(&mut times) {
                let begin = Instant::now();
                executor.run(executor.plan().batch, &self.input, false).await?;
                if round >= WARM_UP {
                    times.push(begin.elapsed().as_nanos() as i64);
                }
            }
        }
        Ok(times.map(|times| Samples::new(times).map_or(f64::NAN, |times| times.quantile(QUANTILE))))
    }
}

async fn prepare(
    gpu: &Gpu,
    network: &FoldedNetwork,
    options: &Options,
    shapes: &[OfShape],
    ways: Vec<usize>,
) -> Result<Subject, TuneError> {
    let named = shapes.iter().zip(&ways).map(|(shape, way)| (shape.shape.clone(), shape.names[*way].clone()));
    let choices = Choices { shapes: named.collect(), ..Choices::default() };
    let plan = lower("tune", network, Options { choices, ..options.clone() }, gpu.limits())?;
    let by_node = launches_by_node(&plan);
    let of_nodes = |shape: &OfShape| -> Vec<usize> {
        shape.nodes.iter().filter_map(|node| by_node.get(node.as_str())).flatten().copied().collect()
    };
    let mut launches: Vec<Vec<usize>> = shapes.iter().map(of_nodes).collect();
    for (index, shape) in shapes.iter().enumerate() {
        if let Some(expansion) = shape.expansion.filter(|_| ways[index] >= shape.alone) {
            let before = std::mem::take(&mut launches[expansion]);
            launches[index].extend(before);
        }
    }
    Ok(Subject { executor: GpuExecutor::new(gpu, plan, None).await?, ways, launches })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::gpu::GpuChoice;
    use crate::graph::networks::{Architecture, MobileNetV2};
    use crate::graph::{Weights, fold};
    use crate::tensor::Tensor;

    #[test]
    fn ways_that_compute_something_else_are_left_out() {
        let gpu = pollster::block_on(Gpu::open(&GpuChoice::Best)).expect("a GPU test needs a GPU");
        let base = MobileNetV2 { width: 0.1, classes: 4, input_size: 32, stem_stride: 2 };
        let graph = Architecture::MobileNetV2(base).build().unwrap();
        let weights: Weights = graph.parameters().into_iter().map(|p| (p.name, Tensor::filled(p.shape, 0.5))).collect();
        let network = fold(&graph, &weights).unwrap();
        let mut trials = pollster::block_on(Trials::new(&gpu, &network, Options::default())).unwrap();
        let faulty = trials.shapes.iter().position(|shape| shape.alone > 2).expect("a layer of several ways");
        let largest = trials.expected[faulty].iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        trials.expected[faulty][0] += 2.0 * largest.max(1.0);
        let plans = trials.plans();
        for (k, ways) in plans.iter().enumerate() {
            pollster::block_on(trials.add(ways.clone())).unwrap();
            pollster::block_on(trials.check(k)).unwrap();
        }
        let right = trials.shapes[faulty].rule_alone();
        let others: BTreeSet<usize> = plans.iter().map(|ways| ways[faulty]).filter(|way| *way != right).collect();
        assert!(others.len() > 1, "{others:?}");
        for (index, shape) in trials.shapes.iter().enumerate() {
            assert_eq!(shape.wrong, if index == faulty { others.clone() } else { BTreeSet::new() }, "{}", shape.shape);
        }
        assert!(trials.subjects.iter().all(|subject| subject.ways[faulty] == right));
    }
}
