// Dense convolution, KERNEL × KERNEL, any stride and padding: the stem of the networks.
//
// input    [picture][row][column][in_groups]                            vec4 of input channels
// weights  [KERNEL²][4·in_groups][out_groups], then bias [out_groups]   vec4 of output channels
// output   [picture][row][column][out_groups]
// partials [picture][slot][bin][out_groups]                             sums of the outputs; one slot for each tile
//
// One invocation computes one output group of a tile of four neighbouring columns of one row.

#import activation
#import pool_sums

struct Params {
    in_height: u32,
    in_width: u32,
    in_groups: u32,
    out_height: u32,
    out_width: u32,
    out_groups: u32,
    stride: u32,
    pad_top: u32,
    pad_left: u32,
    unused_1: u32,
    unused_2: u32,
    unused_3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4<f32>>;

override KERNEL: u32 = 3u;
override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

fn load(picture: u32, row: i32, column: i32, group: u32) -> vec4<f32> {
    if row < 0 || column < 0 || row >= i32(params.in_height) || column >= i32(params.in_width) {
        return vec4<f32>(0.0);
    }
    let pixel = (picture * params.in_height + u32(row)) * params.in_width + u32(column);
    return input[pixel * params.in_groups + group];
}

fn store(picture: u32, row: u32, column: u32, group: u32, sum: vec4<f32>) {
    if column >= params.out_width { return; }
    let value = activate(sum + weights[KERNEL * KERNEL * 4u * params.in_groups * params.out_groups + group]);
    let pixel = (picture * params.out_height + row) * params.out_width + column;
    output[pixel * params.out_groups + group] = value;
    add_to_bins(row, column, params.out_height, params.out_width, value);
}

fn tiles_across() -> u32 {
    return (params.out_width + 3u) / 4u;
}

// Computes a tile; false where the invocation has none.
fn compute_tile(id: vec3<u32>) -> bool {
    let group = id.x;
    let row = id.y / tiles_across();
    let column = 4u * (id.y % tiles_across());
    if group >= params.out_groups || row >= params.out_height { return false; }
    let step = i32(params.stride);
    let top = i32(row * params.stride) - i32(params.pad_top);
    let left = i32(column * params.stride) - i32(params.pad_left);
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);
    var at = group;
    for (var i = 0u; i < KERNEL; i++) {
        for (var j = 0u; j < KERNEL; j++) {
            let y = top + i32(i);
            let x = left + i32(j);
            for (var k = 0u; k < params.in_groups; k++) {
                let weight = mat4x4<f32>(
                    weights[at],
                    weights[at + params.out_groups],
                    weights[at + 2u * params.out_groups],
                    weights[at + 3u * params.out_groups],
                );
                sum0 += weight * load(id.z, y, x, k);
                sum1 += weight * load(id.z, y, x + step, k);
                sum2 += weight * load(id.z, y, x + 2 * step, k);
                sum3 += weight * load(id.z, y, x + 3 * step, k);
                at += 4u * params.out_groups;
            }
        }
    }
    store(id.z, row, column, group, sum0);
    store(id.z, row, column + 1u, group, sum1);
    store(id.z, row, column + 2u, group, sum2);
    store(id.z, row, column + 3u, group, sum3);
    return true;
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(@builtin(global_invocation_id) id: vec3<u32>) {
    _ = compute_tile(id);
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if !compute_tile(id) { return; }
    let bins = POOL_BINS * POOL_BINS;
    let slot = id.z * tiles_across() * params.out_height + id.y;
    for (var bin = 0u; bin < bins; bin++) {
        partials[(slot * bins + bin) * params.out_groups + id.x] = bin_sums[bin];
    }
}
