// The activation of a convolution's epilogue; the codes are those of `kernels::activation_code`.

override ACTIVATION: u32 = 0u;

fn activate(u: vec4<f32>) -> vec4<f32> {
    switch ACTIVATION {
        case 1u: { return max(u, vec4<f32>(0.0)); }
        case 2u: { return clamp(u, vec4<f32>(0.0), vec4<f32>(6.0)); }
        case 3u: { return clamp(u + 3.0, vec4<f32>(0.0), vec4<f32>(6.0)) / 3.0; }
        default: { return u; }
    }
}
