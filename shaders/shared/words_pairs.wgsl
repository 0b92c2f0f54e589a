// As `words`, in words of 64 bits: half as many loads and stores, for software on which their number costs more than their size.

alias Words = vec2<u64>;

fn from_words(words: Words) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(words.x), u32(words.x >> 32u), u32(words.y), u32(words.y >> 32u)));
}

fn to_words(value: vec4<f32>) -> Words {
    let bits = bitcast<vec4<u32>>(value);
    return vec2<u64>(u64(bits.x) | u64(bits.y) << 32u, u64(bits.z) | u64(bits.w) << 32u);
}
