// The controller of a dynamic convolution: from the pool sums of its input to M(x) = Φ(x) + I and λ(x).
//
// y = fc0·p, y ← y ⊙ relu6(gate·y + 3), M = reshape(phi·y) + I, λ = relu6(scale·y + 3)   (the gates' thirds are folded)
//
// partials [picture][slot][pooled_groups]           sums of the input's bins, vec4 of channels
// weights  fc0 [4·pooled_groups][squeeze_groups], gate [4·squeeze_groups][squeeze_groups],
//          heads [4·squeeze_groups][head_groups]    vec4 of outputs
// heads    [picture] M [4·latent_groups][latent_groups] (row-major), then λ [out_groups]
//
// Every workgroup makes y for its picture and then its own share of the heads. Compilers write a function out wherever it is
// called, so the pool and the three products are turns of one loop; and no size is a constant, so that one pipeline serves
// all layers.

struct Params {
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    out_groups: u32,
    heads_per_workgroup: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> heads: array<vec4<f32>>;

override WORKGROUP_X: u32 = 128u;
// At least max(pooled_groups, squeeze_groups) + squeeze_groups.
override VECTORS: u32 = 384u;

// p and then the gated y; from `hidden_at` on, y before its gate.
var<workgroup> vectors: array<vec4<f32>, VECTORS>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP_X>;

const POOL: u32 = 0u;
const SQUEEZE: u32 = 1u;
const GATE: u32 = 2u;
const HEADS: u32 = 3u;

fn matrix_groups() -> u32 { return 4u * params.latent_groups * params.latent_groups; }
fn head_groups() -> u32 { return matrix_groups() + params.out_groups; }
fn hidden_at() -> u32 { return max(params.pooled_groups, params.squeeze_groups); }

fn relu6(v: vec4<f32>) -> vec4<f32> {
    return clamp(v, vec4<f32>(0.0), vec4<f32>(6.0));
}

fn weight_rows(at: u32, step: u32) -> mat4x4<f32> {
    return mat4x4<f32>(weights[at], weights[at + step], weights[at + 2u * step], weights[at + 3u * step]);
}

// Φ gets the identity: row `head / latent_groups` of M has its one at the column of the same number. λ gets its relu6.
fn store_head(picture: u32, head: u32, total: vec4<f32>) {
    let diagonal = head / params.latent_groups;
    let column = vec4<u32>(0u, 1u, 2u, 3u) + 4u * (head % params.latent_groups);
    let identity = select(vec4<f32>(0.0), vec4<f32>(1.0), column == vec4<u32>(diagonal));
    heads[picture * head_groups() + head] = select(relu6(total + 3.0), total + identity, head < matrix_groups());
}

@compute @workgroup_size(WORKGROUP_X)
fn controller(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let picture = workgroup.z;
    let squeeze = params.squeeze_groups;
    let pooled = params.pooled_groups;
    var matrix_at = 0u;
    for (var turn = POOL; turn <= HEADS; turn++) {
        // Each result is a sum of `terms`.
        let terms = vec4<u32>(params.slots, pooled, squeeze, squeeze)[turn];
        let results = vec4<u32>(pooled, squeeze, squeeze, head_groups())[turn];
        let source = select(0u, hidden_at(), turn == GATE);
        let first = select(0u, workgroup.x * params.heads_per_workgroup, turn == HEADS);
        let last = select(results, min(first + params.heads_per_workgroup, results), turn == HEADS);
        for (var base = first; base < last; base += WORKGROUP_X) {
            // Where there are fewer results than invocations, several share the terms of each. Those past the last whole
            // share add up what nobody reads.
            let width = min(last - base, WORKGROUP_X);
            let shares = WORKGROUP_X / width;
            let result = base + lane % width;
            var total = vec4<f32>(0.0);
            if turn == POOL {
                for (var slot = lane / width; slot < terms; slot += shares) {
                    total += partials[(picture * terms + slot) * pooled + result];
                }
            } else {
                for (var k = lane / width; k < terms; k += shares) {
                    total += weight_rows(matrix_at + 4u * k * results + result, results) * vectors[source + k];
                }
            }
            sums[lane] = total;
            workgroupBarrier();

            if lane < width {
                total = vec4<f32>(0.0);
                for (var share = 0u; share < shares; share++) {
                    total += sums[share * width + lane];
                }
                switch turn {
                    case POOL: { vectors[result] = total / f32(params.bin_pixels); }
                    case SQUEEZE: { vectors[hidden_at() + result] = total; }
                    case GATE: { vectors[result] = vectors[hidden_at() + result] * relu6(total + 3.0); }
                    default: { store_head(picture, result, total); }
                }
            }
            workgroupBarrier();
        }
        if turn != POOL { matrix_at += 4u * terms * results; }
    }
}
