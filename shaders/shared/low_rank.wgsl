// Where the values of W(x) = λ ⊙ W₀ + P·M·Q and b(x) = bias + P·(M·q_offset + latent_offset) lie, behind those of the controller in
// `weights`, and what all workgroups of a picture make of them. Each kernel brings `own_head`, whose first are M's.

fn latent_width() -> u32 { return 4u * params.latent_groups; }
fn w_at() -> u32 { return controller_weights(); }
fn bias_at() -> u32 { return w_at() + 4u * params.in_groups * params.out_groups; }
fn p_at() -> u32 { return bias_at() + params.out_groups; }
fn q_at() -> u32 { return p_at() + latent_width() * params.out_groups; }
fn q_offset_at() -> u32 { return q_at() + latent_width() * params.in_groups; }
// Where P and Q have the first latent channel of a group, and how far the channels are apart.
fn p_place(n: u32) -> vec2<u32> { return vec2<u32>(p_at() + panel_place(latent_width(), n), panel_step(params.out_groups, n)); }
fn q_place(k: u32) -> vec2<u32> { return vec2<u32>(q_at() + panel_place(latent_width(), k), panel_step(params.in_groups, k)); }

// Where W has group k of the inputs, which is four rows, at output n, and how far the rows are apart.
fn w_place(k: u32, n: u32) -> vec2<u32> {
    let step = panel_step(params.out_groups, n);
    return vec2<u32>(panel_place(4u * params.in_groups, n) + 4u * k * step, step);
}

// M·q_offset + latent_offset, with which the vectors then begin: vec4 of latent channels.
fn multiply_offsets(lane: u32) {
    for (var group = lane; group < params.latent_groups; group += WORKGROUP_X) {
        var total = weight(q_offset_at() + params.latent_groups + group);
        for (var j = 0u; j < params.latent_groups; j++) {
            let offset = weight(q_offset_at() + j);
            let m = 4u * group * params.latent_groups + j;
            total += vec4<f32>(
                dot(own_head(m), offset),
                dot(own_head(m + params.latent_groups), offset),
                dot(own_head(m + 2u * params.latent_groups), offset),
                dot(own_head(m + 3u * params.latent_groups), offset),
            );
        }
        keep_vector(group, total);
    }
}

// b of output group n, once the vectors begin so.
fn own_bias(n: u32) -> vec4<f32> {
    var total = weight(bias_at() + n);
    let p = p_place(n);
    for (var group = 0u; group < params.latent_groups; group++) {
        total += weight_rows(p.x + 4u * group * p.y, p.y) * vector(group);
    }
    return total;
}
