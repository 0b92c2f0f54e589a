// Pool sums where each invocation's pixels are a slot of their own.

const SLOT_PIXELS: u32 = TILE_PIXELS;

fn locate_pooled(invocation: Invocation) -> bool { return locate(invocation); }

fn store_slot(first: u32, sums: array<vec4<f32>, TILE_GROUPS>) {
    if pixel >= stored_pixels { return; }
#repeat g = 0..TILE_GROUPS
    if has_group($gu) { partials[first + $gu] = sums[$g]; }
#end
}
