// How maps and weights lie in memory: four values of 16 bits each, in one word. What is larger than the largest half is stored
// as that.

alias Stored = u64;

const MOST_STORED: vec4<f32> = vec4<f32>(65504.0);

fn from_stored(value: Stored) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(u32(value)), unpack2x16float(u32(value >> 32u)));
}

// The nearest halves, of two equally near the even one; what is not finite is stored as not a number. By hand, for software on
// which `pack2x16float` takes longer than the store.
fn halves(value: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(clamp(value, -MOST_STORED, MOST_STORED));
    let sign = (bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u);
    let size = bits & vec4<u32>(0x7fffffffu);
    let odd = (size >> vec4<u32>(13u)) & vec4<u32>(1u);
    // The exponent's bias falls by 112; whatever is below the last bit rounds it.
    let normal = (size + odd + vec4<u32>(0xc8000fffu)) >> vec4<u32>(13u);
    // One half has the last bit where the smallest halves have theirs, so that adding it rounds.
    let subnormal = bitcast<vec4<u32>>(bitcast<vec4<f32>>(size) + vec4<f32>(0.5)) - vec4<u32>(0x3f000000u);
    let rounded = sign | select(normal, subnormal, size < vec4<u32>(0x38800000u));
    let is_finite = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu)) < vec4<u32>(0x7f800000u);
    return select(vec4<u32>(0x7e00u), rounded, is_finite);
}

fn packed(value: vec4<f32>) -> vec2<u32> {
    let own = halves(value);
    return vec2<u32>(own.x | own.y << 16u, own.z | own.w << 16u);
}

fn to_stored(value: vec4<f32>) -> Stored {
    let words = packed(value);
    return u64(words.x) | u64(words.y) << 32u;
}
