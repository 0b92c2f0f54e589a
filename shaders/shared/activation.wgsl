// The activation of a convolution's epilogue; the codes are those of `kernels::Nonlinearity`. Over a `switch`
// lavapipe compiles longer, and this is written out for each value of a tile.

override ACTIVATION: u32 = 0u;

fn activate(u: vec4<f32>) -> vec4<f32> {
    if ACTIVATION == 0u { return u; }
    if ACTIVATION == 1u { return max(u, vec4<f32>(0.0)); }
    if ACTIVATION == 2u { return clamp(u, vec4<f32>(0.0), vec4<f32>(6.0)); }
    return clamp(u + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) / 3.0;
}
