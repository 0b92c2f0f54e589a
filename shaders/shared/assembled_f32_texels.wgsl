// The weights that a launch assembles, vec4 by vec4: texels of a texture, row after row.

@group(0) @binding(3) var assembled: texture_storage_2d<rgba32float, write>;

fn store_assembled(at: u32, value: vec4<f32>) { textureStore(assembled, vec2<u32>(at % 1024u, at / 1024u), value); }
