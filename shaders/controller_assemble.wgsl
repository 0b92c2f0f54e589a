// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch.
//
// An invocation makes the weights of one input group and TILE_GROUPS output groups at a time.

#import controller_assemble

const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(local_invocation_index) index: u32,
}

// M·Q of some input groups, vec4 of inputs; one invocation makes four latent channels of a group.
fn multiply_q(invocation: Invocation, inputs: vec2<u32>) {
    for (var item = invocation.index; item < params.latent_groups * inputs.y; item += WORKGROUP_X) {
        let group = item % inputs.y;
        let k = inputs.x + group;
        let first = 4u * (item / inputs.y);
        var sums = mat4x4<f32>();
        for (var j = 0u; j < params.latent_groups; j++) {
            let q = weight_rows(q_place(4u * j, k), panel_step(params.in_groups, k));
            let m = first * params.latent_groups + j;
            sums[0] += q * own_heads[m];
            sums[1] += q * own_heads[m + params.latent_groups];
            sums[2] += q * own_heads[m + 2u * params.latent_groups];
            sums[3] += q * own_heads[m + 3u * params.latent_groups];
        }
        for (var l = 0u; l < 4u; l++) {
            vectors[product_at(first + l, group)] = sums[l];
        }
    }
}

// P·M of some output groups, vec4 of outputs; one invocation makes four latent channels of a group.
fn multiply_p(invocation: Invocation, outputs: vec2<u32>) {
    for (var item = invocation.index; item < params.latent_groups * outputs.y; item += WORKGROUP_X) {
        let group = item % outputs.y;
        let n = outputs.x + group;
        let j = item / outputs.y;
        var sums = mat4x4<f32>();
        for (var l = 0u; l < latent_width(); l++) {
            let p = from_stored(weights[p_place(l, n)]);
            let m = own_heads[l * params.latent_groups + j];
            sums[0] += p * m.x;
            sums[1] += p * m.y;
            sums[2] += p * m.z;
            sums[3] += p * m.w;
        }
        for (var c = 0u; c < 4u; c++) {
            vectors[product_at(4u * j + c, group)] = sums[c];
        }
    }
}

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let chunk_first = select(outputs.x, inputs.x, by_columns());
    let tiles = (outputs.y + TILE_GROUPS - 1u) / TILE_GROUPS;
    for (var item = invocation.index; item < inputs.y * tiles; item += WORKGROUP_X) {
        let k = inputs.x + item % inputs.y;
        let first = TILE_GROUPS * (item / inputs.y);
#repeat g = 0..TILE_GROUPS
        let index_$g = min(first + $gu, outputs.y - 1u);
        var sums_$g = mat4x4<f32>();
#end
        for (var l = 0u; l < latent_width(); l++) {
            let left = $side_left(l, k, chunk_first);
#repeat g = 0..TILE_GROUPS
            let right_$g = $side_right(l, outputs.x + index_$g, chunk_first);
            sums_$g += mat4x4<f32>(right_$g * left.x, right_$g * left.y, right_$g * left.z, right_$g * left.w);
#end
        }
#repeat g = 0..TILE_GROUPS
        if first + $gu < outputs.y {
            let lambda = own_heads[lambda_at(part, outputs.x + index_$g)];
            store_weights(picture, k, outputs.x + index_$g, lambda, sums_$g);
        }
#end
    }
}
#end
