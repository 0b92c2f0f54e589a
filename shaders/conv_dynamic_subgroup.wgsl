// A dynamic pointwise convolution of stride 1 in one launch: its controller, what is made of M and λ, and the convolution with that.
//
// A workgroup is one subgroup, whose lanes go in step: for software of few cores, on which a launch takes longer than what the few
// workgroups all make again. The tiles of a map, of 32 pixels or more and eight output groups, stand in a row, of which each has an equal
// run. What its tiles need it makes in memory of its own: W(x) and b(x) of its outputs (`columns` and `rows`, where the tiles of an output
// group follow one another), or the latent vectors of its pixels (`branch`, where those of a pixel do).
//
// input     [picture][pixel][in_groups]     vec4 of input channels
// weights   as of `controller_assemble`; for `branch` Q as of `latent`
// sums      [picture][slot][pooled_groups]  those of the input's bins, with which the controller begins
// heads     [picture] M, then λ [out_groups]
// residual, output, partials                as of `conv_pointwise`
// assembled [picture][workgroup] W of own_groups output groups, in panels, then b of them
// latent    [picture][workgroup] of a tile's pixels [latent_groups], then the same of what M meets

#import storage
#import weights
#import own_assembled
#import panels
#import activation
#import pool_sums
#import workgroup_vectors
#import workgroup_heads
#import controller
#import low_rank
#import weight_factors
#import subgroup_assembly
#import tile
#import tile_order
#import pointwise_epilogue
#import subgroup_slot

struct Params {
    width: u32,
    height: u32,
    in_groups: u32,
    out_groups: u32,
    bounds_low: f32,
    bounds_high: f32,
    has_residual: u32,
    pool_bins: u32,
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    // Tiles of a workgroup, and the output groups for which it makes W: zero where it makes none, and has all outputs.
    own_tiles: u32,
    own_groups: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> sums: array<Words>;
@group(0) @binding(4) var<storage, read_write> heads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<Stored>;
@group(0) @binding(6) var<storage, read_write> output: array<Stored>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> latent: array<Words>;

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 8u;
// Latent groups that an invocation makes at a time: the layers of MobileNetV2 that are branches have five or ten.
const TILE_LATENT: u32 = 5u;

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

// The workgroup's outputs, in groups: the first and how many. What loops hang on is made of params anew: compilers take a private
// variable for one that differs from lane to lane.
var<private> own_outputs: vec2<u32>;
// The first of these whose λ it stores: another workgroup may share a tile's outputs.
var<private> first_stored: u32;
// Where the workgroup's room for what it makes begins.
var<private> own_room: u32;

// Lanes go in step, so what one has stored, in whichever memory, is there for all of them on llvmpipe; SPIR-V itself orders memory of
// subgroups alone at this barrier.
fn wait_for_all() { subgroupBarrier(); }
fn pool_sum(at: u32) -> vec4<f32> { return from_words(sums[at]); }

fn heads_of(part: u32) -> u32 { return matrix_groups() + outputs_of(part).y; }
fn head_at(part: u32, index: u32) -> u32 { return index + select(own_outputs.x, 0u, index < matrix_groups()); }
fn lambda_at(part: u32, n: u32) -> u32 { return matrix_groups() + n - own_outputs.x; }

// The first workgroup stores what all of them make.
fn keep_head(part: u32, picture: u32, index: u32, value: vec4<f32>) {
    keep_own_head(index, value);
    let head = head_at(part, index);
    if select(part == 0u, head >= matrix_groups() + first_stored, index >= matrix_groups()) {
        heads[picture * head_groups() + head] = value;
    }
}

// Where W would begin for the workgroup's panels to lie in its room: what wraps around here wraps back in a place of theirs.
fn assembled_at(picture: u32) -> u32 { return own_room - 4u * params.in_groups * own_outputs.x; }
fn own_bias_at(n: u32) -> u32 { return own_room + 4u * params.in_groups * params.own_groups + n - own_outputs.x; }

// The vectors begin with M·q_offset + latent_offset; then comes M·Q, or P·M of the workgroup's outputs.
fn product_place(group: u32) -> vec2<u32> {
    return vec2<u32>(params.latent_groups + group, select(params.own_groups, params.in_groups, params.in_groups < params.out_groups));
}

fn latent_value(at: u32) -> vec4<f32> { return from_words(latent[own_room + at]); }

// Stores a group of a pixel's latent vector, or, `behind` all of the tile's, of what M meets.
fn store_latent(offset: u32, group: u32, behind: u32, value: vec4<f32>) {
    if offset < own_pixels() { latent[own_room + behind + place(offset, params.latent_groups) + group] = to_words(value); }
}

// M·(Q·x + q_offset) + latent_offset of the tile's pixels.
fn make_latent() {
    let groups = params.latent_groups;
    let behind = tile_pixels() * groups;
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, params.in_groups);
    let latent_$p = place($pu, groups);
#end
    for (var first = 0u; first < groups; first += TILE_LATENT) {
        // A group past the last stands for the last one.
#repeat g = 0..TILE_LATENT
#repeat p = 0..TILE_PIXELS
        var sum_$p_$g = weight(q_offset_at() + min(first + $gu, groups - 1u));
#end
#end
        var at = q_at() + min(first + lane % 8u, groups - 1u);
        for (var k = 0u; k < params.in_groups; k++) {
#repeat p = 0..TILE_PIXELS
            let x_$p = from_stored(input[place_$p + k]);
#end
#repeat c = x y z w
            let own_$c = weight(at);
            at += groups;
#end
#repeat g = 0..TILE_LATENT
#repeat c = x y z w
            let q_$g_$c = subgroupBroadcast(own_$c, $gu);
#end
#repeat p = 0..TILE_PIXELS
            sum_$p_$g = sum_$p_$g + q_$g_x * x_$p.x + q_$g_y * x_$p.y + q_$g_z * x_$p.z + q_$g_w * x_$p.w;
#end
#end
        }
#repeat g = 0..TILE_LATENT
        if first + $gu < groups {
#repeat p = 0..TILE_PIXELS
            store_latent($pu, first + $gu, behind, sum_$p_$g);
#end
        }
#end
    }
    // Each loads what it has stored itself; of a pixel past the last, what it then drops.
    for (var group = 0u; group < groups; group++) {
#repeat p = 0..TILE_PIXELS
        var t_$p = weight(q_offset_at() + groups + group);
#end
        for (var j = 0u; j < groups; j++) {
            let row = 4u * group * groups + j;
            let m = mat4x4<f32>(own_head(row), own_head(row + groups), own_head(row + 2u * groups), own_head(row + 3u * groups));
#repeat p = 0..TILE_PIXELS
            // The rows of M lie in the columns of m.
            t_$p += latent_value(behind + latent_$p + j) * m;
#end
        }
#repeat p = 0..TILE_PIXELS
        store_latent($pu, group, 0u, t_$p);
#end
    }
}

fn input_value(at: u32) -> vec4<f32> { return from_stored(input[at]); }
fn input_weight(at: u32) -> vec4<f32> { return weight(at); }
fn latent_weight(at: u32) -> vec4<f32> { return weight(at); }
fn assembled_value(at: u32) -> vec4<f32> { return input_value(at); }

#repeat map = input latent assembled
fn accumulate_$map(first_row: u32, groups: u32) {
#import subgroup_product
}
#end

fn clear() {
#repeat p = 0..TILE_PIXELS
    sums_$p = array<vec4<f32>, TILE_GROUPS>();
#end
}

fn finish() {
    add_residual();
    store();
    store_pool_sums();
}

// Pixels of a tile, which all invocations of the workgroup compute, and how many tiles cover all pixels or all outputs.
fn tile_pixels() -> u32 { return TILE_PIXELS * WORKGROUP_X; }
fn tiles_down() -> u32 { return (params.width * params.height + tile_pixels() - 1u) / tile_pixels(); }
fn tiles_across() -> u32 { return (params.out_groups + TILE_GROUPS - 1u) / TILE_GROUPS; }

// A workgroup's run of tiles: the first, and where it ends.
fn run_of(part: u32) -> vec2<u32> {
    let first = part * params.own_tiles;
    return vec2<u32>(first, min(first + params.own_tiles, tiles_down() * tiles_across()));
}

fn outputs_of(part: u32) -> vec2<u32> {
    if params.own_groups == 0u { return vec2<u32>(0u, params.out_groups); }
    let run = run_of(part);
    let first = run.x / tiles_down() * TILE_GROUPS;
    let end = (run.y + tiles_down() - 1u) / tiles_down() * TILE_GROUPS;
    return vec2<u32>(first, min(end, params.out_groups) - first);
}

fn begin(workgroup: vec3<u32>, invocation: Invocation) {
    picture = workgroup.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    lane = invocation.lane;
    own_outputs = outputs_of(workgroup.x);
}

// The workgroup's number comes apart from what tells lanes from each other, as in `controller_assemble`.
#repeat side = columns rows
@compute @workgroup_size(WORKGROUP_X)
fn $side(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, invocation: Invocation) {
    let part = workgroup.x;
    let index = invocation.local.x;
    let run = run_of(part);
    let outputs = outputs_of(part);
    let down = tiles_down();
    begin(workgroup, invocation);
    first_stored = (run.x + down - 1u) / down * TILE_GROUPS;
    own_room = (picture * workgroups.x + part) * (4u * params.in_groups + 1u) * params.own_groups;

    control(part, picture, index);
    multiply_offsets(index);
    $side_product(invocation, outputs);
    wait_for_all();
    make_$side(part, picture, invocation, vec2<u32>(0u, params.in_groups), outputs);
    for (var i = index; i < outputs.y; i += WORKGROUP_X) {
        store_assembled(own_bias_at(outputs.x + i), own_bias(outputs.x + i));
    }
    wait_for_all();

    for (var across = 0u; across < outputs.y; across += TILE_GROUPS) {
        group = outputs.x + across;
        let row = (outputs.x + across) / TILE_GROUPS * down;
        for (var tile = max(run.x, row); tile < min(run.y, row + down); tile++) {
            pixel = (tile - row) * tile_pixels() + TILE_PIXELS * index;
            clear();
            accumulate_assembled(assembled_at(picture), params.in_groups);
#repeat g = 0..TILE_GROUPS
            let bias_$g = assembled_weight(own_bias_at(group_at($gu)));
#repeat p = 0..TILE_PIXELS
            sums_$p[$g] = activate(sums_$p[$g] + bias_$g);
#end
#end
            finish();
        }
    }
}
#end

fn columns_product(invocation: Invocation, outputs: vec2<u32>) { multiply_q(invocation); }
fn rows_product(invocation: Invocation, outputs: vec2<u32>) { multiply_p(invocation, outputs); }

@compute @workgroup_size(WORKGROUP_X)
fn branch(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, invocation: Invocation) {
    let part = workgroup.x;
    let index = invocation.local.x;
    let run = run_of(part);
    let across = tiles_across();
    begin(workgroup, invocation);
    first_stored = select(params.out_groups, 0u, part == 0u);

    control(part, picture, index);
    for (var row = run.x / across * across; row < run.y; row += across) {
        let first = row / across * tile_pixels();
        pixel = first + TILE_PIXELS * index;
        // As with panels: `place` counts all pixels before.
        own_room = (2u * (picture * workgroups.x + part) * tile_pixels() - picture * pixels - first) * params.latent_groups;
        make_latent();
        // A pixel past the last one loads what another has stored.
        wait_for_all();
        for (var tile = max(run.x, row); tile < min(run.y, row + across); tile++) {
            group = (tile - row) * TILE_GROUPS;
            clear();
            accumulate_input(w_at(), params.in_groups);
#repeat g = 0..TILE_GROUPS
            let lambda_$g = own_head(lambda_at(part, group_at($gu)));
#repeat p = 0..TILE_PIXELS
            sums_$p[$g] *= lambda_$g;
#end
#end
            accumulate_latent(p_at(), params.latent_groups);
            bias_and_activate(bias_at());
            finish();
        }
        wait_for_all();
    }
}
