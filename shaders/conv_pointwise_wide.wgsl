// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Large tiles, for software that computes lanes on a CPU: there loads cost more than registers.

#import pointwise
#import tile_order
#import pointwise_plain
#import own_slot

const TILE_PIXELS: u32 = 8u;
const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
}

fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.y;
    group = TILE_GROUPS * invocation.id.x;
    return group < params.out_groups && pixel < pixels;
}
