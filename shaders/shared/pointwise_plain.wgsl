// The product of `shared/pointwise.wgsl` where every invocation loads what it needs.

#import own_slot

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

#repeat map = input latent
fn accumulate_$map(first_row: u32, groups: u32) {
    let step = panel_step(params.out_groups, group);
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    var row = first_row + panel_place(4u * groups, group);
    for (var k = 0u; k < groups; k++) {
#import pointwise_product
        row += 4u * step;
    }
}
#end
