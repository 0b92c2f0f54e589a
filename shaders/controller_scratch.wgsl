// The controller of a dynamic layer; each workgroup makes its own share of the heads, and what its invocations share lies in a buffer.

#import head_share
#import scratch_vectors

@group(0) @binding(4) var<storage, read_write> scratch: array<Words>;

fn set_vec4s() -> u32 { return VECTORS + 2u * WORKGROUP_X; }
