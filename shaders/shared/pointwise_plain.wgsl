// The product of `shared/pointwise.wgsl` where every invocation loads what it needs.

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
