// How maps and weights lie in memory: four values of 16 bits each, which every device unpacks. What is larger than the
// largest half is stored as that.

alias Stored = vec2<u32>;

const MOST_STORED: vec4<f32> = vec4<f32>(65504.0);

fn from_stored(value: Stored) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(value.x), unpack2x16float(value.y));
}

fn packed(value: vec4<f32>) -> vec2<u32> {
    let within = clamp(value, -MOST_STORED, MOST_STORED);
    return vec2<u32>(pack2x16float(within.xy), pack2x16float(within.zw));
}

fn to_stored(value: vec4<f32>) -> Stored { return packed(value); }
