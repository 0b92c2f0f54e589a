// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Four invocations load the weights of their tiles together: a weight is loaded once for all the quad's pixels. For software whose
// subgroups are small. Here x counts tiles of pixels and y those of output groups, of which a workgroup has one.

#import pointwise
#import quad_order
#import quad_slot

// Maps of these networks are 7 · 2ⁿ pixels wide.
const TILE_PIXELS: u32 = 7u;
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
    lane = invocation.lane % 4u;
    return true;
}

fn locate_pooled(invocation: Invocation) -> bool { return locate(invocation); }

#repeat map = input latent
fn accumulate_$map(first_row: u32, groups: u32) {
    let step = panel_step(params.out_groups, group);
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    var row = first_row + panel_place(4u * groups, group);
    for (var k = 0u; k < groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored($map[place_$p + k]);
#end
#repeat g = 0 4
        let own_$g = row + group_at($gu) - group;
#import quad_product
#end
        row += 4u * step;
    }
}
#end
