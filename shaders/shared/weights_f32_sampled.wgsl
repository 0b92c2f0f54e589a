// The weights of a launch, static or assembled, vec4 by vec4: texels of a texture, row after row. Software divides integers lane by
// lane.

@group(0) @binding(2) var weights: texture_2d<f32>;

fn weight(at: u32) -> vec4<f32> { return textureLoad(weights, vec2<u32>(at & 1023u, at >> 10u), 0); }
