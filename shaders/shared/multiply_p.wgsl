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
#repeat c = 0..4
        var sum_$c = vec4<f32>(0.0);
#end
        for (var l = 0u; l < latent; l++) {
            let p = weight(p_at);
            let m = own_head(m_at);
            sum_0 += p * m.x;
            sum_1 += p * m.y;
            sum_2 += p * m.z;
            sum_3 += p * m.w;
            p_at += step;
            m_at += groups;
        }
#repeat c = 0..4
        keep_vector(out, sum_$c);
        out += product.y;
#end
    }
}
