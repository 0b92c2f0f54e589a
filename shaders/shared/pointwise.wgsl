// What the kernels of the pointwise family share. Each brings TILE_PIXELS and TILE_GROUPS, its `Invocation`, `locate`, which
// is false where there is nothing to do, `accumulate_input` and `accumulate_latent`, which add to `sums_0`, `sums_1`, ..., and
// SLOT_PIXELS and `store_slot`, which stores a bin's sums of what the invocations of a slot have.
//
// input    [picture][pixel][in_groups]                        vec4 of input channels
// weights  [4·in_groups][out_groups], then bias [out_groups]  vec4 of output channels; per picture where weight_stride > 0
//          branch entries: then P [4·latent_groups][out_groups]; matrices in panels
// heads    [picture] M, then λ [out_groups]                   branch entries: out = λ ⊙ (W₀·x) + P·latent + bias
// latent   [picture][pixel][latent_groups]                    branch entries
// residual as output                                          added after the activation where params.has_residual is one
// output   [picture][pixel][out_groups]
// partials [picture][slot][bin][out_groups]                   sums of the outputs where params.pool_bins is not zero, the bins along
//                                                             each axis; one slot for each SLOT_PIXELS pixels
//
// One invocation computes TILE_PIXELS neighbouring pixels of TILE_GROUPS neighbouring output groups, which lie in one panel:
// TILE_GROUPS divides PANEL_GROUPS.

#import storage
#import weights
#import panels
#import activation
#import pool_sums

struct Params {
    width: u32,
    height: u32,
    in_groups: u32,
    out_groups: u32,
    weight_stride: u32,
    latent_groups: u32,
    heads_stride: u32,
    lambda_offset: u32,
    bounds_low: f32,
    bounds_high: f32,
    has_residual: u32,
    pool_bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> heads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> latent: array<Stored>;
@group(0) @binding(5) var<storage, read> residual: array<Stored>;
@group(0) @binding(6) var<storage, read_write> output: array<Stored>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;

#import tile

var<private> pixels: u32;
// The first of the invocation's pixels.
var<private> pixel: u32;
// Where the pixels end that the invocation stores: none where another has its sums.
var<private> stored_pixels: u32;

// A pixel's place in a map of `groups` groups; past the end, that of the last pixel.
fn place(offset: u32, groups: u32) -> u32 {
    return (picture * pixels + min(pixel + offset, pixels - 1u)) * groups;
}

fn bias_at() -> u32 {
    return picture * params.weight_stride + 4u * params.in_groups * params.out_groups;
}

// λ on what is summed so far, then the low-rank branch.
fn accumulate_branch() {
    let lambda = picture * params.heads_stride + params.lambda_offset;
#repeat g = 0..TILE_GROUPS
    let lambda_$g = heads[lambda + group_at($gu)];
#repeat p = 0..TILE_PIXELS
    sums_$p[$g] *= lambda_$g;
#end
#end
    accumulate_latent((4u * params.in_groups + 1u) * params.out_groups, params.latent_groups);
}

// How many of the invocation's pixels it stores.
fn own_pixels() -> u32 {
    return min(TILE_PIXELS, stored_pixels - min(pixel, stored_pixels));
}

// A loop of no turns where there is none: software goes through both sides of a branch.
fn add_residual() {
    let end = params.has_residual * own_pixels();
    for (var offset = 0u; offset < end; offset++) {
        let place = place(offset, params.out_groups);
#repeat g = 0..TILE_GROUPS
        let residual_$g = from_stored(residual[place + group_at($gu)]);
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += select(vec4<f32>(0.0), residual_$g, offset == $pu);
#end
#end
    }
}

fn store() {
    for (var offset = 0u; offset < own_pixels(); offset++) {
        let place = place(offset, params.out_groups) + group;
#repeat g = 0..TILE_GROUPS
        if has_group($gu) { output[place + $gu] = to_stored(sum_$g(offset)); }
#end
    }
}

// Nor has this loop a turn where nothing is pooled.
fn store_pool_sums() {
    let bins = params.pool_bins * params.pool_bins;
    for (var turn = 0u; turn < min(params.pool_bins, 1u); turn++) {
        let slot = picture * ((pixels + SLOT_PIXELS - 1u) / SLOT_PIXELS) + pixel / SLOT_PIXELS;
#repeat p = 0..TILE_PIXELS
        let at_$p = pixel + $pu;
        // A pixel past the end is the last one again, and in no bin.
        let is_stored_$p = select(0.0, 1.0, at_$p < stored_pixels);
        let bins_$p = is_stored_$p * bins_of(params.pool_bins, at_$p / params.width, at_$p % params.width, params.height, params.width);
#end
        for (var bin = 0u; bin < bins; bin++) {
            var sums = array<vec4<f32>, TILE_GROUPS>();
#repeat p = 0..TILE_PIXELS
            let share_$p = bins_$p[bin];
#repeat g = 0..TILE_GROUPS
            sums[$g] += share_$p * sums_$p[$g];
#end
#end
            store_slot((slot * bins + bin) * params.out_groups + group, sums);
        }
    }
}

// Bias, activation, residual and store.
fn finish() {
    bias_and_activate(bias_at());
    add_residual();
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(invocation: Invocation) {
    if !locate(invocation) { return; }
    accumulate_input(picture * params.weight_stride, params.in_groups);
    finish();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(invocation: Invocation) {
    if !locate(invocation) { return; }
    accumulate_input(picture * params.weight_stride, params.in_groups);
    finish();
    store_pool_sums();
}

// Pooled or not: the branch has products enough that the loop without turns is nothing beside them. `plain` took 5 % longer on
// SwiftShader with it.
@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch(invocation: Invocation) {
    if !locate(invocation) { return; }
    accumulate_input(picture * params.weight_stride, params.in_groups);
    accumulate_branch();
    finish();
    store_pool_sums();
}
