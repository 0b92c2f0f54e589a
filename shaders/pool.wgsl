// Average pooling to 1×1 or 2×2 bins, in two steps: `sum` adds up a map where no convolution's epilogue did; `finish` turns partial sums
// into means. `mean` does both to 1×1, for software: it has few invocations.
//
// map      [picture][row][column][groups]     vec4 of channels
// partials [picture][slot][bin][groups]       sums; `sum` makes one slot for each row
// means    [picture][bin][groups]

#import storage
#import pool_sums

struct Params {
    height: u32,
    width: u32,
    groups: u32,
    slots: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> map: array<Stored>;
@group(0) @binding(2) var<storage, read_write> row_sums: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> means: array<Stored>;

override POOL_BINS: u32 = 1u;
override WORKGROUP_X: u32 = 64u;

// One invocation adds up one channel group of one row.
@compute @workgroup_size(WORKGROUP_X)
fn sum(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    let row = id.y;
    if group >= params.groups || row >= params.height { return; }
    var bin_sums = mat4x4<f32>();
    for (var column = 0u; column < params.width; column++) {
        let pixel = (id.z * params.height + row) * params.width + column;
        let value = from_stored(map[pixel * params.groups + group]);
        bin_sums += in_bins(value, bins_of(POOL_BINS, row, column, params.height, params.width));
    }
    let bins = POOL_BINS * POOL_BINS;
#repeat b = 0..4
    if $bu < bins { row_sums[((id.z * params.height + row) * bins + $bu) * params.groups + group] = bin_sums[$b]; }
#end
}

// One invocation makes the means of one channel group in one bin. Bins of one axis all have the same length.
@compute @workgroup_size(WORKGROUP_X)
fn finish(@builtin(global_invocation_id) id: vec3<u32>) {
    let bins = POOL_BINS * POOL_BINS;
    if id.x >= bins * params.groups { return; }
    var total = vec4<f32>(0.0);
    for (var slot = 0u; slot < params.slots; slot++) {
        total += partials[(id.z * params.slots + slot) * bins * params.groups + id.x];
    }
    let rows = (params.height + POOL_BINS - 1u) / POOL_BINS;
    let columns = (params.width + POOL_BINS - 1u) / POOL_BINS;
    means[id.z * bins * params.groups + id.x] = to_stored(total / f32(rows * columns));
}

// One invocation makes the mean of one channel group.
@compute @workgroup_size(WORKGROUP_X)
fn mean(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.groups { return; }
    let pixels = params.height * params.width;
    var total = vec4<f32>(0.0);
    for (var pixel = 0u; pixel < pixels; pixel++) {
        total += from_stored(map[(id.z * pixels + pixel) * params.groups + id.x]);
    }
    means[id.z * params.groups + id.x] = to_stored(total / f32(pixels));
}
