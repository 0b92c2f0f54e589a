//! Seeded tensors, the same as those of `training/generator.py`, which documents the rules. Golden files store only what
//! a network computes from them.

use dynaconv::graph::{Graph, Weights};
use dynaconv::tensor::Tensor;

/// The values of every parameter of a network.
pub fn weights(graph: &Graph) -> Weights {
    graph.parameters().into_iter().map(|p| (p.name.clone(), tensor(&p.name, p.shape))).collect()
}

/// The tensor of this name. The one named `input` is a batch of prepared pictures, `[N][C][H][W]`.
pub fn tensor(name: &str, shape: Vec<usize>) -> Tensor {
    let fan_in: usize = shape.iter().skip(1).product();
    let scale = (3.0 / fan_in as f64).sqrt();
    let value = |u: f64| match name {
        "input" => (2.0 * u - 1.0) * 2.0,
        _ if name.ends_with("running_var") || name.ends_with("weight") && shape.len() == 1 => 0.5 + u,
        _ if name.ends_with("running_mean") || name.ends_with("bias") => (2.0 * u - 1.0) * 0.2,
        _ => (2.0 * u - 1.0) * scale * gain(name),
    };
    let count = shape.iter().product::<usize>() as u64;
    let seed = fnv1a64(name);
    let values = (0..count).map(|i| value(uniform(seed.wrapping_add(i))) as f32).collect();
    Tensor::new(shape, values).expect("as many values as the shape has")
}

/// The first of these that occurs in the name; `.fc.0.` is also in the self-gate's, `.fc.1.fc.0.`.
fn gain(name: &str) -> f64 {
    const GAINS: [(&str, f64); 9] = [
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
    GAINS.iter().find(|(part, _)| name.contains(part)).map_or(1.2, |(_, gain)| *gain)
}

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The top 24 bits of splitmix64's step from `state`, in [0, 1).
fn uniform(state: u64) -> f64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f64 / f64::from(1 << 24)
}
