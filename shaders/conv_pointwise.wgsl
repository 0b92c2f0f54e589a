// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Small tiles, of the fewest registers: for hardware. x counts output groups and y pixels.

#import pointwise
#import pointwise_plain
#import shared_slot

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

// The sums of each invocation's pixels, in one bin.
var<workgroup> lane_sums: array<array<vec4<f32>, 2>, WORKGROUP_X * WORKGROUP_Y>;

fn keep_sum(lane: u32, offset: u32, sum: vec4<f32>) { lane_sums[lane][offset] = sum; }
fn kept_sum(lane: u32, offset: u32) -> vec4<f32> { return lane_sums[lane][offset]; }
fn lanes_across() -> u32 { return WORKGROUP_X; }

fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.y;
    group = TILE_GROUPS * invocation.id.x;
    local = invocation.local.xy;
    lane = invocation.lane;
    return group < params.out_groups && pixel < pixels;
}
