// What the kernels of the pointwise family share. Each brings TILE_PIXELS and TILE_GROUPS, its `Invocation`, `locate`, which
// is false where there is nothing to do, `locate_pooled`, likewise where sums are pooled, `accumulate_input` and `accumulate_latent`, which add to `sums_0`, `sums_1`, ..., and
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

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

#import tile

#import pointwise_epilogue

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
    if !locate_pooled(invocation) { return; }
    accumulate_input(picture * params.weight_stride, params.in_groups);
    finish();
    store_pool_sums();
}

// Pooled or not: the branch has products enough that the loop without turns is nothing beside them. `plain` took 5 % longer on
// SwiftShader with it.
@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch(invocation: Invocation) {
    if !locate_pooled(invocation) { return; }
    accumulate_input(picture * params.weight_stride, params.in_groups);
    accumulate_branch();
    finish();
    store_pool_sums();
}
