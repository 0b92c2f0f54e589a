// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch.
//
// An invocation makes the weights of one input group and eight output groups at a time. The first eight invocations of a
// subgroup load one output group's factor each and hand it round. Results are stored by loops, so that loads and stores are one
// piece of code for all of them: compilers take long over each.

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
                for (var offset = 0u; offset < min(8u, latent_width() - first); offset++) {
                    var sum = sum_0;
#repeat l = 1..8
                    sum = select(sum, sum_$l, offset == $lu);
#end
                    vectors[product_at(first + offset, k - inputs.x)] = sum;
                }
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
                for (var offset = 0u; offset < min(4u, params.latent_groups - first); offset++) {
                    var sums = sums_0;
#repeat j = 1..4
                    if offset == $ju { sums = sums_$j; }
#end
                    let at = product_at(4u * (first + offset), n - outputs.x);
                    vectors[at] = sums[0];
                    vectors[at + chunk()] = sums[1];
                    vectors[at + 2u * chunk()] = sums[2];
                    vectors[at + 3u * chunk()] = sums[3];
                }
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
            if base + invocation.index < inputs.y {
                for (var offset = 0u; offset < min(TILE_GROUPS, outputs.y - first); offset++) {
                    let n = outputs.x + first + offset;
                    var sums = sums_0;
#repeat g = 1..TILE_GROUPS
                    if offset == $gu { sums = sums_$g; }
#end
                    store_weights(picture, k, n, own_heads[lambda_at(part, n)], sums);
                }
            }
        }
    }
}
#end
