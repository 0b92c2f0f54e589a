// What a kernel has that runs a controller and nothing else: each workgroup makes its own share of the heads.

#import storage
#import weights
#import panels
#import controller

struct Params {
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    out_groups: u32,
    heads_per_workgroup: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<Words>;
@group(0) @binding(3) var<storage, read_write> heads: array<vec4<f32>>;

fn pool_sum(at: u32) -> vec4<f32> { return from_words(partials[at]); }

// Workgroups of a picture.
fn parts() -> u32 { return (head_groups() + params.heads_per_workgroup - 1u) / params.heads_per_workgroup; }

fn heads_of(part: u32) -> u32 {
    return min(params.heads_per_workgroup, head_groups() - part * params.heads_per_workgroup);
}

fn head_at(part: u32, index: u32) -> u32 {
    return part * params.heads_per_workgroup + index;
}

fn keep_head(part: u32, picture: u32, index: u32, value: vec4<f32>) {
    heads[picture * head_groups() + head_at(part, index)] = value;
}

@compute @workgroup_size(WORKGROUP_X)
fn controller(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    take_room(workgroup.z * parts() + workgroup.x);
    control(workgroup.x, workgroup.z, lane);
}
