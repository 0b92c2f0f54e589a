// What the invocations of a controller's workgroup share, in memory of the workgroup.

// At least max(pooled_groups, squeeze_groups) + squeeze_groups, and what else a kernel makes of vectors.
override VECTORS: u32 = 384u;

var<workgroup> vectors: array<Words, VECTORS>;
var<workgroup> sums_x: array<Words, WORKGROUP_X>;
var<workgroup> sums_y: array<Words, WORKGROUP_X>;

// A workgroup has such memory anyway, whatever its number.
fn take_room(number: u32) {}

fn vector(at: u32) -> vec4<f32> { return from_words(vectors[at]); }
fn keep_vector(at: u32, value: vec4<f32>) { vectors[at] = to_words(value); }

fn share_sums(lane: u32, x: vec4<f32>, y: vec4<f32>) {
    sums_x[lane] = to_words(x);
    sums_y[lane] = to_words(y);
}
fn shared_x(share: u32) -> vec4<f32> { return from_words(sums_x[share]); }
fn shared_y(share: u32) -> vec4<f32> { return from_words(sums_y[share]); }
