// The latent map of a dynamic layer in branch form, where quads load weights together.

#import latent_tiles
#import quad_order

const TILE_PIXELS: u32 = 7u;
const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

fn begin(invocation: Invocation) { lane = invocation.lane % 4u; }

fn accumulate() {
    let step = params.latent_groups;
    for (var k = 0u; k < params.in_groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored(input[pixel_$p * params.in_groups + k]);
#end
#repeat g = 0
        let own_$g = 4u * k * step + group_at($gu);
#import quad_product
#end
    }
}
