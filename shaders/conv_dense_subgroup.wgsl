// Dense convolution, any kernel size, stride and padding: the stem of the networks.
//
// The first eight invocations of a subgroup load one output group's weights each and hand them round, so that a weight is
// loaded once for all the subgroup's tiles. Here x counts tiles and y output groups, of which a workgroup has one.

#import dense
#import tile_order

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<private> lane: u32;

// Never false: an invocation without a tile still loads weights for the others.
fn locate(invocation: Invocation) -> bool {
    set_place(invocation.id.x, TILE_GROUPS * invocation.id.y, invocation.id.z);
    lane = invocation.lane;
    return true;
}

fn accumulate() {
    var at = group_at(lane % TILE_GROUPS);
    for (var n = 0u; n < params.kernel * params.kernel * params.in_groups; n++) {
        let tap = n / params.in_groups;
#repeat p = 0..TILE_PIXELS
        let x_$p = load($pu, tap / params.kernel, tap % params.kernel, n % params.in_groups);
#end
#repeat c = x y z w
        let own_$c = weight(at);
        at += params.out_groups;
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
