// Dense convolution, any kernel size, stride and padding: the stem of the networks.
//
// Four invocations load the weights of their tiles together: a weight is loaded once for all the quad's tiles. For software whose
// subgroups are small. Here x counts tiles and y those of output groups, of which a workgroup has one.

#import dense
#import quad_order

// Maps of these networks are 7 · 2ⁿ pixels wide.
const TILE_PIXELS: u32 = 7u;
const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

// Never false: an invocation without a tile still loads weights for the others.
fn locate(invocation: Invocation) -> bool {
    set_place(invocation.id.x, TILE_GROUPS * invocation.id.y, invocation.id.z);
    lane = invocation.lane % 4u;
    return true;
}

fn accumulate() {
    let step = params.out_groups;
    var row = 0u;
    for (var n = 0u; n < params.kernel * params.kernel * params.in_groups; n++) {
        let tap = n / params.in_groups;
#repeat p = 0..TILE_PIXELS
        let x_$p = load($pu, tap / params.kernel, tap % params.kernel, n % params.in_groups);
#end
#repeat g = 0 4
        let own_$g = row + group_at($gu);
#import quad_product
#end
        row += 4u * step;
    }
}
