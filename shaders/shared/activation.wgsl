// The activation of a convolution's epilogue: none where params.ceiling is below zero, else relu up to it. A parameter and no
// override, so that layers with and without share a pipeline.

fn activate(u: vec4<f32>) -> vec4<f32> {
    return select(clamp(u, vec4<f32>(0.0), vec4<f32>(params.ceiling)), u, params.ceiling < 0.0);
}
