// The activation of a convolution's epilogue: relu has no upper bound, the identity none at all, which are infinities. Bounds are
// parameters and no overrides, so that layers with and without an activation share a pipeline. What is not a number becomes a
// bound; comparisons, which would keep it, took SwiftShader's depthwise convolutions a tenth longer.

fn activate(u: vec4<f32>) -> vec4<f32> {
    return clamp(u, vec4<f32>(params.bounds_low), vec4<f32>(params.bounds_high));
}
