// What the invocations of a controller's workgroup share, as in `workgroup_vectors`, in a buffer: for software, some of which takes
// half a millisecond to compile each word of workgroup memory, since it clears them one by one.
//
// scratch [picture][workgroup] VECTORS, then both results of each invocation, then what else a kernel keeps: `set_vec4s` in all

var<private> own_set: u32;

fn take_set(number: u32) { own_set = number * set_vec4s(); }

fn vector(at: u32) -> vec4<f32> { return from_words(scratch[own_set + at]); }
fn keep_vector(at: u32, value: vec4<f32>) { scratch[own_set + at] = to_words(value); }

fn share_sums(lane: u32, x: vec4<f32>, y: vec4<f32>) {
    keep_vector(VECTORS + lane, x);
    keep_vector(VECTORS + WORKGROUP_X + lane, y);
}
fn shared_x(share: u32) -> vec4<f32> { return vector(VECTORS + share); }
fn shared_y(share: u32) -> vec4<f32> { return vector(VECTORS + WORKGROUP_X + share); }

fn wait_for_all() { storageBarrier(); }
