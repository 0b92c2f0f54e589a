// The weights of a launch, static or assembled, vec4 by vec4: texels of a texture, layer after layer. A sampler bounds what it is asked for,
// where compilers bound each load before.

@group(0) @binding(2) var weights: texture_2d_array<f32>;
@group(0) @binding(16) var nearest: sampler;

fn weight(at: u32) -> vec4<f32> {
    let middle = vec2<f32>((f32(at & 4095u) + 0.5) / 4096.0, 0.5);
    return textureSampleLevel(weights, nearest, middle, at >> 12u, 0.0);
}
