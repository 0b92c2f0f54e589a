// A fully connected layer on one vector for each picture, static or dynamic.
//
// input   [picture][in_groups]                                 vec4 of input channels
// weights [4·in_groups][out_groups], then bias [out_groups]    vec4 of output channels
//         dynamic: then P [4·latent_groups][out_groups], then scaled_bias [out_groups]; matrices in panels
// heads   [picture] M, then λ [out_groups]                     dynamic: λ ⊙ (W₀·x + scaled_bias) + P·latent + bias
// latent  [picture][latent_groups]                             dynamic
// output  [picture][out_groups]
//
// A workgroup makes GROUPS output groups; SPLITS invocations share each one's sum, each of which goes through one stretch of the
// panel.

#import storage
#import weights
#import panels

struct Params {
    in_groups: u32,
    out_groups: u32,
    latent_groups: u32,
    lambda_offset: u32,
    bounds_low: f32,
    bounds_high: f32,
    unused_1: u32,
    unused_2: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> heads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> latent: array<Stored>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4<f32>>;

override GROUPS: u32 = 8u;
override SPLITS: u32 = 8u;

var<workgroup> sums: array<vec4<f32>, GROUPS * SPLITS>;

// Four rows from `row` on of a matrix of `rows`.
fn weight_rows(matrix_at: u32, rows: u32, row: u32, group: u32) -> mat4x4<f32> {
    let step = panel_step(params.out_groups, group);
    let at = matrix_at + panel_place(rows, group) + row * step;
    return mat4x4<f32>(
        weight(at),
        weight(at + step),
        weight(at + 2u * step),
        weight(at + 3u * step),
    );
}

// Adds up this invocation's part of its group, shares it, and gives the whole sum.
fn product(picture: u32, group: u32, lane: vec3<u32>) -> vec4<f32> {
    var part = vec4<f32>(0.0);
    if group < params.out_groups {
        let share = (params.in_groups + SPLITS - 1u) / SPLITS;
        let end = min((lane.y + 1u) * share, params.in_groups);
        for (var k = lane.y * share; k < end; k++) {
            part += weight_rows(0u, 4u * params.in_groups, 4u * k, group) * from_stored(input[picture * params.in_groups + k]);
        }
    }
    sums[lane.y * GROUPS + lane.x] = part;
    workgroupBarrier();
    var total = vec4<f32>(0.0);
    for (var split = 0u; split < SPLITS; split++) {
        total += sums[split * GROUPS + lane.x];
    }
    return total;
}

// Comparisons keep what is not a number, of which `clamp` makes a bound: these may be the scores.
fn activate(u: vec4<f32>) -> vec4<f32> {
    let raised = select(u, vec4<f32>(params.bounds_low), u < vec4<f32>(params.bounds_low));
    return select(raised, vec4<f32>(params.bounds_high), raised > vec4<f32>(params.bounds_high));
}

@compute @workgroup_size(GROUPS, SPLITS)
fn plain(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let group = workgroup.x * GROUPS + lane.x;
    let total = product(workgroup.z, group, lane);
    if lane.y != 0u || group >= params.out_groups { return; }
    let bias = weight(4u * params.in_groups * params.out_groups + group);
    output[workgroup.z * params.out_groups + group] = activate(total + bias);
}

@compute @workgroup_size(GROUPS, SPLITS)
fn branch(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let picture = workgroup.z;
    let group = workgroup.x * GROUPS + lane.x;
    let total = product(picture, group, lane);
    if lane.y != 0u || group >= params.out_groups { return; }
    let latent_width = 4u * params.latent_groups;
    let p_at = (4u * params.in_groups + 1u) * params.out_groups;
    let scaled_bias = weight(p_at + latent_width * params.out_groups + group);
    let lambda = heads[picture * (params.lambda_offset + params.out_groups) + params.lambda_offset + group];
    var sum = lambda * (total + scaled_bias);
    for (var k = 0u; k < params.latent_groups; k++) {
        sum += weight_rows(p_at, latent_width, 4u * k, group) * from_stored(latent[picture * params.latent_groups + k]);
    }
    let bias = weight(4u * params.in_groups * params.out_groups + group);
    output[picture * params.out_groups + group] = activate(sum + bias);
}
