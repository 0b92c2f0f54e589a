// The controller of a dynamic layer; each workgroup makes its own share of the heads, and what its invocations share lies in a buffer.

#import head_share
#import scratch_room

@group(0) @binding(4) var<storage, read_write> scratch: array<Words>;

fn vector_vec4s() -> u32 { return hidden_at() + params.squeeze_groups; }
fn room_vec4s() -> u32 { return 2u * WORKGROUP_X + vector_vec4s(); }
