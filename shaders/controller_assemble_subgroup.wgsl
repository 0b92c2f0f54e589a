// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch, by workgroups that are one
// subgroup each, as in `controller_subgroup`.

#import controller_assemble
#import workgroup_vectors
#import workgroup_heads
#import subgroup_assembly

const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

fn wait_for_all() { subgroupBarrier(); }

fn assemble_columns(part: u32, picture: u32, invocation: Invocation, outputs: vec2<u32>) {
    multiply_q(invocation);
    wait_for_all();
    make_columns(part, picture, invocation, vec2<u32>(0u, params.in_groups), outputs);
}

fn assemble_rows(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>) {
    multiply_p(invocation, vec2<u32>(0u, params.out_groups));
    wait_for_all();
    make_rows(part, picture, invocation, inputs, vec2<u32>(0u, params.out_groups));
}
