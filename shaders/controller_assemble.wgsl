// The controller of a dynamic pointwise convolution and the assembly of its weights in one launch.
//
// An invocation makes the weights of one input group and TILE_GROUPS output groups at a time. The product on the narrower side is
// made for a few groups at a time, so that it takes little memory.

#import controller_assemble

const TILE_GROUPS: u32 = 4u;

struct Invocation {
    @builtin(local_invocation_id) local: vec3<u32>,
}

fn wait_for_all() { workgroupBarrier(); }

// M·Q of some input groups, vec4 of inputs; one invocation makes four latent channels of a group.
fn multiply_q(invocation: Invocation, inputs: vec2<u32>) {
    let groups = params.latent_groups;
    for (var item = invocation.local.x; item < groups * inputs.y; item += WORKGROUP_X) {
        let group = item % inputs.y;
        let first = 4u * (item / inputs.y);
        let step = q_place(inputs.x + group).y;
        var q_at = q_place(inputs.x + group).x;
        var m = first * groups;
        var sums = mat4x4<f32>();
        for (var j = 0u; j < groups; j++) {
            let q = weight_rows(q_at, step);
            sums[0] += q * from_words(own_heads[m]);
            sums[1] += q * from_words(own_heads[m + groups]);
            sums[2] += q * from_words(own_heads[m + 2u * groups]);
            sums[3] += q * from_words(own_heads[m + 3u * groups]);
            q_at += 4u * step;
            m += 1u;
        }
        let product = product_place(group);
        for (var l = 0u; l < 4u; l++) {
            vectors[product.x + (first + l) * product.y] = to_words(sums[l]);
        }
    }
}

#import multiply_p

#repeat side = columns rows
fn make_$side(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>, outputs: vec2<u32>) {
    let chunk_first = select(outputs.x, inputs.x, by_columns());
    let latent = latent_width();
    let tiles = (outputs.y + TILE_GROUPS - 1u) / TILE_GROUPS;
    for (var item = invocation.local.x; item < inputs.y * tiles; item += WORKGROUP_X) {
        let k = inputs.x + item % inputs.y;
        let first = TILE_GROUPS * (item / inputs.y);
        let left_step = $side_left_place(k, chunk_first).y;
        var left_at = $side_left_place(k, chunk_first).x;
#repeat g = 0..TILE_GROUPS
        let index_$g = min(first + $gu, outputs.y - 1u);
        let right_step_$g = $side_right_place(outputs.x + index_$g, chunk_first).y;
        var right_at_$g = $side_right_place(outputs.x + index_$g, chunk_first).x;
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
            let lambda = from_words(own_heads[lambda_at(part, n)]);
            store_weights(w_at() + place.x, assembled_at(picture) + place.x, place.y, lambda, sums_$g);
        }
#end
    }
}
#end

fn assemble_columns(part: u32, picture: u32, invocation: Invocation, outputs: vec2<u32>) {
    for (var first = 0u; first < params.in_groups; first += chunk()) {
        let inputs = vec2<u32>(first, min(chunk(), params.in_groups - first));
        multiply_q(invocation, inputs);
        wait_for_all();
        make_columns(part, picture, invocation, inputs, outputs);
        wait_for_all();
    }
}

fn assemble_rows(part: u32, picture: u32, invocation: Invocation, inputs: vec2<u32>) {
    for (var first = 0u; first < params.out_groups; first += chunk()) {
        let outputs = vec2<u32>(first, min(chunk(), params.out_groups - first));
        multiply_p(invocation.local.x, outputs);
        wait_for_all();
        make_rows(part, picture, invocation, inputs, outputs);
        wait_for_all();
    }
}
