// The assembly of W(x) by workgroups whose invocations load what they need, once M and λ are there.
//
// An invocation makes the weights of one input group and TILE_GROUPS output groups at a time. Each kernel brings `lambda_at`, where λ
// lies among its own heads, and `assembled_at`, where W begins.

#import multiply_p

const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
}

// M·Q, vec4 of inputs; one invocation makes four latent channels of a group.
fn multiply_q(lane: u32) {
    let groups = params.latent_groups;
    for (var item = lane; item < groups * params.in_groups; item += WORKGROUP_X) {
        let group = item % params.in_groups;
        let first = 4u * (item / params.in_groups);
        let step = q_place(group).y;
        var q_at = q_place(group).x;
        var m = first * groups;
        var sums = mat4x4<f32>();
        for (var j = 0u; j < groups; j++) {
            let q = weight_rows(q_at, step);
            sums[0] += q * own_head(m);
            sums[1] += q * own_head(m + groups);
            sums[2] += q * own_head(m + 2u * groups);
            sums[3] += q * own_head(m + 3u * groups);
            q_at += 4u * step;
            m += 1u;
        }
        let product = product_place(group);
        for (var l = 0u; l < 4u; l++) {
            keep_vector(product.x + (first + l) * product.y, sums[l]);
        }
    }
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, lane: u32, inputs: vec2<u32>, outputs: vec2<u32>) {
    let latent = latent_width();
    let tiles = (outputs.y + TILE_GROUPS - 1u) / TILE_GROUPS;
    for (var item = lane; item < inputs.y * tiles; item += WORKGROUP_X) {
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

fn assemble_columns(part: u32, picture: u32, invocation: Invocation, outputs: vec2<u32>) {
    multiply_q(invocation.local.x);
    wait_for_all();
    make_columns(part, picture, invocation.local.x, vec2<u32>(0u, params.in_groups), outputs);
}

fn assemble_rows(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>) {
    multiply_p(invocation.local.x, vec2<u32>(0u, params.out_groups));
    wait_for_all();
    make_rows(part, picture, invocation.local.x, inputs, vec2<u32>(0u, params.out_groups));
}
