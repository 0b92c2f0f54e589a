//! The commands that choose and predict, as their users run them.
#![cfg(all(feature = "cli", feature = "gpu", not(target_arch = "wasm32")))]

#[allow(dead_code, reason = "the tests of the other commands use the rest of it")]
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::PathBuf;

use dynaconv::tensor::Tensor;
use program::{Place, npy, read_npy};

const MODEL: [&str; 2] = ["-m", "tiny.safetensors"];

fn run(place: &Place, arguments: &[&str]) -> program::Ended {
    place.run(&[&arguments[..1], &MODEL, &arguments[1..]].concat())
}

/// What `tune` keeps.
fn kept(place: &Place) -> Vec<PathBuf> {
    let folder = fs::read_dir(place.path("cache/dynaconv")).into_iter().flatten();
    let paths = folder.map(|file| file.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("tuned-")).collect()
}

/// Made-up weights must not make more of the order of sums than trained ones do.
#[test]
fn all_ways_of_a_network_without_training_compute_the_same() {
    let place = Place::with_tiny_model();
    let tune =
        ["tune", "--network", "mobilenet-v2-dcd:0.35@64", "--rounds", "3", "--seconds", "1", "--dry-run", "--json"];
    let found = place.run(&tune).succeeded().json();
    let shapes = found[0]["shapes"].as_array().unwrap();
    assert!(shapes.len() > 10 && kept(&place).is_empty(), "{found:?}");
    for shape in shapes {
        let ways = shape["ways"].as_array().unwrap();
        assert!(ways.len() > 1 && shape["wrong"].as_array().unwrap().is_empty(), "{shape}");
        assert!(ways.iter().all(|way| way["time"].as_f64().unwrap() > 0.0), "{shape}");
    }
}

#[test]
fn what_is_found_is_kept_and_taken_and_nothing_else_is() {
    let place = Place::with_tiny_model();
    let planned = |more: &[&str]| run(&place, &[&["inspect", "--plan", "--device", "gpu"], more].concat()).succeeded();
    let rule = planned(&[]).out;
    assert!(!rule.contains("chosen"), "{rule}");

    let shown = run(&place, &["tune", "--rounds", "3"]).succeeded();
    for part in ["rule's way", "fastest way", "these layers", "whole runs", "depthwise 3×3 by 2"] {
        assert!(shown.out.contains(part), "expected {part:?} in {shown:#?}");
    }
    let [file] = &kept(&place)[..] else { panic!("one file: {:?}", kept(&place)) };
    assert!(shown.err.contains("kept in ") && shown.err.contains("tuned-"), "{shown:#?}");
    let tuned = planned(&[]);
    assert!(
        tuned.out.contains("layers take the ways chosen for them") && tuned.out.contains(", chosen: "),
        "{tuned:#?}"
    );
    assert_eq!(planned(&["--untuned"]).out, rule);
    // Without a device the plan is for all of them.
    assert!(!run(&place, &["inspect", "--plan"]).succeeded().out.contains("chosen"));
    assert!(run(&place, &["inspect", "--device", "gpu"]).succeeded().out.contains("\ntuned          "));
    let report = run(&place, &["inspect", "--device", "gpu", "--json"]).succeeded().json();
    assert!(report[0]["tuned"].as_u64().unwrap() > 10, "{report:?}");

    // The network computes what it computed, whatever ways it takes.
    let values = (0..3 * 32 * 32).map(|index| (index * 37 % 101) as f32 / 50.0 - 1.0).collect();
    place.write("x.npy", npy(&Tensor::new(vec![1, 3, 32, 32], values).unwrap()));
    let scores = |more: &[&str], output: &str| {
        let ended = run(&place, &[&["run", "--input", "x.npy", "--output", output], more].concat()).succeeded();
        (ended.err.contains("tuned   "), read_npy(&place.path(output)).1)
    };
    let ((said, found), (unsaid, expected)) = (scores(&[], "tuned.npy"), scores(&["--untuned"], "rule.npy"));
    assert!(said && !unsaid);
    let largest = expected.iter().fold(0.0f32, |most, score| most.max(score.abs()));
    assert!(expected.iter().zip(&found).all(|(a, b)| (a - b).abs() <= 1e-4 * largest), "{expected:?} and {found:?}");

    // What was found for one picture says nothing of two, nor of another precision; what is found for them is added.
    let tuned_for = |batch: &str, precision: &str| {
        let bench = ["bench", "--brief", "--batch", batch, "--precision", precision, "--runs", "1"];
        run(&place, &bench).succeeded().err.contains("tuned   ")
    };
    let all = || [("1", "f32"), ("2", "f32"), ("1", "f16"), ("2", "f16")].map(|(batch, of)| tuned_for(batch, of));
    assert_eq!(all(), [true, false, false, false]);
    let more = ["tune", "--rounds", "3", "--batch", "2", "--precision", "f16", "--json"];
    let found = run(&place, &more).succeeded().json();
    let wrong =
        found[0]["shapes"].as_array().unwrap().iter().any(|shape| !shape["wrong"].as_array().unwrap().is_empty());
    assert!(found[0]["precision"] == "f16" && !wrong, "{found:?}");
    assert_eq!((&found[0]["batch"], &found[0]["pictures"]), (&2.into(), &2.into()));
    assert_eq!(all(), [true, false, false, true]);

    // Files that are stale, foreign or no tables are ignored with a word, and replaced.
    let text = fs::read_to_string(file).unwrap();
    let driver = text.lines().find(|line| line.contains("\"driver\"")).unwrap();
    let device = text.lines().find(|line| line.contains("\"name\"")).unwrap();
    let shaders = text.lines().find(|line| line.contains("\"shaders\"")).unwrap();
    for (hostile, part) in [
        (text.replace(driver, "\"driver\": \"another\","), "made for the driver `another`, expected "),
        (text.replace(device, "\"name\": \"\\u001b[2J\","), "made for the device `\\u{1b}[2J`, expected "),
        (text.replace(shaders, "\"shaders\": \"0\","), "made for the shaders `0`, expected "),
        (text.replace("\"schema\": 2", "\"schema\": 9"), "made for schema `9`, expected `2`"),
        (text.chars().take(text.len() / 2).collect(), "expected the JSON that `dynaconv tune` writes"),
        (" ".repeat((1 << 20) + 1), "expected at most 1048576 bytes"),
        ("[".repeat(1 << 19), "expected the JSON that `dynaconv tune` writes"),
    ] {
        fs::write(file, &hostile).unwrap();
        let ended = planned(&[]);
        assert!(
            ended.err.contains("is not used: ") && ended.err.contains(part),
            "expected {part:?} in {:.2000}",
            ended.err
        );
        assert_eq!(ended.out, rule);
    }
    // Names that no layer has are no ways.
    let lines = text.lines().map(|line| match line.split_once("\": \"") {
        Some((shape, _)) if shape.contains('→') => format!("{shape}\": \"rolling-0\","),
        _ => line.to_string(),
    });
    let lines: Vec<String> = lines.collect();
    fs::write(file, lines.join("\n").replace("\",\n  }", "\"\n  }")).unwrap();
    let ended = planned(&[]);
    assert!(ended.out == rule && !ended.err.contains("is not used"), "{ended:#?}");
    fs::write(file, [0xff, 0xfe]).unwrap();
    assert!(planned(&[]).err.contains("is not used: "));
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
    assert!(planned(&[]).err.contains("is not used: "));
}

#[test]
fn only_gpus_are_tuned() {
    let place = Place::with_tiny_model();
    assert!(run(&place, &["tune", "--device", "cpu"]).error().contains("nothing to tune"));
    assert!(run(&place, &["tune", "--device", "no such adapter"]).error().contains("no GPU adapter matches"));
    run(&place, &["tune", "--rounds", "0"]).with_code(2);
    // Software takes six pictures in two runs.
    let six = ["tune", "--batch", "6", "--rounds", "3", "--seconds", "1", "--dry-run", "--json"];
    let six = run(&place, &six).succeeded();
    let report = &six.json()[0];
    assert_eq!(
        six.err.contains("note: 6 pictures take 2 runs here; this is one of 3"),
        report["pictures"] == 3,
        "{six:?}"
    );
    assert_eq!(report["batch"], 6);
    // Nobody asked for the CPU: there is nothing else.
    #[cfg(target_os = "linux")]
    for command in [&["tune"][..], &["ab", "--layer", "features.0.0"]] {
        let mut without = place.command(&[command, &MODEL].concat());
        without
            .env("VK_DRIVER_FILES", "/none")
            .env("VK_ICD_FILENAMES", "/none")
            .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/none");
        let error = program::end(&mut without).error();
        assert!(error.starts_with("no GPU adapter was found, and "), "{error}");
    }
}

#[test]
fn predictions_are_made_for_well_known_gpus_and_called_so() {
    let place = Place::with_tiny_model();
    let shown = run(&place, &["predict"]).succeeded().out;
    for part in ["predictions from data sheets, not measurements", "GeForce RTX 4090", "Apple M1", "source"] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
    let of = |batch: &str| run(&place, &["predict", "--batch", batch, "--json"]).succeeded().json();
    let (one, many) = (of("1"), of("64"));
    assert_eq!(one.len(), shown.lines().count() - 2);
    for (one, many) in one.iter().zip(&many) {
        let part = |row: &serde_json::Value, name: &str| row[name].as_f64().unwrap();
        let sum = ["launching", "arithmetic", "memory"].map(|name| part(one, name)).iter().sum::<f64>();
        assert!(one["predicted"] == true && (part(one, "time") / sum - 1.0).abs() < 1e-9, "{one}");
        assert!(part(one, "launching") == part(many, "launching"), "{many}");
        let ratio = part(many, "time") / part(one, "time");
        assert!((1.0..64.0).contains(&ratio), "{one} and {many}");
    }
}

#[test]
fn ways_of_a_layer_are_tried_against_each_other() {
    let place = Place::with_tiny_model();
    let ab = |more: &[&str]| run(&place, &[&["ab", "--repeats", "2", "--json"], more].concat());
    let names = |more: &[&str]| {
        let report = ab(more).succeeded().json();
        for output in report[0]["outputs"].as_array().unwrap() {
            // Sums in another order, but the same sums.
            let near = output["largest"].as_f64().unwrap() <= 1e-4 * output["scale"].as_f64().unwrap();
            assert!(near && output["values"].as_u64().unwrap() > 0, "{report:?}");
        }
        assert!(!report[0]["outputs"].as_array().unwrap().is_empty(), "{report:?}");
        assert_eq!(report[0]["times"][0]["n"], 2);
        let name = |index: usize| report[0]["names"][index].as_str().unwrap().to_string();
        [name(0), name(1)]
    };
    let [shipped, plain] = names(&["--layer", "features.1.conv.0", "--variant", "plain"]);
    assert!(shipped.starts_with("rolling-") && shipped.ends_with(" (shipped)"), "{shipped}");
    assert!(plain.starts_with("plain-"), "{plain}");
    assert_eq!(names(&["--layer", "features.0.0", "--variant", "small", "--variant", "wide"]), ["small", "wide"]);
    let dynamic = ["--layer", "features.2.conv.0"];
    let [first, second] = names(&[&dynamic[..], &["--variant", "assemble-small", "--variant", "branch-wide"]].concat());
    assert!(first == "assemble-small" && second.starts_with("branch-wide-latent"), "{second}");
    let [_, sized] = names(&["--layer", "features.1.conv.0", "--variant", "plain", "--variant", "1x64"]);
    assert_eq!(sized, "1×64");
    let error = ab(&[&dynamic[..], &["--variant", "rolling"]].concat()).error();
    for part in
        ["no variant of features.2.conv.0 is called `rolling`; there are ", "assemble-wide", "branch-small-latent"]
    {
        assert!(error.contains(part), "expected {part:?} in {error}");
    }
    let listed = &ab(&["--layer", "features.0.0"]).succeeded().json()[0];
    let variants = &listed["variants"];
    assert!(listed["layer"] == "features.0.0" && variants[0] == "small" && variants[1] == "wide", "{listed}");
    let twice = ab(&["--layer", "features.1.conv.0", "--variant", "8x8", "--variant", "8×8"]).error();
    assert_eq!(twice, "--variant: expected two, found 8×8 twice");
    // Software takes six pictures in two runs.
    let six = ab(&["--layer", "features.0.0", "--variant", "small", "--variant", "wide", "--batch", "6"]).succeeded();
    assert_eq!(six.err.contains("this is one of 3 pictures"), six.json()[0]["pictures"] == 3, "{six:?}");
}
