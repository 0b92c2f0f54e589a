// The latent map of a dynamic layer in branch form: t = M·(Q·x + q_offset) + latent_offset at each pixel, M = Φ(x) + I.
//
// input   [picture][pixel][in_groups]                                   vec4 of input channels
// weights Q [4·in_groups][LATENT_GROUPS], q_offset, latent_offset       vec4 of latent channels
// heads   [picture] M [4·LATENT_GROUPS][LATENT_GROUPS] (row-major), ...
// latent  [picture][pixel][LATENT_GROUPS]
//
// One invocation owns one latent group of one pixel; a workgroup owns all groups of TILE pixels.

#import storage
#import weights

struct Params {
    pixels: u32,
    in_groups: u32,
    heads_stride: u32,
    latent_groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> heads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> latent: array<Stored>;

override LATENT_GROUPS: u32 = 1u;
override TILE: u32 = 16u;

var<workgroup> compressed: array<vec4<f32>, LATENT_GROUPS * TILE>;

@compute @workgroup_size(LATENT_GROUPS, TILE)
fn latent_map(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) lane: vec3<u32>) {
    let picture = workgroup.z;
    let group = lane.x;
    let pixel = workgroup.x * TILE + lane.y;
    let offsets = 4u * params.in_groups * LATENT_GROUPS;
    // Past the last pixel the last one is computed again, so that every invocation reaches the barrier.
    let place = (picture * params.pixels + min(pixel, params.pixels - 1u)) * params.in_groups;
    var z = weight(offsets + group);
    for (var k = 0u; k < params.in_groups; k++) {
        let x = from_stored(input[place + k]);
        let q = 4u * k * LATENT_GROUPS + group;
        z += x.x * weight(q) + x.y * weight(q + LATENT_GROUPS)
            + x.z * weight(q + 2u * LATENT_GROUPS) + x.w * weight(q + 3u * LATENT_GROUPS);
    }
    compressed[lane.y * LATENT_GROUPS + group] = z;
    workgroupBarrier();

    if pixel >= params.pixels { return; }
    var t = weight(offsets + LATENT_GROUPS + group);
    let rows = picture * params.heads_stride + 4u * group * LATENT_GROUPS;
    for (var j = 0u; j < LATENT_GROUPS; j++) {
        let c = compressed[lane.y * LATENT_GROUPS + j];
        t += vec4<f32>(
            dot(heads[rows + j], c),
            dot(heads[rows + LATENT_GROUPS + j], c),
            dot(heads[rows + 2u * LATENT_GROUPS + j], c),
            dot(heads[rows + 3u * LATENT_GROUPS + j], c),
        );
    }
    latent[(picture * params.pixels + pixel) * LATENT_GROUPS + group] = to_stored(t);
}
