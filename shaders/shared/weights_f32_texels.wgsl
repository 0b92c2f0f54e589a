// The weights of a launch, static or assembled, vec4 by vec4: texels of a texture, row after row.

@group(0) @binding(2) var weights: texture_storage_2d<rgba32float, read>;

fn weight(at: u32) -> vec4<f32> { return textureLoad(weights, vec2<u32>(at % 1024u, at / 1024u)); }
