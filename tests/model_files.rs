//! Model files: what is written is read again, and nothing broken is.

mod common;

use common::generator;

use std::collections::{BTreeMap, HashMap};

use dynaconv::graph::Weights;
use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::model::{Description, Fault, Model, Precision};
use dynaconv::picture::Preprocess;
use dynaconv::tensor::Tensor;
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

fn architecture() -> Architecture {
    Architecture::MobileNetV2(MobileNetV2 { width: 0.1, classes: 10, input_size: 32, stem_stride: 1 })
}

fn model() -> Model {
    let mut description = Description::new("tiny", architecture(), Preprocess::imagenet(32));
    description.labels = (0..10).map(|class| format!("class {class}")).collect();
    description.notes = Some("generated".into());
    Model::new(description, generator::weights(&architecture().build().unwrap())).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    Model::from_bytes("m.safetensors", bytes).unwrap_err().to_string()
}

/// The parts of a file, to be changed and put together again.
struct Parts {
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(model: &Model) -> Self {
        let bytes = model.to_bytes(Precision::F32).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let part = |(name, view): (&str, TensorView<'_>)| {
            (name.to_string(), (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        Self { metadata: header.metadata().clone().unwrap(), tensors: file.iter().map(part).collect() }
    }

    fn bytes(self) -> Vec<u8> {
        let tensors = self.tensors.iter();
        let views =
            tensors.map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        safetensors::serialize(views, Some(self.metadata)).unwrap()
    }

    fn tensor(&mut self, name: &str) -> &mut (Dtype, Vec<usize>, Vec<u8>) {
        self.tensors.get_mut(name).unwrap()
    }
}

/// What is said of a file with one change.
fn refused_with(change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts::of(&model());
    change(&mut parts);
    refused(&parts.bytes())
}

#[test]
fn single_precision_is_exact() {
    let model = model();
    let bytes = model.to_bytes(Precision::F32).unwrap();
    let again = Model::from_bytes("again", &bytes).unwrap();
    assert_eq!(again, model);
    assert_eq!(again.to_bytes(Precision::F32).unwrap(), bytes);
}

#[test]
fn half_precision_rounds_matrices_and_keeps_vectors() {
    let model = model();
    let bytes = model.to_bytes(Precision::F16).unwrap();
    assert!(bytes.len() < model.to_bytes(Precision::F32).unwrap().len() * 6 / 10);
    let again = Model::from_bytes("again", &bytes).unwrap();
    for (name, tensor) in model.weights() {
        let read = &again.weights()[name];
        assert_eq!(read.shape(), tensor.shape());
        if tensor.shape().len() == 1 {
            assert_eq!(read, tensor, "{name}");
        }
        for (a, b) in read.data().iter().zip(tensor.data()) {
            // Half a unit in the last place: 2⁻¹¹ relative, 2⁻²⁵ where halves are subnormal.
            assert!((a - b).abs() <= b.abs() * 2f32.powi(-11) + 2f32.powi(-25), "{name}: {a} for {b}");
        }
    }
    assert_eq!(again.to_bytes(Precision::F16).unwrap(), bytes);
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "something else").unwrap();
    let model = model();
    model.save(&path, Precision::F32).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);

    let (description, graph, mut weights) = model.into_parts();
    weights.get_mut("conv.0.weight").unwrap().data_mut()[7] = 1e6;
    let large = Model::new(description, weights).unwrap();
    let error = large.save(&path, Precision::F16).unwrap_err();
    assert!(matches!(error.fault(), Fault::HalfOverflow { .. }));
    assert!(error.to_string().ends_with(
        "model.safetensors: tensor `conv.0.weight`: expected values within ±65504 for half precision, found 1000000 at \
         index 7"
    ));
    assert_eq!(Model::load(&path).unwrap().graph(), &graph, "the file from before is still there");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "and no temporary one is left");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let ordinary = folder.path().join("ordinary");
        std::fs::write(&ordinary, "").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&ordinary));
    }
    let nowhere = large.save(folder.path().join("no/such/folder/m"), Precision::F32).unwrap_err();
    assert!(nowhere.to_string().contains("cannot write it"), "{nowhere}");
}

#[test]
fn what_is_no_file_or_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &std::path::Path| Model::load(path).unwrap_err().to_string();
    assert!(load(&folder.path().join("none")).contains("none: cannot read it: No such file"));
    assert!(load(folder.path()).contains("not a regular file"));
    let huge = folder.path().join("huge");
    std::fs::File::create(&huge).unwrap().set_len((2 << 30) + 1).unwrap();
    assert!(load(&huge).contains("2147483649 bytes are more than the 2147483648"));
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let bytes = model().to_bytes(Precision::F16).unwrap();
    assert_eq!(refused(&[]), "m.safetensors: truncated: it ends after 0 bytes, expected 8");
    assert!(refused(&bytes[..1000]).starts_with("m.safetensors: truncated: it ends after 1000 bytes, expected "));
    let most = bytes.len() - 1;
    assert_eq!(
        refused(&bytes[..most]),
        format!("m.safetensors: truncated: it ends after {most} bytes, expected {}", bytes.len())
    );
    for end in (0..bytes.len()).step_by(997) {
        assert!(refused(&bytes[..end]).contains("truncated"), "{end}");
    }
    let longer = [bytes.as_slice(), b"..."].concat();
    assert!(refused(&longer).contains("3 bytes follow the last tensor"));
}

#[test]
fn what_is_not_safetensors_is_refused() {
    assert!(refused(b"PK\x03\x04 and some more text").contains("a PyTorch checkpoint, which is to be imported"));
    assert!(refused(b"some text of more than eight bytes").contains("header would be"));
    assert!(refused(&[&(17u64 << 20).to_le_bytes(), &[b' '; 64][..]].concat()).contains("at most 16777216 are read"));
    assert!(refused(&u64::MAX.to_le_bytes()).contains("18446744073709551615 bytes long"));
    assert!(refused(b"\x04\0\0\0\0\0\0\0nope").contains("not a safetensors file"));
    assert!(refused(b"\x02\0\0\0\0\0\0\0{}").contains("no entry `dynaconv`"));
    assert!(refused(b"\x02\0\0\0\0\0\0\0\xff\xff").contains("not a safetensors file"));
    let deep = [&30_000u64.to_le_bytes(), "[".repeat(30_000).as_bytes()].concat();
    assert!(refused(&deep).contains("not a safetensors file"));
}

#[test]
fn offsets_that_overflow_are_refused() {
    // Nine tensors whose bytes add up to 2⁶⁴ − 8 and a little more; with the header's own length the sum overflows.
    let header = |last: u64| {
        let size = (1u64 << 61) - 1;
        let mut begin = 0u64;
        let mut entries = Vec::new();
        for index in 0..9 {
            let size = if index == 8 { last } else { size };
            let end = begin.wrapping_add(size);
            entries.push(format!(r#""t{index}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{begin},{end}]}}"#));
            begin = end;
        }
        format!("{{{}}}", entries.join(","))
    };
    for last in [0, 1, 7, 8] {
        let json = header(last);
        let bytes = [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
        let message = refused(&bytes);
        assert!(message.contains("truncated") || message.contains("not a safetensors file"), "{message}");
    }
}

#[test]
fn names_that_are_there_twice_are_refused() {
    let file = |json: &str| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let tensor = r#""t":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    assert!(refused(&file(&format!("{{{tensor},{tensor}}}"))).contains("broken one: `t` is there twice"));
    let twice = refused(&file(r#"{"__metadata__":{"dynaconv":"{}","dynaconv":"{}"}}"#));
    assert!(twice.contains("broken one: `dynaconv` is there twice"), "{twice}");
}

#[test]
fn the_description_must_be_there_and_right() {
    let changed = |change: fn(&mut serde_json::Value)| {
        refused_with(|parts| {
            let json = parts.metadata.get_mut("dynaconv").unwrap();
            let mut value = serde_json::from_str(json).unwrap();
            change(&mut value);
            *json = value.to_string();
        })
    };
    assert!(refused_with(|parts| parts.metadata.clear()).contains("no entry `dynaconv`"));
    let broken = refused_with(|parts| parts.metadata.get_mut("dynaconv").unwrap().truncate(100));
    assert!(broken.starts_with("m.safetensors: description: field `architecture`: EOF"), "{broken}");
    assert!(changed(|d| d["format_version"] = 2.into()).contains("written by a newer dynaconv"));
    assert!(changed(|d| d["format_version"] = 0.into()).ends_with("expected 1, found 0"));
    assert!(changed(|d| d["labels"] = serde_json::json!(["a"])).contains("`labels`: expected none or 10"));
    assert!(changed(|d| d["preprocess"]["crop"] = 33.into()).contains("`preprocess.crop`"));
    assert!(changed(|d| d["preprocess"]["resize"] = 8.into()).contains("`preprocess.resize`"));
    assert!(changed(|d| d["preprocess"]["resize"] = 20000.into()).contains("`preprocess.resize`"));
    assert!(changed(|d| d["preprocess"]["std"][0] = 0.into()).contains("`preprocess.std`"));
    assert!(
        changed(|d| d["preprocess"]["mean"][0] = 1e300.into())
            .contains("description: field `preprocess.mean[0]`: number")
    );
    assert!(changed(|d| d["preprocess"]["filter"] = "nearest".into()).contains("unknown variant `nearest`"));
    assert!(changed(|d| d["architecture"]["kind"] = "vgg".into()).contains("unknown variant `vgg`"));
    assert!(changed(|d| d["architecture"]["input_size"] = 0.into()).contains("`architecture`: node `input`"));
    assert!(changed(|d| d["architecture"]["width"] = 1e9.into()).contains("`architecture`: node"));
    assert!(changed(|d| d["architecture"]["width"] = 0.5.into()).contains("tensors are misshapen"));
    assert!(changed(|d| d["architecture"]["stem_stride"] = (-1).into()).contains("description: "));
}

#[test]
fn every_tensor_is_needed_once_in_its_shape() {
    let missing = refused_with(|parts| drop(parts.tensors.remove("features.1.conv.0.weight")));
    assert_eq!(missing, "m.safetensors: 1 tensor is missing: `features.1.conv.0.weight`");
    let extra = refused_with(|parts| {
        parts.tensors.insert("ema.decay".into(), (Dtype::F32, vec![], vec![0; 4]));
    });
    assert_eq!(extra, "m.safetensors: 1 tensor is not the network's: `ema.decay`");
    let misshapen = refused_with(|parts| parts.tensor("classifier.1.bias").1 = vec![2, 5]);
    assert!(misshapen.ends_with("misshapen: `classifier.1.bias` has shape [2, 5], expected [10]"), "{misshapen}");
}

#[test]
fn values_must_be_finite_numbers_of_a_known_type() {
    let with_value = |value: f32| {
        refused_with(|parts| parts.tensor("classifier.1.bias").2[12..16].copy_from_slice(&value.to_le_bytes()))
    };
    let found = |value| format!("tensor `classifier.1.bias`: expected finite values, found {value} at index 3");
    assert!(with_value(f32::NAN).ends_with(&found("NaN")));
    assert!(with_value(f32::NEG_INFINITY).ends_with(&found("-inf")));
    let typed = |dtype, size: usize| {
        refused_with(|parts| *parts.tensor("classifier.1.bias") = (dtype, vec![10], vec![0; 10 * size]))
    };
    assert!(typed(Dtype::F64, 8).ends_with("`classifier.1.bias`: expected F32, F16 or BF16 values, found F64"));
    assert!(typed(Dtype::I64, 8).ends_with("found I64"));
    assert!(typed(Dtype::U8, 1).ends_with("found U8"));
}

#[test]
fn brain_floats_are_read() {
    let mut parts = Parts::of(&model());
    // 1.5 is 0x3fc0.
    *parts.tensor("classifier.1.bias") = (Dtype::BF16, vec![10], [0xc0, 0x3f].repeat(10));
    let model = Model::from_bytes("m", &parts.bytes()).unwrap();
    assert_eq!(model.weights()["classifier.1.bias"].data(), [1.5; 10]);
}

#[test]
fn a_model_is_checked_when_it_is_put_together() {
    let description = || Description::new("new", architecture(), Preprocess::imagenet(32));
    let empty = Model::new(description(), Weights::new()).unwrap_err().to_string();
    assert!(empty.starts_with("new: 262 tensors are missing: `features.0.0.weight`"), "{empty}");
    let (_, _, mut weights) = model().into_parts();
    weights.insert("classifier.1.bias".into(), Tensor::filled(vec![10], f32::INFINITY));
    let infinite = Model::new(description(), weights).unwrap_err();
    assert!(matches!(infinite.fault(), Fault::NotFinite { index: 0, .. }));
}

#[test]
fn no_flipped_byte_of_the_header_is_fatal() {
    let mut bytes = model().to_bytes(Precision::F32).unwrap();
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut accepted = 0;
    for position in (0..16).chain((16..header).step_by(5)) {
        let bit = if position < 16 { 0..8 } else { position % 8..position % 8 + 1 };
        for bit in bit {
            bytes[position] ^= 1 << bit;
            accepted += usize::from(Model::from_bytes("flipped", &bytes).is_ok());
            bytes[position] ^= 1 << bit;
        }
    }
    // What may change are the description's free texts and numbers, and the type of equally long values.
    assert!(accepted < 200, "{accepted}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_is_fatal(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut bytes = PRISTINE.with(Clone::clone);
        for (position, value) in damage {
            let length = bytes.len();
            bytes[position.index(length)] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        let _ = Model::from_bytes("damaged", &bytes);
    }

    #[test]
    fn no_bytes_are_fatal(mut bytes in prop::collection::vec(any::<u8>(), 0..300), short: bool) {
        if short && bytes.len() >= 8 {
            bytes[1..8].fill(0);
        }
        prop_assert!(Model::from_bytes("random", &bytes).is_err());
    }
}

thread_local! {
    static PRISTINE: Vec<u8> = model().to_bytes(Precision::F16).unwrap();
}
