// How controllers see memory of 32 bits in every plan, four values side by side: pool sums, and what their workgroups share.

alias Words = vec4<f32>;

fn from_words(words: Words) -> vec4<f32> { return words; }
fn to_words(value: vec4<f32>) -> Words { return value; }
