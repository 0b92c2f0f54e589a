// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch, in the layout that
// `conv_pointwise` reads: W(x) = λ ⊙ W₀ + P·M·Q and b(x) = bias + P·(M·q_offset + latent_offset). What the kernels share; each
// brings its `Invocation` and `assemble_columns` and `assemble_rows`, which make the workgroup's part of W once M and λ are there. The
// workgroup's place is no part of `Invocation`: beside the lane's, compilers take it for one that differs from lane to lane.
//
// weights   the controller's, then those of `assemble`:
//           W₀ [4·in_groups][out_groups], bias [out_groups], P [4·latent_groups][out_groups]   vec4 of output channels
//           Q [4·latent_groups][in_groups]                                                    vec4 of input channels
//           q_offset [latent_groups], latent_offset [latent_groups]                           vec4 of latent channels
// assembled [picture] W [4·in_groups][out_groups], then b [out_groups]; all matrices in panels
//
// A workgroup makes `groups_per_workgroup` groups of the wider side, so that what all of them make again is small: y, M, and the
// product on the narrower side, which is M·Q for `columns` and P·M for `rows`.
//
// Compilers move nothing out of loops here, and some read a parameter lane by lane: loops have places in variables.

#import storage
#import weights
#import assembled
#import panels
#import controller
#import low_rank
#import weight_factors

struct Params {
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    in_groups: u32,
    out_groups: u32,
    groups_per_workgroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<Words>;
@group(0) @binding(4) var<storage, read_write> heads: array<vec4<f32>>;

fn pool_sum(at: u32) -> vec4<f32> { return from_words(partials[at]); }

fn assembled_at(picture: u32) -> u32 { return picture * (4u * params.in_groups + 1u) * params.out_groups; }

fn by_columns() -> bool { return params.in_groups < params.out_groups; }

// Workgroups of a picture.
fn parts() -> u32 {
    return (max(params.in_groups, params.out_groups) + params.groups_per_workgroup - 1u) / params.groups_per_workgroup;
}

// The workgroup's inputs and outputs, in groups: the first and how many.
fn inputs_of(part: u32) -> vec2<u32> {
    let first = select(part * params.groups_per_workgroup, 0u, by_columns());
    return vec2<u32>(first, select(min(params.groups_per_workgroup, params.in_groups - first), params.in_groups, by_columns()));
}

fn outputs_of(part: u32) -> vec2<u32> {
    let first = select(0u, part * params.groups_per_workgroup, by_columns());
    return vec2<u32>(first, select(params.out_groups, min(params.groups_per_workgroup, params.out_groups - first), by_columns()));
}

fn heads_of(part: u32) -> u32 {
    return matrix_groups() + outputs_of(part).y;
}

fn head_at(part: u32, index: u32) -> u32 {
    return index + select(outputs_of(part).x, 0u, index < matrix_groups());
}

// What all workgroups make, the first one stores.
fn keep_head(part: u32, picture: u32, index: u32, value: vec4<f32>) {
    keep_own_head(index, value);
    if part == 0u || (by_columns() && index >= matrix_groups()) {
        heads[picture * head_groups() + head_at(part, index)] = value;
    }
}

// The vectors begin with M·q_offset + latent_offset, vec4 of latent channels; then comes the product of the narrower side: where it has
// the first latent channel of a group, and how far the channels are apart.
fn product_place(group: u32) -> vec2<u32> {
    return vec2<u32>(params.latent_groups + group, min(params.in_groups, params.out_groups));
}

fn make_bias(part: u32, picture: u32, lane: u32) {
    let outputs = outputs_of(part);
    for (var index = lane; index < outputs.y; index += WORKGROUP_X) {
        let n = outputs.x + index;
        store_assembled(assembled_at(picture) + bias_at() - w_at() + n, own_bias(n));
    }
}

// Where λ of output group n lies among the workgroup's heads.
fn lambda_at(part: u32, n: u32) -> u32 { return matrix_groups() + n - outputs_of(part).x; }

// For fewer inputs than outputs.
@compute @workgroup_size(WORKGROUP_X)
fn columns(@builtin(workgroup_id) workgroup: vec3<u32>, invocation: Invocation) {
    let part = workgroup.x;
    let picture = workgroup.z;
    take_room(picture * parts() + part);
    control(part, picture, invocation.local.x);
    multiply_offsets(invocation.local.x);
    assemble_columns(part, picture, invocation, outputs_of(part));
    make_bias(part, picture, invocation.local.x);
}

// For at least as many inputs as outputs. The first workgroup makes b.
@compute @workgroup_size(WORKGROUP_X)
fn rows(@builtin(workgroup_id) workgroup: vec3<u32>, invocation: Invocation) {
    let part = workgroup.x;
    let picture = workgroup.z;
    take_room(picture * parts() + part);
    control(part, picture, invocation.local.x);
    multiply_offsets(invocation.local.x);
    assemble_rows(part, picture, invocation, inputs_of(part));
    if part == 0u { make_bias(part, picture, invocation.local.x); }
}
