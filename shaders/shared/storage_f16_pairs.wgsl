// How maps and weights lie in memory: four values of 16 bits each, in one word. What is larger than the largest half is stored
// as that.

alias Stored = u64;

const MOST_STORED: vec4<f32> = vec4<f32>(65504.0);

fn from_stored(value: Stored) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(u32(value)), unpack2x16float(u32(value >> 32u)));
}

fn to_stored(value: vec4<f32>) -> Stored {
    let within = clamp(value, -MOST_STORED, MOST_STORED);
    return u64(pack2x16float(within.xy)) | u64(pack2x16float(within.zw)) << 32u;
}
