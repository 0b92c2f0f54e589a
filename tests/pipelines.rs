//! Compiled pipelines that are kept from one start to the next, and runs that are under way at once.
#![cfg(feature = "gpu")]

mod common;

use common::generator;
use common::suite::gpu;
use dynaconv::classifier::{Classifier, ClassifierError, FoldedModel, block_on};
use dynaconv::exec::gpu::{Gpu, GpuError, GpuExecutor, Results};
use dynaconv::graph::fold;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::lower::{Options, lower};
use dynaconv::model::Model;
use dynaconv::picture::Picture;
use dynaconv::plan::Plan;
use dynaconv::profile::Profiler;

const BATCH: u32 = 2;

fn plan(gpu: &Gpu, dynamic: bool) -> Plan {
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 16, stem_stride: 1 };
    let architecture =
        if dynamic { Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 } } else { Architecture::MobileNetV2(base) };
    let graph = architecture.build().expect("a sound network");
    let folded = fold(&graph, &generator::weights(&graph)).expect("it folds");
    lower("small", &folded, Options { batch: BATCH, ..Options::default() }, gpu.limits()).expect("it lowers")
}

fn prepare(gpu: &Gpu, dynamic: bool) -> GpuExecutor {
    block_on(GpuExecutor::new(gpu, plan(gpu, dynamic), None)).expect("the device takes the plan")
}

/// Prepared pictures whose padding lanes are zero.
fn input(executor: &GpuExecutor, name: &str, pictures: u32) -> Vec<f32> {
    let values = pictures as usize * executor.plan().input.map.padded_values();
    let values = generator::uniform(name).take(values).enumerate();
    values.map(|(index, u)| if index % 4 == 3 { 0.0 } else { 4.0 * u as f32 - 2.0 }).collect()
}

#[test]
fn kept_pipelines_are_taken_back_and_nothing_else_is() {
    let mut gpu = gpu::open();
    if gpu.info().api != "vulkan" {
        assert!(!gpu.keep_pipelines(&[]), "only Vulkan gives pipelines out");
        return;
    }
    assert_eq!(gpu.new_pipelines(), None, "nobody asked for them");
    assert!(!gpu.keep_pipelines(&[]));
    assert_eq!(gpu.new_pipelines(), None, "none was compiled");
    let mut executor = prepare(&gpu, false);
    let pictures = input(&executor, "kept", 1);
    let expected = block_on(executor.run(1, &pictures, true)).expect("the run ends");
    let bytes = gpu.new_pipelines().expect("pipelines were compiled");
    assert_eq!(gpu.new_pipelines(), None, "they were given out");

    let mut next = gpu::open();
    assert!(next.keep_pipelines(&bytes));
    let mut executor = prepare(&next, false);
    assert_eq!(block_on(executor.run(1, &pictures, true)), Ok(expected.clone()));
    assert_eq!(next.new_pipelines(), None, "all of them were known");
    drop(prepare(&next, true));
    let more = next.new_pipelines().expect("a dynamic network needs others");
    assert!(more.len() > bytes.len());

    for at in [0, 16, 24, 32, 40, bytes.len() / 2, bytes.len() - 1] {
        let mut broken = bytes.clone();
        broken[at] ^= 0x40;
        let mut next = gpu::open();
        assert!(!next.keep_pipelines(&broken), "byte {at} is another");
        let mut executor = prepare(&next, false);
        assert_eq!(block_on(executor.run(1, &pictures, true)), Ok(expected.clone()));
        assert!(next.new_pipelines().is_some(), "what cannot be used is made anew");
    }
}

#[test]
fn two_runs_may_be_under_way_and_disturb_neither_the_other() {
    let gpu = gpu::open();
    let mut executor = prepare(&gpu, true);
    let inputs: Vec<_> = ["a", "b", "c"].map(|name| input(&executor, name, BATCH)).into();
    let alone: Vec<_> =
        inputs.iter().map(|input| block_on(executor.run(BATCH, input, true)).expect("the run ends")).collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2], "the inputs should give different results");
    let made = gpu.objects();
    for _ in 0..20 {
        let first = block_on(executor.start_values(BATCH, &inputs[0], true)).unwrap();
        let second = block_on(executor.start_values(BATCH, &inputs[1], true)).unwrap();
        let third = block_on(executor.start_values(BATCH, &inputs[2], true)).map(drop);
        assert_eq!(third, Err(GpuError::Busy { most: 2 }));
        assert_eq!(block_on(first.results()).as_ref(), Ok(&alone[0]));
        let third = block_on(executor.start_values(BATCH, &inputs[2], true)).unwrap();
        assert_eq!(block_on(second.results()).as_ref(), Ok(&alone[1]));
        assert_eq!(block_on(third.results()).as_ref(), Ok(&alone[2]));
    }
    assert_eq!(gpu.objects(), made, "GPU objects were made by runs");
}

/// Each run differs from the one before, for which it would have been recorded ahead.
#[test]
fn what_is_recorded_ahead_serves_no_other_run() {
    let gpu = gpu::open();
    let mut executor = prepare(&gpu, true);
    let inputs = ["a", "b"].map(|name| input(&executor, name, BATCH));
    let alone = inputs.each_ref().map(|input| block_on(executor.run(BATCH, input, true)).expect("the run ends"));
    assert_ne!(alone[0], alone[1], "the inputs should give different results");
    let one = inputs.each_ref().map(|input| &input[..input.len() / BATCH as usize]);
    let is_first_of = |found: Results, all: &Results| {
        let (scores, of_all) = (found.scores.unwrap(), all.scores.as_ref().unwrap());
        assert_eq!(scores, of_all[..scores.len()]);
        assert_eq!(found.best, all.best[..found.best.len()]);
    };
    for _ in 0..3 {
        // One picture after two, by both ways of its values, and after a part of a run.
        is_first_of(block_on(executor.run(1, one[0], true)).unwrap(), &alone[0]);
        is_first_of(block_on(executor.start(one[1], true).unwrap().results()).unwrap(), &alone[1]);
        block_on(executor.run_first(3, 1, one[1])).unwrap();
        executor.run_on(7);
        executor.run_on(executor.plan().passes.len());
        let scores = block_on(executor.read(executor.plan().scores.view)).unwrap();
        assert_eq!(scores[..10], alone[1].scores.as_ref().unwrap()[..10]);
        is_first_of(block_on(executor.run(1, one[0], true)).unwrap(), &alone[0]);
        // Without scores after a run with them.
        let best = block_on(executor.run(BATCH, &inputs[1], false)).unwrap();
        assert_eq!(best, Results { best: alone[1].best.clone(), scores: None });
        // The buffers come back in another order than they went.
        let first = block_on(executor.start_values(BATCH, &inputs[0], true)).unwrap();
        let second = block_on(executor.start_values(BATCH, &inputs[1], true)).unwrap();
        assert_eq!(block_on(second.results()).as_ref(), Ok(&alone[1]));
        let third = block_on(executor.start_values(BATCH, &inputs[1], true)).unwrap();
        assert_eq!(block_on(first.results()).as_ref(), Ok(&alone[0]));
        assert_eq!(block_on(third.results()).as_ref(), Ok(&alone[1]));
        // A run that nobody waits for.
        drop(block_on(executor.start_values(BATCH, &inputs[0], true)).unwrap());
    }
}

#[test]
fn batches_of_pictures_under_way_give_what_each_gives_alone() {
    let model = Model::load("assets/models/mobilenet-v2-dcd-cifar10.safetensors").unwrap();
    let folded = FoldedModel::new(&model).unwrap();
    // Software takes the larger batch in several runs.
    for batch in [2, 6] {
        let options = Options { batch, ..Options::default() };
        let classifier = block_on(Classifier::on_gpu(&folded, gpu::open(), options)).unwrap();
        assert_eq!(classifier.plan().runs > 1, classifier.is_software() && batch > 4);
        batches_under_way(classifier);
    }
}

fn batches_under_way(mut classifier: Classifier) {
    let batch = classifier.batch() as usize;
    // The third is larger than what there is memory for at first.
    let picture = |width: u32, height: u32, seed: u32| {
        let levels = (0..3 * width * height).map(|index| (index.wrapping_mul(seed) % 251) as u8);
        Picture::from_rgb(width, height, levels.collect()).unwrap()
    };
    let sizes = [(40, 30), (64, 64), (1800, 1600), (33, 90)];
    let pictures: Vec<_> =
        (7..).zip(sizes.iter().cycle()).map(|(seed, (w, h))| picture(*w, *h, seed)).take(2 * batch).collect();
    let pictures: Vec<_> = pictures.iter().collect();
    let alone: Vec<_> =
        pictures.iter().flat_map(|picture| block_on(classifier.classify(&[*picture])).unwrap()).collect();
    let first = block_on(classifier.start_batch(&pictures[..batch])).unwrap();
    let second = block_on(classifier.start_batch(&pictures[batch..])).unwrap();
    assert_eq!(block_on(first.guesses()).unwrap(), alone[..batch]);
    assert_eq!(block_on(second.guesses()).unwrap(), alone[batch..]);
    assert!(alone.iter().any(|guesses| guesses != &alone[0]), "the pictures should differ");
    let few = block_on(classifier.start_batch(&pictures[1..batch])).unwrap();
    assert_eq!(block_on(few.guesses()).unwrap(), alone[1..batch]);
    // A batch that nobody waits for gives its answer to none after it.
    let first = block_on(classifier.start_batch(&pictures[..batch])).unwrap();
    drop(block_on(classifier.start_batch(&pictures[batch..])).unwrap());
    let third = block_on(classifier.start_batch(&pictures[..batch])).unwrap();
    assert_eq!(block_on(first.guesses()).unwrap(), alone[..batch]);
    let fourth = block_on(classifier.start_batch(&pictures[batch..])).unwrap();
    assert_eq!(block_on(third.guesses()).unwrap(), alone[..batch]);
    assert_eq!(block_on(fourth.guesses()).unwrap(), alone[batch..]);
    assert!(block_on(classifier.start_batch(&pictures)).is_err(), "more than a batch");
    for pictures in [0, u32::MAX] {
        let error = block_on(classifier.profile(&Profiler::default(), pictures)).unwrap_err();
        assert!(matches!(error, ClassifierError::Batch { .. }), "{error}");
    }
}
