// The assembly of W(x) by workgroups that are one quad each, whose invocations load a factor together, once both are there.
//
// An invocation makes the weights of one input group and four output groups at a time, of which the quad has the same. Of those groups'
// factors it loads the one of its own number and takes the others' from those beside it, each in the order in which it meets them.

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let latent = latent_width();
    let lane = invocation.lane % 4u;
    let across = (inputs.y + 3u) / 4u;
    let tiles = across * ((outputs.y + 3u) / 4u);
    // All take all turns, those past the last input too: they load for the others.
    for (var tile = 0u; tile < tiles; tile++) {
        let input = 4u * (tile % across) + lane;
        let k = inputs.x + min(input, inputs.y - 1u);
        let left_step = $side_left_place(k).y;
        var left_at = $side_left_place(k).x;
        let first = 4u * (tile / across);
        let own = outputs.x + min(first + lane, outputs.y - 1u);
        let right_step = $side_right_place(own, outputs.x).y;
        var right_at = $side_right_place(own, outputs.x).x;
#repeat g = 0..4
        var sums_$g = mat4x4<f32>();
#end
        for (var l = 0u; l < latent; l++) {
            let left = $side_left(left_at);
            left_at += left_step;
            let right_0 = $side_right(right_at);
            right_at += right_step;
            let right_1 = quadSwapX(right_0);
            let right_2 = quadSwapY(right_0);
            let right_3 = quadSwapDiagonal(right_0);
#repeat g = 0..4
            sums_$g += mat4x4<f32>(right_$g * left.x, right_$g * left.y, right_$g * left.z, right_$g * left.w);
#end
        }
#repeat g = 0..4
        let index_$g = first + ($gu ^ lane);
        if (input < inputs.y) & (index_$g < outputs.y) {
            let n = outputs.x + index_$g;
            let place = w_place(k, n);
            let lambda = own_head(lambda_at(part, n));
            store_weights(w_at() + place.x, assembled_at(picture) + place.x, place.y, lambda, sums_$g);
        }
#end
    }
}
#end
