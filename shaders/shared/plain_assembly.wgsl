// The assembly of W(x) by workgroups whose invocations each load what they need, once its factors are there.
//
// An invocation makes the weights of one input group and TILE_GROUPS output groups at a time.

const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let latent = latent_width();
    let tiles = (outputs.y + TILE_GROUPS - 1u) / TILE_GROUPS;
    for (var item = invocation.local.x; item < inputs.y * tiles; item += WORKGROUP_X) {
        let k = inputs.x + item % inputs.y;
        let first = TILE_GROUPS * (item / inputs.y);
        let left_step = $side_left_place(k).y;
        var left_at = $side_left_place(k).x;
#repeat g = 0..TILE_GROUPS
        let index_$g = min(first + $gu, outputs.y - 1u);
        let right_step_$g = $side_right_place(outputs.x + index_$g, outputs.x).y;
        var right_at_$g = $side_right_place(outputs.x + index_$g, outputs.x).x;
        var sums_$g = mat4x4<f32>();
#end
        for (var l = 0u; l < latent; l++) {
            let left = $side_left(left_at);
            left_at += left_step;
#repeat g = 0..TILE_GROUPS
            let right_$g = $side_right(right_at_$g);
            right_at_$g += right_step_$g;
            sums_$g += mat4x4<f32>(right_$g * left.x, right_$g * left.y, right_$g * left.z, right_$g * left.w);
#end
        }
#repeat g = 0..TILE_GROUPS
        if first + $gu < outputs.y {
            let n = outputs.x + index_$g;
            let place = w_place(k, n);
            let lambda = own_head(lambda_at(part, n));
            store_weights(w_at() + place.x, assembled_at(picture) + place.x, place.y, lambda, sums_$g);
        }
#end
    }
}
#end
