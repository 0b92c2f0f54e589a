// What kernels have in common that compute TILE_PIXELS pixels of TILE_GROUPS output groups an invocation. Each brings `tile_group`,
// which says whose sums it has at an offset among those of the tile.

var<private> picture: u32;
// The first of the invocation's output groups.
var<private> group: u32;
// The sums of each pixel by output group.
#repeat p = 0..TILE_PIXELS
var<private> sums_$p: array<vec4<f32>, TILE_GROUPS>;
#end

// Whether the tile has this output group; a group past the last stands for the last one.
fn has_group(offset: u32) -> bool {
    return tile_group(offset) < params.out_groups;
}

fn group_at(offset: u32) -> u32 {
    return min(tile_group(offset), params.out_groups - 1u);
}

// Bias, which begins at this place of the weights, and activation.
fn bias_and_activate(bias: u32) {
#repeat g = 0..TILE_GROUPS
    let bias_$g = weight(bias + group_at($gu));
#repeat p = 0..TILE_PIXELS
    sums_$p[$g] = activate(sums_$p[$g] + bias_$g);
#end
#end
}

// The sums of one of the tile's pixels, by output group. A loop over the pixels keeps what is done with them one piece of code for
// all, over which compilers take less time.
#repeat g = 0..TILE_GROUPS
fn sum_$g(offset: u32) -> vec4<f32> {
    var sum = sums_0[$g];
#repeat p = 1..TILE_PIXELS
    sum = select(sum, sums_$p[$g], offset == $pu);
#end
    return sum;
}
#end
