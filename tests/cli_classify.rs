//! Pictures through the program, one by one and counted, as its users run it.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]

mod common;
#[allow(dead_code, reason = "the tests of the other commands use the rest of it")]
#[path = "common/program.rs"]
mod program;

use common::generator;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::model::{Description, Model, Precision};
use dynaconv::picture::Preprocess;
use dynaconv::tensor::Tensor;
use program::{Place, repository};
use serde_json::Value;

/// The devices that must agree; a build without GPU support has the CPU alone.
const DEVICES: &[&str] = if cfg!(feature = "gpu") { &["cpu", "gpu"] } else { &["cpu"] };

fn cat() -> String {
    repository("assets/pictures/cat.jpg").to_str().unwrap().into()
}

/// The shipped model, wherever the program lies.
fn shipped() -> String {
    repository("assets/models/mobilenet-v2-dcd-cifar10.safetensors").to_str().unwrap().into()
}

#[test]
fn pictures_are_classified_for_people_and_for_programs() {
    let place = Place::with_tiny_model();
    for name in ["b/rocket.jpg", "b/a/cat.JPG", "b/notes.txt"] {
        place.picture("assets/pictures/cat.jpg", name);
    }
    let table = place.run(&["classify", "-m", "tiny.safetensors", "--top", "3", "b", "b/notes.txt"]).succeeded();
    let lines: Vec<_> = table.out.lines().collect();
    assert_eq!(lines.len(), 12, "{table:#?}");
    let heads: Vec<_> = lines.iter().step_by(4).map(|line| line.replace('\\', "/")).collect();
    assert_eq!(heads, ["b/a/cat.JPG", "b/rocket.jpg", "b/notes.txt"]);
    assert!(lines[1].starts_with("  class 2  ") && lines[1].contains(" %  █"), "{table:#?}");
    assert!(table.err.contains("model   tiny_zip\n") && table.err.contains("device  "), "{table:#?}");

    let json = place.run(&["classify", "-m", "tiny.safetensors", "--json", "--top", "99", &cat()]).succeeded().json();
    let [line] = &json[..] else { panic!("{json:?}") };
    assert_eq!(line["file"], cat());
    assert_eq!(line["model"], "tiny_zip");
    assert!(line["device"].is_string() && line["software"].is_boolean() && line.get("error").is_none());
    let guesses = line["guesses"].as_array().unwrap();
    assert_eq!(guesses.len(), 10);
    assert_eq!((&guesses[0]["class"], &guesses[0]["label"]), (&Value::from(2), &Value::Null));
    let probabilities: Vec<f64> = guesses.iter().map(|guess| guess["probability"].as_f64().unwrap()).collect();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5 && probabilities.is_sorted_by(|a, b| a >= b));
}

#[test]
fn halves_give_the_same_classes() {
    let place = Place::new();
    for device in DEVICES {
        let guesses = |precision: &str| {
            let fixed =
                ["classify", "--model", &shipped(), "--json", "--device", device, "--precision", precision, &cat()];
            place.run(&fixed).succeeded().json()[0]["guesses"].clone()
        };
        let (single, half) = (guesses("f32"), guesses("f16"));
        assert_eq!(single[0]["label"], half[0]["label"]);
        let apart = single[0]["probability"].as_f64().unwrap() - half[0]["probability"].as_f64().unwrap();
        assert!(apart != 0.0 && apart.abs() < 0.01, "{device}: {apart}");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_and_the_cpu_give_the_same_guesses() {
    let place = Place::with_tiny_model();
    let guesses = |more: &[&str]| {
        let folder = repository("assets/pictures");
        let fixed = ["classify", "-m", "tiny.safetensors", "--json", folder.to_str().unwrap()];
        place.run(&[&fixed[..], more].concat()).succeeded().json()
    };
    let (gpu, cpu) = (guesses(&[]), guesses(&["--device", "cpu", "--batch", "2"]));
    assert_eq!((gpu.len(), cpu.len()), (3, 3));
    for (gpu, cpu) in gpu.iter().zip(&cpu) {
        assert!(
            !gpu["device"].as_str().unwrap().starts_with("CPU") && cpu["device"].as_str().unwrap().starts_with("CPU")
        );
        for (gpu, cpu) in gpu["guesses"].as_array().unwrap().iter().zip(cpu["guesses"].as_array().unwrap()) {
            assert_eq!(gpu["class"], cpu["class"]);
            let difference = gpu["probability"].as_f64().unwrap() - cpu["probability"].as_f64().unwrap();
            assert!(difference.abs() < 1e-3, "{gpu} {cpu}");
        }
    }
}

#[test]
fn a_broken_picture_does_not_keep_the_others_from_being_classified() {
    let place = Place::with_tiny_model();
    place.picture("assets/pictures/cat.jpg", "p/1.jpg");
    place.write("p/2.png", "no picture");
    place.picture("assets/pictures/coffee.jpg", "p/3.jpg");
    let classify = ["classify", "-m", "tiny.safetensors", "--device", "cpu", "--top", "1", "p"];
    let table = place.run(&classify).with_code(1);
    assert_eq!(table.out.lines().count(), 4, "{table:#?}");
    assert!(table.err.contains("2.png: expected a JPEG, PNG or WebP picture"), "{table:#?}");
    for batch in ["1", "3"] {
        let json = place.run(&[&classify[..], &["--json", "--batch", batch]].concat()).with_code(1).json();
        assert_eq!(json.len(), 3);
        assert!(json[1]["error"].as_str().unwrap().contains("2.png: expected") && json[1].get("guesses").is_none());
        assert!(json[0]["guesses"].is_array() && json[2]["guesses"].is_array());
    }
    // So is one that is missing among others; of one alone there is nothing to be done.
    let json = place.run(&[&classify[..], &["none.jpg", "--json"]].concat()).with_code(1).json();
    assert!(json.len() == 4 && json[3]["error"].as_str().unwrap().starts_with("none.jpg: "), "{json:?}");
    assert!(place.run(&["classify", "-m", "tiny.safetensors", "none.jpg"]).error().starts_with("none.jpg: "));
    place.write("empty/notes.txt", "");
    let json = place.run(&[&classify[..], &["empty", "--json"]].concat()).with_code(1).json();
    assert!(json.len() == 4 && json[0]["file"] == "empty", "{json:?}");
    assert!(json[0]["error"].as_str().unwrap().starts_with("empty: no pictures are in this folder"), "{json:?}");
    assert!(
        place.run(&["classify", "-m", "tiny.safetensors", "empty"]).error().contains("no pictures are in this folder")
    );
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_a_broken_picture() {
    let place = Place::with_tiny_model();
    place.picture("assets/pictures/cat.jpg", "p/a.jpg");
    std::os::unix::fs::symlink("none.jpg", place.path("p/b.jpg")).unwrap();
    let json = place.run(&["classify", "-m", "tiny.safetensors", "-d", "cpu", "p", "--json"]).with_code(1).json();
    assert!(json.len() == 2 && json[1]["error"].as_str().unwrap().starts_with("p/b.jpg: "), "{json:?}");
}

/// Of a black picture this network's scores are zero, and of any other larger than numbers can be.
#[test]
fn a_picture_without_finite_scores_is_broken_and_the_others_are_not() {
    let place = Place::new();
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 2 };
    let architecture = Architecture::MobileNetV2(base);
    let mut weights = generator::weights(&architecture.build().unwrap());
    for (name, tensor) in &mut weights {
        let shape = tensor.shape().to_vec();
        if name == "classifier.1.weight" {
            *tensor = Tensor::filled(shape, f32::MAX);
        } else if name.ends_with("bias") || name.ends_with("running_mean") {
            *tensor = Tensor::filled(shape, 0.0);
        }
    }
    let preprocess = Preprocess { mean: [0.0; 3], ..Preprocess::imagenet(32) };
    let labels = (0..10).map(|class| format!("class {class}")).collect();
    let description = Description { labels, ..Description::new("steep", architecture, preprocess) };
    Model::new(description, weights).unwrap().save(place.path("steep.safetensors"), Precision::F32).unwrap();
    place.picture("assets/pictures/cat.jpg", "data/class 0/1.jpg");
    std::fs::create_dir(place.path("data/class 1")).unwrap();
    image::RgbImage::new(40, 40).save(place.path("data/class 1/2.png")).unwrap();
    for device in DEVICES {
        let of_both = ["-m", "steep.safetensors", "--device", device, "--json"];
        let ended = place.run(&[&["classify", "data"][..], &of_both].concat()).with_code(1);
        let [steep, black] = &ended.json()[..] else { panic!("{ended:#?}") };
        let error = steep["error"].as_str().unwrap();
        assert!(error.contains("1.jpg: the scores are not finite numbers; steep does not suit"), "{ended:#?}");
        assert!(black["guesses"].is_array() && black.get("error").is_none(), "{ended:#?}");
        let ended = place.run(&[&["eval", "--data", "data"][..], &of_both].concat()).with_code(1);
        let report = &ended.json()[0];
        assert_eq!((&report["pictures"], &report["broken"]), (&1.into(), &1.into()), "{ended:#?}");
    }
}

#[test]
fn accuracy_is_measured_on_folders() {
    let place = Place::new();
    let labels = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    place.write("labels.txt", labels.join("\n"));
    place.import_tiny("tiny_zip.pth.tar", &["--labels", "labels.txt"]).succeeded();
    // They are taken for the classes 2, 8 and 1.
    for (picture, to) in [("cat", "data/two/1.jpg"), ("coffee", "data/two/deep/2.jpg"), ("rocket", "data/one/3.jpg")] {
        place.picture(&format!("assets/pictures/{picture}.jpg"), to);
    }
    let eval = ["eval", "-m", "tiny.safetensors", "--data", "data", "--predictions", "predictions.tsv"];
    let shown = place.run(&[&eval[..], &["--batch", "2"]].concat()).succeeded();
    assert!(shown.out.contains("top-1  66.67 %  (2 of 3)") && shown.out.contains("pictures/s"), "{shown:#?}");
    assert!(!shown.err.contains("alphabetical"), "{shown:#?}");
    let predictions = std::fs::read_to_string(place.path("predictions.tsv")).unwrap().replace('\\', "/");
    assert_eq!(predictions, "data/one/3.jpg\t1\ndata/two/1.jpg\t2\ndata/two/deep/2.jpg\t8\n");

    place.write("data/one/broken.png", "no picture");
    let ended = place.run(&[&eval[..], &["--json", "--device", "cpu"]].concat()).with_code(1);
    let [report] = &ended.json()[..] else { panic!("{ended:#?}") };
    assert_eq!((&report["pictures"], &report["top_1"], &report["broken"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(report["classes"][0]["label"], "one");
    assert_eq!((&report["classes"][1]["class"], &report["classes"][1]["top_1"]), (&2.into(), &1.into()));
    assert!(ended.err.contains("broken.png: expected"), "{ended:#?}");

    // Nothing that is read is replaced.
    for (to, part) in [("tiny.safetensors", "the model"), ("data/one/3.jpg", "a picture that is evaluated")] {
        let before = std::fs::read(place.path(to)).unwrap();
        let error = place.run(&[&eval[..6], &[to]].concat()).error();
        assert_eq!(error, format!("{to}: the predictions would replace {part}"));
        assert!(std::fs::read(place.path(to)).unwrap() == before);
    }

    // Standard output has one result.
    let eval_to = |to: &str, more: &[&str]| {
        let eval = ["eval", "-m", "tiny.safetensors", "-d", "cpu", "--data", "data", "--predictions", to];
        place.run(&[&eval[..], more].concat())
    };
    let ended = eval_to("-", &[]).with_code(1);
    assert!(ended.out.replace('\\', "/") == predictions && ended.err.contains("top-1  66.67 %"), "{ended:#?}");
    assert!(eval_to("-", &["--json"]).error().starts_with("--json and --predictions -: expected one result"));
    // What cannot be written is refused before anything is computed; what can be is left alone.
    for (to, part) in [("none/p.tsv", "none/p.tsv: cannot be written: none: "), ("data", "it is a folder")] {
        let ended = eval_to(to, &[]);
        assert!(!ended.err.contains("model   "), "{ended:#?}");
        assert!(ended.error().contains(part));
    }
    assert_eq!(std::fs::read_to_string(place.path("predictions.tsv")).unwrap().replace('\\', "/"), predictions);

    // Folders of other names must be as many as the classes, and are taken in order.
    std::fs::rename(place.path("data/one"), place.path("data/b")).unwrap();
    std::fs::rename(place.path("data/two"), place.path("data/c")).unwrap();
    let error = place.run(&eval).error();
    assert!(error.contains("or 10 of other names; found 2, of which `b` is the name of none"), "{error}");
    for name in "adefghij".chars() {
        std::fs::create_dir(place.path(&format!("data/{name}"))).unwrap();
    }
    let ended = place.run(&[&eval[..], &["--json"]].concat()).with_code(1);
    assert!(ended.err.contains("note: the folders are not named"), "{ended:#?}");
    // Where one has a class's name, the others are mistakes.
    std::fs::rename(place.path("data/j"), place.path("data/one")).unwrap();
    assert!(place.run(&eval).error().contains("`a` is the name of none"));
    std::fs::rename(place.path("data/one"), place.path("data/j")).unwrap();
    assert_eq!(ended.json()[0]["top_1"], 2);
    assert!(place.run(&["eval", "-m", "tiny.safetensors", "--data", "none"]).error().starts_with("none: "));
}
