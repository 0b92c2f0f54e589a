// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// input    [picture][pixel][in_groups]                        vec4 of input channels
// weights  [4·in_groups][out_groups], then bias [out_groups]  vec4 of output channels; per picture where weight_stride > 0
//          branch entries: then P [4·latent_groups][out_groups]
// heads    [picture] M, then λ [out_groups]                   branch entries: out = λ ⊙ (W₀·x) + P·latent + bias
// latent   [picture][pixel][latent_groups]                    branch entries
// residual as output                                          added after the activation
// output   [picture][pixel][out_groups]
// partials [picture][slot][bin][out_groups]                   sums of the outputs; one slot for each four pixels
//
// One invocation computes four neighbouring pixels of two output groups (eight channels).

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> heads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> latent: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;

var<private> picture: u32;
var<private> pixels: u32;
// First of the invocation's pixels, and its two output groups; the second repeats the first at an odd end.
var<private> pixel: u32;
var<private> group_a: u32;
var<private> group_b: u32;
// Pixels 0 to 3 of group a, then of group b.
var<private> sums: array<vec4<f32>, 8>;

fn locate(id: vec3<u32>) -> bool {
    picture = id.z;
    pixels = params.width * params.height;
    pixel = 4u * id.y;
    group_a = 2u * id.x;
    group_b = min(group_a + 1u, params.out_groups - 1u);
    return group_a < params.out_groups && pixel < pixels;
}

// A pixel's place in a map of `groups` groups; past the end, that of the last pixel.
fn place(offset: u32, groups: u32) -> u32 {
    return (picture * pixels + min(pixel + offset, pixels - 1u)) * groups;
}

fn weight_rows(row: u32, group: u32) -> mat4x4<f32> {
    let at = row + group;
    let step = params.out_groups;
    return mat4x4<f32>(weights[at], weights[at + step], weights[at + 2u * step], weights[at + 3u * step]);
}

fn accumulate_input() {
    let place0 = place(0u, params.in_groups);
    let place1 = place(1u, params.in_groups);
    let place2 = place(2u, params.in_groups);
    let place3 = place(3u, params.in_groups);
    var row = picture * params.weight_stride;
    for (var k = 0u; k < params.in_groups; k++) {
        let x0 = input[place0 + k];
        let x1 = input[place1 + k];
        let x2 = input[place2 + k];
        let x3 = input[place3 + k];
        let a = weight_rows(row, group_a);
        sums[0] += a * x0;
        sums[1] += a * x1;
        sums[2] += a * x2;
        sums[3] += a * x3;
        let b = weight_rows(row, group_b);
        sums[4] += b * x0;
        sums[5] += b * x1;
        sums[6] += b * x2;
        sums[7] += b * x3;
        row += 4u * params.out_groups;
    }
}

// λ on what is summed so far, then the low-rank branch.
fn accumulate_branch() {
    let lambda = picture * params.heads_stride + params.lambda_offset;
    let lambda_a = heads[lambda + group_a];
    let lambda_b = heads[lambda + group_b];
    for (var i = 0u; i < 4u; i++) {
        sums[i] *= lambda_a;
        sums[i + 4u] *= lambda_b;
    }
    let place0 = place(0u, params.latent_groups);
    let place1 = place(1u, params.latent_groups);
    let place2 = place(2u, params.latent_groups);
    let place3 = place(3u, params.latent_groups);
    var row = (4u * params.in_groups + 1u) * params.out_groups;
    for (var k = 0u; k < params.latent_groups; k++) {
        let x0 = latent[place0 + k];
        let x1 = latent[place1 + k];
        let x2 = latent[place2 + k];
        let x3 = latent[place3 + k];
        let a = weight_rows(row, group_a);
        sums[0] += a * x0;
        sums[1] += a * x1;
        sums[2] += a * x2;
        sums[3] += a * x3;
        let b = weight_rows(row, group_b);
        sums[4] += b * x0;
        sums[5] += b * x1;
        sums[6] += b * x2;
        sums[7] += b * x3;
        row += 4u * params.out_groups;
    }
}

fn bias_and_activate() {
    let bias = picture * params.weight_stride + 4u * params.in_groups * params.out_groups;
    let bias_a = weights[bias + group_a];
    let bias_b = weights[bias + group_b];
    for (var i = 0u; i < 4u; i++) {
        sums[i] = activate(sums[i] + bias_a);
        sums[i + 4u] = activate(sums[i + 4u] + bias_b);
    }
}

fn add_residual() {
    for (var i = 0u; i < 4u; i++) {
        let at = place(i, params.out_groups);
        sums[i] += residual[at + group_a];
        sums[i + 4u] += residual[at + group_b];
    }
}

fn store() {
    for (var i = 0u; i < 4u; i++) {
        if pixel + i < pixels {
            let at = place(i, params.out_groups);
            output[at + group_a] = sums[i];
            if group_b != group_a {
                output[at + group_b] = sums[i + 4u];
            }
        }
    }
}

fn store_pool_sums(group: u32, first: u32) {
    bin_sums = array<vec4<f32>, 4>();
    for (var i = 0u; i < 4u; i++) {
        let at = pixel + i;
        if at < pixels {
            add_to_bins(at / params.width, at % params.width, params.height, params.width, sums[first + i]);
        }
    }
    let bins = POOL_BINS * POOL_BINS;
    let slot = picture * ((pixels + 3u) / 4u) + pixel / 4u;
    for (var bin = 0u; bin < bins; bin++) {
        partials[(slot * bins + bin) * params.out_groups + group] = bin_sums[bin];
    }
}

fn store_both_pool_sums() {
    store_pool_sums(group_a, 0u);
    if group_b != group_a {
        store_pool_sums(group_b, 4u);
    }
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    bias_and_activate();
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn plain_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    bias_and_activate();
    store();
    store_both_pool_sums();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn residual_sum(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    bias_and_activate();
    add_residual();
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn residual_sum_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    bias_and_activate();
    add_residual();
    store();
    store_both_pool_sums();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    accumulate_branch();
    bias_and_activate();
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    accumulate_branch();
    bias_and_activate();
    store();
    store_both_pool_sums();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch_residual_sum(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    accumulate_branch();
    bias_and_activate();
    add_residual();
    store();
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn branch_residual_sum_pooled(@builtin(global_invocation_id) id: vec3<u32>) {
    if !locate(id) { return; }
    accumulate_input();
    accumulate_branch();
    bias_and_activate();
    add_residual();
    store();
    store_both_pool_sums();
}
