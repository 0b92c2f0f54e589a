// Sums of pools that the four invocations of a quad share: each stores one of every four of the tile's eight groups.

const SLOT_PIXELS: u32 = 4u * TILE_PIXELS;

fn store_slot(first: u32, sums: array<vec4<f32>, TILE_GROUPS>) {
    // Of a quad all or none are past the last slot.
    let is_slot = pixel < stored_pixels + TILE_PIXELS * lane;
#repeat g = 0 4
    let sum_$g = sums[$g] + quadSwapX(sums[$g + 1]) + quadSwapY(sums[$g + 2]) + quadSwapDiagonal(sums[$g + 3]);
    if is_slot & has_group($gu) { partials[first + ($gu ^ lane)] = sum_$g; }
#end
}
