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

fn load_rows(at: u32, step: u32) {}

#repeat g = 0..TILE_GROUPS
fn rows_$g(at: u32, step: u32) -> mat4x4<f32> {
    return weight_rows(at + group_at($gu) - group, step);
}
#end
