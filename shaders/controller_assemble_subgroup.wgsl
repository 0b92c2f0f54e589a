// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch.
//
// An invocation makes the weights of one input group and eight output groups at a time. The first eight invocations of a
// subgroup load one output group's factor each and hand it round.

#import controller_assemble

const TILE_GROUPS: u32 = 8u;

struct Invocation {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}

// M·Q of some input groups, vec4 of inputs. Each of eight invocations loads a row of M.
fn multiply_q(invocation: Invocation, inputs: vec2<u32>) {
    for (var first = 0u; first < latent_width(); first += 8u) {
        let row = min(first + invocation.lane % 8u, latent_width() - 1u) * params.latent_groups;
        for (var base = 0u; base < inputs.y; base += WORKGROUP_X) {
            let k = inputs.x + min(base + invocation.index, inputs.y - 1u);
#repeat l = 0..8
            var sum_$l = vec4<f32>(0.0);
#end
            for (var j = 0u; j < params.latent_groups; j++) {
                let q = weight_rows(q_place(4u * j, k), panel_step(params.in_groups, k));
                let own = own_heads[row + j];
#repeat l = 0..8
                sum_$l += q * subgroupBroadcast(own, $lu);
#end
            }
            if base + invocation.index < inputs.y {
#repeat l = 0..8
                if first + $lu < latent_width() { vectors[product_at(first + $lu, k - inputs.x)] = sum_$l; }
#end
            }
        }
    }
}

// P·M of some output groups, vec4 of outputs. Each of four invocations loads four columns of M.
fn multiply_p(invocation: Invocation, outputs: vec2<u32>) {
    for (var first = 0u; first < params.latent_groups; first += 4u) {
        let columns = min(first + invocation.lane % 4u, params.latent_groups - 1u);
        for (var base = 0u; base < outputs.y; base += WORKGROUP_X) {
            let n = outputs.x + min(base + invocation.index, outputs.y - 1u);
#repeat j = 0..4
            var sums_$j = mat4x4<f32>();
#end
            for (var l = 0u; l < latent_width(); l++) {
                let p = from_stored(weights[p_place(l, n)]);
                let own = own_heads[l * params.latent_groups + columns];
#repeat j = 0..4
                let m_$j = subgroupBroadcast(own, $ju);
                sums_$j += mat4x4<f32>(p * m_$j.x, p * m_$j.y, p * m_$j.z, p * m_$j.w);
#end
            }
            if base + invocation.index < outputs.y {
#repeat j = 0..4
                if first + $ju < params.latent_groups {
                    let at_$j = product_at(4u * (first + $ju), n - outputs.x);
                    vectors[at_$j] = sums_$j[0];
                    vectors[at_$j + chunk()] = sums_$j[1];
                    vectors[at_$j + 2u * chunk()] = sums_$j[2];
                    vectors[at_$j + 3u * chunk()] = sums_$j[3];
                }
#end
            }
        }
    }
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let chunk_first = select(outputs.x, inputs.x, by_columns());
    for (var first = 0u; first < outputs.y; first += TILE_GROUPS) {
        // A group past the last stands for the last one.
        let loaded = min(first + invocation.lane % TILE_GROUPS, outputs.y - 1u);
        let own_lambda = own_heads[lambda_at(part, outputs.x + loaded)];
        for (var base = 0u; base < inputs.y; base += WORKGROUP_X) {
            let k = inputs.x + min(base + invocation.index, inputs.y - 1u);
#repeat g = 0..TILE_GROUPS
            var sums_$g = mat4x4<f32>();
#end
            for (var l = 0u; l < latent_width(); l++) {
                let left = $side_left(l, k, chunk_first);
                let own_right = $side_right(l, outputs.x + loaded, chunk_first);
#repeat g = 0..TILE_GROUPS
                let right_$g = subgroupBroadcast(own_right, $gu);
                sums_$g += mat4x4<f32>(right_$g * left.x, right_$g * left.y, right_$g * left.z, right_$g * left.w);
#end
            }
#repeat g = 0..TILE_GROUPS
            let lambda_$g = subgroupBroadcast(own_lambda, $gu);
            if first + $gu < outputs.y && base + invocation.index < inputs.y {
                store_weights(picture, k, outputs.x + first + $gu, lambda_$g, sums_$g);
            }
#end
        }
    }
}
#end
