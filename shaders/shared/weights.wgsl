// The weights of a launch, static or assembled, vec4 by vec4.

@group(0) @binding(2) var<storage, read> weights: array<Stored>;

fn weight(at: u32) -> vec4<f32> { return from_stored(weights[at]); }
