// What the kernels share that expand a map and convolve it channel by channel, 3 × 3 by 2, without storing what is between: the
// pointwise and the depthwise convolution of an inverted residual block. Each brings TILE_COLUMNS, INPUT_COLUMNS = 2·TILE_COLUMNS + 1
// and TILE_GROUPS, its `Invocation`, `locate`, which is false where there is nothing to do, `load_rows`, after which `rows_0`,
// `rows_1`, ... are the weights of four input channels for each of its groups.
//
// input    [picture][row][column][in_groups]       vec4 of input channels
// weights  [4·in_groups][groups], then bias        of the expansion, in panels; per picture where weight_stride > 0
// taps     [9][groups], then bias [groups]         of the depthwise convolution
// output   [picture][row][column][groups]
// partials [picture][slot][bin][groups]            sums of the outputs; one slot for each tile
//
// One invocation computes TILE_GROUPS neighbouring groups, which lie in one panel, of TILE_COLUMNS columns of `tile_rows` rows. It goes
// down two input rows at a time: `middle`, under the kernel's second row, and `outer`, under the third and then under the first of
// the next output row.

#import storage
#import panels
#import activation
#import pool_sums

struct Params {
    in_height: u32,
    in_width: u32,
    out_height: u32,
    out_width: u32,
    in_groups: u32,
    groups: u32,
    weight_stride: u32,
    pad_top: u32,
    pad_left: u32,
    tile_rows: u32,
    unused_1: u32,
    unused_2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(2) var<storage, read> weights: array<Stored>;
@group(0) @binding(3) var<storage, read> taps: array<Stored>;
@group(0) @binding(4) var<storage, read_write> output: array<Stored>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

var<private> picture: u32;
// The invocation's tile among those of its picture, and its first output group.
var<private> tile: u32;
var<private> group: u32;
// The first input column that the tile needs.
var<private> left: i32;

#repeat g = 0..TILE_GROUPS
var<private> middle_$g: array<vec4<f32>, INPUT_COLUMNS>;
var<private> outer_$g: array<vec4<f32>, INPUT_COLUMNS>;
var<private> taps_$g: array<vec4<f32>, 9>;
var<private> expansion_bias_$g: vec4<f32>;
var<private> bias_$g: vec4<f32>;
var<private> bin_sums_$g: mat4x4<f32>;
#end

fn tiles_across() -> u32 {
    return (params.out_width + TILE_COLUMNS - 1u) / TILE_COLUMNS;
}

fn tiles_down() -> u32 {
    return (params.out_height + params.tile_rows - 1u) / params.tile_rows;
}

fn has_group(offset: u32) -> bool {
    return group + offset < params.groups;
}

// A group past the last stands for the last one.
fn group_at(offset: u32) -> u32 {
    return min(group + offset, params.groups - 1u);
}

fn weight_rows(at: u32, step: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        from_stored(weights[at]),
        from_stored(weights[at + step]),
        from_stored(weights[at + 2u * step]),
        from_stored(weights[at + 3u * step]),
    );
}

// What stays the same for all of the tile's rows.
fn load_taps() {
    let expansion_bias = picture * params.weight_stride + 4u * params.in_groups * params.groups;
#repeat g = 0..TILE_GROUPS
    expansion_bias_$g = from_stored(weights[expansion_bias + group_at($gu)]);
    bias_$g = from_stored(taps[9u * params.groups + group_at($gu)]);
#repeat t = 0..9
    taps_$g[$t] = from_stored(taps[$tu * params.groups + group_at($gu)]);
#end
#end
}

// Expands rows y - 1 and y. The depthwise convolution pads the expanded map: outside of it there are zeros, not what zeros expand to.
fn expand(y: i32) {
    let bottom = i32(params.in_height) - 1;
    let right = i32(params.in_width) - 1;
    let y_middle = y - 1;
    let y_outer = y;
#repeat row = middle outer
    let first_$row = (picture * params.in_height + u32(clamp(y_$row, 0, bottom))) * params.in_width;
#repeat c = 0..INPUT_COLUMNS
    let place_$row_$c = (first_$row + u32(clamp(left + $c, 0, right))) * params.in_groups;
#end
#repeat g = 0..TILE_GROUPS
    $row_$g = array<vec4<f32>, INPUT_COLUMNS>();
#end
#end
    let step = panel_step(params.groups, group);
    var at = picture * params.weight_stride + panel_place(4u * params.in_groups, group);
    for (var k = 0u; k < params.in_groups; k++) {
#repeat row = middle outer
#repeat c = 0..INPUT_COLUMNS
        let x_$row_$c = from_stored(input[place_$row_$c + k]);
#end
#end
        load_rows(at, step);
#repeat g = 0..TILE_GROUPS
        let weights_$g = rows_$g(at, step);
#repeat c = 0..INPUT_COLUMNS
        middle_$g[$c] += weights_$g * x_middle_$c;
        outer_$g[$c] += weights_$g * x_outer_$c;
#end
#end
        at += 4u * step;
    }
#repeat row = middle outer
    let inside_$row = (y_$row >= 0) & (y_$row <= bottom);
#repeat c = 0..INPUT_COLUMNS
    let inside_$row_$c = inside_$row & (left + $c >= 0) & (left + $c <= right);
#repeat g = 0..TILE_GROUPS
    $row_$g[$c] = select(vec4<f32>(0.0), activate($row_$g[$c] + expansion_bias_$g), inside_$row_$c);
#end
#end
#end
}

// What a row adds to output column `c` where it lies under a row of the kernel.
#repeat g = 0..TILE_GROUPS
fn under_second_$g(c: u32) -> vec4<f32> {
    return taps_$g[3] * middle_$g[2u * c] + taps_$g[4] * middle_$g[2u * c + 1u] + taps_$g[5] * middle_$g[2u * c + 2u];
}

fn under_first_$g(c: u32) -> vec4<f32> {
    return taps_$g[0] * outer_$g[2u * c] + taps_$g[1] * outer_$g[2u * c + 1u] + taps_$g[2] * outer_$g[2u * c + 2u];
}

fn under_third_$g(c: u32) -> vec4<f32> {
    return taps_$g[6] * outer_$g[2u * c] + taps_$g[7] * outer_$g[2u * c + 1u] + taps_$g[8] * outer_$g[2u * c + 2u];
}

fn store_$g(row: u32, column: u32, is_stored: bool, sum: vec4<f32>) {
    let value = activate(sum + bias_$g);
    let pixel = (picture * params.out_height + row) * params.out_width + column;
    if is_stored & has_group($gu) { output[pixel * params.groups + group + $gu] = to_stored(value); }
    // No sum hangs on a branch: some compilers move all that a branch may change at each of its ends.
    let counted = select(vec4<f32>(0.0), value, is_stored);
    if POOL_BINS == 1u {
        bin_sums_$g[0] += counted;
    } else {
        bin_sums_$g += in_bins(counted, bins_of(row, column, params.out_height, params.out_width));
    }
}
#end

fn compute_tile() {
    let column = TILE_COLUMNS * (tile % tiles_across());
    let first_row = (tile / tiles_across()) * params.tile_rows;
    let end_row = min(first_row + params.tile_rows, params.out_height);
    left = i32(2u * column) - i32(params.pad_left);
    load_taps();
#repeat g = 0..TILE_GROUPS
#repeat c = 0..TILE_COLUMNS
    // The output row under way.
    var next_$g_$c = vec4<f32>(0.0);
#end
#end
    // The first step makes no output: it ends with the input row under the kernel's first.
    var y = i32(2u * first_row) - i32(params.pad_top);
    for (var step = 0u; step <= params.tile_rows; step++) {
        expand(y);
        let row = first_row + step - 1u;
        let is_output = (step > 0u) & (row < end_row);
#repeat c = 0..TILE_COLUMNS
        let is_stored_$c = is_output & (column + $cu < params.out_width);
#repeat g = 0..TILE_GROUPS
        store_$g(row, column + $cu, is_stored_$c, next_$g_$c + under_second_$g($cu) + under_third_$g($cu));
        next_$g_$c = under_first_$g($cu);
#end
#end
        y += 2;
    }
}

fn store_pool_sums() {
    if tile >= tiles_across() * tiles_down() { return; }
    let bins = POOL_BINS * POOL_BINS;
    let slot = picture * tiles_across() * tiles_down() + tile;
#repeat g = 0..TILE_GROUPS
#repeat b = 0..4
    if $bu < bins && has_group($gu) { partials[(slot * bins + $bu) * params.groups + group + $gu] = bin_sums_$g[$b]; }
#end
#end
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(invocation: Invocation) {
    if !locate(invocation) { return; }
    compute_tile();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(invocation: Invocation) {
    if !locate(invocation) { return; }
    compute_tile();
    store_pool_sums();
}
