// What the invocations of a controller's workgroup share, as in `workgroup_vectors`, in a buffer where each workgroup has a room of its
// own: for software, some of which takes half a millisecond to compile each word of workgroup memory, since it clears them one by one.
//
// scratch [picture][workgroup] both results of each invocation, then `vector_vec4s` vectors, then what else a kernel keeps: in all
//         `room_vec4s`

var<private> own_room: u32;

fn take_room(number: u32) { own_room = number * room_vec4s(); }

fn kept(at: u32) -> vec4<f32> { return from_words(scratch[own_room + at]); }
fn keep(at: u32, value: vec4<f32>) { scratch[own_room + at] = to_words(value); }

fn share_sums(lane: u32, x: vec4<f32>, y: vec4<f32>) {
    keep(lane, x);
    keep(WORKGROUP_X + lane, y);
}
fn shared_x(share: u32) -> vec4<f32> { return kept(share); }
fn shared_y(share: u32) -> vec4<f32> { return kept(WORKGROUP_X + share); }

fn vector(at: u32) -> vec4<f32> { return kept(2u * WORKGROUP_X + at); }
fn keep_vector(at: u32, value: vec4<f32>) { keep(2u * WORKGROUP_X + at, value); }

fn wait_for_all() { storageBarrier(); }
