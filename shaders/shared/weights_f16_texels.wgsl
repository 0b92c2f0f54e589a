// The weights of a launch, static or assembled, four halves by four: texels of a texture, row after row.

@group(0) @binding(2) var weights: texture_storage_2d<rg32uint, read>;

fn weight(at: u32) -> vec4<f32> {
    let words = textureLoad(weights, vec2<u32>(at % 1024u, at / 1024u));
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
