// The weights of `shared/expand_depthwise.wgsl` where every invocation loads what it needs.

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
}

fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    group = TILE_GROUPS * invocation.id.x;
    tile = invocation.id.y;
    return group < params.groups && tile < tiles_across() * tiles_down();
}

fn own_weights(at: u32) -> vec4<f32> {
    return vec4<f32>();
}

fn own_tap(at: u32) -> vec4<f32> {
    return vec4<f32>();
}

#repeat g = 0..TILE_GROUPS
fn weights_of_$g(own: vec4<f32>, at: u32) -> vec4<f32> { return weight(at + group_at($gu) - group); }
fn tap_of_$g(own: vec4<f32>, at: u32) -> vec4<f32> { return from_stored(taps[at + group_at($gu)]); }
#end
