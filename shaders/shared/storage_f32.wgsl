// How maps and weights lie in memory: four values of 32 bits each.

alias Stored = vec4<f32>;

fn from_stored(value: Stored) -> vec4<f32> {
    return value;
}

fn to_stored(value: vec4<f32>) -> Stored {
    return value;
}
