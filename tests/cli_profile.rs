//! The commands that measure shaders, as their users run them.
#![cfg(all(feature = "cli", feature = "gpu", not(target_arch = "wasm32")))]

mod common;
#[allow(dead_code, reason = "the tests of the other commands use the rest of it")]
#[path = "common/program.rs"]
mod program;

use std::process::Stdio;

use program::Place;
use serde_json::Value;

/// Few runs and no roof: what is looked at here is what is said, not how long anything takes.
const QUICK: [&str; 8] = ["profile", "-m", "tiny.safetensors", "--no-roof", "--repeats", "6", "--warm-up", "0"];

fn json_of(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(name)).unwrap()).unwrap()
}

#[test]
fn a_profile_is_shown_and_written_in_every_form() {
    let place = Place::with_tiny_model();
    let files = ["--json", "p.json", "--html", "p.html", "--trace", "t.json"];
    let shown = place.run(&[&QUICK[..], &files].concat()).succeeded();
    for part in
        ["controller", "plain run", "timed run", "bubble", "first run", "pipelines", "clock resolution", "software"]
    {
        assert!(shown.out.contains(part), "expected {part:?} in\n{}", shown.out);
    }
    let profile = json_of(&place, "p.json");
    let dispatches = profile["dispatches"].as_array().unwrap();
    assert_eq!(profile["schema"], 1);
    let runs = 6 - profile["method"]["dropped"].as_u64().unwrap();
    assert!(dispatches.len() > 50 && dispatches.iter().all(|dispatch| dispatch["time"]["n"] == runs), "{profile}");
    let slices = json_of(&place, "t.json");
    let on_device = |event: &&Value| event["ph"] == "X" && event["tid"] == 2;
    assert_eq!(slices["traceEvents"].as_array().unwrap().iter().filter(on_device).count(), dispatches.len());
    assert!(std::fs::read_to_string(place.path("p.html")).unwrap().starts_with("<!doctype html>"));

    // What was written can be shown again, in any view.
    for view in ["dispatch", "layer", "block", "kernel", "part"] {
        let again = place.run(&["profile", "--read", "p.json", "--by", view]).succeeded().out;
        let rows = again.lines().take_while(|line| !line.is_empty()).count() - 1;
        assert!(rows >= 3 && (view == "dispatch") == (rows == dispatches.len()), "{view}: {rows} rows");
    }
    let printed = place.run(&["profile", "--read", "p.json", "--json"]).succeeded().json();
    assert_eq!(printed[0], profile);

    // No result takes the place of another, nor of the profile.
    for (results, part) in [
        (&["--html", "p.json"][..], "p.json: --html would replace the profile that is read"),
        (&["--trace", "./p.json"], "./p.json: --trace would replace the profile that is read"),
        (&["--json", "new", "--html", "./new"], "./new: expected another place for --html than for --json"),
        (&["--json", "--trace", "/dev/stdout"], "/dev/stdout: expected another place for --trace than for --json"),
    ] {
        let error = place.run(&[&["profile", "--read", "p.json"], results].concat()).error();
        assert!(error.starts_with(part), "expected {part:?} in {error:?}");
    }
    assert!(json_of(&place, "p.json") == profile && !place.path("new").exists());
    let error = place.run(&[&QUICK[..], &["--html", "tiny.safetensors"]].concat()).error();
    assert_eq!(error, "tiny.safetensors: --html would replace the model");
    // Standard output has one result.
    let both = ["profile", "--read", "p.json", "--by", "layer", "--json"];
    assert!(place.run(&both).error().starts_with("--by and --json -: expected one result for standard output"));
    // What fails is told of every place.
    let mut without_trace = profile.clone();
    without_trace["timeline"] = Value::Null;
    place.write("w.json", without_trace.to_string());
    let full = ["profile", "--read", "w.json", "--html", "/dev/full", "--trace", "w.trace"];
    let ended = place.run(&full).with_code(2);
    assert_eq!(ended.err.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{ended:#?}");

    let cpu =
        place.run(&[&QUICK[..], &["--device", "cpu", "--batch", "2", "--form", "branch"]].concat()).succeeded().out;
    assert!(cpu.contains("the host's clock around each twin") && cpu.contains("2 picture(s)"), "{cpu}");
    // Software takes six pictures in two runs, of which one is profiled.
    let six = place.run(&[&QUICK[..], &["--batch", "6"]].concat()).succeeded();
    let in_parts = profile["device"]["software"] == true;
    assert!(six.out.contains(if in_parts { "3 picture(s)" } else { "6 picture(s)" }), "{six:?}");
    assert_eq!(six.err.contains("note: 6 pictures take 2 runs here; this is one of 3 pictures"), in_parts, "{six:?}");
    let ended = place.run(&[&QUICK[..], &["--device", "cpu", "--html", "/dev/full", "--json", "kept.json"]].concat());
    let kept = ended.out.contains("plain run") && place.path("kept.json").exists();
    assert!(kept && ended.code == Some(2), "what was measured is lost: {ended:#?}");
    // Where nothing can be written nothing is measured.
    let ended =
        place.run(&[&QUICK[..], &["--device", "cpu", "--html", "none/p.html", "--json", "other.json"]].concat());
    assert!(ended.out.is_empty() && !place.path("other.json").exists(), "{ended:#?}");
    assert!(ended.error().starts_with("none/p.html: cannot be written: none: "));
}

#[test]
fn two_profiles_are_compared_and_judged() {
    let place = Place::with_tiny_model();
    place.run(&[&QUICK[..], &["--json", "a.json"]].concat()).succeeded();
    let mut value = json_of(&place, "a.json");
    // Every launch of one layer takes longer by a second, and so does the run.
    let longer = |samples: &mut Value| {
        for sample in samples["values"].as_array_mut().unwrap() {
            *sample = (sample.as_i64().unwrap() + 1_000_000_000).into();
        }
    };
    for dispatch in value["dispatches"].as_array_mut().unwrap() {
        if dispatch["layer"] == "features.2.conv.0" {
            longer(&mut dispatch["time"]);
        }
    }
    longer(&mut value["runs"]["plain"]);
    place.write("b.json", value.to_string());

    let same = place.run(&["compare", "a.json", "a.json", "--fail-above", "0%", "--each"]).succeeded();
    assert!(!same.out.contains("slower") && same.out.contains("+0.0 %"), "{same:#?}");
    let found = place.run(&["compare", "a.json", "b.json", "--fail-above", "5%"]).with_code(1);
    let first = found.out.lines().nth(3).unwrap();
    assert!(first.starts_with("features.2.conv.0 ") && first.ends_with("slower"), "{found:#?}");
    assert!(found.err.contains("plain run is slower by more than 5.0 %"), "{found:#?}");
    assert!(!found.err.contains("features.2.conv.0"), "rows are judged only when that is asked for: {found:#?}");
    let each = place.run(&["compare", "a.json", "b.json", "--fail-above", "5", "--each"]).with_code(1);
    assert!(each.err.contains("features.2.conv.0 is slower"), "{each:#?}");
    place.run(&["compare", "b.json", "a.json", "--fail-above", "5%", "--each"]).succeeded();
    // Whoever reads the table may have read enough.
    for more in [&[][..], &["--json"]] {
        let mut compare = place.command(&[&["compare", "a.json", "b.json", "--fail-above", "5%"], more].concat());
        let mut child = compare.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{more:?}");
    }
    // Of one run each nothing is certain.
    let few = |name: &str| {
        place.run(&[&QUICK[..5], &["1", "--warm-up", "0", "--json", name]].concat()).succeeded();
    };
    few("one.json");
    few("other.json");
    let few = place.run(&["compare", "one.json", "other.json", "--fail-above", "0%", "--json"]).succeeded();
    assert!(few.err.contains("do not tell which is slower") && few.json()[0]["judged"] == false, "{few:#?}");
    let json = place.run(&["compare", "a.json", "b.json", "--by", "block", "--json"]).succeeded().json();
    assert_eq!((&json[0]["rows"][0]["name"], &json[0]["judged"]), (&"features.2".into(), &true.into()));

    value["dispatches"][0]["layer"] = "new".into();
    value["network"] = "another\x1b[2J".into();
    value["dispatches"][0]["layer"] = "new".repeat(30_000).into();
    place.write("long.json", value.to_string());
    for arguments in [&["compare", "a.json", "long.json"][..], &["profile", "--read", "long.json", "--by", "layer"]] {
        let out = place.run(arguments).succeeded().out;
        assert!(out.contains("newne…"), "{out}");
    }
    value["dispatches"][0]["layer"] = "new".into();
    place.write("c.json", value.to_string());
    let other = place.run(&["compare", "a.json", "c.json"]).succeeded();
    assert!(other.err.contains("note: network: tiny_zip before, another\\u{1b}[2J after"), "{other:#?}");
    value["runs"]["plain"]["values"][2] = (-1).into();
    place.write("none.json", value.to_string());
    let error = place.run(&["compare", "a.json", "none.json"]).error();
    assert_eq!(error, "none.json: field `runs.plain`: expected times above zero, found -1 ns");
    let gone = other.out.lines().find(|line| line.starts_with("new ")).unwrap();
    assert!(gone.contains('–'), "{gone}");
}

#[test]
fn files_that_are_no_profiles_are_refused_by_name() {
    let place = Place::new();
    place.write("broken.json", "{\"schema\": 1");
    place.write("other.json", "{\"schema\": 99}");
    place.write("array.json", "[]");
    place.write("fields.json", "{\"schema\": 1}");
    place.write("binary.json", b"\xff\xfe\x00");
    for (file, part) in [
        ("broken.json", "expected the JSON of a profile"),
        ("other.json", "expected a profile of schema 1, found schema 99"),
        ("array.json", "no field `schema`"),
        ("fields.json", "missing field"),
        ("binary.json", "UTF-8"),
        ("none.json", "No such file"),
    ] {
        for arguments in [&["compare", file, file][..], &["profile", "--read", file]] {
            let error = place.run(arguments).error();
            assert!(error.starts_with(&format!("{file}: ")) && error.contains(part), "{error}");
        }
    }
    for threshold in ["x", "-1%", "nan", "5%%"] {
        for arguments in [&[&format!("--fail-above={threshold}")[..]][..], &["--fail-above", threshold]] {
            let refused = place.run(&[&["compare", "a", "b"], arguments].concat()).with_code(2);
            assert!(refused.err.contains("for '--fail-above <PERCENT>': expected "), "{refused:?}");
        }
    }
    place.run(&["compare", "a", "b", "--each"]).with_code(2);
    place.run(&["profile", "--read", "a", "--batch", "2"]).with_code(2);
}

#[test]
fn shaders_are_written_in_every_language() {
    let place = Place::with_tiny_model();
    let shaders = |more: &[&str]| place.run(&[&["shaders", "-m", "tiny.safetensors"], more].concat());
    for (language, part) in [
        ("wgsl", "@compute @workgroup_size("),
        ("msl", "kernel void plain("),
        ("hlsl", "[numthreads("),
        ("glsl", "#version 310 es"),
    ] {
        let text = shaders(&["--pass", "0", "--emit", language]).succeeded().out;
        assert!(text.contains(part), "{language}: {text}");
    }
    // Bytes that no text has go to standard output as they go to a file.
    let shown =
        place.command(&["shaders", "-m", "tiny.safetensors", "--pass", "0", "--emit", "spirv"]).output().unwrap();
    shaders(&["--pass", "0", "--emit", "spirv", "--out", "one"]).succeeded();
    let file = std::fs::read_dir(place.path("one")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(shown.stdout, std::fs::read(file).unwrap());
    shaders(&["--emit", "spirv", "--out", "spirv"]).succeeded();
    let files: Vec<_> = std::fs::read_dir(place.path("spirv")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        assert_eq!(std::fs::read(&file).unwrap()[..4], 0x0723_0203u32.to_le_bytes(), "{file:?}");
    }
    assert!(shaders(&["--emit", "msl"]).error().contains("--pass N"));
    assert!(shaders(&["--pass", "9999"]).error().contains("there is no launch 9999"));
    let of_layer = shaders(&["--layer", "features.1.conv.0"]).succeeded().out;
    assert!(of_layer.starts_with("// entry point rolling"), "{of_layer}");
    assert!(shaders(&["--layer", "none"]).error().contains("no layer is called `none`"));
}

#[test]
fn variants_and_shaders_of_ones_own_are_tried() {
    let place = Place::with_tiny_model();
    let ab = |more: &[&str]| {
        place.run(&[&["ab", "-m", "tiny.safetensors", "--repeats", "6", "--layer", "features.1.conv.0"], more].concat())
    };
    assert!(ab(&[]).succeeded().out.lines().any(|line| line == "8×8"));
    assert!(ab(&["--variant", "9x9"]).error().contains("no variant of features.1.conv.0 is called `9x9`; there are "));
    assert!(ab(&["--kernel", "pool", "--variant", "64"]).error().contains("it has conv_depthwise"));
    assert!(ab(&["--device", "cpu", "--variant", "8x8"]).error().contains("the CPU does not run"));
    let elsewhere = ["ab", "-m", "tiny.safetensors", "--layer", "none", "--variant", "8x8"];
    assert!(place.run(&elsewhere).error().contains("no layer is called `none`; there are features.0.0, "));
    let shown = ab(&["--variant", "8x8", "--variant", "1x64"]).succeeded().out;
    assert!(shown.contains("8×8") && shown.contains("the second: ") && shown.contains("output: all "), "{shown}");

    let of_two = ["ab", "--network", "mobilenet-v2:0.35@32", "--repeats", "2", "--layer"];
    let of_two = |layer: &str, way: &str| place.run(&[&of_two[..], &[layer, "--variant", way]].concat());
    let shown = of_two("features.2.conv.3", "expand-small").succeeded().out;
    assert!(shown.contains("expand-small, the run up to it") && shown.contains("output: "), "{shown}");
    let shown = of_two("features.2.conv.3", "rolling-4").succeeded().out;
    assert!(shown.contains("rolling-4, the run up to it"), "{shown}");
    // Whatever the rule does, both have launches of their own where the first is compared.
    let shown = of_two("features.2.conv.0", "small").succeeded().out;
    assert!(shown.contains("conv_pointwise") && shown.contains("output: "), "{shown}");

    let text = place.run(&["shaders", "-m", "tiny.safetensors", "--pass", "1"]).succeeded().out;
    place.write("same.wgsl", &text);
    let same = ab(&["--shader", "same.wgsl", "--json"]).succeeded().json();
    assert_eq!((&same[0]["outputs"][0]["differing"], &same[0]["names"][1]), (&0.into(), &"same.wgsl".into()));
    assert_eq!(same[0]["times"][0]["n"], 6);
    // Whoever takes what is stored apart gets it as the text says, whatever the device makes of its own.
    let apart = [
        ("apart.wgsl", "from_stored(input[pixel * params.groups + group])", "group])", "group].xyzw)"),
        ("here.wgsl", "fn weight(at: u32) -> vec4<f32> {", ") -> vec4<f32> {", ") -> vec4<f32> { // Here.\n"),
    ];
    for (file, from, right, wrong) in apart {
        assert!(text.contains(from), "{text}");
        place.write(file, text.replace(from, &from.replace(right, wrong)));
        assert_eq!(ab(&["--shader", file, "--json"]).succeeded().json()[0]["outputs"][0]["differing"], 0, "{file}");
    }
    let warns = |shader: &str, of: &str| ab(&["--shader", shader]).succeeded().err.contains(of);
    let device = &place.run(&["devices", "--json"]).succeeded().json()[0];
    let is_apart = device["name"].as_str().unwrap().starts_with("llvmpipe");
    for (shader, of) in [("apart.wgsl", "words of 64 bits"), ("here.wgsl", "weights from textures")] {
        assert!(!warns("same.wgsl", of));
        assert_eq!(warns(shader, of), is_apart, "{shader} on {device}");
    }
    // W(x) is where the shader looks for it, wherever the device's own have it: made by a launch before or by its own.
    let network = ["--network", "mobilenet-v2-dcd:0.35@64"];
    let planned = place.run(&[&["inspect", "--plan", "--device", "gpu"], &network[..]].concat()).succeeded().out;
    for layer in ["features.2.conv.3", "features.2.conv.6"] {
        let row = planned.lines().find(|line| line.contains(&format!("{layer} | conv_"))).expect("a launch");
        let (pass, _) = row.trim().split_once(' ').unwrap();
        let conv = place.run(&[&["shaders"], &network[..], &["--pass", pass, "--device", "gpu"]].concat());
        let [known, own] = ["", "/**/ "].map(|note| format!(") -> vec4<f32> {{ {note}return from_stored(weights"));
        let conv = conv.succeeded().out;
        assert!(conv.contains(&known), "{conv}");
        place.write("own.wgsl", conv.replace(&known, &own));
        let assembled = ["ab", "--layer", layer, "--repeats", "2", "--shader", "own.wgsl", "--json"];
        let own = place.run(&[&assembled[..], &network[..]].concat()).succeeded().json();
        let outputs = own[0]["outputs"].as_array().unwrap();
        assert!(outputs.iter().any(|output| output["name"] == "output"), "{layer}: {own:?}");
        assert!(outputs.iter().all(|output| output["differing"] == 0), "{layer}: {own:?}");
    }

    place.write(
        "wrong.wgsl",
        text.replacen("let left = i32(column * STRIDE) - i32(params.pad_left);", "let left = i32(column * STRIDE);", 1),
    );
    let wrong = ab(&["--shader", "wrong.wgsl"]).succeeded().out;
    assert!(wrong.contains("values differ, by at most "), "{wrong}");

    // Where a layer is one launch, a part of a way's name means launches in the device's own tiles.
    let middle = ["ab", "--layer", "features.8.conv.0", "--variant", "latent_wide", "--repeats", "1"];
    let middle = place.run(&[&middle[..], &network[..]].concat()).succeeded().out;
    assert!(!is_apart || middle.contains("branch-subgroup-latent_wide"), "{middle}");
    let shown = place.run(&[&["inspect", "--plan", "--device", "gpu"], &network[..]].concat()).succeeded().out;
    if shown.contains("features.8.conv.0 | conv_dynamic_subgroup") {
        for form in ["assemble", "branch"] {
            let one = ["ab", "--layer", "features.8.conv.0", "--variant", form, "--repeats", "1"];
            let one = place.run(&[&one[..], &network[..]].concat()).succeeded().out;
            assert!(one.contains(&format!("{form}-one-launch")), "{one}");
        }
    }

    // The stem's kernel differs from device to device: what `shaders --device` writes is what this one runs.
    let stem = place.run(&["shaders", "-m", "tiny.safetensors", "--pass", "0", "--device", "gpu"]).succeeded().out;
    place.write("stem.wgsl", stem);
    let stem = ["ab", "-m", "tiny.safetensors", "--layer", "features.0.0", "--repeats", "1", "--json", "--shader"];
    let same = place.run(&[&stem[..], &["stem.wgsl"]].concat()).succeeded().json();
    assert_eq!(same[0]["outputs"][0]["differing"], 0);
    let planned = place.run(&["inspect", "-m", "tiny.safetensors", "--plan", "--device", "gpu"]).succeeded().out;
    let kernel = same[0]["kernel"].as_str().unwrap();
    assert!(planned.contains(&format!("features.0.0 | {kernel}")), "{kernel} in {planned}");
    assert!(
        place
            .run(&["shaders", "-m", "tiny.safetensors", "--pass", "0", "--device", "no such adapter"])
            .error()
            .contains("no GPU adapter matches")
    );

    let line = 1 + text.lines().position(|line| line.contains("fn rolling(")).unwrap();
    let refused = |right: &str, wrong: &str, part: &str| {
        assert!(text.contains(right), "{right}");
        place.write("bad.wgsl", text.replace(right, wrong));
        let ended = ab(&["--shader", "bad.wgsl"]).with_code(2);
        assert!(ended.err.contains(part), "expected {part:?} in {ended:#?}");
    };
    refused("fn rolling(", "fn rolling(;", &format!("error: bad.wgsl:{line}: "));
    refused("fn rolling(", "fn roling(", "expected the entry point `rolling`");
    refused("@binding(1) var<storage, read>", "@binding(9) var<storage, read>", "where the kernel binds nothing");
    refused("var<storage, read> input", "var<storage, read_write> input", "expected storage of");
    refused("KERNEL", "CORNEL", "expected an override `KERNEL`, which the launch sets to 3");
    let size = "@workgroup_size(WORKGROUP_X, WORKGROUP_Y)";
    refused(size, "@workgroup_size(32)", "expected workgroups of 64 invocations, found 32");
    let lane = "@builtin(subgroup_invocation_id) lane: u32, @builtin(global_invocation_id)";
    refused("@builtin(global_invocation_id)", lane, "Workgroup size is multi dimensional");
    assert!(ab(&["--shader", "none.wgsl"]).error().starts_with("none.wgsl: "));
}
