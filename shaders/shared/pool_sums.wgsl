// Sums of outputs over the bins of an average pool, made while the outputs are still in registers: column b of a matrix is
// bin b.
//
// With one bin along each axis everything falls into bin 0. With two, bin 2i + j holds rows floor(iH/2) to ceil((i+1)H/2) and
// columns likewise: the middle row and column of an odd size belong to both sides.

// Whether each bin holds a pixel, of so many along each axis: one or zero.
fn bins_of(along: u32, row: u32, column: u32, height: u32, width: u32) -> vec4<f32> {
    let top = select(0.0, 1.0, row < (height + 1u) / 2u);
    let bottom = select(0.0, 1.0, row >= height / 2u);
    let left = select(0.0, 1.0, column < (width + 1u) / 2u);
    let right = select(0.0, 1.0, column >= width / 2u);
    let quarters = vec4<f32>(top * left, top * right, bottom * left, bottom * right);
    return select(quarters, vec4<f32>(1.0, 0.0, 0.0, 0.0), along == 1u);
}

// What a pixel of these bins adds to the sums.
fn in_bins(value: vec4<f32>, bins: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(value * bins.x, value * bins.y, value * bins.z, value * bins.w);
}
