// The weights that a launch assembles, vec4 by vec4: texels of a texture, layer after layer.

@group(0) @binding(3) var assembled: texture_storage_2d_array<rgba32float, write>;

fn store_assembled(at: u32, value: vec4<f32>) { textureStore(assembled, vec2<u32>(at & 4095u, 0u), at >> 12u, value); }
