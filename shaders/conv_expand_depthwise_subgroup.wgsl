// Expansion (1×1) and depthwise convolution (3×3 by 2) in one.
//
// The first eight invocations of a subgroup load one output group's weights and taps each and hand them round. Here x counts tiles and y
// output groups, of which a workgroup has one panel.

#import expand_depthwise

const TILE_COLUMNS: u32 = 2u;
const INPUT_COLUMNS: u32 = 5u;
const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<private> lane: u32;

// Never false: an invocation without a tile still loads weights for the others.
fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    group = TILE_GROUPS * invocation.id.y;
    tile = invocation.id.x;
    lane = invocation.lane;
    return true;
}

fn own_weights(at: u32) -> vec4<f32> {
    return weight(at + group_at(lane % TILE_GROUPS) - group);
}

fn own_tap(at: u32) -> vec4<f32> {
    return from_stored(taps[at + group_at(lane % TILE_GROUPS)]);
}

#repeat g = 0..TILE_GROUPS
fn weights_of_$g(own: vec4<f32>, at: u32) -> vec4<f32> { return subgroupBroadcast(own, $gu); }
fn tap_of_$g(own: vec4<f32>, at: u32) -> vec4<f32> { return subgroupBroadcast(own, $gu); }
#end
