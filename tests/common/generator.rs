//! Seeded tensors that Python and Rust compute alike; the rules stand in `training/generator.py`.

use dynaconv::graph::{Graph, Weights};
use dynaconv::tensor::Tensor;

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Numbers in [0, 1) that follow from the name.
pub fn uniform(name: &str) -> impl Iterator<Item = f64> + use<> {
    let seed = fnv1a64(name);
    (0u64..).map(move |i| (splitmix64(seed.wrapping_add(i)) >> 40) as f64 / f64::from(1 << 24))
}

/// The tensor of this name.
pub fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let rule: Box<dyn Fn(f64) -> f64> = if name == "input" {
        Box::new(|u| (2.0 * u - 1.0) * 2.0)
    } else if name.ends_with("running_var") || (name.ends_with("weight") && shape.len() == 1) {
        Box::new(|u| 0.5 + u)
    } else if name.ends_with("running_mean") || name.ends_with("bias") {
        Box::new(|u| (2.0 * u - 1.0) * 0.2)
    } else {
        let fan_in: usize = shape[1..].iter().product();
        let (root, gain) = ((3.0 / fan_in as f64).sqrt(), gain(name));
        Box::new(move |u| (2.0 * u - 1.0) * root * gain)
    };
    let count = shape.iter().product();
    let values = uniform(name).take(count).map(|u| rule(u) as f32).collect();
    Tensor::new(shape.to_vec(), values).expect("as many values as the shape says")
}

fn gain(name: &str) -> f64 {
    let gains = [
        (".fc.0.", 0.5),
        (".fc_scale.", 1.5),
        (".fc_phi.", 0.5),
        (".conv_q.", 0.5),
        (".cls_q.", 0.5),
        (".conv_p.", 0.5),
        (".cls_p.", 0.5),
        ("classifier.", 1.0),
        ("_fc.", 1.0),
    ];
    gains.into_iter().find(|(part, _)| name.contains(part)).map_or(1.2, |(_, gain)| gain)
}

/// Weights for every parameter of a network.
pub fn weights(graph: &Graph) -> Weights {
    graph.parameters().into_iter().map(|p| (p.name.clone(), tensor(&p.name, &p.shape))).collect()
}

#[test]
fn generator_agrees_with_python() {
    let file = std::fs::read_to_string("assets/golden/cases.json").unwrap();
    let cases: serde_json::Value = serde_json::from_str(&file).unwrap();
    let expected = |key: &str| {
        cases["generator"][key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect::<Vec<f32>>()
    };
    let found: Vec<f32> = uniform("input").take(4).map(|u| u as f32).collect();
    assert_eq!(found, expected("u(input, 0..4)"));
    let stem = tensor("features.0.0.weight", &[32, 3, 3, 3]);
    assert_eq!(stem.data()[..4], expected("features.0.0.weight [32,3,3,3] first 4"));
}
