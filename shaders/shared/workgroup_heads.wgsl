// The heads that a workgroup keeps for itself, in its memory.

var<workgroup> own_heads: array<Words, HEAD_GROUPS>;

fn own_head(at: u32) -> vec4<f32> { return from_words(own_heads[at]); }
fn keep_own_head(at: u32, value: vec4<f32>) { own_heads[at] = to_words(value); }
