//! The golden networks: architecture, weights, input and PyTorch's scores.

use dynaconv::graph::networks::{Architecture, MobileNetV2};
use dynaconv::graph::{FoldedNetwork, Graph, fold};
use dynaconv::tensor::Tensor;

use super::generator;

/// One golden case.
pub struct Golden {
    pub name: String,
    pub architecture: Architecture,
    pub graph: Graph,
    pub batch: usize,
    pub parameters: usize,
}

/// The case of this name in `assets/golden/cases.json`.
pub fn case(name: &str) -> Golden {
    let file = std::fs::read_to_string("assets/golden/cases.json").expect("the golden cases are committed");
    let cases: serde_json::Value = serde_json::from_str(&file).expect("they are JSON");
    let case = cases["cases"].as_array().unwrap().iter().find(|c| c["name"] == name).expect("the case exists");
    let number = |key: &str| case[key].as_u64().expect("a whole number") as usize;
    let base = MobileNetV2 {
        width: case["width"].as_f64().unwrap(),
        classes: number("classes"),
        input_size: number("input_size"),
        stem_stride: number("stem_stride"),
    };
    let architecture = match case["network"].as_str().unwrap() {
        "mobilenet_v2" => Architecture::MobileNetV2(base),
        "mobilenet_v2_dcd" => Architecture::MobileNetV2Dcd { base, fc_squeeze: number("fc_squeeze") },
        "efficientnet_lite0" => Architecture::EfficientNetLite0 { classes: base.classes, input_size: base.input_size },
        other => panic!("unknown network {other}"),
    };
    let graph = architecture.build().expect("the golden networks are sound");
    Golden { name: name.into(), architecture, graph, batch: number("batch"), parameters: number("parameters") }
}

impl Golden {
    /// The network with the generator's weights, folded.
    pub fn folded(&self) -> FoldedNetwork {
        fold(&self.graph, &generator::weights(&self.graph)).expect("the golden networks fold")
    }

    /// The input, `[batch][3][height][width]`.
    pub fn input(&self) -> Tensor {
        let map = self.graph.input();
        generator::tensor("input", &[self.batch, map.channels, map.height, map.width])
    }

    /// A tensor that PyTorch computed.
    pub fn expected(&self, tensor: &str) -> Tensor {
        read(&format!("assets/golden/{}.safetensors", self.name), tensor)
    }
}

/// One tensor of a safetensors file.
pub fn read(path: &str, tensor: &str) -> Tensor {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let view = file.tensor(tensor).unwrap_or_else(|error| panic!("{path}: {tensor}: {error}"));
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Tensor::new(view.shape().to_vec(), values).expect("a sound tensor")
}

/// Fails unless every value is within `tolerance` of the largest expected magnitude; not-a-number fails too.
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
    let mut wrong = 0;
    let mut worst = (0.0f32, 0);
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = (f - e).abs();
        if !(difference <= tolerance * largest) {
            wrong += 1;
        }
        if !(difference <= worst.0) {
            worst = (difference, index);
        }
    }
    let (difference, index) = worst;
    assert!(
        wrong == 0,
        "{what}: {wrong} of {} values are wrong; at {index} found {}, expected {}, difference {difference:e} of {largest}",
        found.len(),
        found[index],
        expected[index],
    );
}
