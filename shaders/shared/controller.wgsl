// The controller of a dynamic layer, for the kernels that run it: from the pool sums of its input to M(x) = Φ(x) + I and λ(x).
//
// y = fc0·p, y ← y ⊙ relu6(gate·y + 3), M = reshape(phi·y) + I, λ = relu6(scale·y + 3)   (the gates' thirds are folded)
//
// pool_sum [picture][slot][pooled_groups]           sums of the input's bins, vec4 of channels
// weights  fc0 [4·pooled_groups][squeeze_groups], gate [4·squeeze_groups][squeeze_groups],
//          heads [4·squeeze_groups][head_groups]    vec4 of outputs, in panels; what else there is comes after
// heads    [picture] M [4·latent_groups][latent_groups] (row-major), then λ [out_groups]
//
// Every workgroup makes y for its picture and then the heads that it needs. Each kernel brings its bindings and `Params`,
// `pool_sum`, which loads a sum, `wait_for_all`, the barrier of its workgroups, `heads_of`, how many heads those are, `head_at`, which
// they are, `keep_head`, and what its invocations share: `vector` and `keep_vector`, p and then the gated y, from `hidden_at` on y before
// its gate; `share_sums`, `shared_x` and `shared_y`, both results of each invocation.
// Compilers write a function out wherever it is called, so the pool and the three products are turns of one loop; and no size is a
// constant, so that one pipeline serves all layers.

override WORKGROUP_X: u32 = 128u;

const POOL: u32 = 0u;
const SQUEEZE: u32 = 1u;
const GATE: u32 = 2u;
const HEADS: u32 = 3u;

fn matrix_groups() -> u32 { return 4u * params.latent_groups * params.latent_groups; }
fn head_groups() -> u32 { return matrix_groups() + params.out_groups; }
fn hidden_at() -> u32 { return max(params.pooled_groups, params.squeeze_groups); }

// The first of the weights after the controller's own.
fn controller_weights() -> u32 {
    return 4u * params.squeeze_groups * (params.pooled_groups + params.squeeze_groups + head_groups());
}

fn relu6(v: vec4<f32>) -> vec4<f32> {
    return clamp(v, vec4<f32>(0.0), vec4<f32>(6.0));
}

// a / b for a below a million and b > 0, where the half outweighs all that a float division may be off: compilers for CPUs
// divide integers lane by lane, floats all at once.
fn quotient(a: u32, b: u32) -> u32 {
    return u32((f32(a) + 0.5) / f32(b));
}

fn weight_rows(at: u32, step: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        weight(at),
        weight(at + step),
        weight(at + 2u * step),
        weight(at + 3u * step),
    );
}

// Φ gets the identity: row `head / latent_groups` of M has its one at the column of the same number. λ gets its relu6.
fn finish_head(head: u32, total: vec4<f32>) -> vec4<f32> {
    let diagonal = quotient(head, params.latent_groups);
    let column = vec4<u32>(0u, 1u, 2u, 3u) + 4u * (head - diagonal * params.latent_groups);
    let identity = select(vec4<f32>(0.0), vec4<f32>(1.0), column == vec4<u32>(diagonal));
    return select(relu6(total + 3.0), total + identity, head < matrix_groups());
}

// `part` is the workgroup's number among those of its picture.
fn control(part: u32, picture: u32, lane: u32) {
    let squeeze = params.squeeze_groups;
    let pooled = params.pooled_groups;
    var matrix_at = 0u;
    for (var turn = POOL; turn <= HEADS; turn++) {
        // Each result is a sum of `terms`; the turn's matrix has `columns`, of which the workgroup makes `results`.
        let terms = vec4<u32>(params.slots, pooled, squeeze, squeeze)[turn];
        let columns = vec4<u32>(pooled, squeeze, squeeze, head_groups())[turn];
        let results = select(columns, heads_of(part), turn == HEADS);
        let source = select(0u, hidden_at(), turn == GATE);
        var count = 0u;
        for (var base = 0u; base < results; base += count) {
            // An invocation makes two results, for which it loads a vector's element once. Where there are fewer, several
            // share the terms of each; more than one for each invocation, but less than two, take two steps. Those past the
            // last whole share add up what nobody reads.
            let rest = results - base;
            count = select(min(rest, WORKGROUP_X), 2u * WORKGROUP_X, rest >= 2u * WORKGROUP_X);
            let width = (count + 1u) / 2u;
            let shares = quotient(WORKGROUP_X, width);
            let own_share = quotient(lane, width);
            let first = base + lane - own_share * width;
            let indices = vec2<u32>(first, min(first + width, results - 1u));
            let of_heads = vec2<u32>(head_at(part, indices.x), head_at(part, indices.y));
            let column = select(indices, of_heads, turn == HEADS);
            let place = matrix_at + vec2<u32>(panel_place(4u * terms, column.x), panel_place(4u * terms, column.y));
            let step = vec2<u32>(panel_step(columns, column.x), panel_step(columns, column.y));
            var total_x = vec4<f32>(0.0);
            var total_y = vec4<f32>(0.0);
            // Two loops: some compilers run both sides of a branch in each turn of one.
            if turn == POOL {
                for (var k = own_share; k < terms; k += shares) {
                    let at = (picture * terms + k) * columns;
                    total_x += pool_sum(at + column.x);
                    total_y += pool_sum(at + column.y);
                }
            } else {
                for (var k = own_share; k < terms; k += shares) {
                    let value = vector(source + k);
                    total_x += weight_rows(place.x + 4u * k * step.x, step.x) * value;
                    total_y += weight_rows(place.y + 4u * k * step.y, step.y) * value;
                }
            }
            if shares > 1u {
                // Those of the results before have been read.
                wait_for_all();
                share_sums(lane, total_x, total_y);
                wait_for_all();
                total_x = vec4<f32>(0.0);
                total_y = vec4<f32>(0.0);
                for (var share = lane - own_share * width; share < shares * width; share += width) {
                    total_x += shared_x(share);
                    total_y += shared_y(share);
                }
            }
            // The last result may stand for one past it.
            for (var i = 0u; i < 2u; i++) {
                if lane < width && first + i * width < results {
                    let index = indices[i];
                    let total = select(total_x, total_y, i == 1u);
                    switch turn {
                        case POOL: { keep_vector(index, total / f32(params.bin_pixels)); }
                        case SQUEEZE: { keep_vector(hidden_at() + index, total); }
                        case GATE: { keep_vector(index, vector(hidden_at() + index) * relu6(total + 3.0)); }
                        default: { keep_head(part, picture, index, finish_head(column[i], total)); }
                    }
                }
            }
        }
        wait_for_all();
        if turn != POOL { matrix_at += 4u * terms * columns; }
    }
}
