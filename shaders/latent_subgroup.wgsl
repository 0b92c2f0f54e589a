// The latent map of a dynamic layer in branch form: t = M·(Q·x + q_offset) + latent_offset at each pixel, M = Φ(x) + I.
//
// input   [picture][pixel][in_groups]                                   vec4 of input channels
// weights Q [4·in_groups][LATENT_GROUPS], q_offset, latent_offset       vec4 of latent channels
// heads   [picture] M [4·LATENT_GROUPS][LATENT_GROUPS] (row-major), ...
// latent  [picture][pixel][LATENT_GROUPS]
//
// One invocation computes all of at most 16 latent groups at TILE_PIXELS neighbouring pixels. The first eight invocations of
// a subgroup load two groups' weights each and hand them round.

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
override WORKGROUP_X: u32 = 8u;

const TILE_PIXELS: u32 = 4u;

// Q·x + q_offset of each pixel.
#repeat p = 0..TILE_PIXELS
var<private> compressed_$p: array<vec4<f32>, 16>;
#end

// The groups that this invocation loads; one past the last stands for the last one.
var<private> group_a: u32;
var<private> group_b: u32;

// A row of M times what is compressed, of each pixel.
fn mix(row: u32) -> vec4<f32> {
    let own_a = heads[row + group_a];
    var own_b = own_a;
    if LATENT_GROUPS > 8u { own_b = heads[row + group_b]; }
    var mixed = vec4<f32>(0.0);
#repeat g = 0..16
    if $gu < LATENT_GROUPS {
        let m = subgroupBroadcast(select(own_a, own_b, $gu >= 8u), $gu % 8u);
#repeat p = 0..TILE_PIXELS
        mixed[$p] += dot(m, compressed_$p[$g]);
#end
    }
#end
    return mixed;
}

@compute @workgroup_size(WORKGROUP_X)
fn latent_map(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let picture = id.z;
    let pixel = TILE_PIXELS * id.x;
    let offsets = 4u * params.in_groups * LATENT_GROUPS;
    group_a = min(lane % 8u, LATENT_GROUPS - 1u);
    group_b = min(lane % 8u + 8u, LATENT_GROUPS - 1u);
    // An invocation without pixels computes the last one again: the others need what it loads.
#repeat p = 0..TILE_PIXELS
    let pixel_$p = picture * params.pixels + min(pixel + $pu, params.pixels - 1u);
#end
    let offset_a = weight(offsets + group_a);
    let offset_b = weight(offsets + group_b);
#repeat g = 0..16
    if $gu < LATENT_GROUPS {
        let offset = subgroupBroadcast(select(offset_a, offset_b, $gu >= 8u), $gu % 8u);
#repeat p = 0..TILE_PIXELS
        compressed_$p[$g] = offset;
#end
    }
#end
    let groups = params.in_groups;
#repeat p = 0..TILE_PIXELS
    let place_$p = pixel_$p * groups;
#end
    var row = 0u;
    for (var k = 0u; k < groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored(input[place_$p + k]);
#end
#repeat c = x y z w
        let own_a_$c = weight(row + group_a);
        var own_b_$c = own_a_$c;
        if LATENT_GROUPS > 8u { own_b_$c = weight(row + group_b); }
        row += LATENT_GROUPS;
#end
        // A sum takes all four channels at once: there are more sums than registers.
#repeat g = 0..16
        if $gu < LATENT_GROUPS {
#repeat c = x y z w
            let q_$c = subgroupBroadcast(select(own_a_$c, own_b_$c, $gu >= 8u), $gu % 8u);
#end
#repeat p = 0..TILE_PIXELS
            compressed_$p[$g] = compressed_$p[$g] + q_x * x_$p.x + q_y * x_$p.y + q_z * x_$p.z + q_w * x_$p.w;
#end
        }
#end
    }

    for (var group = 0u; group < LATENT_GROUPS; group++) {
        let row = picture * params.heads_stride + 4u * group * LATENT_GROUPS;
        let offset = weight(offsets + LATENT_GROUPS + group);
#repeat c = 0..4
        let mixed_$c = offset[$c] + mix(row + $cu * LATENT_GROUPS);
#end
#repeat p = 0..TILE_PIXELS
        if pixel + $pu < params.pixels {
            latent[pixel_$p * LATENT_GROUPS + group] = to_stored(vec4<f32>(mixed_0[$p], mixed_1[$p], mixed_2[$p], mixed_3[$p]));
        }
#end
    }
}
