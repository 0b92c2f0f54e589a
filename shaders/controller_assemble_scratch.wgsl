// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch. What the invocations of a workgroup
// share lies in a buffer.

#import controller_assemble
#import scratch_vectors
#import plain_assembly

@group(0) @binding(5) var<storage, read_write> scratch: array<Words>;

fn own_heads_at() -> u32 { return VECTORS + 2u * WORKGROUP_X; }
fn set_vec4s() -> u32 { return own_heads_at() + HEAD_GROUPS; }

fn own_head(at: u32) -> vec4<f32> { return vector(own_heads_at() + at); }
fn keep_own_head(at: u32, value: vec4<f32>) { keep_vector(own_heads_at() + at, value); }
