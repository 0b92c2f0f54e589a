// The sums of `shared/dense.wgsl` where every invocation loads what it needs.

#import tile_order

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
}

fn locate(invocation: Invocation) -> bool {
    set_place(invocation.id.y, TILE_GROUPS * invocation.id.x, invocation.id.z);
    return group < params.out_groups && row < params.out_height;
}

fn accumulate() {
    let step = params.out_groups;
    var first = 0u;
    // One loop, not three: some compilers take minutes over nested ones.
    for (var n = 0u; n < params.kernel * params.kernel * params.in_groups; n++) {
        let tap = n / params.in_groups;
#repeat p = 0..TILE_PIXELS
        let x_$p = load($pu, tap / params.kernel, tap % params.kernel, n % params.in_groups);
#end
#repeat g = 0..TILE_GROUPS
        let at_$g = first + group_at($gu);
        let rows_$g = mat4x4<f32>(
            weight(at_$g),
            weight(at_$g + step),
            weight(at_$g + 2u * step),
            weight(at_$g + 3u * step),
        );
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += rows_$g * x_$p;
#end
#end
        first += 4u * step;
    }
}
