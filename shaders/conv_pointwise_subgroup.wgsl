// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// The first eight invocations of a subgroup load one output group's weights each and hand them round, so that a weight is
// loaded once for all the subgroup's pixels. Here x counts pixels and y output groups, of which a workgroup has one.

#import pointwise
#import tile_order
#import subgroup_slot

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

// Never false: an invocation without pixels still loads weights for the others.
fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.x;
    group = TILE_GROUPS * invocation.id.y;
    lane = invocation.lane;
    return true;
}

fn locate_pooled(invocation: Invocation) -> bool { return locate(invocation); }

#repeat map = input latent
fn $map_value(at: u32) -> vec4<f32> { return from_stored($map[at]); }
fn $map_weight(at: u32) -> vec4<f32> { return weight(at); }

fn accumulate_$map(first_row: u32, groups: u32) {
#import subgroup_product
}
#end
