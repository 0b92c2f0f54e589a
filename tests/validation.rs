//! What a plan's validation refuses.

mod common;

use common::small::{ones, small, software};
use dynaconv::graph::fold;
use dynaconv::kernels::{Access, Kernel, Precision};
use dynaconv::lower::{Options, lower};
use dynaconv::plan::{Limits, Memory, Plan};

/// A sound plan whose pass 0 is the stem and whose pass `controller` is a controller.
fn sound_plan() -> Plan {
    let graph = small(0.1, 10, 17, 1).build().unwrap();
    let options = Options { batch: 2, ..Options::default() };
    let plan = lower("small", &fold(&graph, &ones(&graph)).unwrap(), options, Limits::default()).unwrap();
    assert_eq!(plan.validate(), Ok(()));
    plan
}

fn written(plan: &Plan, pass: usize) -> usize {
    let dispatch = &plan.passes[pass].dispatch;
    let mut bindings = dispatch.kernel.spec().bindings_of(dispatch.entry).expect("the entry point exists");
    bindings.position(|(_, _, access)| access == Access::Write).expect("every pass writes")
}

/// Every rule of validation is broken once.
#[test]
fn validation_refuses_every_broken_rule() {
    type Fault = (&'static str, fn(&mut Plan));
    let faults: [Fault; 28] = [
        ("needs subgroups of at least four", |p| p.passes[0].dispatch.kernel = Kernel::ConvDenseQuad),
        ("needs subgroups of at least eight", |p| p.passes[0].dispatch.kernel = Kernel::ConvDenseSubgroup),
        ("needs workgroups that are subgroups", |p| {
            p.limits.subgroup = Some(8);
            let fused = p.passes.iter_mut().find(|pass| pass.dispatch.kernel == Kernel::ControllerAssemble);
            fused.expect("a dynamic layer").dispatch.kernel = Kernel::ControllerAssembleSubgroup;
        }),
        ("no such entry point", |p| p.passes[0].dispatch.entry = "nonsense"),
        ("binds 2 buffers", |p| p.passes[0].bindings.truncate(2)),
        ("the device allows 2", |p| p.limits.storage_buffers = 2),
        ("bytes of params", |p| p.passes[0].dispatch.params.truncate(16)),
        ("bytes of params", |p| p.passes[0].dispatch.params.extend([0; 16])),
        ("override `NONSENSE`", |p| p.passes[0].dispatch.overrides.push(("NONSENSE", 1))),
        ("workgroups, the device allows", |p| p.passes[0].dispatch.workgroups = [1, 65536]),
        ("workgroups, the device allows", |p| p.passes[0].dispatch.workgroups = [0, 1]),
        ("workgroups, the device allows", |p| p.batch = 0),
        ("workgroups, the device allows", |p| p.batch = 65536),
        ("invocations", |p| p.limits.invocations = 32),
        ("invocations", |p| p.passes[0].dispatch.overrides.retain(|(name, _)| *name != "WORKGROUP_X")),
        ("bytes of workgroup memory", |p| p.limits.workgroup_bytes = 64),
        ("is in no slot", |p| p.passes[0].bindings[0].memory = Memory::Slot(9999)),
        ("ends past its memory", |p| p.passes[0].bindings[1].bytes += 1 << 30),
        ("ends past its memory", |p| p.passes[0].bindings[1].offset = u64::MAX - 255),
        ("is not aligned", |p| p.passes[1].bindings[1].offset += 16),
        ("is not aligned", |p| p.passes[1].bindings[1].bytes -= 4),
        ("is not aligned", |p| p.passes[1].bindings[1].bytes = 0),
        ("in one binding, the device allows", |p| p.limits.storage_binding_bytes = 64),
        ("reads what no launch has written", |p| drop(p.passes.remove(0))),
        ("reads what no launch has written", |p| {
            let output = written(p, 0);
            let view = &mut p.passes[0].bindings[output];
            (view.offset, view.bytes) = (view.offset + 256, view.bytes - 256);
        }),
        ("takes what is stored as f16, in a plan of f32", |p| {
            p.passes[0].dispatch = p.passes[0].dispatch.clone().stored_as(Precision::F16);
        }),
        ("is written while its slot is bound a second time", |p| {
            let output = written(p, 0);
            p.passes[0].bindings[output].memory = p.passes[0].bindings[0].memory;
        }),
        ("would write to the weights", |p| {
            let output = written(p, 0);
            p.passes[0].bindings[output] = p.passes[0].bindings[1];
        }),
    ];
    for (number, (reason, fault)) in faults.iter().enumerate() {
        let mut plan = sound_plan();
        fault(&mut plan);
        let error = plan.validate().expect_err(reason).to_string();
        assert!(error.contains(reason), "fault {number}: `{error}` does not say `{reason}`");
        assert!(error.starts_with("pass "), "`{error}` does not name the pass");
    }
}

/// What a launch makes for itself keeps the rules of what it writes, and is lost to all others.
#[test]
fn scratch_that_others_need_is_refused() {
    let graph = small(0.1, 10, 17, 1).build().unwrap();
    let network = fold(&graph, &ones(&graph)).unwrap();
    for limits in [Limits { cores: 2, ..software() }, Limits { software: true, ..Limits::default() }] {
        let plan = lower("small", &network, Options::default(), limits).unwrap();
        assert_eq!(plan.validate(), Ok(()));
        scratch_is_held_to_rules(&plan);
    }
}

fn scratch_is_held_to_rules(plan: &Plan) {
    let bound = |pass: usize| {
        let dispatch = &plan.passes[pass].dispatch;
        let names = dispatch.kernel.spec().bindings_of(dispatch.entry).expect("the entry point exists");
        names.map(|(_, _, access)| access).zip(&plan.passes[pass].bindings).enumerate()
    };
    let scratch = |pass: usize| bound(pass).find(|(_, (access, _))| *access == Access::Scratch).map(|(at, _)| at);
    let refused = |pass: usize, at: usize, memory: Memory, reason: &str| {
        let mut plan = plan.clone();
        plan.slots.iter_mut().for_each(|bytes| *bytes += 1 << 20);
        plan.passes[pass].bindings[at].memory = memory;
        let error = plan.validate().expect_err(reason).to_string();
        assert!(error.contains(reason), "`{error}` does not say `{reason}`");
    };
    let (pass, at) =
        (0..plan.passes.len()).find_map(|pass| Some((pass, scratch(pass)?))).expect("a launch with scratch");
    refused(pass, at, Memory::Weights, "would write to the weights");
    let (_, (_, input)) = bound(pass).next().expect("an input");
    refused(pass, at, input.memory, "is written while its slot is bound a second time");
    // A slot that held something before, which the launch after it reads.
    let binds = |pass: usize, memory: Memory, wanted: Access| {
        bound(pass).any(|(_, (access, view))| view.memory == memory && access == wanted)
    };
    let lost = (1..plan.passes.len() - 1).find_map(|pass| {
        let memory = plan.passes[pass].bindings[scratch(pass)?].memory;
        (0..pass).any(|before| binds(before, memory, Access::Write)).then_some((pass, memory))
    });
    let (pass, memory) = lost.expect("scratch where something was");
    refused(pass + 1, 0, memory, "reads what no launch has written");
}

/// So is every rule about the plan's memory as a whole.
#[test]
fn validation_refuses_memory_that_cannot_be() {
    type Fault = (&'static str, fn(&mut Plan));
    let faults: [Fault; 7] = [
        ("a batch: takes 0 runs of 2 pictures", |p| p.runs = 0),
        ("a batch: takes 32768 runs of 2 pictures", |p| p.runs = 32768),
        ("the input: needs ", |p| p.input.map.height += 1),
        ("the scores: needs ", |p| p.scores.view.offset += 256),
        ("the best classes: needs ", |p| p.top = 1000),
        ("the best classes: needs ", |p| p.best.memory = Memory::Slot(9999)),
        ("slot 0: needs 268435472 bytes in one buffer", |p| p.slots[0] = (256 << 20) + 16),
    ];
    for (reason, fault) in faults {
        let mut plan = sound_plan();
        fault(&mut plan);
        let error = plan.validate().expect_err(reason).to_string();
        assert!(error.starts_with(reason), "`{error}` does not say `{reason}`");
    }
}
