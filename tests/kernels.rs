//! Every kernel against its textbook definition in f64, on each runtime: the twin and the GPU.

mod common;

use common::cases;
use common::suite::{BATCH, Case, failures, plan};
use dynaconv::exec::cpu::CpuExecutor;
use dynaconv::kernels::{Kernel, Precision};

/// Runs a kernel's cases in each precision that it has.
fn check(kernel: Kernel) {
    for precision in Precision::ALL {
        if precision == Precision::F32 || !kernel.spec().stored.is_empty() {
            check_stored_as(kernel, precision);
        }
    }
}

/// Runs a kernel's cases on both runtimes: on the whole batch, on a part of it, and on the whole again.
fn check_stored_as(kernel: Kernel, precision: Precision) {
    let cases: Vec<Case> = cases::of(kernel).into_iter().map(|case| case.stored_as(precision)).collect();
    let plan = plan(&cases);
    let twin = CpuExecutor::new(plan.clone()).expect("the plan is valid");
    type Run = (&'static str, &'static [usize], Box<dyn common::suite::Runtime>);
    let often = &[BATCH, 1, BATCH - 1, BATCH];
    let mut runtimes: Vec<Run> = vec![("twin", often, Box::new(twin))];
    #[cfg(feature = "gpu")]
    {
        use common::suite::gpu;
        use dynaconv::kernels::{Subgroups, Texels, in_texels, wgsl};
        let gpu = gpu::open();
        // No plan has a kernel that needs subgroups which the device lacks.
        let limits = gpu.limits();
        let suits = match kernel.spec().subgroups {
            Subgroups::None => true,
            Subgroups::OfFour => limits.quads,
            Subgroups::OfEight => limits.subgroup.is_some(),
            Subgroups::Whole => limits.whole_subgroups && limits.subgroup == Some(8),
        };
        if suits {
            let executor = gpu::executor(&gpu, plan.clone(), &gpu.texts());
            runtimes.push(("GPU", often, Box::new(executor)));
            // What software with small subgroups compiles; of whole ones no device asks for it so far.
            let apart = matches!(kernel.spec().subgroups, Subgroups::OfFour | Subgroups::Whole);
            if apart && gpu.loads_texels() != Some(Texels::Sampled) {
                let text = |kernel, precision| in_texels(&wgsl(kernel, precision), precision, Texels::Sampled);
                let executor = gpu::executor(&gpu, plan.clone(), &text);
                runtimes.push(("GPU, sampled textures", &[BATCH], Box::new(executor)));
            }
            // What hardware compiles, where this adapter has texts of its own.
            if gpu.loads_pairs() || gpu.loads_texels().is_some() {
                let executor = gpu::executor(&gpu, plan.clone(), &wgsl);
                runtimes.push(("GPU, plain text", &[BATCH], Box::new(executor)));
            }
        }
    }
    let mut all = Vec::new();
    for (name, counts, runtime) in &mut runtimes {
        for &pictures in *counts {
            let failed = failures(&cases, &plan, runtime.as_mut(), pictures);
            all.extend(failed.into_iter().map(|failure| format!("{name}, {}: {failure}", precision.name())));
        }
    }
    assert!(
        all.is_empty(),
        "{} checks of {} cases failed:\n{}",
        all.len(),
        cases.len(),
        all[..all.len().min(20)].join("\n")
    );
}

/// The sampler draws at random, so this makes sure that nothing is left out.
#[test]
fn cases_meet_every_choice() {
    for kernel in Kernel::ALL.into_iter().filter(|kernel| *kernel != Kernel::Resize) {
        let (spec, cases) = (kernel.spec(), cases::of(kernel));
        let met = |test: &dyn Fn(&Case) -> bool| cases.iter().any(test);
        for (entry, _) in spec.entries {
            assert!(met(&|case| case.dispatch.entry == *entry), "{} {entry}", spec.stem);
        }
        let choices: [(&str, &[u32]); 2] = [("POOL_BINS", &[1, 2]), ("KERNEL", &[3, 5])];
        for (name, values) in choices.iter().filter(|(name, _)| spec.overrides.contains(name)) {
            for value in *values {
                let set = |case: &Case| case.dispatch.override_value(name) == Some(*value);
                assert!(met(&set), "{}: no case has {name} = {value}", spec.stem);
            }
        }
        // What is a parameter is told apart by the names of the cases.
        let named = |word: &str| met(&|case| case.name.split(|c: char| !c.is_alphanumeric()).any(|part| part == word));
        let (pointwise, activated) = (spec.stem.starts_with("conv_pointwise"), spec.stem.starts_with("conv_"));
        let activations: &[&str] =
            if activated || kernel == Kernel::Linear { &["Identity", "Relu", "Relu6"] } else { &[] };
        let rest: &[&str] = if pointwise || spec.stem.starts_with("conv_dynamic") {
            &["None", "Global", "TwoByTwo", "true", "false"]
        } else {
            &[]
        };
        for word in activations.iter().chain(rest) {
            assert!(named(word), "{}: no case has {word}", spec.stem);
        }
    }
}

#[test]
fn assemble() {
    check(Kernel::Assemble);
}

#[test]
fn controller() {
    check(Kernel::Controller);
}

#[test]
fn controller_assemble() {
    check(Kernel::ControllerAssemble);
}

#[test]
fn controller_scratch() {
    check(Kernel::ControllerScratch);
}

#[test]
fn controller_assemble_quad() {
    check(Kernel::ControllerAssembleQuad);
}

#[test]
fn controller_assemble_scratch() {
    check(Kernel::ControllerAssembleScratch);
}

#[test]
fn controller_subgroup() {
    check(Kernel::ControllerSubgroup);
}

#[test]
fn controller_assemble_subgroup() {
    check(Kernel::ControllerAssembleSubgroup);
}

#[test]
fn conv_dense() {
    check(Kernel::ConvDense);
}

#[test]
fn conv_dense_quad() {
    check(Kernel::ConvDenseQuad);
}

#[test]
fn conv_dense_subgroup() {
    check(Kernel::ConvDenseSubgroup);
}

#[test]
fn conv_dense_wide() {
    check(Kernel::ConvDenseWide);
}

#[test]
fn conv_depthwise() {
    check(Kernel::ConvDepthwise);
}

#[test]
fn conv_dynamic() {
    check(Kernel::ConvDynamic);
}

#[test]
fn conv_dynamic_subgroup() {
    check(Kernel::ConvDynamicSubgroup);
}

#[test]
fn conv_expand_depthwise() {
    check(Kernel::ConvExpandDepthwise);
}

#[test]
fn conv_expand_depthwise_subgroup() {
    check(Kernel::ConvExpandDepthwiseSubgroup);
}

#[test]
fn conv_pointwise() {
    check(Kernel::ConvPointwise);
}

#[test]
fn conv_pointwise_quad() {
    check(Kernel::ConvPointwiseQuad);
}

#[test]
fn conv_pointwise_split() {
    check(Kernel::ConvPointwiseSplit);
}

#[test]
fn conv_pointwise_workgroup() {
    check(Kernel::ConvPointwiseWorkgroup);
}

#[test]
fn conv_pointwise_subgroup() {
    check(Kernel::ConvPointwiseSubgroup);
}

#[test]
fn conv_pointwise_wide() {
    check(Kernel::ConvPointwiseWide);
}

#[test]
fn latent() {
    check(Kernel::Latent);
}

#[test]
fn latent_quad() {
    check(Kernel::LatentQuad);
}

#[test]
fn latent_wide() {
    check(Kernel::LatentWide);
}

#[test]
fn latent_subgroup() {
    check(Kernel::LatentSubgroup);
}

#[test]
fn linear() {
    check(Kernel::Linear);
}

#[test]
fn pool() {
    check(Kernel::Pool);
}

#[test]
fn top_k() {
    check(Kernel::TopK);
}

#[test]
fn roof() {
    check(Kernel::Roof);
}

/// A third of every half there is, by a depthwise convolution whose kernel has a third at its centre. The products are exact until
/// they are stored, where devices that pack halves by hand take the nearest, and others one of the two that are near.
#[cfg(feature = "gpu")]
#[test]
fn halves_are_the_nearest() {
    use common::suite::{Output, Word, gpu, outputs};
    use dynaconv::kernels::{Epilogue, Nonlinearity, conv_depthwise};
    use half::f16;

    let third = f16::from_f32(1.0 / 3.0);
    let halves = || (0..=u16::MAX).map(f16::from_bits).map(|half| if half.is_finite() { half } else { f16::ONE });
    let shape = conv_depthwise::Shape {
        input: [64, 256],
        output: [64, 256],
        groups: 1,
        kernel: 3,
        stride: 1,
        padding: [1, 1],
        tile_rows: 4,
        rolling: true,
    };
    let epilogue = Epilogue { nonlinearity: Nonlinearity::Identity, residual: false, pooling: None };
    let weights = (0..40).map(|at| if at / 4 == 4 { third.to_f32() } else { 0.0 });
    let case = Case {
        name: "halves".into(),
        dispatch: conv_depthwise::dispatch(shape, epilogue),
        inputs: vec![
            ("input", halves().chain(std::iter::repeat(f16::NAN)).take(BATCH << 16).map(f16::to_f32).collect()),
            ("weights", weights.collect()),
        ],
        outputs: vec![Output { name: "output", slots: 1, words: vec![Word::Unspecified; BATCH << 16] }],
    };
    let plan = plan(&[case.stored_as(Precision::F16)]);
    let view = outputs(&plan).next().expect("an output");
    let gpu = gpu::open();
    let own = gpu.texts();
    // The adapter's own text rounds by hand where it has words of 64 bits; the plain one leaves that to the device.
    type Sources<'a> = &'a (dyn Fn(Kernel, Precision) -> String + Sync);
    let texts: [(Sources<'_>, bool); 2] = [(&own, gpu.loads_pairs()), (&dynaconv::kernels::wgsl, false)];
    for (text, by_hand) in texts {
        let mut executor = gpu::executor(&gpu, plan.clone(), text);
        common::suite::Runtime::run(&mut executor, BATCH);
        let found = common::suite::Runtime::read(&executor, view);
        for (half, found) in halves().zip(&found) {
            let product = half.to_f32() * third.to_f32();
            let nearest = f16::from_f32(product).to_f32();
            // From one half to the next, at most.
            let apart = (product.abs() / 1024.0).max(f16::from_bits(1).to_f32());
            let is_right = if by_hand { *found == nearest } else { (found - product).abs() < apart };
            assert!(is_right, "{half:?} · {third:?}: found {found:e}, expected {nearest:e}");
        }
        let number = found[1 << 16..BATCH << 16].iter().find(|found| !found.is_nan());
        assert!(number.is_none() || !by_hand, "what is not a number became {number:?}");
    }
}
