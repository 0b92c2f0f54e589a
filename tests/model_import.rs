//! The import of PyTorch checkpoints: right ones in all their forms, wrong ones, and hostile ones.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::generator;
#[path = "common/stream_checkpoint.rs"]
mod stream_checkpoint;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dynaconv::graph::Graph;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::model::{Fault, ImportOptions, Model, ModelError, import};
use dynaconv::picture::{Filter, Preprocess};
use stream_checkpoint::{Entry, around, stream};

/// Remembers the largest allocation of the whole test program.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// No file of these tests needs as much in one piece; claimed sizes are terabytes.
fn assert_modest_memory() {
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < 200 << 20, "an allocation of {largest} bytes");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden").join(name)
}

fn small() -> ImportOptions {
    ImportOptions { input_size: 32, stem_stride: 1, ..ImportOptions::default() }
}

/// Imports bytes as a file.
fn import_bytes(bytes: &[u8], options: &ImportOptions) -> Result<Model, ModelError> {
    let mut file = tempfile::Builder::new().prefix("checkpoint").suffix(".pth").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    import(file.path(), options)
}

fn refused(bytes: &[u8]) -> String {
    import_bytes(bytes, &small()).unwrap_err().to_string()
}

/// A static network's tensors as a checkpoint's.
fn entries(graph: &Graph) -> Vec<Entry> {
    let weights = generator::weights(graph);
    // In the network's order, not by name.
    graph.parameters().iter().map(|p| Entry::dense(&p.name, &p.shape, weights[&p.name].data())).collect()
}

fn static_network() -> Graph {
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 1 };
    Architecture::MobileNetV2(base).build().unwrap()
}

/// What is said of the static network's checkpoint with one change.
fn refused_with(change: impl FnOnce(&mut Vec<Entry>)) -> String {
    let mut list = entries(&static_network());
    change(&mut list);
    refused(&stream(&list))
}

#[test]
fn both_official_forms_give_the_network() {
    let base = MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 2 };
    let architecture = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 };
    for file in ["tiny_legacy.pth.tar", "tiny_zip.pth.tar"] {
        let options = ImportOptions { stem_stride: 2, ..small() };
        let model = import(golden(file), &options).unwrap();
        assert_eq!(model.description().architecture, architecture);
        assert_eq!(model.description().name, file.trim_end_matches(".pth.tar"));
        assert_eq!(model.description().preprocess, Preprocess::imagenet(32));
        // Bit for bit what was put into the file.
        assert_eq!(*model.weights(), generator::weights(model.graph()), "{file}");
    }
}

#[test]
fn options_say_what_the_file_does_not() {
    let preprocess = Preprocess { resize: 48, ..Preprocess::imagenet(32) };
    let labels: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let options = ImportOptions {
        name: Some("ours".into()),
        width: Some(0.1),
        fc_squeeze: Some(16),
        labels: labels.clone(),
        preprocess: Some(preprocess.clone()),
        notes: Some("CC0".into()),
        ..small()
    };
    let description = import(golden("tiny_zip.pth.tar"), &options).unwrap().into_parts().0;
    let Architecture::MobileNetV2Dcd { base, .. } = &description.architecture else { panic!("{description:?}") };
    assert_eq!((base.input_size, base.stem_stride), (32, 1));
    assert_eq!((description.name.as_str(), description.notes.as_deref()), ("ours", Some("CC0")));
    assert_eq!((description.labels, description.preprocess), (labels, preprocess));

    let wrong = |options: &ImportOptions| import(golden("tiny_zip.pth.tar"), options).unwrap_err().to_string();
    let few = ImportOptions { labels: vec!["cat".into()], ..small() };
    assert!(wrong(&few).contains("`labels`: expected none or 10"));
    let crop = ImportOptions { preprocess: Some(Preprocess::imagenet(224)), ..small() };
    assert!(wrong(&crop).contains("`preprocess.crop`: expected the network's input size, 32, found 224"));
    // As large as a description allows, where pictures are usually resized to more.
    let large = import(golden("tiny_zip.pth.tar"), &ImportOptions { input_size: 16384, stem_stride: 2, ..small() });
    assert_eq!(large.unwrap().description().preprocess.resize, 16384);
    for (input_size, stem_stride) in [(0, 2), (usize::MAX, 2), (16385, 2), (32, 0)] {
        let senseless = wrong(&ImportOptions { input_size, stem_stride, ..small() });
        assert!(senseless.contains("field `"), "{senseless}");
    }
}

#[test]
fn the_closest_network_is_named_with_what_differs() {
    let options = ImportOptions { width: Some(0.25), ..small() };
    let message = import(golden("tiny_zip.pth.tar"), &options).unwrap_err().to_string();
    assert!(message.contains("the closest is MobileNetV2-DCD of width 0.25, fc_squeeze "), "{message}");
    assert!(message.contains(", 10 classes: ") && message.contains("`features."), "{message}");

    let missing = refused_with(|list| list.retain(|entry| entry.name != "features.3.conv.4.bias"));
    assert!(
        missing.ends_with(
            "no known network has these tensors; the closest is MobileNetV2 of width 0.1, 10 classes: 1 tensor is \
             missing: `features.3.conv.4.bias`"
        ),
        "{missing}"
    );
    let extra = refused_with(|list| list.push(Entry::dense("ema.weight", &[1], &[0.0])));
    assert!(extra.ends_with("1 tensor is not the network's: `ema.weight`"), "{extra}");
    let misshapen = refused_with(|list| {
        let entry = list.iter_mut().find(|entry| entry.name == "conv.1.bias").unwrap();
        (entry.shape, entry.strides) = (vec![1, 1280], vec![1280, 1]);
    });
    assert!(misshapen.ends_with("`conv.1.bias` has shape [1, 1280], expected [1280]"), "{misshapen}");
    let strange = refused(&stream(&[Entry::dense("fc1.weight", &[2], &[0.0; 2])]));
    assert!(strange.contains("no network is known with its 1 tensors (such as `fc1.weight`)"), "{strange}");
    assert!(refused(&stream(&[])).contains("it holds no tensors by name"));
}

#[test]
fn static_networks_and_lite0_are_recognised() {
    let graph = static_network();
    let model = import_bytes(&stream(&entries(&graph)), &small()).unwrap();
    assert!(matches!(&model.description().architecture, Architecture::MobileNetV2(base) if base.width == 0.1));
    assert_eq!(*model.graph(), graph);
    assert_eq!(*model.weights(), generator::weights(&graph));

    let lite0 = Architecture::EfficientNetLite0 { classes: 7, input_size: 64 };
    let options = ImportOptions { input_size: 64, ..ImportOptions::default() };
    let model = import_bytes(&stream(&entries(&lite0.build().unwrap())), &options).unwrap();
    assert_eq!(model.description().architecture, lite0);
    let Preprocess { resize, crop, filter, mean, std } = model.description().preprocess;
    assert_eq!((resize, crop, filter), (73, 64, Filter::Bicubic));
    assert_eq!((mean, std), ([127.0 / 255.0; 3], [128.0 / 255.0; 3]));
}

#[test]
fn tensors_of_any_layout_and_floating_type_are_read() {
    let mut list = entries(&static_network());
    let entry = |name: &str, list: &[Entry]| list.iter().position(|entry| entry.name == name).unwrap();
    let expected = generator::weights(&static_network());

    // A matrix stored by columns, and a vector in the middle of its storage.
    let matrix = entry("classifier.1.weight", &list);
    let (rows, columns) = (10, 1280);
    let values = expected["classifier.1.weight"].data();
    let transposed: Vec<f32> = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect();
    list[matrix] = Entry::dense("classifier.1.weight", &[rows, columns], &transposed);
    list[matrix].strides = vec![1, rows];
    let vector = entry("classifier.1.bias", &list);
    let stored: Vec<f32> = [&[9.0; 3], expected["classifier.1.bias"].data(), &[9.0; 2]].concat();
    list[vector] = Entry::dense("classifier.1.bias", &[15], &stored);
    (list[vector].shape, list[vector].offset) = (vec![10], 3);

    let halves = [0x00, 0x3e].repeat(1280);
    let typed = [
        ("conv.1.weight", "HalfStorage", halves),
        ("conv.1.running_mean", "BFloat16Storage", [0xc0, 0x3f].repeat(1280)),
        ("conv.1.running_var", "DoubleStorage", 1.5f64.to_le_bytes().repeat(1280)),
    ];
    for (name, storage, bytes) in typed.clone() {
        let at = entry(name, &list);
        list[at] = Entry::of(name, &[1280], storage, 1280, bytes);
    }
    // Step counters of every norm are dropped.
    list.push(Entry::of("conv.1.num_batches_tracked", &[], "LongStorage", 1, vec![1; 8]));

    let model = import_bytes(&stream(&list), &small()).unwrap();
    for (name, tensor) in model.weights() {
        match typed.iter().any(|(changed, ..)| changed == name) {
            true => assert_eq!(tensor.data(), [1.5; 1280], "{name}"),
            false => assert_eq!(tensor, &expected[name], "{name}"),
        }
    }
}

#[test]
fn values_that_cannot_be_weights_are_named() {
    let with = |storage, bytes: Vec<u8>| {
        refused_with(|list| {
            let at = list.iter().position(|entry| entry.name == "conv.1.bias").unwrap();
            list[at] = Entry::of("conv.1.bias", &[1280], storage, 1280, bytes);
        })
    };
    let integers = with("LongStorage", vec![0; 8 * 1280]);
    assert!(integers.ends_with("tensor `conv.1.bias`: expected F32, F16, BF16 or F64 values, found I64"), "{integers}");
    let infinite = with("DoubleStorage", 1e300f64.to_le_bytes().repeat(1280));
    assert!(infinite.ends_with("tensor `conv.1.bias`: expected finite values, found inf at index 0"), "{infinite}");
    assert!(with("ComplexFloatStorage", vec![0; 8 * 1280]).contains("ComplexFloatStorage"));
    let some = refused_with(|list| list[0].name.insert_str(0, "module."));
    assert!(some.contains("1 of 262 names begin with `module.`, not all"), "{some}");
}

#[test]
fn storages_must_hold_what_tensors_reach() {
    let with = |change: fn(&mut Entry)| refused_with(|list| change(list.last_mut().unwrap()));
    for message in [
        with(|entry| entry.bytes.truncate(3)),
        with(|entry| entry.elements = 9),
        with(|entry| entry.elements = usize::MAX),
        with(|entry| entry.elements = 1 << 60),
        with(|entry| entry.offset = 1),
        with(|entry| entry.offset = usize::MAX),
        with(|entry| entry.strides = vec![usize::MAX]),
        with(|entry| entry.strides = vec![2]),
        with(|entry| entry.strides = vec![]),
    ] {
        assert!(message.contains("not a PyTorch checkpoint that can be imported: "), "{message}");
    }
    assert!(with(|entry| (entry.shape, entry.strides) = (vec![1 << 40], vec![0])).contains("would materialize"));
    assert_modest_memory();
}

#[test]
fn stretched_tensors_are_not_read() {
    // A classifier of 60000 classes, 300 MB, of which the file holds one value.
    let message = refused_with(|list| {
        for entry in list.iter_mut().filter(|entry| entry.name.starts_with("classifier.1.")) {
            *entry = Entry::dense(&entry.name, &[1], &[0.0]);
            (entry.shape, entry.strides) = match entry.name.ends_with("bias") {
                true => (vec![60_000], vec![0]),
                false => (vec![60_000, 1280], vec![0, 0]),
            };
        }
    });
    assert!(message.contains("its tensors would have 30"), "{message}");
    assert_modest_memory();
}

#[test]
fn calls_in_a_pickle_are_not_made() {
    // What the call would create, wherever a test runs.
    let forbidden = ["dynaconv-executed-a-pickle", "dynaconv-executed-a-command"];
    for file in ["malicious_legacy.pth.tar", "malicious_zip.pth.tar"] {
        let message = import(golden(file), &small()).unwrap_err().to_string();
        assert!(message.contains("no known network") || message.contains("PyTorch checkpoint"), "{message}");
    }
    for call in [
        "cposix\nsystem\n(X\x2a\0\0\0touch dynaconv-executed-a-command; exit 0     tR.",
        "cbuiltins\nopen\n(X\x1b\0\0\0dynaconv-executed-a-commandX\x01\0\0\0wtR.",
        "(S'touch dynaconv-executed-a-command'\nios\nsystem\n.",
    ] {
        let message = refused(&around(&[b"\x80\x02", call.as_bytes(), b"\x80\x02]."].concat()));
        assert!(message.contains("not a PyTorch checkpoint"), "{message}");
    }
    for file in forbidden {
        assert!(!Path::new(file).exists(), "{file}");
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let nones = [b"\x80\x02(".to_vec(), vec![b'N'; 3 << 20], b"t.".to_vec()].concat();
    assert!(refused(&around(&nones)).contains("its pickle has more than"));
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let packed = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("archive/data.pkl", packed).unwrap();
    archive.write_all(&nones).unwrap();
    let bomb = archive.finish().unwrap().into_inner();
    assert!(bomb.len() < 20_000);
    assert!(refused(&bomb).contains("its pickle has more than"));

    // A list that is put into itself, over and over, from the memo: 2²⁰⁰ values if they were copied.
    let doubling = [b"\x80\x02]q\x00".to_vec(), b"(h\x00h\x00tq\x00".repeat(200), b".\x80\x02].".to_vec()].concat();
    assert!(refused(&around(&doubling)).contains("copies more than"));
    let deep = |depth| [&b"\x80\x02"[..], &vec![b']'; depth], &vec![b'a'; depth - 1], b".\x80\x02]."].concat();
    assert!(refused(&around(&deep(2_000))).contains("nesting"));
    assert!(refused(&around(&deep(500_000))).contains("copies more than"));
    assert_modest_memory();
}

#[test]
fn other_files_are_told_apart() {
    for bytes in [&b""[..], b"PK", b"\x80", b"\x89PNG\r\n", b"{}", b"\x80\x02}.", &[0; 1000]] {
        assert!(refused(bytes).contains("neither as a zip archive nor as PyTorch's older stream"), "{bytes:?}");
    }
    assert!(refused(b"PK\x03\x04").contains("zip archive: "));
    let archive_of = |method| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file("readme.txt", options).unwrap();
        archive.finish().unwrap().into_inner()
    };
    assert!(refused(&archive_of(zip::CompressionMethod::Stored)).contains("No data.pkl"));
    assert!(refused(&archive_of(zip::CompressionMethod::Deflated)).contains("entry 0 is compressed"));
    let folder = tempfile::tempdir().unwrap();
    assert!(import(folder.path(), &small()).unwrap_err().to_string().contains("not a regular file"));
    let none = import(folder.path().join("none"), &small()).unwrap_err();
    assert!(matches!(none.fault(), Fault::Io { .. }));
}

/// Deterministic numbers for damage.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    (*state >> 33) as usize
}

/// Imports a checkpoint with one end or a few bits wrong, over and over.
fn survive_damage(file: &str) {
    let mut state = 1;
    let pristine = std::fs::read(golden(file)).unwrap();
    let length = pristine.len();
    for case in 0..50 {
        // Half of the ends near the beginning, where the structure of a stream is.
        let end = random(&mut state) % if case % 2 == 0 { length } else { 150_000 };
        import_bytes(&pristine[..end], &small()).expect_err("a truncated file");
    }
    for case in 0..150 {
        let mut bytes = pristine.clone();
        for _ in 0..1 + case % 4 {
            // The pickle is at the beginning, the zip's directory at the end; the rest is values.
            let position = match case % 3 {
                0 => random(&mut state) % 100_000,
                1 => length - 1 - random(&mut state) % 100_000,
                _ => random(&mut state) % length,
            };
            bytes[position] ^= 1 << (random(&mut state) % 8);
        }
        // Only flipped values can go unnoticed.
        let _ = import_bytes(&bytes, &small());
    }
    assert_modest_memory();
}

#[test]
fn a_damaged_stream_is_survived() {
    survive_damage("tiny_legacy.pth.tar");
}

#[test]
fn a_damaged_zip_is_survived() {
    survive_damage("tiny_zip.pth.tar");
}
