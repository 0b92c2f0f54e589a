// What the kernels of the dense family share. Each brings TILE_PIXELS and TILE_GROUPS, its `Invocation`, `locate`, which is
// false where there is nothing to do, and `accumulate`, which adds to `sums_0`, `sums_1`, ...
//
// input    [picture][row][column][in_groups]                            vec4 of input channels
// weights  [kernel²][4·in_groups][out_groups], then bias [out_groups]   vec4 of output channels
// output   [picture][row][column][out_groups]
// partials [picture][slot][bin][out_groups]                             sums of the outputs; one slot for each tile
//
// One invocation computes TILE_PIXELS neighbouring columns of one row of TILE_GROUPS neighbouring output groups.

#import storage
#import weights
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
    kernel: u32,
    bounds_low: f32,
    bounds_high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read_write> output: array<Stored>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4<f32>>;

override POOL_BINS: u32 = 1u;

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

#import tile

// The tile's number, and its place in the output.
var<private> slot: u32;
var<private> row: u32;
var<private> column: u32;

fn set_place(tile: u32, first_group: u32, of_picture: u32) {
    let tiles_across = (params.out_width + TILE_PIXELS - 1u) / TILE_PIXELS;
    picture = of_picture;
    slot = tile;
    row = tile / tiles_across;
    column = TILE_PIXELS * (tile % tiles_across);
    group = first_group;
}

// The input under tap (i, j) of the tile's column `offset`; zero outside. The address is clamped, so that no invocation
// waits for another, and `&` is used, because `&&` is a branch, over many of which some compilers take minutes.
fn load(offset: u32, i: u32, j: u32, k: u32) -> vec4<f32> {
    let y = i32(row * params.stride + i) - i32(params.pad_top);
    let x = i32((column + offset) * params.stride + j) - i32(params.pad_left);
    let bottom = i32(params.in_height) - 1;
    let right = i32(params.in_width) - 1;
    let pixel = (picture * params.in_height + u32(clamp(y, 0, bottom))) * params.in_width + u32(clamp(x, 0, right));
    let inside = (y >= 0) & (y <= bottom) & (x >= 0) & (x <= right);
    return select(vec4<f32>(0.0), from_stored(input[pixel * params.in_groups + k]), inside);
}

fn bias_at() -> u32 {
    return params.kernel * params.kernel * 4u * params.in_groups * params.out_groups;
}

fn store() {
    if row >= params.out_height { return; }
    let first = (picture * params.out_height + row) * params.out_width + column;
    for (var offset = 0u; offset < min(TILE_PIXELS, params.out_width - min(column, params.out_width)); offset++) {
        let place = (first + offset) * params.out_groups;
#repeat g = 0..TILE_GROUPS
        if has_group($gu) { output[place + tile_group($gu)] = to_stored(sum_$g(offset)); }
#end
    }
}

fn store_pool_sums() {
    if row >= params.out_height { return; }
    let tiles = (params.out_width + TILE_PIXELS - 1u) / TILE_PIXELS * params.out_height;
    let bins = POOL_BINS * POOL_BINS;
#repeat p = 0..TILE_PIXELS
    let is_stored_$p = select(0.0, 1.0, column + $pu < params.out_width);
    let bins_$p = is_stored_$p * bins_of(POOL_BINS, row, column + $pu, params.out_height, params.out_width);
#end
#repeat g = 0..TILE_GROUPS
    var bin_sums_$g = array<vec4<f32>, 4>();
#repeat p = 0..TILE_PIXELS
    if POOL_BINS == 1u {
        bin_sums_$g[0] += sums_$p[$g] * bins_$p.x;
    } else {
        let shares = in_bins(sums_$p[$g], bins_$p);
#repeat b = 0..4
        bin_sums_$g[$b] += shares[$b];
#end
    }
#end
#repeat b = 0..4
    if $bu < bins && has_group($gu) {
        partials[((picture * tiles + slot) * bins + $bu) * params.out_groups + tile_group($gu)] = bin_sums_$g[$b];
    }
#end
#end
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(invocation: Invocation) {
    if !locate(invocation) { return; }
    accumulate();
    bias_and_activate(bias_at());
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(invocation: Invocation) {
    if !locate(invocation) { return; }
    accumulate();
    bias_and_activate(bias_at());
    store();
    store_pool_sums();
}
