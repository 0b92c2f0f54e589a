// The latent map of a dynamic layer in branch form, where every invocation loads what it needs.

#import latent_tiles
#import tile_order

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
}

fn begin(invocation: Invocation) {}

fn accumulate() {
    let step = params.latent_groups;
    for (var k = 0u; k < params.in_groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored(input[pixel_$p * params.in_groups + k]);
#end
#repeat g = 0..TILE_GROUPS
        let at_$g = 4u * k * step + group_at($gu);
        let rows_$g = mat4x4<f32>(
            weight(at_$g),
            weight(at_$g + step),
            weight(at_$g + 2u * step),
            weight(at_$g + 3u * step),
        );
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += rows_$g * x_$p;
#end
#end
    }
}
