// What the kernels share that expand a map and convolve it channel by channel, 3 × 3 by 2, without storing what is between: the
// pointwise and the depthwise convolution of an inverted residual block. Each brings TILE_COLUMNS, INPUT_COLUMNS = 2·TILE_COLUMNS + 1
// and TILE_GROUPS, its `Invocation`, `locate`, which is false where there is nothing to do, `own_weights`, what it loads of a row of
// weights for others too, and `weights_of_0`, `weights_of_1`, ..., the row's weights for each of its groups; `own_tap` and `tap_of_0`, ...
// likewise.
//
// input    [picture][row][column][in_groups]       vec4 of input channels
// weights  [4·in_groups][groups], then bias        of the expansion, in panels; per picture where weight_stride > 0
// taps     [9][groups], then bias [groups]         of the depthwise convolution
// output   [picture][row][column][groups]
// partials [picture][slot][groups]                 sums of the outputs; one slot for each tile
//
// One invocation computes TILE_GROUPS neighbouring groups, which lie in one panel, of TILE_COLUMNS columns of `tile_rows` rows. It goes
// down the input rows one by one: what expands a row is the longest piece of the text, and there is one for all of them.

#import storage
#import weights
#import panels
#import activation

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
    bounds_low: f32,
    bounds_high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> taps: array<Stored>;
@group(0) @binding(4) var<storage, read_write> output: array<Stored>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>;

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

var<private> picture: u32;
// The invocation's tile among those of its picture, and its first output group.
var<private> tile: u32;
var<private> group: u32;
#repeat g = 0..TILE_GROUPS
// The sum of the tile's outputs.
var<private> total_$g: vec4<f32>;
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

#repeat g = 0..TILE_GROUPS
fn store_$g(row: u32, column: u32, is_stored: bool, value: vec4<f32>) {
    let pixel = (picture * params.out_height + row) * params.out_width + column;
    if is_stored & has_group($gu) { output[pixel * params.groups + group + $gu] = to_stored(value); }
    // As in `conv_depthwise`, no sum hangs on a branch.
    total_$g += select(vec4<f32>(0.0), value, is_stored);
}
#end

fn compute_tile() {
    let column = TILE_COLUMNS * (tile % tiles_across());
    let first_row = (tile / tiles_across()) * params.tile_rows;
    let end_row = min(first_row + params.tile_rows, params.out_height);
    let bottom = i32(params.in_height) - 1;
    let right = i32(params.in_width) - 1;
#repeat c = 0..INPUT_COLUMNS
    let x_$c = i32(2u * column + $cu) - i32(params.pad_left);
    let place_$c = u32(clamp(x_$c, 0, right)) * params.in_groups;
    let inside_$c = (x_$c >= 0) & (x_$c <= right);
#end
    let panel = picture * params.weight_stride + panel_place(4u * params.in_groups, group);
    let step = panel_step(params.groups, group);
    let expansion_bias = picture * params.weight_stride + 4u * params.in_groups * params.groups + group;
    let own_expansion_bias = own_weights(expansion_bias);
    // The last tap is the bias.
#repeat t = 0..10
    let own_tap_$t = own_tap($tu * params.groups);
#end
#repeat g = 0..TILE_GROUPS
    let expansion_bias_$g = weights_of_$g(own_expansion_bias, expansion_bias);
#repeat t = 0..10
    let tap_$g_$t = tap_of_$g(own_tap_$t, $tu * params.groups);
#end
#repeat c = 0..TILE_COLUMNS
    // The output row under way.
    var sum_$g_$c = vec4<f32>(0.0);
#end
#end
    for (var turn = 0u; turn <= 2u * params.tile_rows; turn++) {
        let y = i32(2u * first_row + turn) - i32(params.pad_top);
        let row = (picture * params.in_height + u32(clamp(y, 0, bottom))) * params.in_width * params.in_groups;
#repeat g = 0..TILE_GROUPS
        var values_$g = array<vec4<f32>, INPUT_COLUMNS>();
#repeat c = 0..INPUT_COLUMNS
        values_$g[$c] = expansion_bias_$g;
#end
#end
        var at = panel;
        for (var k = 0u; k < params.in_groups; k++) {
#repeat c = 0..INPUT_COLUMNS
            let input_$c = from_stored(input[row + place_$c + k]);
#end
#repeat i = 0..4
            let own_$i = own_weights(at + $iu * step);
#end
#repeat g = 0..TILE_GROUPS
#repeat i = 0..4
            let weights_$g_$i = weights_of_$g(own_$i, at + $iu * step);
#end
#repeat c = 0..INPUT_COLUMNS
            values_$g[$c] = values_$g[$c] + weights_$g_0 * input_$c.x + weights_$g_1 * input_$c.y + weights_$g_2 * input_$c.z + weights_$g_3 * input_$c.w;
#end
#end
            at += 4u * step;
        }
        // The depthwise convolution pads the expanded map: outside of it are zeros, not what zeros expand to.
        let inside = (y >= 0) & (y <= bottom);
#repeat c = 0..INPUT_COLUMNS
#repeat g = 0..TILE_GROUPS
        values_$g[$c] = select(vec4<f32>(0.0), activate(values_$g[$c]), inside & inside_$c);
#end
#end
        if turn % 2u == 1u {
            // Under the kernel's second row.
#repeat g = 0..TILE_GROUPS
#repeat c = 0..TILE_COLUMNS
            sum_$g_$c += tap_$g_3 * values_$g[2u * $cu] + tap_$g_4 * values_$g[2u * $cu + 1u] + tap_$g_5 * values_$g[2u * $cu + 2u];
#end
#end
        } else {
            // Under its third row and then, for the next output, under its first. The first turn ends none.
            let out_row = first_row + turn / 2u - 1u;
            let is_output = (turn > 0u) & (out_row < end_row);
#repeat c = 0..TILE_COLUMNS
            let is_stored_$c = is_output & (column + $cu < params.out_width);
#repeat g = 0..TILE_GROUPS
            store_$g(out_row, column + $cu, is_stored_$c, activate(sum_$g_$c + tap_$g_9
                + tap_$g_6 * values_$g[2u * $cu] + tap_$g_7 * values_$g[2u * $cu + 1u] + tap_$g_8 * values_$g[2u * $cu + 2u]));
            sum_$g_$c = tap_$g_0 * values_$g[2u * $cu] + tap_$g_1 * values_$g[2u * $cu + 1u] + tap_$g_2 * values_$g[2u * $cu + 2u];
#end
#end
        }
    }
}

fn store_pool_sums() {
    if tile >= tiles_across() * tiles_down() { return; }
    let slot = picture * tiles_across() * tiles_down() + tile;
#repeat g = 0..TILE_GROUPS
    if has_group($gu) { partials[slot * params.groups + group + $gu] = total_$g; }
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
