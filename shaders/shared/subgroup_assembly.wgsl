// The assembly of W(x) by a workgroup that is one subgroup, once M and λ are there.
//
// An invocation makes the weights of eight input groups and one output group at a time, so that neighbours go through a panel
// side by side, as it lies in memory. The first eight invocations of a subgroup load one input group's factor each and hand it
// round. Results are stored by loops, so that loads and stores are one piece of code for all of them: compilers take long over
// each. The product that is made first is made at once.
// Each kernel brings its `Invocation`, TILE_GROUPS, `lambda_at`, where λ lies among its own heads, and `assembled_at`, where W begins.

// M·Q, vec4 of inputs. Each of eight invocations loads a row of M.
fn multiply_q(invocation: Invocation) {
    let inputs = params.in_groups;
    let groups = params.latent_groups;
    let latent = latent_width();
    for (var first = 0u; first < latent; first += 8u) {
        let row = min(first + invocation.lane % 8u, latent - 1u) * groups;
        for (var base = 0u; base < inputs; base += WORKGROUP_X) {
            let k = min(base + invocation.local.x, inputs - 1u);
            let step = q_place(k).y;
            var q_at = q_place(k).x;
#repeat l = 0..8
            var sum_$l = vec4<f32>(0.0);
#end
            for (var j = 0u; j < groups; j++) {
                let q = weight_rows(q_at, step);
                q_at += 4u * step;
                let own = own_head(row + j);
#repeat l = 0..8
                sum_$l += q * subgroupBroadcast(own, $lu);
#end
            }
            if base + invocation.local.x < inputs {
                let product = product_place(k);
                for (var offset = 0u; offset < min(8u, latent - first); offset++) {
                    var sum = sum_0;
#repeat l = 1..8
                    sum = select(sum, sum_$l, offset == $lu);
#end
                    keep_vector(product.x + (first + offset) * product.y, sum);
                }
            }
        }
    }
}

// P·M of some output groups, vec4 of outputs. Each of four invocations loads four columns of M.
fn multiply_p(invocation: Invocation, outputs: vec2<u32>) {
    let groups = params.latent_groups;
    let latent = latent_width();
    for (var first = 0u; first < groups; first += 4u) {
        let columns = min(first + invocation.lane % 4u, groups - 1u);
        for (var base = 0u; base < outputs.y; base += WORKGROUP_X) {
            let index = min(base + invocation.local.x, outputs.y - 1u);
            let n = outputs.x + index;
            let step = p_place(n).y;
            var p_at = p_place(n).x;
            var m_at = columns;
#repeat j = 0..4
            var sums_$j = mat4x4<f32>();
#end
            for (var l = 0u; l < latent; l++) {
                let p = weight(p_at);
                p_at += step;
                let own = own_head(m_at);
                m_at += groups;
#repeat j = 0..4
                let m_$j = subgroupBroadcast(own, $ju);
                sums_$j += mat4x4<f32>(p * m_$j.x, p * m_$j.y, p * m_$j.z, p * m_$j.w);
#end
            }
            if base + invocation.local.x < outputs.y {
                let product = product_place(index);
                for (var offset = 0u; offset < min(4u, groups - first); offset++) {
                    var sums = sums_0;
#repeat j = 1..4
                    if offset == $ju { sums = sums_$j; }
#end
                    let at = product.x + 4u * (first + offset) * product.y;
                    keep_vector(at, sums[0]);
                    keep_vector(at + product.y, sums[1]);
                    keep_vector(at + 2u * product.y, sums[2]);
                    keep_vector(at + 3u * product.y, sums[3]);
                }
            }
        }
    }
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let latent = latent_width();
    for (var base = 0u; base < outputs.y; base += WORKGROUP_X) {
        let n = outputs.x + min(base + invocation.local.x, outputs.y - 1u);
        let right_place = $side_right_place(n, outputs.x);
        let lambda = own_head(lambda_at(part, n));
        for (var first = 0u; first < inputs.y; first += TILE_GROUPS) {
            // A group past the last stands for the last one.
            let loaded = inputs.x + min(first + invocation.lane % TILE_GROUPS, inputs.y - 1u);
            let left_place = $side_left_place(loaded);
            var left_at = left_place.x;
            var right_at = right_place.x;
#repeat g = 0..TILE_GROUPS
            var sums_$g = mat4x4<f32>();
#end
            // Four a turn: there are more sums than registers.
            for (var l = 0u; l < latent; l += 4u) {
#repeat c = 0..4
                let own_left_$c = $side_left(left_at);
                let right_$c = $side_right(right_at);
                left_at += left_place.y;
                right_at += right_place.y;
#end
#repeat g = 0..TILE_GROUPS
#repeat c = 0..4
                let left_$c_$g = subgroupBroadcast(own_left_$c, $gu);
#end
                sums_$g = mat4x4<f32>(
                    sums_$g[0] + right_0 * left_0_$g.x + right_1 * left_1_$g.x + right_2 * left_2_$g.x + right_3 * left_3_$g.x,
                    sums_$g[1] + right_0 * left_0_$g.y + right_1 * left_1_$g.y + right_2 * left_2_$g.y + right_3 * left_3_$g.y,
                    sums_$g[2] + right_0 * left_0_$g.z + right_1 * left_1_$g.z + right_2 * left_2_$g.z + right_3 * left_3_$g.z,
                    sums_$g[3] + right_0 * left_0_$g.w + right_1 * left_1_$g.w + right_2 * left_2_$g.w + right_3 * left_3_$g.w,
                );
#end
            }
            if base + invocation.local.x < outputs.y {
                let place = w_place(inputs.x + first, n);
                var static_at = w_at() + place.x;
                var at = assembled_at(picture) + place.x;
                for (var offset = 0u; offset < min(TILE_GROUPS, inputs.y - first); offset++) {
                    var sums = sums_0;
#repeat g = 1..TILE_GROUPS
                    if offset == $gu { sums = sums_$g; }
#end
                    store_weights(static_at, at, place.y, lambda, sums);
                    static_at += 4u * place.y;
                    at += 4u * place.y;
                }
            }
        }
    }
}
#end
