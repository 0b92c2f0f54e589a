// The latent map of a dynamic layer in branch form: t = M·(Q·x + q_offset) + latent_offset at each pixel, M = Φ(x) + I.
//
// input   [picture][pixel][in_groups]                                   vec4 of input channels
// weights Q, q_offset, latent_offset
// heads   [picture] M [4·LATENT_GROUPS][LATENT_GROUPS] (row-major), ...
// latent  [picture][pixel][LATENT_GROUPS]

#import storage
#import weights
#import compress

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

override WORKGROUP_X: u32 = 8u;

const TILE_PIXELS: u32 = 4u;

var<private> picture: u32;
var<private> pixel: u32;

// An invocation without pixels computes the last one again: the others need what it loads.
fn place(offset: u32, groups: u32) -> u32 {
    return (picture * params.pixels + min(pixel + offset, params.pixels - 1u)) * groups;
}

fn matrix(at: u32) -> vec4<f32> { return heads[picture * params.heads_stride + at]; }

fn store_latent(offset: u32, group: u32, value: vec4<f32>) {
    if pixel + offset < params.pixels { latent[place(offset, LATENT_GROUPS) + group] = to_stored(value); }
}

@compute @workgroup_size(WORKGROUP_X)
fn latent_map(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    picture = id.z;
    pixel = TILE_PIXELS * id.x;
    make_latent(0u, params.in_groups, lane);
}
