//! Plans as text in git and their totals.

mod common;

use std::collections::BTreeSet;

use common::generator;
use common::small::{ones, small, software};
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::graph::{Activation, FoldedNetwork, Graph, GraphBuilder, Op, fold};
use dynaconv::kernels::{Access, Kernel, Precision};
use dynaconv::lower::{Form, FormChoice, LowerError, Options, lower, multiply_adds};
use dynaconv::plan::{Limits, Plan};
use dynaconv::tensor::Map;
use proptest::prelude::*;

const ASSEMBLE: FormChoice = FormChoice::Always(Form::Assemble);
const BRANCH: FormChoice = FormChoice::Always(Form::Branch);
const IN_LOAD: FormChoice = FormChoice::Always(Form::InLoad);

fn static_network() -> Architecture {
    Architecture::MobileNetV2(MobileNetV2::imagenet(1.0))
}

fn dynamic_network() -> Architecture {
    Architecture::MobileNetV2Dcd { base: MobileNetV2::imagenet(1.0), fc_squeeze: 16 }
}

fn folded(architecture: &Architecture) -> FoldedNetwork {
    let graph = architecture.build().expect("a sound network");
    fold(&graph, &generator::weights(&graph)).expect("it folds")
}

fn plan_of(name: &str, network: &FoldedNetwork, form: FormChoice) -> Plan {
    lower(name, network, Options { form, ..Options::default() }, Limits::default()).expect("it lowers")
}

/// Software without subgroups, as browsers have it.
fn plain_software() -> Limits {
    Limits { software: true, ..Limits::default() }
}

/// A form with what every device allows, with software without subgroups and with small ones, and with software of two cores, where dynamic
/// convolutions are one launch.
fn on_all_kinds(form: FormChoice) -> [(FormChoice, Limits); 4] {
    let quads = Limits { quads: true, ..plain_software() };
    [Limits::default(), plain_software(), quads, Limits { cores: 2, ..software() }].map(|limits| (form, limits))
}

#[test]
fn software_with_small_subgroups_loads_in_quads_and_shares_in_buffers() {
    let limits = Limits { quads: true, ..plain_software() };
    let plan = lower("n", &folded(&dynamic_network()), Options::default(), limits).expect("it lowers");
    let has = |kernel: &Kernel| plan.passes.iter().any(|pass| pass.dispatch.kernel == *kernel);
    let own = [Kernel::ConvDenseQuad, Kernel::ConvPointwiseQuad, Kernel::LatentQuad, Kernel::ControllerAssembleQuad];
    let shared = [Kernel::ControllerScratch];
    assert!(own.iter().chain(&shared).all(has), "{plan}");
    let others = [
        Kernel::Controller,
        Kernel::ControllerAssemble,
        Kernel::ControllerAssembleScratch,
        Kernel::ConvPointwiseWide,
        Kernel::LatentWide,
    ];
    assert!(!others.iter().any(has), "{plan}");
}

#[test]
fn halves_take_half_the_memory() {
    for architecture in [static_network(), dynamic_network()] {
        let network = folded(&architecture);
        let plan = |precision| {
            lower("n", &network, Options { precision, ..Options::default() }, Limits::default()).expect("it lowers")
        };
        let (single, half) = (plan(Precision::F32), plan(Precision::F16));
        // Sums, M(x) and λ(x) stay f32; blocks begin at multiples of 256 bytes.
        let share = |half: u64, single: u64| half as f64 / single as f64;
        assert!(share(half.weights.len() as u64, single.weights.len() as u64) < 0.505);
        assert!(share(half.activation_bytes(), single.activation_bytes()) < 0.6, "{half}");
        // The classifier's controller, which begins with f32, sums up the one pixel that is stored as halves.
        let dynamic = usize::from(architecture == dynamic_network());
        assert_eq!(half.passes.len(), single.passes.len() + dynamic);
        let kernels = |plan: &Plan| plan.passes.iter().map(|pass| pass.dispatch.kernel).collect::<BTreeSet<_>>();
        assert_eq!(kernels(&half).difference(&kernels(&single)).count(), 0);
        for pass in &half.passes {
            let stored = !pass.dispatch.kernel.spec().stored.is_empty();
            assert_eq!(pass.dispatch.precision == Precision::F16, stored, "{}", pass.node);
        }
    }
}

#[test]
fn views_that_are_stored_otherwise_than_the_kernel_takes_them_are_refused() {
    let network = folded(&static_network());
    let mut plan = plan_of("n", &network, FormChoice::Auto);
    plan.passes[0].bindings[0].precision = Precision::F16;
    let error = plan.validate().unwrap_err().to_string();
    assert!(error.contains("`input` is stored as f16, the kernel takes f32"), "{error}");
    let mut plan = plan_of("n", &network, FormChoice::Auto);
    plan.passes.clear();
    plan.best.precision = Precision::F16;
    assert_eq!(plan.validate().unwrap_err().to_string(), "the best classes: is stored as f16, expected f32");
}

#[test]
fn weights_that_halves_cannot_hold_are_refused() {
    let graph = static_network().build().expect("a sound network");
    let mut weights = generator::weights(&graph);
    weights.get_mut("classifier.1.bias").expect("a bias").data_mut()[3] = 70_000.0;
    let network = fold(&graph, &weights).expect("it folds");
    let lowered = |precision| lower("n", &network, Options { precision, ..Options::default() }, Limits::default());
    assert!(lowered(Precision::F32).is_ok());
    let error = lowered(Precision::F16).unwrap_err().to_string();
    assert!(error.contains("classifier") && error.contains("larger than 65504"), "{error}");
}

/// A change in one of these is a change of fusion, of kernel choice or of memory: look at it, then accept it with
/// `INSTA_UPDATE=always cargo test --test plans`.
#[test]
fn plans_are_those_in_git() {
    insta::assert_snapshot!("mobilenet_v2", plan_of("mobilenet_v2", &folded(&static_network()), FormChoice::Auto));
    let lite = folded(&Architecture::EfficientNetLite0 { classes: 1000, input_size: 224 });
    insta::assert_snapshot!("efficientnet_lite0", plan_of("efficientnet_lite0", &lite, FormChoice::Auto));

    let dynamic = folded(&dynamic_network());
    let auto = plan_of("mobilenet_v2_dcd", &dynamic, FormChoice::Auto);
    insta::assert_snapshot!("mobilenet_v2_dcd_auto", &auto);
    let software = software();
    let on_software = lower("mobilenet_v2_dcd", &dynamic, Options::default(), software).expect("it lowers");
    insta::assert_snapshot!("mobilenet_v2_dcd_software", &on_software);
    let on_two_cores =
        lower("mobilenet_v2_dcd", &dynamic, Options::default(), Limits { cores: 2, ..software }).expect("it lowers");
    insta::assert_snapshot!("mobilenet_v2_dcd_two_cores", &on_two_cores);
    let in_browsers = lower("mobilenet_v2_dcd", &dynamic, Options::default(), plain_software()).expect("it lowers");
    insta::assert_snapshot!("mobilenet_v2_dcd_plain_software", &in_browsers);
    // What the next launch computes too keeps launches of its own, and so does the classifier.
    let of = |kernel| on_two_cores.passes.iter().filter(move |pass| pass.dispatch.kernel == kernel);
    assert_eq!(
        [Kernel::ConvDynamicSubgroup, Kernel::ControllerAssembleSubgroup].map(|kernel| of(kernel).count()),
        [29, 3]
    );
    assert_eq!(on_two_cores.passes.len() + 36, on_software.passes.len());
    let names: BTreeSet<_> = of(Kernel::ConvDynamicSubgroup).map(|pass| pass.dispatch.pipeline_name()).collect();
    assert_eq!(names.len(), 3, "one for each side that may be the wider, and for branches: {names:?}");
    insta::assert_snapshot!("mobilenet_v2_dcd_assemble", plan_of("mobilenet_v2_dcd", &dynamic, ASSEMBLE));
    insta::assert_snapshot!("mobilenet_v2_dcd_branch", plan_of("mobilenet_v2_dcd", &dynamic, BRANCH));
    let in_load = plan_of("mobilenet_v2_dcd", &dynamic, IN_LOAD);
    insta::assert_snapshot!("mobilenet_v2_dcd_in_load", &in_load);
    let dynamic_launches = in_load.passes.iter().filter(|pass| pass.dispatch.kernel == Kernel::ConvDynamic);
    let mut names: Vec<_> = dynamic_launches.map(|pass| pass.dispatch.pipeline_name()).collect();
    names.dedup();
    assert_eq!(names.len(), 1, "{names:?}");
    // One pipeline for all controllers: each costs load time.
    let controllers = auto.passes.iter().filter(|pass| pass.dispatch.kernel == Kernel::Controller);
    let mut overrides: Vec<_> = controllers.map(|pass| &pass.dispatch.overrides).collect();
    assert_eq!(overrides.len(), 8);
    overrides.dedup();
    assert_eq!(overrides.len(), 1, "{overrides:?}");
    for plan in [&auto, &on_software, &in_browsers] {
        assert!(plan.passes.len() <= 96, "{} launches", plan.passes.len());
        // The fused launches share two, one for each side that may be the wider.
        let fused = |kernel: Kernel| kernel.spec().stem.starts_with("controller_assemble");
        let fused = plan.passes.iter().filter(|pass| fused(pass.dispatch.kernel));
        let mut names: Vec<_> = fused.map(|pass| pass.dispatch.pipeline_name()).collect();
        assert_eq!(names.len(), 25);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

/// Software without subgroups takes long to compile memory of workgroups and every pipeline.
#[test]
fn software_without_subgroups_shares_memory_in_a_buffer() {
    let wide = Architecture::MobileNetV2Dcd {
        base: MobileNetV2 { width: 1.4, classes: 1000, input_size: 448, stem_stride: 2 },
        fc_squeeze: 16,
    };
    for architecture in [dynamic_network(), wide] {
        let network = folded(&architecture);
        let plan = lower("n", &network, Options { batch: 3, ..Options::default() }, plain_software()).unwrap();
        let mut names = BTreeSet::new();
        for pass in &plan.passes {
            assert!(pass.dispatch.workgroup_bytes() <= 1024, "{}", pass.node);
            if pass.bound().any(|(_, access, _)| access == Access::Scratch) {
                names.insert(pass.dispatch.pipeline_name());
            }
        }
        assert_eq!(names.len(), 3, "{names:?}");
    }
}

/// What pools would be a pipeline of its own there, for one launch.
#[test]
fn software_averages_the_map_of_a_static_network_at_once() {
    let network = folded(&static_network());
    let entries = |limits| -> Vec<&str> {
        let plan = lower("n", &network, Options::default(), limits).unwrap();
        plan.passes.iter().map(|pass| pass.dispatch.entry).collect()
    };
    for limits in [software(), plain_software()] {
        let entries = entries(limits);
        assert!(entries.contains(&"mean") && !entries.iter().any(|entry| entry.ends_with("pooled")), "{entries:?}");
    }
    let hardware = entries(Limits::default());
    assert!(hardware.contains(&"plain_pooled") && !hardware.contains(&"mean"), "{hardware:?}");
}

#[test]
fn multiply_adds_are_those_of_the_papers_networks() {
    let millions = |graph: &Graph, form| (multiply_adds(graph, form, &Limits::default()) as f64 / 1e4).round() / 100.0;
    let (fixed, dynamic) = (static_network().build().unwrap(), dynamic_network().build().unwrap());
    assert_eq!(millions(&fixed, FormChoice::Auto), 300.77);
    assert_eq!(millions(&dynamic, ASSEMBLE), 353.14);
    assert_eq!(millions(&dynamic, BRANCH), 402.10);
    // As assembled, but for the layers that a workgroup's memory cannot hold: twice 960 → 160 and once 960 → 320 at 49 pixels, whose
    // branches take 4.28 and 10.52 million less.
    assert_eq!(millions(&dynamic, IN_LOAD), 334.06);
    assert_eq!(millions(&dynamic, FormChoice::Auto), 326.37);
}

/// Software takes a large batch in runs of few pictures, as equal as can be; but in one where more is read after it than answers.
#[test]
fn software_takes_large_batches_in_several_runs() {
    let graph = small(0.1, 10, 16, 1).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    let runs = |batch, software, insight| {
        let options = Options { batch, insight, ..Options::default() };
        let plan = lower("small", &network, options, Limits { software, ..Limits::default() }).unwrap();
        assert_eq!(plan.input.view.bytes, u64::from(16 * 16 * 16 * plan.batch));
        [plan.runs, plan.batch]
    };
    for (batch, expected) in [(1, [1, 1]), (4, [1, 4]), (5, [2, 3]), (9, [3, 3]), (16, [4, 4]), (64, [16, 4])] {
        assert_eq!(runs(batch, true, false), expected, "{batch}");
        assert_eq!([runs(batch, false, false), runs(batch, true, true)], [[1, batch]; 2], "{batch}");
    }
}

/// Too large for the device is refused by name, not by a broken plan.
#[test]
fn a_network_too_large_for_the_device_is_refused_by_name() {
    let graph = small(0.1, 10, 32, 1).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    let limits = Limits { storage_binding_bytes: 1 << 16, ..Limits::default() };
    let error = lower("small", &network, Options { batch: 64, ..Options::default() }, limits).unwrap_err().to_string();
    assert!(error.contains("node `") && error.contains("smaller batch or input"), "{error}");
}

/// Its memory is the host's: 64 pictures of a network whose widest map takes 4.8 MB each.
#[test]
fn the_cpu_takes_larger_batches_than_every_gpu() {
    let graph = small(1.0, 10, 224, 2).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    let plan = |limits| lower("large", &network, Options { batch: 64, ..Options::default() }, limits);
    assert_eq!(plan(Limits::cpu()).map(|plan| plan.validate()), Ok(Ok(())));
    assert!(matches!(plan(Limits::default()), Err(LowerError::TooLarge { .. })));
}

/// The result would not be what the last layer computes.
#[test]
fn a_network_with_a_node_that_nothing_reads_is_refused() {
    let mut builder = GraphBuilder::new(Map::vector(4)).unwrap();
    let input = builder.input();
    let first = builder.add("first", Op::Linear { outputs: 3 }, &[input]).unwrap();
    builder.add("unread", Op::Linear { outputs: 3 }, &[input]).unwrap();
    builder.add("result", Op::Activation(Activation::Relu), &[first]).unwrap();
    let graph = builder.finish();
    let error = fold(&graph, &ones(&graph)).unwrap_err().to_string();
    assert!(error.starts_with("node `unread`") && error.ends_with("nothing reads it"), "{error}");
}

/// Where the device allows anything, 32-bit addresses do not.
#[test]
fn a_map_beyond_32_bit_addresses_is_refused_by_name() {
    let graph = small(0.1, 10, 16384, 1).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    let limits = Limits { storage_binding_bytes: u64::MAX, buffer_bytes: u64::MAX, ..Limits::default() };
    let error = lower("large", &network, Options::default(), limits).unwrap_err().to_string();
    assert!(error.starts_with("node `features.") && error.contains("the device allows 4294967296"), "{error}");
}

/// Their vectors leave little of a workgroup's memory.
#[test]
fn very_wide_networks_lower_to_valid_plans() {
    let graph = small(2.5, 10, 32, 2).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    for (form, limits) in [FormChoice::Auto, ASSEMBLE, BRANCH, IN_LOAD].into_iter().flat_map(on_all_kinds) {
        let plan = lower("wide", &network, Options { form, ..Options::default() }, limits);
        assert_eq!(plan.unwrap().validate(), Ok(()), "{form:?} {limits:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the sizes, a network that can be built has a valid plan in every form.
    #[test]
    fn dynamic_networks_of_any_size_lower_to_valid_plans(
        width in prop::sample::select(vec![0.1, 0.25, 0.35, 0.5]),
        input_size in 8usize..=64,
        classes in 1usize..=101,
        stem_stride in 1usize..=2,
        batch in 1u32..=4,
        top in 1u32..=7,
    ) {
        let graph = small(width, classes, input_size, stem_stride).build().unwrap();
        let network = fold(&graph, &ones(&graph)).unwrap();
        for (form, limits) in [FormChoice::Auto, ASSEMBLE, BRANCH, IN_LOAD].into_iter().flat_map(on_all_kinds) {
            let plan = lower("random", &network, Options { batch, form, top, ..Options::default() }, limits).unwrap();
            prop_assert_eq!(plan.validate(), Ok(()));
            prop_assert_eq!(plan.scores.map.channels, classes);
            prop_assert_eq!(plan.top, top.min(classes as u32));
            prop_assert!(plan.passes.len() <= 160, "{} launches", plan.passes.len());
        }
    }
}
