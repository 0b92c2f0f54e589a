//! Profiles on the GPU: what they say of a run, and that they name the kernel that is to blame.
#![cfg(feature = "gpu")]

mod common;

use common::generator;
use common::suite::gpu;
use dynaconv::exec::TimingMethod;
use dynaconv::exec::cpu::CpuExecutor;
use dynaconv::exec::gpu::{Gpu, GpuExecutor, Timer};
use dynaconv::graph::fold;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::kernels::{Kernel, Precision, Texels, in_texels, wgsl};
use dynaconv::lower::{Form, FormChoice, Options, lower};
use dynaconv::plan::{Limits, Plan};
use dynaconv::profile::{Candidate, Comparison, Part, Profile, Profiler, Samples, View, ab, measure_roof, noise};
use serde_json::{Value, json};

const PROFILER: Profiler = Profiler { warm_up: 1, repeats: 6, roof: false };

/// A small dynamic network for two pictures, in the kernels that every device takes.
fn plan(gpu: &Gpu, form: FormChoice) -> Plan {
    plan_for(Limits { subgroup: None, software: false, ..gpu.limits() }, form)
}

/// The same network in the kernels that suit these limits.
fn plan_for(limits: Limits, form: FormChoice) -> Plan {
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 2 };
    let graph = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build().expect("a network");
    let folded = fold(&graph, &generator::weights(&graph)).expect("it folds");
    lower("small", &folded, Options { batch: 2, form, ..Options::default() }, limits).expect("it lowers")
}

fn profile_with(
    profiler: Profiler,
    gpu: &Gpu,
    method: TimingMethod,
    sources: &(dyn Fn(Kernel, Precision) -> String + Sync),
) -> Profile {
    pollster::block_on(async {
        let plan = plan(gpu, FormChoice::Always(Form::Branch));
        let input = noise(&plan, 2);
        let timer = Timer::with_method(gpu, plan.passes.len() as u32, method).await.expect("a timer");
        let mut executor =
            GpuExecutor::with_sources(gpu, plan, None, sources).await.expect("the device takes the plan");
        profiler.gpu_with(&mut executor, timer, 2, &input).await.expect("a profile")
    })
}

fn profile(gpu: &Gpu) -> Profile {
    profile_with(PROFILER, gpu, gpu.timing_method(), &wgsl)
}

/// The clocks of host and device agree: every launch lies within the run, and the parts make up the whole.
fn check_times(profile: &Profile) {
    let runs = PROFILER.repeats as usize - profile.method.dropped as usize;
    assert!(runs > 0);
    for dispatch in &profile.dispatches {
        let time = dispatch.time.as_ref().expect("a time");
        assert_eq!(time.values().len(), runs, "{}", dispatch.name());
        assert!(time.values().iter().all(|time| *time >= 0));
    }
    let launches = profile.launches_time().expect("times");
    let parts = profile.runs.parts.as_ref().expect("parts");
    assert_eq!(launches.values(), parts.launches.values());
    let sum = [&parts.submit, &parts.launches, &parts.gaps, &parts.latency];
    let sum = sum.into_iter().fold(parts.encode.clone(), |sum, part| sum.plus(part));
    assert_eq!(sum.values(), parts.launches.plus(&parts.bubble).values());
    if profile.method.dropped == 0 {
        assert_eq!(sum.values(), profile.runs.timed.values());
    }
    let timeline = profile.timeline.as_ref().expect("a timeline");
    let (host, link) = (timeline.run.host, timeline.link.expect("linked clocks"));
    let times: Vec<[u64; 2]> = timeline.run.launches.iter().map(|time| time.expect("a time")).collect();
    assert!(times.is_sorted_by_key(|time| time[0]) && times.iter().all(|[begin, end]| begin <= end));
    let (first, last) = (link.to_host(times[0][0]), link.to_host(times[times.len() - 1][1]));
    let slack = link.uncertainty() + 1e3;
    assert!(first >= host.encoded as f64 - slack, "launches began before they were submitted: {first} {host:?}");
    assert!(last <= host.end as f64 + slack, "launches ended after their result was there: {last} {host:?}");
}

#[test]
fn a_profile_has_every_launch_of_the_plan_and_times_that_fit_the_run() {
    let gpu = gpu::open();
    let profile = profile(&gpu);
    let plan = plan(&gpu, FormChoice::Always(Form::Branch));
    assert_eq!(profile.dispatches.len(), plan.passes.len());
    for (dispatch, pass) in profile.dispatches.iter().zip(&plan.passes) {
        assert_eq!((&dispatch.layer, dispatch.kernel.as_str()), (&pass.node, pass.dispatch.kernel.spec().stem));
        assert_eq!(dispatch.flops, 2 * pass.dispatch.cost.flops);
        // Weights are read once for both pictures.
        let (one, two) = (pass.dispatch.cost.bytes_read, dispatch.bytes_read);
        assert!(two >= one && two <= 2 * one, "{}: {one} {two}", dispatch.name());
        assert_eq!(dispatch.workgroups[2], 2);
    }
    check_times(&profile);
    assert_eq!(profile.device.name, gpu.info().name);
    assert!(!profile.compilations.is_empty() && profile.compilations.iter().all(|one| one.nanoseconds > 0));
    let shares = |view| profile.groups(view).iter().map(|group| group.launches).sum::<usize>();
    for view in [View::Dispatch, View::Layer, View::Block, View::Kernel, View::Part] {
        assert_eq!(shares(view), plan.passes.len(), "{view:?}");
    }
    let count = |part| profile.dispatches.iter().filter(|dispatch| dispatch.part == part).count();
    assert_eq!(count(Part::Controller), count(Part::Latent));
    assert_eq!(count(Part::Latent), count(Part::Branch));
    assert!(count(Part::Static) > 0 && count(Part::Assembly) == 0);
}

#[test]
fn devices_with_less_give_what_they_can() {
    let gpu = gpu::open();
    let boundaries = profile_with(PROFILER, &gpu, TimingMethod::PassBoundaries, &wgsl);
    assert_eq!(boundaries.method.timing, TimingMethod::PassBoundaries);
    check_times(&boundaries);
    let whole = profile_with(PROFILER, &gpu, TimingMethod::WholeRuns, &wgsl);
    assert!(whole.dispatches.iter().all(|dispatch| dispatch.time.is_none() && dispatch.flops_rate.is_none()));
    assert!(whole.runs.parts.is_none() && whole.timeline.is_none() && whole.to_trace().is_none());
    assert_eq!((whole.runs.plain.values().len(), whole.method.dropped), (PROFILER.repeats as usize, 0));
    assert_eq!(Profile::from_json(&serde_json::to_string(&whole).unwrap()).unwrap(), whole);
    assert!(whole.to_html().unwrap().contains("whole_runs"));

    let plan = plan(&gpu, FormChoice::Auto);
    let input = noise(&plan, 1);
    let mut executor = CpuExecutor::new(plan).unwrap();
    let cpu = pollster::block_on(PROFILER.cpu(&mut executor, 1, &input)).unwrap();
    assert_eq!(cpu.method.timing, TimingMethod::HostClock);
    assert!(cpu.dispatches.iter().all(|dispatch| dispatch.time.is_some()));
    assert!(pollster::block_on(PROFILER.cpu(&mut executor, 3, &input)).is_err());
}

#[test]
fn a_kernel_slowed_on_purpose_is_named_first() {
    let gpu = gpu::open();
    let before = profile(&gpu);
    let slow = |kernel: Kernel, precision: Precision| {
        let text = wgsl(kernel, precision);
        let (right, wasted) = ("if pixel >= params.pixels { return; }", "latent[0].x = waste;");
        let work = "var waste = 0.0; for (var i = 0u; i < 20000u; i++) { waste = sin(waste + f32(i)); }";
        if kernel == Kernel::Latent {
            assert!(text.contains(right));
            text.replacen(right, &format!("{right} {work} if waste > 2.0 {{ {wasted} }}"), 1)
        } else {
            text
        }
    };
    let after = profile_with(PROFILER, &gpu, gpu.timing_method(), &slow);
    let comparison = Comparison::new(&before, &after, View::Kernel);
    assert_eq!(comparison.rows[0].name, "latent latent_map", "{comparison:#?}");
    assert!(comparison.rows[0].change.is_some_and(|change| change.low > 1.0), "{comparison:#?}");
    let slower = comparison.slower(0.05, true);
    assert!(slower.iter().any(|row| row.name == "all launches") && slower.iter().any(|row| row.name == "plain run"));
    assert!(slower.iter().any(|row| row.name == "latent latent_map"));
    let mut groups = after.groups(View::Kernel);
    groups.sort_by(|a, b| b.share.partial_cmp(&a.share).expect("shares"));
    assert_eq!(groups[0].name, "latent latent_map");
    // Layer by layer it is the layers with the slowed kernel.
    let layers = Comparison::new(&before, &after, View::Layer);
    let slowed =
        after.dispatches.iter().find(|dispatch| dispatch.layer == layers.rows[0].name && dispatch.kernel == "latent");
    assert!(slowed.is_some(), "{:?}", layers.rows[0]);
    assert_eq!(Comparison::new(&before, &before, View::Layer).slower(0.0, true), Vec::<&dynaconv::profile::Row>::new());
}

#[test]
fn profiles_survive_their_files_and_files_that_are_none_are_refused() {
    let profile = profile(&gpu::open());
    let text = serde_json::to_string(&profile).unwrap();
    assert_eq!(Profile::from_json(&text).unwrap(), profile);

    let value: Value = serde_json::from_str(&text).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut value = value.clone();
        change(&mut value);
        Profile::from_json(&value.to_string()).unwrap_err().to_string()
    };
    let expect = |change: &dyn Fn(&mut Value), part: &str| {
        let error = refused(change);
        assert!(error.contains(part), "expected {part:?} in {error:?}");
    };
    expect(&|v| v["schema"] = json!(7), "expected a profile of schema 1, found schema 7");
    expect(&|v| v["schema"] = json!("1"), "found no field `schema`");
    expect(&|v| *v = json!([]), "found no field `schema`");
    expect(&|v| v["dispatches"] = json!([]), "found none");
    expect(&|v| v["dispatches"][1]["index"] = json!(5), "dispatches[1].index");
    expect(&|v| v["dispatches"][1]["time"]["values"] = json!([1]), "dispatches[1].time");
    expect(&|v| v["dispatches"][1]["time"]["values"] = json!([]), "at least one sample");
    expect(&|v| drop(v["dispatches"][1].as_object_mut().unwrap().remove("layer")), "missing field `layer`");
    expect(&|v| drop(v["timeline"]["run"]["launches"].as_array_mut().unwrap().pop()), "timeline.run.launches");
    expect(&|v| v["timeline"]["run"]["host"]["end"] = json!(0), "in order");
    expect(&|v| v["runs"]["plain"]["values"] = json!([1, i64::MIN]), "runs.plain");
    expect(&|v| v["runs"]["plain"]["values"] = json!([0, 0]), "runs.plain");
    for text in ["", "{", "null", "\u{0}", "[1,2", &"[".repeat(100_000)] {
        assert!(Profile::from_json(text).is_err());
    }
}

/// A file may say the largest numbers there are, in every field.
#[test]
fn profiles_of_absurd_numbers_are_shown_all_the_same() {
    let mut profile = profile(&gpu::open());
    for (index, dispatch) in profile.dispatches.iter_mut().enumerate() {
        (dispatch.flops, dispatch.bytes_read, dispatch.bytes_written) = (u64::MAX, u64::MAX, u64::MAX);
        dispatch.time = Samples::new(vec![if index % 2 == 0 { i64::MAX } else { i64::MIN }; 3]);
    }
    for compilation in &mut profile.compilations {
        compilation.nanoseconds = u64::MAX;
    }
    profile.runs.plain = Samples::new(vec![i64::MAX, 0]).unwrap();
    let timeline = profile.timeline.as_mut().expect("a timeline");
    timeline.run.host.end = u64::MAX;
    timeline.run.launches.fill(Some([0, u64::MAX]));
    let profile = Profile::from_json(&serde_json::to_string(&profile).unwrap()).expect("it fits together");
    for view in [View::Dispatch, View::Layer, View::Block, View::Kernel, View::Part] {
        let groups = profile.groups(view);
        assert!(groups.iter().all(|group| group.flops == u64::MAX && group.bytes == u64::MAX), "{groups:?}");
        assert_eq!(Comparison::new(&profile, &profile, view).rows.len(), groups.len());
    }
    assert!(profile.to_trace().is_some() && profile.to_html().is_ok());
}

#[test]
fn the_page_and_the_trace_have_every_launch() {
    let mut profile = profile(&gpu::open());
    profile.network = "</script><script>alert(1)</script> /*SCRIPT*/".into();
    let page = profile.to_html().unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "data must not end the element that it is in");
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(!page.contains("https://") && !page.contains("/*PROFILE*/") && !page.contains("/*STYLE*/"));
    let (_, data) = page.split_once("type=\"application/json\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    assert_eq!(Profile::from_json(data).unwrap(), profile);

    let trace = profile.to_trace().expect("a trace");
    let slices: Vec<&Value> =
        trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
    let launches: Vec<&&Value> = slices.iter().filter(|slice| slice["cat"] != "host").collect();
    assert_eq!((launches.len(), slices.len()), (profile.dispatches.len(), profile.dispatches.len() + 3));
    let moment = |slice: &Value, field: &str| slice[field].as_f64().unwrap();
    for (slice, dispatch) in launches.iter().zip(&profile.dispatches) {
        assert_eq!(slice["args"]["layer"], dispatch.layer);
        assert!(moment(slice, "dur") >= 0.0);
    }
    let ends = launches.iter().map(|slice| moment(slice, "ts") + moment(slice, "dur"));
    assert!(launches.iter().skip(1).zip(ends).all(|(next, end)| moment(next, "ts") >= end - 1e-3), "launches overlap");
    assert!(trace["otherData"]["clocks"].as_str().unwrap().contains("linked"));
}

#[test]
fn the_roof_is_above_zero_everywhere() {
    let gpu = gpu::open();
    let roof = pollster::block_on(measure_roof(&gpu)).expect("the device runs it").expect("the device has timestamps");
    assert!(roof.f32_flops > 1e6 && roof.f16_flops.is_some() == gpu.has_f16());
    assert!(roof.f16_flops.is_none_or(|flops| flops > 1e6));
    assert!(roof.memory.len() > 3 && roof.memory.iter().all(|of| of.copy > 1e3 && of.read > 1e3));
    assert!(roof.memory.is_sorted_by_key(|of| of.bytes) && roof.empty_submit > 0.0 && roof.empty_dispatch >= 0.0);
}

#[test]
fn variants_write_the_same_and_a_wrong_shader_shows() {
    let gpu = gpu::open();
    let plan = plan(&gpu, FormChoice::Auto);
    let input = noise(&plan, 2);
    let run = |candidates: [Candidate; 2]| pollster::block_on(ab(&gpu, candidates, &input, 1)).expect("a trial");
    let candidate = |plan: &Plan, launch: usize, dispatch: &dynaconv::kernels::Dispatch, text| {
        let mut plan = plan.clone();
        plan.passes[launch].dispatch = dispatch.clone();
        Candidate { name: String::new(), plan, launches: vec![launch], text }
    };
    let mut kernels = Vec::new();
    let own = plan_for(gpu.limits(), FormChoice::Auto);
    let launches = [&plan, &own].into_iter().flat_map(|plan| plan.passes.iter().enumerate().map(move |l| (plan, l)));
    for (plan, (launch, pass)) in launches {
        let shipped = &pass.dispatch;
        if kernels.contains(&(shipped.kernel, shipped.entry)) {
            continue;
        }
        kernels.push((shipped.kernel, shipped.entry));
        let variants = shipped.variants();
        assert!(variants.iter().any(|variant| variant.dispatch == *shipped), "{shipped:?}");
        for variant in [&variants[0], &variants[variants.len() - 1]] {
            let trial = run([candidate(plan, launch, shipped, None), candidate(plan, launch, &variant.dispatch, None)]);
            assert!(!trial.outputs.is_empty() && trial.times.is_some());
            for output in trial.outputs {
                let close = output.largest.is_some_and(|apart| apart <= 1e-4 * output.scale);
                assert!(close, "{} {} {}: {output:?}", pass.node, shipped.kernel.spec().stem, variant.name);
            }
        }
    }
    assert!(kernels.len() > 6, "{kernels:?}");

    let launch = plan.passes.iter().position(|pass| pass.dispatch.kernel == Kernel::ConvDense).expect("a stem");
    let shipped = &plan.passes[launch].dispatch;
    let text = wgsl(Kernel::ConvDense, Precision::F32);
    let same = run([candidate(&plan, launch, shipped, None), candidate(&plan, launch, shipped, Some(text.clone()))]);
    assert_eq!(same.outputs[0].differing, 0);
    let wrong = text.replacen(" - i32(params.pad_left)", "", 1);
    assert_ne!(wrong, text);
    let wrong = run([candidate(&plan, launch, shipped, None), candidate(&plan, launch, shipped, Some(wrong))]);
    assert!(wrong.outputs[0].differing > 0 && wrong.outputs[0].largest.is_some_and(|apart| apart > 0.0));
    let none = Candidate { launches: vec![plan.passes.len()], ..candidate(&plan, launch, shipped, None) };
    let missing = ab(&gpu, [none.clone(), none], &input, 1);
    assert!(pollster::block_on(missing).unwrap_err().to_string().contains("there is no launch"));

    // Textures that no other launch writes are refused.
    let foreign = match gpu.loads_texels_of(&plan) {
        Some(Texels::Sampled) => Texels::Stored,
        _ => Texels::Sampled,
    };
    let foreign = candidate(&plan, launch, shipped, Some(in_texels(&text, Precision::F32, foreign)));
    let refused = ab(&gpu, [candidate(&plan, launch, shipped, None), foreign], &input, 1);
    assert!(pollster::block_on(refused).unwrap_err().to_string().contains("weights in textures that the device"));
    assert!(Samples::new(vec![]).is_none());
}
