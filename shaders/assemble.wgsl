// Assembles the weights of a dynamic pointwise convolution, in the layout that `conv_pointwise` reads:
// W(x) = λ ⊙ W₀ + P·M·Q and b(x) = bias + P·(M·q_offset + latent_offset), with M = Φ(x) + I.
//
// weights   W₀ [4·in_groups][out_groups], bias [out_groups], P [4·latent_groups][out_groups]   vec4 of output channels
//           Q [4·latent_groups][in_groups]                                                    vec4 of input channels
//           q_offset [latent_groups], latent_offset [latent_groups]                           vec4 of latent channels
// heads     [picture] M [4·latent_groups][latent_groups] (row-major), then λ [out_groups]
// assembled [picture] W [4·in_groups][out_groups], then b [out_groups]; all matrices in panels
//
// Either M·Q or P·M is made first, the one on the narrower side, in the workgroup's memory.

#import storage
#import weights
#import assembled
#import panels

struct Params {
    in_groups: u32,
    out_groups: u32,
    latent_groups: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heads: array<vec4<f32>>;

override WORKGROUP_X: u32 = 64u;
// At least 4·latent_groups.
override MOST_LATENT: u32 = 64u;

var<workgroup> product: array<vec4<f32>, MOST_LATENT>;

fn latent_width() -> u32 { return 4u * params.latent_groups; }
fn bias_at() -> u32 { return 4u * params.in_groups * params.out_groups; }
fn p_at() -> u32 { return bias_at() + params.out_groups; }
fn q_at() -> u32 { return p_at() + latent_width() * params.out_groups; }
fn q_offset_at() -> u32 { return q_at() + latent_width() * params.in_groups; }
fn heads_at(picture: u32) -> u32 { return picture * (latent_width() * params.latent_groups + params.out_groups); }
fn lambda_at(picture: u32) -> u32 { return heads_at(picture) + latent_width() * params.latent_groups; }
// Where P and Q have latent channel l of a group.
fn p_place(l: u32, n: u32) -> u32 { return p_at() + panel_place(latent_width(), n) + l * panel_step(params.out_groups, n); }
fn q_place(l: u32, k: u32) -> u32 { return q_at() + panel_place(latent_width(), k) + l * panel_step(params.in_groups, k); }
fn assembled_at(picture: u32) -> u32 { return picture * (4u * params.in_groups + 1u) * params.out_groups; }

// For fewer inputs than outputs. A workgroup makes four rows of W (one input group); the last one makes b.
@compute @workgroup_size(WORKGROUP_X)
fn rows(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = workgroup.x;
    let picture = workgroup.z;
    let latent = latent_width();
    let makes_bias = group == params.in_groups;
    // product[l] = row l of M·Q at the four inputs; for the bias, M·q_offset + latent_offset in lane x.
    for (var l = lane; l < latent; l += WORKGROUP_X) {
        let row = heads_at(picture) + l * params.latent_groups;
        var total = vec4<f32>(0.0);
        if makes_bias {
            total.x = weight(q_offset_at() + params.latent_groups + l / 4u)[l % 4u];
            for (var j = 0u; j < params.latent_groups; j++) {
                total.x += dot(heads[row + j], weight(q_offset_at() + j));
            }
        } else {
            for (var j = 0u; j < params.latent_groups; j++) {
                let m = heads[row + j];
                let q = q_place(4u * j, group);
                let step = panel_step(params.in_groups, group);
                total += m.x * weight(q) + m.y * weight(q + step)
                    + m.z * weight(q + 2u * step) + m.w * weight(q + 3u * step);
            }
        }
        product[l] = total;
    }
    workgroupBarrier();

    for (var n = lane; n < params.out_groups; n += WORKGROUP_X) {
        var sum0 = vec4<f32>(0.0);
        var sum1 = vec4<f32>(0.0);
        var sum2 = vec4<f32>(0.0);
        var sum3 = vec4<f32>(0.0);
        for (var l = 0u; l < latent; l++) {
            let p = weight(p_place(l, n));
            let t = product[l];
            sum0 += p * t.x;
            sum1 += p * t.y;
            sum2 += p * t.z;
            sum3 += p * t.w;
        }
        if makes_bias {
            store_assembled(assembled_at(picture) + bias_at() + n, weight(bias_at() + n) + sum0);
        } else {
            let lambda = heads[lambda_at(picture) + n];
            let step = panel_step(params.out_groups, n);
            let w = panel_place(4u * params.in_groups, n) + 4u * group * step;
            let out = assembled_at(picture) + w;
            store_assembled(out, lambda * weight(w) + sum0);
            store_assembled(out + step, lambda * weight(w + step) + sum1);
            store_assembled(out + 2u * step, lambda * weight(w + 2u * step) + sum2);
            store_assembled(out + 3u * step, lambda * weight(w + 3u * step) + sum3);
        }
    }
}

// For at least as many inputs as outputs. A workgroup makes four columns of W (one output group) with their b.
@compute @workgroup_size(WORKGROUP_X)
fn columns(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = workgroup.x;
    let picture = workgroup.z;
    let latent = latent_width();
    // product[j] = column j of P·M at the four outputs.
    for (var j = lane; j < latent; j += WORKGROUP_X) {
        var total = vec4<f32>(0.0);
        for (var l = 0u; l < latent; l++) {
            let m = heads[heads_at(picture) + l * params.latent_groups + j / 4u][j % 4u];
            total += weight(p_place(l, n)) * m;
        }
        product[j] = total;
    }
    workgroupBarrier();

    let lambda = heads[lambda_at(picture) + n];
    for (var k = lane; k < params.in_groups; k += WORKGROUP_X) {
        var sum0 = vec4<f32>(0.0);
        var sum1 = vec4<f32>(0.0);
        var sum2 = vec4<f32>(0.0);
        var sum3 = vec4<f32>(0.0);
        for (var j = 0u; j < latent; j++) {
            let t = product[j];
            let q = weight(q_place(j, k));
            sum0 += t * q.x;
            sum1 += t * q.y;
            sum2 += t * q.z;
            sum3 += t * q.w;
        }
        let step = panel_step(params.out_groups, n);
        let w = panel_place(4u * params.in_groups, n) + 4u * k * step;
        let out = assembled_at(picture) + w;
        store_assembled(out, lambda * weight(w) + sum0);
        store_assembled(out + step, lambda * weight(w + step) + sum1);
        store_assembled(out + 2u * step, lambda * weight(w + 2u * step) + sum2);
        store_assembled(out + 3u * step, lambda * weight(w + 3u * step) + sum3);
    }

    if lane == 0u {
        var total = weight(bias_at() + n);
        for (var j = 0u; j < latent; j++) {
            total += product[j] * weight(q_offset_at() + j / 4u)[j % 4u];
            let offset = weight(q_offset_at() + params.latent_groups + j / 4u)[j % 4u];
            total += weight(p_place(j, n)) * offset;
        }
        store_assembled(assembled_at(picture) + bias_at() + n, total);
    }
}
