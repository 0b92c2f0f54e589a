// The weights that a workgroup assembles and loads again, vec4 by vec4, in single precision: texels of a texture, layer after layer.

@group(0) @binding(8) var assembled: texture_storage_2d_array<rgba32float, read_write>;

fn texel(at: u32) -> vec2<u32> { return vec2<u32>(at & 4095u, 0u); }
fn layer(at: u32) -> u32 { return at >> 12u; }
fn store_assembled(at: u32, value: vec4<f32>) { textureStore(assembled, texel(at), layer(at), value); }
fn assembled_weight(at: u32) -> vec4<f32> { return textureLoad(assembled, texel(at), layer(at)); }
