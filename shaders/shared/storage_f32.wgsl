// How maps and weights lie in memory: four values of 32 bits each.

alias Stored = Words;

fn from_stored(value: Stored) -> vec4<f32> { return from_words(value); }
fn to_stored(value: vec4<f32>) -> Stored { return to_words(value); }
