//! Whole networks against PyTorch's scores.

mod common;

#[cfg(feature = "gpu")]
use common::generator;
use common::golden::{assert_close, case};
use dynaconv::exec::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use dynaconv::exec::gpu::{Gpu, GpuChoice, GpuExecutor};
#[cfg(feature = "gpu")]
use dynaconv::graph::fold;
#[cfg(feature = "gpu")]
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::kernels::Precision;
#[cfg(feature = "gpu")]
use dynaconv::kernels::wgsl;
use dynaconv::lower::{Form, FormChoice, Options, lower};
use dynaconv::plan::Limits;
use dynaconv::tensor::{channels_last_from_nchw, nchw_from_channels_last};

const FORMS: [FormChoice; 4] = [
    FormChoice::Auto,
    FormChoice::Always(Form::Assemble),
    FormChoice::Always(Form::Branch),
    FormChoice::Always(Form::InLoad),
];

/// Sums in another order than PyTorch's f64: errors stay far below this share of the largest score.
const TOLERANCE: f32 = 1e-4;

/// Where each map is rounded to halves: a rounding of 2⁻¹¹ in each of some fifty layers, added up as noise is, is 3.5e-3; what
/// these networks' layers do to the noise of those before has room beside it.
const HALF_TOLERANCE: f32 = 1e-2;
/// The same where Φ and λ, which follow from rounded maps, multiply what comes after.
const HALF_TOLERANCE_DYNAMIC: f32 = 8e-2;

/// What every device allows, software without subgroups and with small ones, and software of two cores, which computes a dynamic
/// convolution in one launch.
fn limits() -> [Limits; 4] {
    let anywhere = Limits::default();
    let software = Limits { software: true, ..anywhere };
    let quads = Limits { quads: true, ..software };
    [anywhere, software, quads, Limits { subgroup: Some(8), whole_subgroups: true, cores: 2, ..software }]
}

fn cpu_scores_agree(name: &str, forms: &[FormChoice]) {
    cpu_scores_agree_within(TOLERANCE, Precision::F32, name, forms);
}

fn cpu_scores_agree_within(tolerance: f32, precision: Precision, name: &str, forms: &[FormChoice]) {
    let golden = case(name);
    assert_eq!(golden.graph.parameter_count(), golden.parameters);
    let folded = golden.folded();
    for (form, limits) in forms.iter().flat_map(|form| limits().map(|limits| (form, limits))) {
        let options = Options { batch: golden.batch as u32, form: *form, precision, ..Options::default() };
        let plan = lower(name, &folded, options, limits).unwrap();
        let scores = plan.scores;
        let mut executor = CpuExecutor::new(plan).unwrap();
        let input = channels_last_from_nchw(golden.graph.input(), golden.input().data());
        executor.input_mut().copy_from_slice(&input);
        executor.run(golden.batch as u32);
        let found = nchw_from_channels_last(scores.map, executor.view(scores.view));
        let what = format!("{name} {form:?} software {} {} cores", limits.software, limits.cores);
        assert_close(&what, &found, golden.expected("logits").data(), tolerance);
    }
}

#[test]
fn cpu_static_mobilenet() {
    cpu_scores_agree("mobilenet_v2_100_224", &FORMS[..1]);
    cpu_scores_agree("mobilenet_v2_050_75", &FORMS[..1]);
}

#[test]
fn cpu_dynamic_mobilenet() {
    cpu_scores_agree("dcd_050_32_stem1", &FORMS);
    cpu_scores_agree("dcd_035_96", &FORMS);
    cpu_scores_agree("dcd_100_97", &FORMS);
    cpu_scores_agree("dcd_100_224", &FORMS);
}

#[test]
fn cpu_efficientnet_lite() {
    cpu_scores_agree("efficientnet_lite0_96", &FORMS[..1]);
    cpu_scores_agree("efficientnet_lite0_224", &FORMS[..1]);
}

#[test]
fn cpu_with_halves() {
    let agree = |tolerance, name, forms| cpu_scores_agree_within(tolerance, Precision::F16, name, forms);
    agree(HALF_TOLERANCE, "mobilenet_v2_100_224", &FORMS[..1]);
    agree(HALF_TOLERANCE, "efficientnet_lite0_96", &FORMS[..1]);
    agree(HALF_TOLERANCE_DYNAMIC, "dcd_035_96", &FORMS);
    agree(HALF_TOLERANCE_DYNAMIC, "dcd_100_97", &FORMS);
}

#[cfg(feature = "gpu")]
fn gpu_scores_agree(name: &str, forms: &[FormChoice]) {
    gpu_scores_agree_within(TOLERANCE, Precision::F32, name, forms);
}

#[cfg(feature = "gpu")]
fn gpu_scores_agree_within(tolerance: f32, precision: Precision, name: &str, forms: &[FormChoice]) {
    let golden = case(name);
    let folded = golden.folded();
    let gpu = pollster::block_on(Gpu::open(&GpuChoice::Best)).expect("a GPU test needs a GPU, if only a software one");
    // What is small is computed as with another number of cores too, for which software has other launches.
    let own = gpu.limits();
    let other = Limits { cores: if own.cores == 2 { 0 } else { 2 }, ..own };
    let small = golden.graph.input().height < 97;
    let runs = forms.iter().flat_map(|form| [Some(own), small.then_some(other)].map(|limits| (form, limits)));
    for (form, limits) in runs.filter_map(|(form, limits)| Some((form, limits?))) {
        let options = Options { batch: golden.batch as u32, form: *form, precision, ..Options::default() };
        let plan = lower(name, &folded, options, limits).unwrap();
        let mut executor = pollster::block_on(GpuExecutor::new(&gpu, plan, None)).unwrap();
        let input = channels_last_from_nchw(golden.graph.input(), golden.input().data());
        let results = pollster::block_on(executor.run(golden.batch as u32, &input, true)).unwrap();
        let found = nchw_from_channels_last(executor.plan().scores.map, &results.scores.unwrap());
        let what = format!("{name} {form:?} {} cores", limits.cores);
        assert_close(&what, &found, golden.expected("logits").data(), tolerance);
    }
}

/// The plans and texts that hardware and software without subgroups of eight get, run by whatever adapter there is.
#[cfg(feature = "gpu")]
#[test]
fn gpu_as_others() {
    let gpu = pollster::block_on(Gpu::open(&GpuChoice::Best)).expect("a GPU test needs a GPU, if only a software one");
    let Limits { quads, subgroup, .. } = gpu.limits();
    let plain =
        Limits { software: false, quads: false, subgroup: None, whole_subgroups: false, cores: 0, ..gpu.limits() };
    let software = Limits { software: true, ..plain };
    let limits = [plain, Limits { quads, subgroup, ..plain }, software, Limits { quads, ..software }];
    for (name, forms) in
        [("mobilenet_v2_050_75", &FORMS[..1]), ("dcd_050_32_stem1", &FORMS), ("dcd_035_96", &FORMS[..1])]
    {
        let golden = case(name);
        let folded = golden.folded();
        let input = channels_last_from_nchw(golden.graph.input(), golden.input().data());
        for (form, limits) in forms.iter().flat_map(|form| limits.map(|limits| (form, limits))) {
            let options = Options { batch: golden.batch as u32, form: *form, ..Options::default() };
            let plan = lower(name, &folded, options, limits).unwrap();
            let executor = GpuExecutor::with_sources(&gpu, plan, None, &wgsl);
            let mut executor = pollster::block_on(executor).unwrap();
            let results = pollster::block_on(executor.run(golden.batch as u32, &input, true)).unwrap();
            let found = nchw_from_channels_last(executor.plan().scores.map, &results.scores.unwrap());
            let Limits { software, quads, subgroup, .. } = limits;
            let what = format!("{name} {form:?} software {software}, quads {quads}, subgroups {subgroup:?}");
            assert_close(&what, &found, golden.expected("logits").data(), TOLERANCE);
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_static_mobilenet() {
    gpu_scores_agree("mobilenet_v2_100_224", &FORMS[..1]);
    gpu_scores_agree("mobilenet_v2_050_75", &FORMS[..1]);
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_dynamic_mobilenet() {
    gpu_scores_agree("dcd_050_32_stem1", &FORMS);
    gpu_scores_agree("dcd_035_96", &FORMS);
    gpu_scores_agree("dcd_100_97", &FORMS);
    gpu_scores_agree("dcd_100_224", &FORMS);
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_efficientnet_lite() {
    gpu_scores_agree("efficientnet_lite0_96", &FORMS[..1]);
    gpu_scores_agree("efficientnet_lite0_224", &FORMS[..1]);
}

#[cfg(feature = "gpu")]
#[test]
fn gpu_with_halves() {
    let agree = |tolerance, name, forms| gpu_scores_agree_within(tolerance, Precision::F16, name, forms);
    agree(HALF_TOLERANCE, "mobilenet_v2_100_224", &FORMS[..1]);
    agree(HALF_TOLERANCE, "efficientnet_lite0_96", &FORMS[..1]);
    agree(HALF_TOLERANCE_DYNAMIC, "dcd_035_96", &FORMS);
    agree(HALF_TOLERANCE_DYNAMIC, "dcd_100_97", &FORMS);
}

/// Their channels come in groups that fill no whole tiles, as those of the golden networks do.
#[cfg(feature = "gpu")]
#[test]
fn gpu_networks_of_other_widths_agree_with_the_cpu() {
    let gpu = pollster::block_on(Gpu::open(&GpuChoice::Best)).expect("these tests need a GPU");
    for (width, input_size) in [(1.1, 224), (1.4, 64)] {
        let base = MobileNetV2 { input_size, ..MobileNetV2::imagenet(width) };
        let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().unwrap();
        let folded = fold(&graph, &generator::weights(&graph)).unwrap();
        for form in &FORMS[..2] {
            let options = Options { form: *form, ..Options::default() };
            let plan = |limits| lower("wide", &folded, options.clone(), limits).unwrap();
            let mut cpu = CpuExecutor::new(plan(Limits::default())).unwrap();
            let input: Vec<f32> = (0..cpu.input_mut().len()).map(|index| (index % 23) as f32 / 8.0 - 1.0).collect();
            cpu.input_mut().copy_from_slice(&input);
            cpu.run(1);
            let expected = cpu.view(cpu.plan().scores.view);
            let mut executor = pollster::block_on(GpuExecutor::new(&gpu, plan(gpu.limits()), None)).unwrap();
            let found = pollster::block_on(executor.run(1, &input, true)).unwrap().scores.unwrap();
            assert_close(&format!("×{width} at {input_size}, {form:?}"), &found, expected, TOLERANCE);
        }
    }
}
