//! Cases of the kernels at a network's end: pools, fully connected layers, softmax and the best classes.

use dynaconv::kernels::{Pooling, linear, pool, top_k};

use super::convolution::exact;
use super::{ACTIVATIONS, CHANNELS, SEED, SIZES, Sampler, map_outputs, pack_heads, sums_output};
use crate::common::array::{Array, groups, pack, pack_map, pack_panels, pack_vector};
use crate::common::real::Real;
use crate::common::reference::{self, pixels_of_bin};
use crate::common::suite::{BATCH, Case, Output, Word};

pub fn linear() -> Vec<Case> {
    let mut sampler = Sampler::new("linear");
    let mut cases: Vec<Case> = (0..20).map(|index| linear_case(&mut sampler, index % 2 == 1)).collect();
    cases.extend([false, true].map(|branch| without_a_number(linear_case(&mut sampler, branch))));
    cases
}

/// The case with an input of the second picture that is not a number: nor is then any of its outputs.
fn without_a_number(mut case: Case) -> Case {
    let (name, values) = &mut case.inputs[0];
    assert_eq!(*name, "input");
    let length = values.len() / BATCH;
    values[length] = f32::NAN;
    let words = &mut case.outputs[0].words;
    let length = words.len() / BATCH;
    words[length..2 * length].fill(Word::NotANumber);
    case.name.push_str(", not a number");
    case
}

fn linear_case(sampler: &mut Sampler, branch: bool) -> Case {
    let (inputs, outputs) = (sampler.one_of(&[1, 4, 13, 33, 40, 100]), sampler.one_of(&[1, 3, 10, 33, 40, 101]));
    let latent = if branch { sampler.one_of(&[4, 7, 32]) } else { 0 };
    let nonlinearity = sampler.one_of(&ACTIVATIONS);
    let name = format!("{SEED} linear {inputs}→{outputs} latent {latent} {nonlinearity:?}");
    let vectors = |what: &str, length| Array::random(&format!("{name} {what}"), [BATCH, length, 1, 1], -1.0, 1.0);
    let (x, t) = (vectors("x", inputs), vectors("t", latent));
    let w0 = Array::random(&format!("{name} w0"), [outputs, inputs], -1.0, 1.0);
    let p = Array::random(&format!("{name} p"), [outputs, latent], -1.0, 1.0);
    let bias = Array::random(&format!("{name} b"), [outputs], -4.0, 6.0);
    let scaled_bias = Array::random(&format!("{name} sb"), [outputs], -1.0, 1.0);
    let lambda = Array::random(&format!("{name} lambda"), [BATCH, outputs], 0.0, 2.0);
    let ignored = Array::random(&format!("{name} m"), [BATCH, latent, latent], -1.0, 1.0);

    let mut sums = reference::pointwise(&x, &Array::from_fn([BATCH, outputs, inputs], |[_, o, i]| w0.at([o, i])));
    let mut block = [pack_panels(&w0), pack_vector(&bias)].concat();
    if branch {
        let low_rank = reference::pointwise(&t, &Array::from_fn([BATCH, outputs, latent], |[_, o, l]| p.at([o, l])));
        sums = reference::map(&sums, |index @ [picture, c, _, _], sum| {
            (sum + scaled_bias.at([c])) * lambda.at([picture, c]) + low_rank.at(index)
        });
        block.extend([pack_panels(&p), pack_vector(&scaled_bias)].concat());
    }
    let maps = reference::epilogue(&sums, |_, c| bias.at([c]), nonlinearity, None);
    let shape = linear::Shape { in_groups: groups(inputs), out_groups: groups(outputs), latent_groups: groups(latent) };
    Case {
        dispatch: linear::dispatch(shape, nonlinearity),
        inputs: vec![
            ("input", pack_map(&x, 0.0)),
            ("weights", block),
            ("heads", pack_heads(&ignored, &lambda)),
            ("latent", pack_map(&t, 0.0)),
        ],
        outputs: map_outputs(&maps, None),
        name,
    }
}

/// All entries on every size, with both pools where they have them.
pub fn pool() -> Vec<Case> {
    let mut sampler = Sampler::new("pool");
    let mut cases = Vec::new();
    for [height, width] in SIZES {
        for pooling in [Pooling::Global, Pooling::TwoByTwo] {
            // 300 channels need a second workgroup.
            let channels = if height == 5 { 300 } else { sampler.one_of(&CHANNELS) };
            let shape = pool::Shape { height: height as u32, width: width as u32, groups: groups(channels) };
            if pooling == Pooling::Global {
                cases.push(pool_mean(shape, channels));
            }
            cases.push(pool_sum(shape, channels, pooling));
            cases.push(pool_finish(shape, channels, pooling, sampler.one_of(&[1, 3, 7])));
        }
    }
    cases
}

fn pool_sum(shape: pool::Shape, channels: usize, pooling: Pooling) -> Case {
    let (height, width) = (shape.height as usize, shape.width as usize);
    let name = format!("{SEED} pool sum {height}×{width}×{channels} {pooling:?}");
    let map = Array::random(&name, [BATCH, channels, height, width], -1.0, 1.0);
    let sums = sums_output("row_sums", &exact(&map), pooling, shape.height);
    Case { dispatch: pool::sum(shape, pooling), inputs: vec![("map", pack_map(&map, 0.0))], outputs: vec![sums], name }
}

fn pool_mean(shape: pool::Shape, channels: usize) -> Case {
    let (height, width) = (shape.height as usize, shape.width as usize);
    let name = format!("{SEED} pool mean {height}×{width}×{channels}");
    let map = Array::random(&name, [BATCH, channels, height, width], -1.0, 1.0);
    let words = pack([BATCH, channels], [false, true], Word::Is(Real::ZERO), |[p, c]| {
        let pixels = (0..height * width).map(|pixel| map.at([p, c, pixel / width, pixel % width]).into());
        Word::Is(Real::sum(pixels).over((height * width) as f32))
    });
    Case {
        dispatch: pool::mean(shape),
        inputs: vec![("map", pack_map(&map, 0.0))],
        outputs: vec![Output { name: "means", slots: 1, words }],
        name,
    }
}

fn pool_finish(shape: pool::Shape, channels: usize, pooling: Pooling, slots: usize) -> Case {
    let (height, width) = (shape.height as usize, shape.width as usize);
    let bins = pooling.count() as usize;
    let name = format!("{SEED} pool finish {height}×{width}×{channels} {pooling:?} {slots} slots");
    let partials = Array::random(&name, [BATCH, slots, bins, channels], -9.0, 9.0);
    let words = pack([BATCH, bins, channels], [false, false, true], Word::Is(Real::ZERO), |[p, bin, c]| {
        let sum = Real::sum((0..slots).map(|slot| partials.at([p, slot, bin, c]).into()));
        Word::Is(sum.over(pixels_of_bin(height, width, bin, pooling) as f32))
    });
    Case {
        dispatch: pool::finish(shape, slots as u32, pooling),
        inputs: vec![("partials", pack(partials.shape, [false, false, false, true], 0.0, |index| partials.at(index)))],
        outputs: vec![Output { name: "means", slots: 1, words }],
        name,
    }
}

/// Kinds of class scores.
#[derive(Clone, Copy, Debug)]
enum Scores {
    Random,
    /// Many equal ones: whole numbers from −2 to 2.
    Ties,
    /// So far apart that exponentials vanish, and so large that they would overflow unless the largest is subtracted.
    Extreme,
    /// Some are not numbers.
    WithNan,
    /// The first picture has a class at plus infinity, the others have several at minus infinity.
    Infinite,
}

pub fn top_k() -> Vec<Case> {
    let mut cases = Vec::new();
    for classes in [1, 3, 10, 64, 67, 150] {
        for kind in [Scores::Random, Scores::Ties, Scores::Extreme, Scores::WithNan, Scores::Infinite] {
            let scores = scores(classes, kind);
            for software in [false, true] {
                cases.push(softmax_case(classes, kind, software, &scores));
                for count in if classes == 10 { (1..=10).collect() } else { vec![1, classes.min(5), classes] } {
                    cases.push(best_case(classes, kind, count, software, &scores));
                }
            }
        }
    }
    cases
}

fn scores(classes: usize, kind: Scores) -> Array<f32, 2> {
    let (low, high) = match kind {
        Scores::Extreme => (-300.0, 300.0),
        _ => (-2.5, 2.5),
    };
    let random = Array::random(&format!("{SEED} scores {classes} {kind:?}"), [BATCH, classes], low, high);
    Array::from_fn(random.shape, |[p, c]| match kind {
        Scores::Ties => random.at([p, c]).round(),
        Scores::Extreme if (p, c) == (1, classes / 2) => 3e38,
        Scores::Extreme if (p, c) == (2, classes / 3) => -3e38,
        Scores::WithNan if c % 3 == p => f32::NAN,
        Scores::Infinite if p == 0 && c == classes / 2 => f32::INFINITY,
        Scores::Infinite if p > 0 && c % 2 == 1 => f32::NEG_INFINITY,
        _ => random.at([p, c]),
    })
}

/// The probability of every class.
fn probability(scores: &Array<f32, 2>, picture: usize, class: usize) -> Word {
    let row = (0..scores.shape[1]).map(|c| scores.at([picture, c]));
    // Softmax knows no infinity above: it is infinity divided by itself.
    if row.clone().any(|score| score.is_nan() || score == f32::INFINITY) {
        return Word::NotANumber;
    }
    let highest = row.clone().fold(f32::NEG_INFINITY, f32::max);
    let exponential = |score: f32| (Real::from(score) + -highest).exp();
    Word::Is(exponential(scores.at([picture, class])).over(Real::sum(row.map(exponential))))
}

fn pack_scores(scores: &Array<f32, 2>) -> Vec<f32> {
    // Nothing may look at the classes past the last.
    pack(scores.shape, [false, true], 1e30, |index| scores.at(index))
}

fn softmax_case(classes: usize, kind: Scores, software: bool, scores: &Array<f32, 2>) -> Case {
    let zero = Word::Is(Real::ZERO);
    Case {
        name: format!("{SEED} softmax of {classes} {kind:?} software {software}"),
        dispatch: top_k::softmax(classes as u32, software),
        inputs: vec![("scores", pack_scores(scores))],
        outputs: vec![Output {
            name: "probabilities",
            slots: 1,
            words: pack(scores.shape, [false, true], zero, |[p, c]| probability(scores, p, c)),
        }],
    }
}

fn best_case(classes: usize, kind: Scores, count: usize, software: bool, scores: &Array<f32, 2>) -> Case {
    let mut words = Vec::new();
    for picture in 0..BATCH {
        let score = |class: &usize| scores.at([picture, *class]);
        let mut order: Vec<usize> = (0..classes).filter(|class| !score(class).is_nan()).collect();
        order.sort_by(|a, b| score(b).partial_cmp(&score(a)).expect("numbers").then(a.cmp(b)));
        for rank in 0..count {
            // Where there are not enough numbers the class is `classes`, which no class is.
            let class = order.get(rank).copied().unwrap_or(classes);
            words.push(Word::Is((class as f32).into()));
            words.push(probability(scores, picture, class.min(classes - 1)));
        }
    }
    Case {
        name: format!("{SEED} best {count} of {classes} {kind:?} software {software}"),
        dispatch: top_k::top_k(classes as u32, count as u32, software),
        inputs: vec![("scores", pack_scores(scores))],
        outputs: vec![Output { name: "best", slots: 1, words }],
    }
}
