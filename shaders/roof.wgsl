// What a device can do at best: the rate of its multiply-adds and of its memory. Other kernels are measured against it.
//
// source  [picture][count]        vec4 that `copy` reads
// weights [picture][count]        vec4 that `add_up` reads, as kernels read theirs
// result  [picture][count]        vec4: the copies, or in `multiply_add` the sum of each invocation's chains
//         [picture][invocation]   `add_up`: the sum of what each invocation has read
//
// One invocation of `copy` copies four vec4, one of `add_up` adds up sixteen, and one of `multiply_add` runs eight chains of
// `iterations` vec4 multiply-adds, a multiple of eight. Eight neighbours go through one stretch of memory: on hardware they share a
// line of a cache, and software that computes eight at a time reads half as fast where the next line is further away.

#import storage
#import weights

// Where the device has half floats, the same text is compiled with `enable f16` and these two lines changed.
alias Scalar = f32;
alias Vector = vec4<f32>;

struct Params {
    count: u32,
    iterations: u32,
    factor: f32,
    summand: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4<f32>>;

override WORKGROUP_X: u32 = 64u;

// vec4 of a line.
const LINE: u32 = 8u;

// Where an invocation has the first of `steps` vec4; the next are LINE apart.
fn first_of(steps: u32, workgroup: u32, lane: u32) -> u32 {
    return (workgroup * WORKGROUP_X + lane / LINE * LINE) * steps + lane % LINE;
}

// With a count of zero this is the empty launch.
@compute @workgroup_size(WORKGROUP_X)
fn copy(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var step = 0u; step < 4u; step++) {
        let at = first_of(4u, workgroup.x, lane) + step * LINE;
        if at < params.count {
            result[workgroup.z * params.count + at] = source[workgroup.z * params.count + at];
        }
    }
}

@compute @workgroup_size(WORKGROUP_X)
fn add_up(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = vec4<f32>(0.0);
    for (var step = 0u; step < 16u; step++) {
        let at = first_of(16u, workgroup.x, lane) + step * LINE;
        if at < params.count {
            sum += weight(workgroup.z * params.count + at);
        }
    }
    result[(workgroup.z * workgroups.x + workgroup.x) * WORKGROUP_X + lane] = sum;
}

@compute @workgroup_size(WORKGROUP_X)
fn multiply_add(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.count { return; }
    let factor = Vector(Scalar(params.factor));
    let summand = Vector(Scalar(params.summand));
    // Chains that do not wait for each other keep every unit busy.
    var a = Vector(Scalar(id.x % 8u));
    var b = a + Vector(Scalar(1.0));
    var c = a + Vector(Scalar(2.0));
    var d = a + Vector(Scalar(3.0));
    var e = a + Vector(Scalar(4.0));
    var f = a + Vector(Scalar(5.0));
    var g = a + Vector(Scalar(6.0));
    var h = a + Vector(Scalar(7.0));
    // Eight iterations a turn: some compilers load and store all chains at the ends of a loop's body.
    for (var step = 0u; step < params.iterations; step += 8u) {
#repeat turn = 0..8
#repeat chain = a b c d e f g h
        $chain = $chain * factor + summand;
#end
#end
    }
    let sum = (a + b) + (c + d) + ((e + f) + (g + h));
    result[id.z * params.count + id.x] = vec4<f32>(sum);
}
