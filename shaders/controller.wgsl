// The controller of a dynamic convolution: from the pool sums of its input to M(x) = Φ(x) + I and λ(x).
//
// y = fc0·p, y ← y ⊙ relu6(gate·y + 3), M = reshape(phi·y) + I, λ = relu6(scale·y + 3)   (the gates' thirds are folded)
//
// partials [picture][slot][bin][in_groups]          sums of the input, vec4 of channels
// weights  fc0 [bins²·4·in_groups][squeeze_groups], gate [4·squeeze_groups][squeeze_groups],
//          heads [4·squeeze_groups][head_groups]    vec4 of outputs
// heads    [picture] M [4·latent_groups][latent_groups] (row-major), then λ [out_groups]
//
// Every workgroup makes y for its picture and then its own share of the heads.

#import pool_sums

struct Params {
    height: u32,
    width: u32,
    in_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    out_groups: u32,
    heads_per_workgroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> heads: array<vec4<f32>>;

override WORKGROUP_X: u32 = 64u;
// Sizes of the workgroup's memory, in vec4: bins²·in_groups, squeeze_groups, and max(WORKGROUP_X, squeeze_groups).
override POOLED: u32 = 1u;
override SQUEEZE: u32 = 1u;
override SUMS: u32 = 64u;

var<workgroup> pooled: array<vec4<f32>, POOLED>;
var<workgroup> hidden: array<vec4<f32>, SQUEEZE>;
var<workgroup> sums: array<vec4<f32>, SUMS>;

fn weight_rows(at: u32, step: u32) -> mat4x4<f32> {
    return mat4x4<f32>(weights[at], weights[at + step], weights[at + 2u * step], weights[at + 3u * step]);
}

// Invocations that share one output group of a matrix product, each adding up every `splits`-th part of it.
fn splits() -> u32 {
    return max(1u, WORKGROUP_X / params.squeeze_groups);
}

// The sum of every `step`-th slot from `first` on, of one bin and input group.
fn slot_sum(picture: u32, i: u32, first: u32, step: u32) -> vec4<f32> {
    let pooled_groups = POOL_BINS * POOL_BINS * params.in_groups;
    var total = vec4<f32>(0.0);
    for (var slot = first; slot < params.slots; slot += step) {
        total += partials[(picture * params.slots + slot) * pooled_groups + i];
    }
    return total;
}

// Where there are fewer sums than invocations, several share the slots of each.
fn finish_pool(picture: u32, lane: u32) {
    let pooled_groups = POOL_BINS * POOL_BINS * params.in_groups;
    let rows = (params.height + POOL_BINS - 1u) / POOL_BINS;
    let columns = (params.width + POOL_BINS - 1u) / POOL_BINS;
    let pixels = f32(rows * columns);
    let parts = WORKGROUP_X / pooled_groups;
    if parts < 2u {
        for (var i = lane; i < pooled_groups; i += WORKGROUP_X) {
            pooled[i] = slot_sum(picture, i, 0u, 1u) / pixels;
        }
    } else {
        if lane < parts * pooled_groups {
            sums[lane] = slot_sum(picture, lane % pooled_groups, lane / pooled_groups, parts);
        }
        workgroupBarrier();
        if lane < pooled_groups {
            var total = vec4<f32>(0.0);
            for (var part = 0u; part < parts; part++) {
                total += sums[part * pooled_groups + lane];
            }
            pooled[lane] = total / pixels;
        }
    }
}

fn split_sum(group: u32) -> vec4<f32> {
    var total = vec4<f32>(0.0);
    for (var split = 0u; split < splits(); split++) {
        total += sums[split * params.squeeze_groups + group];
    }
    return total;
}

@compute @workgroup_size(WORKGROUP_X)
fn controller(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let picture = workgroup.z;
    let squeeze = params.squeeze_groups;
    let pooled_groups = POOL_BINS * POOL_BINS * params.in_groups;
    finish_pool(picture, lane);
    workgroupBarrier();

    for (var task = lane; task < splits() * squeeze; task += WORKGROUP_X) {
        var total = vec4<f32>(0.0);
        for (var k = task / squeeze; k < pooled_groups; k += splits()) {
            total += weight_rows(4u * k * squeeze + task % squeeze, squeeze) * pooled[k];
        }
        sums[task] = total;
    }
    workgroupBarrier();
    for (var group = lane; group < squeeze; group += WORKGROUP_X) {
        hidden[group] = split_sum(group);
    }
    workgroupBarrier();

    let gate = 4u * pooled_groups * squeeze;
    for (var task = lane; task < splits() * squeeze; task += WORKGROUP_X) {
        var total = vec4<f32>(0.0);
        for (var k = task / squeeze; k < squeeze; k += splits()) {
            total += weight_rows(gate + 4u * k * squeeze + task % squeeze, squeeze) * hidden[k];
        }
        sums[task] = total;
    }
    workgroupBarrier();
    for (var group = lane; group < squeeze; group += WORKGROUP_X) {
        hidden[group] *= clamp(split_sum(group) + 3.0, vec4<f32>(0.0), vec4<f32>(6.0));
    }
    workgroupBarrier();

    let first_head = gate + 4u * squeeze * squeeze;
    let matrix_groups = 4u * params.latent_groups * params.latent_groups;
    let head_groups = matrix_groups + params.out_groups;
    let first = workgroup.x * params.heads_per_workgroup;
    let last = min(first + params.heads_per_workgroup, head_groups);
    for (var head = first + lane; head < last; head += WORKGROUP_X) {
        var total = vec4<f32>(0.0);
        for (var k = 0u; k < squeeze; k++) {
            total += weight_rows(first_head + 4u * k * head_groups + head, head_groups) * hidden[k];
        }
        if head < matrix_groups {
            // The identity: row `head / latent_groups` of M has its one at the column of the same number.
            let diagonal = head / params.latent_groups;
            let column = vec4<u32>(0u, 1u, 2u, 3u) + 4u * (head % params.latent_groups);
            total += select(vec4<f32>(0.0), vec4<f32>(1.0), column == vec4<u32>(diagonal));
        } else {
            total = clamp(total + 3.0, vec4<f32>(0.0), vec4<f32>(6.0));
        }
        heads[picture * head_groups + head] = total;
    }
}
