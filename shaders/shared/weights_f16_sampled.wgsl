// The weights of a launch, static or assembled, four halves by four: texels of a texture, layer after layer. Software divides integers
// lane by lane.

@group(0) @binding(2) var weights: texture_2d_array<u32>;

fn weight(at: u32) -> vec4<f32> {
    let words = textureLoad(weights, vec2<u32>(at & 4095u, 0u), at >> 12u, 0);
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
