// The heads that a workgroup keeps for itself, in its memory.

// At least the vec4 of M, then of λ of the workgroup's outputs, then of what else a kernel keeps.
override HEAD_GROUPS: u32 = 224u;

var<workgroup> own_heads: array<Words, HEAD_GROUPS>;

fn own_head(at: u32) -> vec4<f32> { return from_words(own_heads[at]); }
fn keep_own_head(at: u32, value: vec4<f32>) { own_heads[at] = to_words(value); }
