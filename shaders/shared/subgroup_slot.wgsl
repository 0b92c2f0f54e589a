// Sums of pools that eight invocations of a subgroup share: each stores one group's.

// Eight invocations share a slot.
const SLOT_PIXELS: u32 = 8u * TILE_PIXELS;

var<private> lane: u32;

// The sum of what this invocation and the one whose lane differs in `bit` have: of `low` where the lane lacks the bit, else of `high`.
fn exchanged(low: vec4<f32>, high: vec4<f32>, bit: u32) -> vec4<f32> {
    let has_bit = (lane & bit) != 0u;
    return select(low, high, has_bit) + subgroupShuffleXor(select(high, low, has_bit), bit);
}

// Eight invocations add up their sums of eight groups so that each has one group's, which it stores.
fn store_slot(first: u32, sums: array<vec4<f32>, TILE_GROUPS>) {
#repeat g = 0..4
    let of_four_$g = exchanged(sums[$g], sums[$g + 4], 4u);
#end
    let of_two_0 = exchanged(of_four_0, of_four_2, 2u);
    let of_two_1 = exchanged(of_four_1, of_four_3, 2u);
    let sum = exchanged(of_two_0, of_two_1, 1u);
    let own = lane % TILE_GROUPS;
    if pixel < stored_pixels + TILE_PIXELS * own && has_group(own) { partials[first + own] = sum; }
}
