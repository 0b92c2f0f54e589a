// The memory of `shared/shared_slot.wgsl` where nothing else that the workgroup shares can stand in for it.

// The sums of each invocation's pixels, in one bin.
var<workgroup> lane_sums: array<array<vec4<f32>, 2>, WORKGROUP_X * WORKGROUP_Y>;

fn keep_sum(lane: u32, offset: u32, sum: vec4<f32>) { lane_sums[lane][offset] = sum; }
fn kept_sum(lane: u32, offset: u32) -> vec4<f32> { return lane_sums[lane][offset]; }
fn lanes_across() -> u32 { return WORKGROUP_X; }
