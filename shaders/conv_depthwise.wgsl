// Depthwise convolution, KERNEL × KERNEL, any stride and padding; the `rolling` entries for 3 × 3 and stride 1 or 2.
//
// input    [picture][row][column][groups]                 vec4 of channels
// weights  [KERNEL²][groups], then bias [groups]          vec4 of channels
// output   [picture][row][column][groups]
// partials [picture][slot][bin][groups]                   sums of the outputs; one slot for each tile
//
// One invocation computes one channel group of a tile: four neighbouring columns of `tile_rows` rows.

#import storage
#import weights
#import activation
#import pool_sums

struct Params {
    in_height: u32,
    in_width: u32,
    out_height: u32,
    out_width: u32,
    groups: u32,
    stride: u32,
    pad_top: u32,
    pad_left: u32,
    tile_rows: u32,
    bounds_low: f32,
    bounds_high: f32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read_write> output: array<Stored>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4<f32>>;

override POOL_BINS: u32 = 1u;
override KERNEL: u32 = 3u;
// Of the `rolling` entries alone.
override STRIDE: u32 = 1u;
override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

fn load(picture: u32, row: i32, column: i32, group: u32) -> vec4<f32> {
    if row < 0 || column < 0 || row >= i32(params.in_height) || column >= i32(params.in_width) {
        return vec4<f32>(0.0);
    }
    let pixel = (picture * params.in_height + u32(row)) * params.in_width + u32(column);
    return from_stored(input[pixel * params.groups + group]);
}

// The group's, loaded once.
var<private> bias: vec4<f32>;
// No matrix: one whose columns change lies in memory on SwiftShader, where each store looks which lanes take part.
var<private> bin_sums: array<vec4<f32>, 4>;

fn load_bias(group: u32) {
    bias = weight(KERNEL * KERNEL * params.groups + group);
}

fn store(picture: u32, row: u32, column: u32, group: u32, sum: vec4<f32>) {
    let value = activate(sum + bias);
    let inside = column < params.out_width;
    let pixel = (picture * params.out_height + row) * params.out_width + column;
    if inside { output[pixel * params.groups + group] = to_stored(value); }
    // No sum hangs on a branch: on SwiftShader, one that did made pooled tiles take a quarter longer.
    let counted = select(vec4<f32>(0.0), value, inside);
    if POOL_BINS == 1u {
        bin_sums[0] += counted;
    } else {
        let shares = in_bins(counted, bins_of(POOL_BINS, row, column, params.out_height, params.out_width));
#repeat b = 0..4
        bin_sums[$b] += shares[$b];
#end
    }
}

fn tiles_across() -> u32 {
    return (params.out_width + 3u) / 4u;
}

fn tiles_down() -> u32 {
    return (params.out_height + params.tile_rows - 1u) / params.tile_rows;
}

// Computes a tile; false where the invocation has none.
fn compute_tile(id: vec3<u32>) -> bool {
    let group = id.x;
    let column = 4u * (id.y % tiles_across());
    let first_row = (id.y / tiles_across()) * params.tile_rows;
    if group >= params.groups || first_row >= params.out_height { return false; }
    let last_row = min(first_row + params.tile_rows, params.out_height);
    load_bias(group);
    let step = i32(params.stride);
    let left = i32(column * params.stride) - i32(params.pad_left);
    for (var row = first_row; row < last_row; row++) {
        let top = i32(row * params.stride) - i32(params.pad_top);
        var sum0 = vec4<f32>(0.0);
        var sum1 = vec4<f32>(0.0);
        var sum2 = vec4<f32>(0.0);
        var sum3 = vec4<f32>(0.0);
        for (var i = 0u; i < KERNEL; i++) {
            for (var j = 0u; j < KERNEL; j++) {
                let tap = weight((i * KERNEL + j) * params.groups + group);
                let y = top + i32(i);
                let x = left + i32(j);
                sum0 += tap * load(id.z, y, x, group);
                sum1 += tap * load(id.z, y, x + step, group);
                sum2 += tap * load(id.z, y, x + 2 * step, group);
                sum3 += tap * load(id.z, y, x + 3 * step, group);
            }
        }
        store(id.z, row, column, group, sum0);
        store(id.z, row, column + 1u, group, sum1);
        store(id.z, row, column + 2u, group, sum2);
        store(id.z, row, column + 3u, group, sum3);
    }
    return true;
}

fn store_pool_sums(id: vec3<u32>) {
    let bins = POOL_BINS * POOL_BINS;
    let slot = id.z * tiles_across() * tiles_down() + id.y;
#repeat b = 0..4
    if $bu < bins { partials[(slot * bins + $bu) * params.groups + id.x] = bin_sums[$b]; }
#end
}

// One row of input columns, and the nine weights.
var<private> x: array<vec4<f32>, 9>;
var<private> taps: array<vec4<f32>, 9>;

// Loads the columns that four outputs of a row need. Addresses are clamped, so that no invocation waits for another, and `&`
// is used, because `&&` is a branch, over many of which some compilers take minutes.
fn load_row(picture: u32, row: i32, left: i32, group: u32) {
    let bottom = i32(params.in_height) - 1;
    let right = i32(params.in_width) - 1;
    let first = (picture * params.in_height + u32(clamp(row, 0, bottom))) * params.in_width;
    let inside = (row >= 0) & (row <= bottom);
#repeat c = 0..9
    if $cu < 3u * STRIDE + 3u {
        let column = left + $c;
        let value = from_stored(input[(first + u32(clamp(column, 0, right))) * params.groups + group]);
        x[$c] = select(vec4<f32>(0.0), value, inside & (column >= 0) & (column <= right));
    }
#end
}

// What the loaded row adds to output `c` where it lies under row `i` of the kernel.
#repeat i = 0..3
fn kernel_row_$i(c: u32) -> vec4<f32> {
    return taps[3u * $iu] * x[c * STRIDE] + taps[3u * $iu + 1u] * x[c * STRIDE + 1u]
        + taps[3u * $iu + 2u] * x[c * STRIDE + 2u];
}
#end

// As `compute_tile`, but each input row is loaded once for all the output rows that it adds to.
fn roll(id: vec3<u32>) -> bool {
    let group = id.x;
    let column = 4u * (id.y % tiles_across());
    let first_row = (id.y / tiles_across()) * params.tile_rows;
    if group >= params.groups || first_row >= params.out_height { return false; }
    let rows = min(params.tile_rows, params.out_height - first_row);
    let left = i32(column * STRIDE) - i32(params.pad_left);
    load_bias(group);
#repeat t = 0..9
    taps[$t] = weight($tu * params.groups + group);
#end
#repeat c = 0..4
    // Rows under way: the next to be finished, and at stride 1 the one after.
    var next_$c = vec4<f32>(0.0);
    var second_$c = vec4<f32>(0.0);
#end
    // The first output row needs two input rows before its last one: two steps at stride 1, one at stride 2.
    let lead = 3u - STRIDE;
    var y = i32(first_row * STRIDE) - i32(params.pad_top) + 2 - i32(lead * STRIDE);
    for (var step = 0u; step < rows + lead; step++) {
        if STRIDE == 2u {
            load_row(id.z, y - 1, left, group);
#repeat c = 0..4
            next_$c += kernel_row_1($cu);
#end
        }
        load_row(id.z, y, left, group);
        if step >= lead {
            let row = first_row + step - lead;
#repeat c = 0..4
            store(id.z, row, column + $cu, group, next_$c + kernel_row_2($cu));
#end
        }
#repeat c = 0..4
        if STRIDE == 2u {
            next_$c = kernel_row_0($cu);
        } else {
            next_$c = second_$c + kernel_row_1($cu);
            second_$c = kernel_row_0($cu);
        }
#end
        y += i32(STRIDE);
    }
    return true;
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn rolling(@builtin(global_invocation_id) id: vec3<u32>) {
    _ = roll(id);
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn rolling_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if roll(id) { store_pool_sums(id); }
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(@builtin(global_invocation_id) id: vec3<u32>) {
    _ = compute_tile(id);
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if compute_tile(id) { store_pool_sums(id); }
}
