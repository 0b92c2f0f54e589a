// The latent map of a dynamic layer in branch form: t = M·(Q·x + q_offset) + latent_offset at each pixel, M = Φ(x) + I.
//
// input   [picture][pixel][in_groups]                                   vec4 of input channels
// weights Q [4·in_groups][latent_groups], q_offset, latent_offset       vec4 of latent channels
// heads   [picture] M [4·latent_groups][latent_groups] (row-major), ...
// latent  [picture][pixel][latent_groups]
//
// One invocation makes all groups of its pixels, a few at a time: for software that computes lanes on a CPU, where loads cost
// more than registers, and a barrier costs most.

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

override WORKGROUP_X: u32 = 4u;

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 4u;

// Q·x + q_offset of each pixel.
#repeat p = 0..TILE_PIXELS
var<private> compressed_$p: array<vec4<f32>, 16>;
#end

@compute @workgroup_size(WORKGROUP_X)
fn latent_map(@builtin(global_invocation_id) id: vec3<u32>) {
    let picture = id.z;
    let pixel = TILE_PIXELS * id.x;
    if pixel >= params.pixels { return; }
    let step = params.latent_groups;
    let offsets = 4u * params.in_groups * step;
    // A pixel past the last stands for the last one.
#repeat p = 0..TILE_PIXELS
    let pixel_$p = picture * params.pixels + min(pixel + $pu, params.pixels - 1u);
#end
    for (var first = 0u; first < step; first += TILE_GROUPS) {
        // So does a group.
#repeat g = 0..TILE_GROUPS
        let group_$g = min(first + $gu, step - 1u);
#repeat p = 0..TILE_PIXELS
        var sum_$p_$g = weight(offsets + group_$g);
#end
#end
        for (var k = 0u; k < params.in_groups; k++) {
#repeat p = 0..TILE_PIXELS
            let x_$p = from_stored(input[pixel_$p * params.in_groups + k]);
#end
#repeat g = 0..TILE_GROUPS
            let at_$g = 4u * k * step + group_$g;
            let rows_$g = mat4x4<f32>(
                weight(at_$g),
                weight(at_$g + step),
                weight(at_$g + 2u * step),
                weight(at_$g + 3u * step),
            );
#repeat p = 0..TILE_PIXELS
            sum_$p_$g += rows_$g * x_$p;
#end
#end
        }
#repeat g = 0..TILE_GROUPS
#repeat p = 0..TILE_PIXELS
        compressed_$p[group_$g] = sum_$p_$g;
#end
#end
    }

    for (var group = 0u; group < step; group++) {
#repeat p = 0..TILE_PIXELS
        var t_$p = weight(offsets + step + group);
#end
        for (var j = 0u; j < step; j++) {
            let row = picture * params.heads_stride + 4u * group * step + j;
            let m = mat4x4<f32>(heads[row], heads[row + step], heads[row + 2u * step], heads[row + 3u * step]);
#repeat p = 0..TILE_PIXELS
            // The rows of M lie in the columns of m.
            t_$p += compressed_$p[j] * m;
#end
        }
#repeat p = 0..TILE_PIXELS
        if pixel + $pu < params.pixels { latent[pixel_$p * step + group] = to_stored(t_$p); }
#end
    }
}
