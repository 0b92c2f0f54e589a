//! The program as its users run it: real processes, real files.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]

mod common;
#[allow(dead_code, reason = "the tests of the other commands use the rest of it")]
#[path = "common/program.rs"]
mod program;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::generator;
use common::golden::{assert_close, read};
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::model::{Description, Model, Precision};
use dynaconv::picture::{Filter, Preprocess};
use program::{Place, end, golden, npy, npy_of, read_npy, repository};
use serde_json::Value;

const COMMANDS: &[&str] = &[
    "classify",
    "run",
    "eval",
    "bench",
    "inspect",
    "profile",
    "predict",
    "compare",
    #[cfg(feature = "gpu")]
    "ab",
    #[cfg(feature = "gpu")]
    "tune",
    "shaders",
    "import",
    "devices",
];
const FORMS: [&str; 3] = ["auto", "assemble", "branch"];

/// The devices that must agree; a build without GPU support has the CPU alone.
const DEVICES: &[&str] = if cfg!(feature = "gpu") { &["cpu", "gpu"] } else { &["cpu"] };

fn cat() -> String {
    repository("assets/pictures/cat.jpg").to_str().unwrap().into()
}

#[test]
fn help_has_examples_and_the_version_is_the_packages() {
    let place = Place::new();
    for command in COMMANDS {
        let help = place.run(&[command, "--help"]).succeeded().out;
        assert!(help.contains("Examples:") && help.contains(&format!("dynaconv {command}")), "{help}");
        // What is pasted is whole.
        let (_, examples) = help.split_once("Examples:\n").unwrap();
        assert!(examples.lines().all(|line| line.starts_with("  dynaconv ") && line.len() <= 100), "{examples}");
    }
    let help = place.run(&["--help"]).succeeded().out;
    assert!(help.contains("Exit codes") && COMMANDS.iter().all(|command| help.contains(command)), "{help}");
    assert_eq!(place.run(&["--version"]).succeeded().out, format!("dynaconv {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_is_an_error() {
    let place = Place::new();
    for arguments in [&[][..], &["fly"], &["classify"], &["classify", "--top", "0", "x.jpg"], &["run", "--input", "x"]]
    {
        place.run(arguments).with_code(2);
    }
}

#[test]
fn official_checkpoints_give_pytorchs_scores_in_all_forms_on_all_devices() {
    let expected = read(golden("tiny_checkpoints.safetensors").to_str().unwrap(), "logits");
    let input = read(golden("tiny_checkpoints.safetensors").to_str().unwrap(), "input");
    for checkpoint in ["tiny_zip.pth.tar", "tiny_legacy.pth.tar"] {
        let place = Place::new();
        let said = place.import_tiny(checkpoint, &[]).succeeded().err;
        assert!(said.contains("MobileNetV2-DCD ×0.1") && said.contains("232,838"), "{said}");
        place.write("x.npy", npy(&input));
        for device in DEVICES {
            for (form, batch) in FORMS.into_iter().zip(["8", "2", "1"]) {
                let files = ["run", "--model", "tiny.safetensors", "--input", "x.npy", "--output", "y.npy"];
                let ended = place
                    .run(&[&files[..], &["--device", device, "--form", form, "--batch", batch]].concat())
                    .succeeded();
                assert!(ended.err.contains("model   tiny_") && ended.err.contains("device  "), "{ended:?}");
                let (header, found) = read_npy(&place.path("y.npy"));
                assert!(header.contains("'descr': '<f4'") && header.contains("'shape': (2, 10,)"), "{header}");
                assert_close(&format!("{checkpoint} {device} {form}"), &found, expected.data(), 1e-4);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn standard_output_has_the_result_alone_whatever_it_is_called() {
    let place = Place::with_tiny_model();
    place.write("x.npy", npy(&read(golden("tiny_checkpoints.safetensors").to_str().unwrap(), "input")));
    let run = ["run", "-m", "tiny.safetensors", "-d", "cpu", "--input", "x.npy", "--output"];
    place.run(&[&run[..], &["y.npy"]].concat()).succeeded();
    let expected = std::fs::read(place.path("y.npy")).unwrap();
    for name in ["-", "/dev/stdout"] {
        let file = std::fs::File::create(place.path("z.npy")).unwrap();
        end(place.command(&[&run[..], &[name]].concat()).stdout(file)).succeeded();
        assert_eq!(std::fs::read(place.path("z.npy")).unwrap(), expected, "{name}");
    }
    for (to, part) in [
        ("x.npy", "x.npy: the scores would replace their own input"),
        ("./tiny.safetensors", "./tiny.safetensors: the scores would replace the model"),
        ("none/y.npy", "none/y.npy: cannot be written: none: "),
    ] {
        let ended = place.run(&[&run[..], &[to]].concat());
        assert!(!ended.err.contains("model   "), "{ended:#?}");
        assert!(ended.error().starts_with(part), "{to}");
    }
    // A model by its name too.
    std::fs::create_dir_all(place.path("assets/models")).unwrap();
    std::fs::rename(place.path("tiny.safetensors"), place.path("assets/models/named.safetensors")).unwrap();
    let named = ["run", "-m", "named", "-d", "cpu", "--input", "x.npy", "--output", "assets/models/named.safetensors"];
    assert!(place.run(&named).error().ends_with("the scores would replace the model"));
}

#[test]
fn hostile_arrays_are_refused_by_name_and_nothing_is_written() {
    let place = Place::with_tiny_model();
    let header = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
    };
    let picture = vec![0.0; 3 * 32 * 32];
    let of = |descr: &str, order: &str, shape: &str| npy_of(&header(descr, order, shape), &picture);
    for (bytes, part) in [
        (of("<f8", "False", "(1, 3, 32, 32)"), "expected values of type <f4 (float32), found <f8"),
        (of("<f4", "True", "(1, 3, 32, 32)"), "expected values in C order, found Fortran order"),
        (of("<f4", "False", "(2, 3, 32, 32)"), "truncated: shape [2, 3, 32, 32] needs 24576 bytes"),
        (of("<f4", "False", "(3, 32, 32)"), "the input has shape [3, 32, 32], expected [1 or more, 3, 32, 32]"),
        (of("<f4", "False", "(1, 32, 32, 3)"), "the input has shape [1, 32, 32, 3]"),
        (npy_of(&header("<f4", "False", "(0, 3, 32, 32)"), &[]), "the input has shape [0, 3, 32, 32]"),
        (of("<f4", "False", "(9999999999, 9999999999, 32, 32)"), "is larger than any file"),
        (
            npy_of(&header("<f4", "False", "(1, 3, 32, 32)"), &vec![f32::NAN; 3 * 32 * 32]),
            "value 0 of the input is NaN",
        ),
        (b"\x89PNG".to_vec(), "expected a NumPy file"),
        (Vec::new(), "expected a NumPy file"),
    ] {
        place.write("x.npy", bytes);
        let files = ["run", "-m", "tiny.safetensors", "--input", "x.npy", "--output", "y.npy", "--device", "cpu"];
        let error = place.run(&files).error();
        assert!(error.contains(part), "expected {part:?} in {error:?}");
        assert!(error.starts_with("x.npy: "), "{error}");
        assert!(!place.path("y.npy").exists());
    }
    let missing = ["run", "-m", "tiny.safetensors", "--input", "none.npy", "--output", "y.npy"];
    assert!(place.run(&missing).error().starts_with("none.npy: "));
}

#[test]
fn benches_time_as_many_runs_as_asked_for() {
    let place = Place::with_tiny_model();
    for device in DEVICES {
        let fixed = ["bench", "-m", "tiny.safetensors", "--device", device, "--batch", "1,6", "--runs", "4"];
        let reports = place.run(&[&fixed[..], &["--json"]].concat()).succeeded().json();
        assert_eq!(reports.iter().map(|report| &report["batch"]).collect::<Vec<_>>(), [1, 6]);
        // Software takes six pictures in two runs.
        let runs = |report: &Value| if report["software"] == true && report["batch"] == 6 { 2 } else { 1 };
        assert!(reports.iter().all(|report| report["runs"] == runs(report)), "{reports:?}");
        for report in &reports {
            let number = |name: &str| report[name].as_f64().unwrap();
            let mut times: Vec<_> =
                report["times_ms"].as_array().unwrap().iter().map(|time| time.as_f64().unwrap()).collect();
            assert_eq!(times.len(), 4);
            times.sort_by(f64::total_cmp);
            // Times are whole nanoseconds, so the sum of the middle two is twice the median to the last one.
            let nanoseconds = |ms: f64| (1e6 * ms).round() as u64;
            assert_eq!(nanoseconds(2.0 * number("median_ms")), nanoseconds(times[1]) + nanoseconds(times[2]));
            assert!(
                times[0] > 0.0 && number("p10_ms") <= number("median_ms") && number("median_ms") <= number("p90_ms")
            );
            let rate = number("batch") * 1e3 / number("median_ms");
            assert!((number("pictures_per_second") - rate).abs() <= 1e-9 * rate);
            let part = |name: &str| report["first_answer"][name].as_f64().unwrap();
            let parts = part("prepare_ms") + part("run_ms");
            assert!((part("total_ms") - parts).abs() <= 1e-9 * parts && part("prepare_ms") > 0.0, "{report}");
            let steps = part("open_ms") + part("lower_ms") + part("pipelines_ms").max(part("memory_ms"));
            assert!((part("prepare_ms") - steps).abs() <= 1e-6 * steps && part("lower_ms") > 0.0, "{report}");
            // What goes on while the device is opened.
            assert!(part("fold_ms") > 0.0 && part("read_ms") + part("fold_ms") <= part("open_ms"), "{report}");
            let launches = &report["launches"];
            assert!(launches["flops"].as_f64().unwrap() > 0.0 && launches["moved_bytes"].as_f64().unwrap() > 0.0);
            assert!(launches["device_ms"].as_f64().is_none_or(|time| time > 0.0), "{report}");
            let is_gpu = *device != "cpu";
            assert_eq!([report["host"].is_object(), report["two_under_way_per_second"].is_number()], [is_gpu; 2]);
            if is_gpu && launches["device_ms"].is_number() {
                for share in ["fma_share", "bandwidth_share", "roof_share"] {
                    assert!(launches[share].as_f64().is_some_and(|share| share > 0.0), "{share}: {report}");
                }
            }
            assert!(number("dispatches") > 50.0 && number("weight_bytes") > 0.0 && report["software"].is_boolean());
        }
        let table = place.run(&fixed).succeeded();
        let rows: Vec<_> = table.out.lines().collect();
        assert!(
            rows.len() == 11 && rows[0].starts_with("batch  median ms") && rows[2].starts_with("    6  "),
            "{table:?}"
        );
        assert!(
            rows[4].starts_with("batch  runs  launches") && rows[8].starts_with("batch  first answer ms"),
            "{table:?}"
        );
        let brief = place.run(&[&fixed[..], &["--brief", "--json"]].concat()).succeeded().json();
        assert!(
            brief.iter().all(|report| report["launches"].is_null() && report["median_ms"].is_number()),
            "{brief:?}"
        );
        assert!(table.err.contains("device  "), "{table:?}");
    }
    // What was measured before a batch fails is shown: here the model is gone when the second batch wants it.
    let two = ["bench", "-m", "tiny.safetensors", "-d", "cpu", "--batch", "1,2", "--runs", "4", "--brief"];
    let mut bench = place.command(&two).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(bench.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("device  ")));
    std::fs::remove_file(place.path("tiny.safetensors")).unwrap();
    assert!(said.any(|line| line.starts_with("error: ") && line.contains("tiny.safetensors")));
    let output = bench.wait_with_output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("    1  ")).count();
    assert!(output.status.code() == Some(2) && rows == 3, "{table}");
    place.import_tiny("tiny_zip.pth.tar", &[]).succeeded();
    for wrong in [["--batch", "0"], ["--batch", "1,x"], ["--runs", "0"], ["--seconds", "0"]] {
        place.run(&["bench", "-m", "tiny.safetensors", wrong[0], wrong[1]]).with_code(2);
    }
}

#[test]
fn networks_by_name_need_no_file() {
    let place = Place::new();
    let network = ["--network", "mobilenet-v2-dcd:0.35@96"];
    let inspected = place.run(&[&["inspect", "--json"][..], &network].concat()).succeeded();
    assert!(inspected.err.contains("made up"), "{inspected:?}");
    let report = &inspected.json()[0];
    assert_eq!((&report["name"], &report["precision"]), (&"mobilenet-v2-dcd:0.35@96".into(), &"f32".into()));
    for device in DEVICES {
        for precision in ["f32", "f16"] {
            let fixed = ["bench", "--brief", "--json", "--runs", "1", "--device", device, "--precision", precision];
            let reports = place.run(&[&fixed[..], &network].concat()).succeeded().json();
            assert_eq!((&reports[0]["precision"], &reports[0]["batch"]), (&precision.into(), &1.into()));
            let share = reports[0]["weight_bytes"].as_f64().unwrap() / report["weight_bytes"].as_f64().unwrap();
            // Devices take different forms, and hold their weights in different blocks.
            let expected = if precision == "f32" { 1.0 } else { 0.5 };
            assert!((share - expected).abs() < 0.03, "{precision} on {device}: {share}");
        }
    }
    for wrong in ["resnet-50", "mobilenet-v2:-1", "mobilenet-v2@0", "mobilenet-v2@99999999999999999999"] {
        let refused = place.run(&["inspect", "--network", wrong]).with_code(2);
        assert!(refused.err.contains(&format!("invalid value '{wrong}'")), "{refused:?}");
    }
    place.run(&["bench", "--model", "m", "--network", "mobilenet-v2"]).with_code(2);
    // What only a trained network answers takes no other.
    place.run(&["classify", "--network", "mobilenet-v2", &cat()]).with_code(2);
}

#[cfg(feature = "gpu")]
#[test]
fn a_device_that_is_not_there_is_an_error_that_names_those_that_are() {
    let place = Place::with_tiny_model();
    let error = place.run(&["classify", "-m", "tiny.safetensors", "--device", "No Such Thing", &cat()]).error();
    assert!(error.starts_with("no GPU adapter matches `no such thing`; found: "), "{error}");
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_gpus_says_so_and_goes_on_with_the_cpu() {
    let place = Place::with_tiny_model();
    let error = place.run(&["classify", "-m", "tiny.safetensors", "--device", "vulkan", &cat()]).error();
    assert!(error.contains("no GPU support"), "{error}");
    let ended = place.run(&["classify", "-m", "tiny.safetensors", &cat()]).succeeded();
    assert!(ended.err.contains("note: this build has no GPU support; going on with the CPU"), "{ended:?}");
}

/// A shell that lets no file grow stands for a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_whole_is_told_without_the_temporary_files_name() {
    let place = Place::new();
    let source = golden("tiny_zip.pth.tar");
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_dynaconv");
    let import = ["import", source.to_str().unwrap(), "-o", "x.safetensors", "--input-size", "32"];
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", limited, "bash", program]).args(import).current_dir(place.path(""));
    let error = end(&mut shell).error();
    assert!(error.starts_with("x.safetensors: cannot be written: ") && !error.contains(".dynaconv-"), "{error}");
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
}

#[test]
fn models_are_found_by_name_and_missing_ones_are_told_with_those_that_exist() {
    let place = Place::with_tiny_model();
    std::fs::create_dir_all(place.path("assets/models")).unwrap();
    std::fs::copy(place.path("tiny.safetensors"), place.path("assets/models/first-v1.0.safetensors")).unwrap();
    std::fs::create_dir_all(place.path("mine")).unwrap();
    std::fs::rename(place.path("tiny.safetensors"), place.path("mine/second.safetensors")).unwrap();

    let inspect = |model: &str| {
        let mut command = place.command(&["inspect", "--json", "--model", model]);
        end(command.env("DYNACONV_MODELS", place.path("mine")))
    };
    assert_eq!(inspect("first-v1.0").succeeded().json()[0]["name"], "tiny_zip");
    assert_eq!(inspect("second").succeeded().json()[0]["name"], "tiny_zip");
    let error = inspect("third").error();
    assert!(error.starts_with("no model is called `third`; looked in ") && error.contains("mine, assets"), "{error}");
    let (_, found) = error.split_once("found there: ").unwrap();
    assert!(found.contains("first-v1.0") && found.contains("second"), "{error}");
    assert!(inspect("none/third.safetensors").error().starts_with("none/third.safetensors: cannot read it"));
    assert!(inspect(golden("tiny_zip.pth.tar").to_str().unwrap()).error().contains("which is to be imported first"));
}

#[test]
fn what_is_imported_is_as_the_options_say() {
    let place = Place::new();
    let labels: Vec<String> = (0..10).map(|class| format!("label {class}")).collect();
    place.write("labels.txt", labels.join("\r\n"));
    let options = "--half --name small --labels labels.txt --resize 40 --filter bicubic --mean 0.5,0.25,0 --std 1,1,2";
    let options: Vec<&str> = options.split(' ').chain(["--notes", "made up"]).collect();
    place.import_tiny("tiny_zip.pth.tar", &options).succeeded();
    let model = Model::load(place.path("tiny.safetensors")).unwrap();
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 2 };
    let preprocess =
        Preprocess { resize: 40, crop: 32, filter: Filter::Bicubic, mean: [0.5, 0.25, 0.0], std: [1.0, 1.0, 2.0] };
    let architecture = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 };
    let expected =
        Description { labels, notes: Some("made up".into()), ..Description::new("small", architecture, preprocess) };
    assert_eq!(model.description(), &expected);
    assert!(std::fs::metadata(place.path("tiny.safetensors")).unwrap().len() < 700_000);
    let table = place.run(&["classify", "-m", "tiny.safetensors", "-d", "cpu", &cat()]).succeeded().out;
    assert!(table.contains("  label "), "{table}");

    place.write("labels.txt", "one\ntwo\n");
    for (options, part) in [
        (&["--labels", "labels.txt"][..], "--labels labels.txt: expected none or 10, one for each class, found 2"),
        (&["--labels", "none.txt"], "none.txt: "),
        (&["--resize", "31"], "--resize 31: expected 32 (the crop) to 16384 pixels, found 31"),
        (&["--width", "0.5"], "no known network has these tensors"),
    ] {
        let error = place.import_tiny("tiny_zip.pth.tar", options).error();
        assert!(error.contains(part), "expected {part:?} in {error:?}");
    }
    for (option, values, part) in [
        ("--mean", "1,2", "expected three numbers such as 0.5,0.5,0.5, found `1,2`"),
        ("--mean", "123.675,116.28,103.53", "(of levels from 0 to 255 a 255th), found `123.675,116.28,103.53`"),
        ("--mean", "-0.5,0,0", "expected means between 0 and 1"),
        ("--std", "1,0,1", "expected deviations above 0 and at most 10"),
        ("--std", "1,nan,1", "expected deviations above 0"),
        ("--std", "58,57,57", "of levels from 0 to 255 a 255th"),
    ] {
        let error = place.import_tiny("tiny_zip.pth.tar", &[option, values]).with_code(2).err;
        assert!(error.contains(part) && error.contains(option), "expected {part:?} in {error:?}");
    }
    for (option, value) in [
        ("--stem-stride", "0"),
        ("--stem-stride", "16"),
        ("--fc-squeeze", "0"),
        ("--width", "nan"),
        ("--width", "0"),
        ("--input-size", "0"),
        ("--input-size", "16385"),
    ] {
        let source = golden("tiny_zip.pth.tar");
        let import = ["import", source.to_str().unwrap(), "-o", "x.safetensors", option, value];
        let error = place.run(&import).with_code(2).err;
        assert!(error.contains(&format!("invalid value '{value}' for '{option} <")), "{error}");
    }
    assert_eq!(place.import_tiny("tiny_zip.pth.tar", &["--name", ""]).error(), "--name: expected a name, found none");
    let labels = ["--labels", "labels.txt"];
    place.write("labels.txt", "");
    let error = place.import_tiny("tiny_zip.pth.tar", &labels).error();
    assert_eq!(error, "--labels labels.txt: expected the classes' names, found none");
    place.write("labels.txt", "a".repeat(70_000) + &"\nb".repeat(9));
    let error = place.import_tiny("tiny_zip.pth.tar", &labels).error();
    assert_eq!(error, "--labels labels.txt: expected labels of at most 1000 bytes, found one of 70000");
    let replaced = place.import_tiny("tiny_zip.pth.tar", &["--labels", "tiny.safetensors"]).error();
    assert!(replaced.ends_with("the model would replace the file of its labels"), "{replaced}");
    let source = golden("tiny_zip.pth.tar");
    let nowhere = place.run(&["import", source.to_str().unwrap(), "-o", "none/x.safetensors"]);
    assert!(nowhere.error().starts_with("none/x.safetensors: cannot be written: none: "));
    assert!(place.run(&["import", "none.pth", "-o", "x.safetensors"]).error().starts_with("none.pth: "));
    let itself = ["import", "tiny.safetensors", "--output", "./tiny.safetensors"];
    assert!(place.run(&itself).error().contains("would replace its own source"));
}

#[test]
fn the_costs_of_the_papers_network_are_those_worked_out_by_hand() {
    let place = Place::new();
    let base = MobileNetV2::imagenet(1.0);
    let architecture = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 };
    let weights = generator::weights(&architecture.build().unwrap());
    let model = Model::new(Description::new("paper", architecture, Preprocess::imagenet(224)), weights).unwrap();
    model.save(place.path("paper.safetensors"), Precision::F16).unwrap();

    let shown = place.run(&["inspect", "--model", "paper.safetensors"]).succeeded().out;
    for part in ["5,720,028", "300.77 M static, 353.14 M assembled, 402.10 M branch, 326.37 M best"] {
        assert!(shown.contains(part), "expected {part:?} in\n{shown}");
    }
    let json = place.run(&["inspect", "--model", "paper.safetensors", "--json", "--form", "branch"]).succeeded().json();
    let [report] = &json[..] else { panic!("{json:?}") };
    assert_eq!(report["parameters"], 5_720_028);
    assert_eq!(report["multiply_adds"]["best"], 326_371_068);
    assert_eq!(report["multiply_adds"]["chosen"], report["multiply_adds"]["branch"]);
    assert_eq!(report["submits"], 1);
    let layers = report["layers"].as_array().unwrap();
    let sum = |field: &str| layers.iter().map(|layer| layer[field].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!(sum("parameters"), 5_720_028);
    assert_eq!(Value::from(sum("static_multiply_adds")), report["multiply_adds"]["static"]);
    let branch =
        |layer: &Value| layer.get("branch_multiply_adds").unwrap_or(&layer["static_multiply_adds"]).as_u64().unwrap();
    assert_eq!(Value::from(layers.iter().map(branch).sum::<u64>()), report["multiply_adds"]["branch"]);

    let plan = place.run(&["inspect", "--model", "paper.safetensors", "--plan", "--form", "branch"]).succeeded().out;
    let launches = plan.lines().filter(|line| line.contains(" workgroups | ")).count();
    assert_eq!((&report["dispatches"], &report["preparation_dispatches"]), (&launches.into(), &2.into()));
    assert!(shown.contains(", and 2 to prepare the picture, in 1 submit"), "{shown}");
}

#[test]
fn devices_are_listed_with_the_cpu_last() {
    let place = Place::new();
    let json = place.run(&["devices", "--json"]).succeeded().json();
    assert_eq!(json.last().unwrap()["api"], "cpu");
    for device in &json {
        assert!(device["name"].is_string() && device["software"].is_boolean() && device["features"].is_array());
    }
    assert!(!cfg!(feature = "gpu") || json.len() > 1, "a GPU test needs a GPU, if only a software one");
    assert!(place.run(&["devices"]).succeeded().out.contains("CPU, "));
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let place = Place::with_tiny_model();
    let command = || place.command(&["classify", "-m", "tiny.safetensors", "-d", "cpu", &cat()]);
    let plain = end(&mut command()).succeeded();
    assert!(!plain.out.contains('\x1b') && !plain.err.contains('\x1b'), "{plain:?}");
    assert!(end(command().env("CLICOLOR_FORCE", "1")).succeeded().out.contains("\x1b["));
    let refused = end(command().env("NO_COLOR", "1")).succeeded();
    assert!(!refused.out.contains('\x1b') && !refused.err.contains('\x1b'), "{refused:?}");
}

#[test]
fn foreign_text_does_not_reach_the_terminal_as_it_is() {
    let place = Place::new();
    place.write("labels.txt", "\x1b[2Jred\n".repeat(10));
    place.import_tiny("tiny_zip.pth.tar", &["--labels", "labels.txt", "--name", "a\x1b[31mname"]).succeeded();
    let plan = place.run(&["inspect", "-m", "tiny.safetensors", "--plan"]).succeeded().out;
    assert!(plan.starts_with("a\\u{1b}[31mname: "), "{plan:.100}");
    let ended = place.run(&["classify", "-m", "tiny.safetensors", "-d", "cpu", &cat()]).succeeded();
    assert!(ended.out.contains("\\u{1b}[2Jred") && ended.err.contains("a\\u{1b}[31mname"), "{ended:#?}");
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let place = Place::with_tiny_model();
    for arguments in [
        &["inspect", "-m", "tiny.safetensors", "--plan"][..],
        &["inspect", "-m", "tiny.safetensors"],
        &["classify", "-m", "tiny.safetensors", "-d", "cpu", &cat()],
        &["devices"],
        &["--help"],
    ] {
        let mut command = place.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.to_lowercase().contains("broken pipe"), "{arguments:?}: {said}");
    }
}
