// What the invocations of a controller's and assembly's workgroup share, in a buffer: the vectors, then its own heads.

#import scratch_room

@group(0) @binding(5) var<storage, read_write> scratch: array<Words>;

fn vector_vec4s() -> u32 {
    let product = (4u * min(params.in_groups, params.out_groups) + 1u) * params.latent_groups;
    return max(hidden_at() + params.squeeze_groups, product);
}
fn own_heads_at() -> u32 { return 2u * WORKGROUP_X + vector_vec4s(); }
fn room_vec4s() -> u32 {
    return own_heads_at() + matrix_groups() + select(params.out_groups, params.groups_per_workgroup, by_columns());
}

fn own_head(at: u32) -> vec4<f32> { return kept(own_heads_at() + at); }
fn keep_own_head(at: u32, value: vec4<f32>) { keep(own_heads_at() + at, value); }
