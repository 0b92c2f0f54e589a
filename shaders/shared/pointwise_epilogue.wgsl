// What is done with the sums of TILE_PIXELS pixels of a pointwise convolution: residual, store and pool sums. Each kernel brings the
// sizes among its `params`, the bindings `residual`, `output` and `partials`, and SLOT_PIXELS and `store_slot`, which stores a bin's
// sums of what the invocations of a slot have.

var<private> pixels: u32;
// The first of the invocation's pixels.
var<private> pixel: u32;
// Where the pixels end that the invocation stores: none where another has its sums.
var<private> stored_pixels: u32;

// A pixel's place in a map of `groups` groups; past the end, that of the last pixel.
fn place(offset: u32, groups: u32) -> u32 {
    return (picture * pixels + min(pixel + offset, pixels - 1u)) * groups;
}

// How many of the invocation's pixels it stores.
fn own_pixels() -> u32 {
    return min(TILE_PIXELS, stored_pixels - min(pixel, stored_pixels));
}

// A loop of no turns where there is none: software goes through both sides of a branch.
fn add_residual() {
    let end = params.has_residual * own_pixels();
    for (var offset = 0u; offset < end; offset++) {
        let place = place(offset, params.out_groups);
#repeat g = 0..TILE_GROUPS
        let residual_$g = from_stored(residual[place + group_at($gu)]);
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += select(vec4<f32>(0.0), residual_$g, offset == $pu);
#end
#end
    }
}

fn store() {
    for (var offset = 0u; offset < own_pixels(); offset++) {
        let place = place(offset, params.out_groups);
#repeat g = 0..TILE_GROUPS
        if has_group($gu) { output[place + tile_group($gu)] = to_stored(sum_$g(offset)); }
#end
    }
}

// Nor has this loop a turn where nothing is pooled.
fn store_pool_sums() {
    let bins = params.pool_bins * params.pool_bins;
    for (var turn = 0u; turn < min(params.pool_bins, 1u); turn++) {
        let slot = picture * ((pixels + SLOT_PIXELS - 1u) / SLOT_PIXELS) + pixel / SLOT_PIXELS;
#repeat p = 0..TILE_PIXELS
        let at_$p = pixel + $pu;
        // A pixel past the end is the last one again, and in no bin.
        let is_stored_$p = select(0.0, 1.0, at_$p < stored_pixels);
        let bins_$p = is_stored_$p * bins_of(params.pool_bins, at_$p / params.width, at_$p % params.width, params.height, params.width);
#end
        for (var bin = 0u; bin < bins; bin++) {
            var sums = array<vec4<f32>, TILE_GROUPS>();
#repeat p = 0..TILE_PIXELS
            let share_$p = bins_$p[bin];
#repeat g = 0..TILE_GROUPS
            sums[$g] += share_$p * sums_$p[$g];
#end
#end
            store_slot((slot * bins + bin) * params.out_groups + group, sums);
        }
    }
}
