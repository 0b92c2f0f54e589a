// Sums of one invocation's outputs over the bins of an average pool, made while the outputs are still in registers.
//
// With one bin per axis everything falls into bin 0. With two, bin 2i + j holds rows floor(iH/2) to ceil((i+1)H/2) and
// columns likewise: the middle row and column of an odd size belong to both sides.

override POOL_BINS: u32 = 1u;

var<private> bin_sums: array<vec4<f32>, 4>;

fn add_to_bins(row: u32, column: u32, height: u32, width: u32, value: vec4<f32>) {
    if POOL_BINS == 1u {
        bin_sums[0] += value;
        return;
    }
    let top = select(0.0, 1.0, row < (height + 1u) / 2u);
    let bottom = select(0.0, 1.0, row >= height / 2u);
    let left = select(0.0, 1.0, column < (width + 1u) / 2u);
    let right = select(0.0, 1.0, column >= width / 2u);
    bin_sums[0] += value * (top * left);
    bin_sums[1] += value * (top * right);
    bin_sums[2] += value * (bottom * left);
    bin_sums[3] += value * (bottom * right);
}
