// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Small tiles, of the fewest registers: for hardware. x counts output groups and y pixels.

#import pointwise
#import tile_order
#import pointwise_plain
#import lane_sums
#import shared_slot

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
}

fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.y;
    group = TILE_GROUPS * invocation.id.x;
    local = invocation.local.xy;
    lane = local.y * WORKGROUP_X + local.x;
    return group < params.out_groups && pixel < pixels;
}
