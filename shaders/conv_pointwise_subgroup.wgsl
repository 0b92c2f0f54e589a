// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// The first eight invocations of a subgroup load one output group's weights each and hand them round, so that a weight is
// loaded once for all the subgroup's pixels. Here x counts pixels and y output groups, of which a workgroup has one.

#import pointwise

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 8u;
// Eight invocations share a slot.
const SLOT_PIXELS: u32 = 8u * TILE_PIXELS;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<private> lane: u32;

// Never false: an invocation without pixels still loads weights for the others.
fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.x;
    group = TILE_GROUPS * invocation.id.y;
    lane = invocation.lane;
    return true;
}

fn locate_pooled(invocation: Invocation) -> bool { return locate(invocation); }

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

#repeat map = input latent
fn accumulate_$map(first_row: u32, groups: u32) {
    let own = group_at(lane % TILE_GROUPS);
    let step = panel_step(params.out_groups, own);
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    var at = first_row + panel_place(4u * groups, own);
    for (var k = 0u; k < groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored($map[place_$p + k]);
#end
#repeat c = x y z w
        let own_$c = weight(at);
        at += step;
#end
        // A sum takes all four channels at once: there are more sums than registers.
#repeat g = 0..TILE_GROUPS
#repeat c = x y z w
        let weights_$g_$c = subgroupBroadcast(own_$c, $gu);
#end
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] = sums_$p[$g] + weights_$g_x * x_$p.x + weights_$g_y * x_$p.y + weights_$g_z * x_$p.z + weights_$g_w * x_$p.w;
#end
#end
    }
}
#end
