// P·M of some output groups, vec4 of outputs; one invocation makes four latent channels of a group.
fn multiply_p(lane: u32, outputs: vec2<u32>) {
    let groups = params.latent_groups;
    let latent = latent_width();
    for (var item = lane; item < groups * outputs.y; item += WORKGROUP_X) {
        let group = item % outputs.y;
        let step = p_place(outputs.x + group).y;
        var p_at = p_place(outputs.x + group).x;
        var m_at = item / outputs.y;
        let product = product_place(group);
        var out = product.x + 4u * m_at * product.y;
        var sums = mat4x4<f32>();
        for (var l = 0u; l < latent; l++) {
            let p = weight(p_at);
            let m = own_head(m_at);
            sums[0] += p * m.x;
            sums[1] += p * m.y;
            sums[2] += p * m.z;
            sums[3] += p * m.w;
            p_at += step;
            m_at += groups;
        }
        for (var c = 0u; c < 4u; c++) {
            keep_vector(out, sums[c]);
            out += product.y;
        }
    }
}
