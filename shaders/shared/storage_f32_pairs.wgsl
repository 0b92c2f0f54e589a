// How maps and weights lie in memory: four values of 32 bits each, in pairs.

alias Stored = vec2<u64>;

fn from_stored(value: Stored) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(value.x), u32(value.x >> 32u), u32(value.y), u32(value.y >> 32u)));
}

fn to_stored(value: vec4<f32>) -> Stored {
    let bits = bitcast<vec4<u32>>(value);
    return vec2<u64>(u64(bits.x) | u64(bits.y) << 32u, u64(bits.z) | u64(bits.w) << 32u);
}
