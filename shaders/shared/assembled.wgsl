// The weights that a launch assembles, vec4 by vec4.

@group(0) @binding(3) var<storage, read_write> assembled: array<Stored>;

fn store_assembled(at: u32, value: vec4<f32>) { assembled[at] = to_stored(value); }
