//! Every kernel against its textbook definition in f64, on each runtime: the twin and the GPU.

mod common;

use common::cases::{convolution, dynamic, roof, vector};
use common::suite::{BATCH, Case, failures, plan};
use dynaconv::exec::cpu::CpuExecutor;

/// Runs cases on both runtimes: on the whole batch, on a part of it, and on the whole again.
fn check(cases: &[Case]) {
    let plan = plan(cases);
    let twin = CpuExecutor::new(plan.clone()).expect("the plan is valid");
    let mut runtimes: Vec<(&str, Box<dyn common::suite::Runtime>)> = vec![("twin", Box::new(twin))];
    #[cfg(feature = "gpu")]
    {
        use common::suite::gpu;
        let gpu = gpu::open();
        // No plan for a device without subgroups has a kernel that needs them.
        if gpu.limits().subgroup.is_some() || !cases[0].dispatch.kernel.spec().subgroups {
            let executor = gpu::executor(&gpu, plan.clone(), &dynaconv::kernels::wgsl);
            runtimes.push(("GPU", Box::new(executor)));
        }
    }
    let mut all = Vec::new();
    for (name, runtime) in &mut runtimes {
        for pictures in [BATCH, 1, BATCH - 1, BATCH] {
            let failed = failures(cases, &plan, runtime.as_mut(), pictures);
            all.extend(failed.into_iter().map(|failure| format!("{name}: {failure}")));
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
    let all = [
        dynamic::assemble(),
        dynamic::controller(),
        convolution::dense(),
        convolution::dense_subgroup(),
        convolution::dense_wide(),
        convolution::depthwise(),
        convolution::pointwise(),
        convolution::pointwise_subgroup(),
        convolution::pointwise_wide(),
        dynamic::latent(),
        dynamic::latent_subgroup(),
        vector::linear(),
        vector::pool(),
        vector::top_k(),
        roof::roof(),
    ];
    for cases in all {
        let spec = cases[0].dispatch.kernel.spec();
        let met = |test: &dyn Fn(&Case) -> bool| cases.iter().any(test);
        for (entry, _) in spec.entries {
            assert!(met(&|case| case.dispatch.entry == *entry), "{} {entry}", spec.stem);
        }
        let choices: [(&str, &[u32]); 3] = [("ACTIVATION", &[0, 1, 2, 3]), ("POOL_BINS", &[1, 2]), ("KERNEL", &[3, 5])];
        for (name, values) in choices.iter().filter(|(name, _)| spec.overrides.contains(name)) {
            for value in *values {
                let set = |case: &Case| case.dispatch.override_value(name) == Some(*value);
                assert!(met(&set), "{}: no case has {name} = {value}", spec.stem);
            }
        }
    }
}

#[test]
fn assemble() {
    check(&dynamic::assemble());
}

#[test]
fn controller() {
    check(&dynamic::controller());
}

#[test]
fn conv_dense() {
    check(&convolution::dense());
}

#[test]
fn conv_dense_subgroup() {
    check(&convolution::dense_subgroup());
}

#[test]
fn conv_dense_wide() {
    check(&convolution::dense_wide());
}

#[test]
fn conv_depthwise() {
    check(&convolution::depthwise());
}

#[test]
fn conv_pointwise() {
    check(&convolution::pointwise());
}

#[test]
fn conv_pointwise_subgroup() {
    check(&convolution::pointwise_subgroup());
}

#[test]
fn conv_pointwise_wide() {
    check(&convolution::pointwise_wide());
}

#[test]
fn latent() {
    check(&dynamic::latent());
}

#[test]
fn latent_subgroup() {
    check(&dynamic::latent_subgroup());
}

#[test]
fn linear() {
    check(&vector::linear());
}

#[test]
fn pool() {
    check(&vector::pool());
}

#[test]
fn top_k() {
    check(&vector::top_k());
}

#[test]
fn roof() {
    check(&roof::roof());
}
