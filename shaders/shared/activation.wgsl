// The activation of a convolution's epilogue: relu has no upper bound, the identity none at all, which are infinities. Bounds are
// parameters and no overrides, so that layers with and without an activation share a pipeline. Infinite bounds make an infinity
// of what is not a number, never a number.

fn activate(u: vec4<f32>) -> vec4<f32> {
    return clamp(u, vec4<f32>(params.low), vec4<f32>(params.high));
}
