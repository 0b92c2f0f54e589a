// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// The invocations of a row of the workgroup share one tile: each adds up every so many input groups, and the first adds up
// their sums. For maps of few pixels and many channels, whose tiles alone would leave a device idle.

#import pointwise
#import tile_order
#import own_slot

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
}

// What each invocation has summed: [pixel][group].
var<workgroup> shares: array<array<vec4<f32>, 8>, WORKGROUP_X * WORKGROUP_Y>;

// The invocation's place in its row.
var<private> share: u32;
var<private> row_of_shares: u32;

// Never false: all invocations of a workgroup wait for each other.
fn locate(invocation: Invocation) -> bool {
    share = invocation.local.x;
    row_of_shares = WORKGROUP_X * invocation.local.y;
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = select(0u, pixels, share == 0u);
    pixel = TILE_PIXELS * invocation.id.y;
    group = TILE_GROUPS * invocation.workgroup.x;
    return true;
}

// Leaves the sums of all shares with the first, and zeros with the others.
fn gather() {
    workgroupBarrier();
#repeat p = 0..TILE_PIXELS
#repeat g = 0..TILE_GROUPS
    shares[row_of_shares + share][$pu * TILE_GROUPS + $gu] = sums_$p[$g];
    sums_$p[$g] = vec4<f32>(0.0);
#end
#end
    workgroupBarrier();
    if share == 0u {
        for (var other = row_of_shares; other < row_of_shares + WORKGROUP_X; other++) {
#repeat p = 0..TILE_PIXELS
#repeat g = 0..TILE_GROUPS
            sums_$p[$g] += shares[other][$pu * TILE_GROUPS + $gu];
#end
#end
        }
    }
}

#repeat map = input latent
fn accumulate_$map(first_row: u32, groups: u32) {
    let step = panel_step(params.out_groups, group);
    let first = first_row + panel_place(4u * groups, group);
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    for (var k = share; k < groups; k += WORKGROUP_X) {
        let row = first + 4u * step * k;
#import pointwise_product
    }
    gather();
}
#end
