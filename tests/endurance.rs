//! Many runs: each gives the same bits, and none leaves anything behind on the GPU or in the process.
#![cfg(feature = "gpu")]

mod common;

use common::generator;
use common::suite::gpu;
use dynaconv::exec::gpu::{Gpu, GpuExecutor, ObjectCounts, Results};
use dynaconv::graph::fold;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::lower::{Options, lower};

/// Two pictures of a small dynamic network, with their executor.
fn network(gpu: &Gpu) -> (GpuExecutor, Vec<f32>) {
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 16, stem_stride: 1 };
    let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().expect("a sound network");
    let folded = fold(&graph, &generator::weights(&graph)).expect("it folds");
    let plan = lower("small", &folded, Options { batch: 2, ..Options::default() }, gpu.limits()).expect("it lowers");
    let values = 2 * plan.input.map.padded_values();
    // Every fourth value is a padding lane, which holds zero.
    let input = generator::uniform("endurance").take(values).enumerate();
    let input = input.map(|(index, u)| if index % 4 == 3 { 0.0 } else { 4.0 * u as f32 - 2.0 }).collect();
    let executor = pollster::block_on(GpuExecutor::new(gpu, plan, None)).expect("the device takes the plan");
    (executor, input)
}

fn run(executor: &mut GpuExecutor, input: &[f32]) -> Results {
    pollster::block_on(executor.run(2, input, true)).expect("the run ends")
}

fn bits(results: &Results) -> Vec<u32> {
    results.best.iter().chain(results.scores.iter().flatten()).map(|value| value.to_bits()).collect()
}

/// Bytes of the process that are in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells a process its size");
    let pages: u64 =
        text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number is resident pages");
    pages * 4096
}

#[test]
fn a_thousand_runs_give_the_same_bits_and_leave_nothing_behind() {
    let gpu = gpu::open();
    let before = gpu.objects();
    let (mut executor, input) = network(&gpu);
    let loaded = gpu.objects();
    assert_counters_work(before, loaded);

    let first = bits(&run(&mut executor, &input));
    assert!(first.iter().all(|bits| f32::from_bits(*bits).is_finite()));
    run(&mut executor, &input);
    let settled = gpu.objects();
    for number in 3..=100 {
        assert_eq!(bits(&run(&mut executor, &input)), first, "run {number} differs from run 1");
    }
    let memory = resident();
    for number in 101..=1000 {
        assert_eq!(bits(&run(&mut executor, &input)), first, "run {number} differs from run 1");
    }
    assert_eq!(gpu.objects(), settled, "GPU objects were made by runs");
    let growth = resident().saturating_sub(memory);
    assert!(growth < 4 << 20, "the process grew by {growth} bytes in 900 runs");

    drop(executor);
    let (mut executor, _) = network(&gpu);
    assert_eq!(bits(&run(&mut executor, &input)), first, "a second executor differs from the first");
}

/// The counters see what an executor makes; else that they stand still would mean nothing.
fn assert_counters_work(before: ObjectCounts, loaded: ObjectCounts) {
    let pairs = [
        (before.buffers, loaded.buffers),
        (before.bind_groups, loaded.bind_groups),
        (before.bind_group_layouts, loaded.bind_group_layouts),
        (before.pipelines, loaded.pipelines),
        (before.buffer_bytes, loaded.buffer_bytes),
    ];
    for (index, (before, after)) in pairs.into_iter().enumerate() {
        assert!(after > before && after > 0, "counter {index} stands at {after} after {before}");
    }
}
