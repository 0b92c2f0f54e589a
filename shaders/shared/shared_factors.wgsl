// The assembly of W(x) from factors that the invocations of a workgroup share among their vectors, once M and λ are there.
//
// Each kernel brings its `Invocation`, `make_columns` and `make_rows`, which make W from both factors, `lambda_at`, where λ lies among
// its own heads, and `assembled_at`, where W begins.

#import multiply_p

// M·Q, vec4 of inputs; one invocation makes four latent channels of a group.
fn multiply_q(lane: u32) {
    let groups = params.latent_groups;
    for (var item = lane; item < groups * params.in_groups; item += WORKGROUP_X) {
        let group = item % params.in_groups;
        let first = 4u * (item / params.in_groups);
        let step = q_place(group).y;
        var q_at = q_place(group).x;
        var m = first * groups;
#repeat l = 0..4
        var sum_$l = vec4<f32>(0.0);
#end
        for (var j = 0u; j < groups; j++) {
            let q = weight_rows(q_at, step);
#repeat l = 0..4
            sum_$l += q * own_head(m + $lu * groups);
#end
            q_at += 4u * step;
            m += 1u;
        }
        let product = product_place(group);
#repeat l = 0..4
        keep_vector(product.x + (first + $lu) * product.y, sum_$l);
#end
    }
}

fn assemble_columns(part: u32, picture: u32, invocation: Invocation, outputs: vec2<u32>) {
    multiply_q(invocation.local.x);
    wait_for_all();
    make_columns(part, picture, invocation, vec2<u32>(0u, params.in_groups), outputs);
}

fn assemble_rows(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>) {
    multiply_p(invocation.local.x, vec2<u32>(0u, params.out_groups));
    wait_for_all();
    make_rows(part, picture, invocation, inputs, vec2<u32>(0u, params.out_groups));
}
