// How memory holds four values of 32 bits, side by side: maps and weights that are stored so, pool sums, and what the workgroups of
// controllers share.

alias Words = vec4<f32>;

fn from_words(words: Words) -> vec4<f32> { return words; }
fn to_words(value: vec4<f32>) -> Words { return value; }
