// The weights that a workgroup assembles and loads again, vec4 by vec4, in single precision.

@group(0) @binding(8) var<storage, read_write> assembled: array<Words>;

fn store_assembled(at: u32, value: vec4<f32>) { assembled[at] = to_words(value); }
fn assembled_weight(at: u32) -> vec4<f32> { return from_words(assembled[at]); }
