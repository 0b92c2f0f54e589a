// What the kernels share that make the latent map of a dynamic layer in branch form, all groups of a few pixels an invocation, for
// software that computes lanes on a CPU: loads cost more there than registers, and a barrier costs most.
// t = M·(Q·x + q_offset) + latent_offset at each pixel, M = Φ(x) + I.
//
// input   [picture][pixel][in_groups]                                   vec4 of input channels
// weights Q [4·in_groups][latent_groups], q_offset, latent_offset       vec4 of latent channels
// heads   [picture] M [4·latent_groups][latent_groups] (row-major), ...
// latent  [picture][pixel][latent_groups]
//
// Each brings TILE_PIXELS and TILE_GROUPS, its `Invocation`, `begin`, which sees whose invocation it is, `tile_group`, which group of a
// tile an invocation has at an offset, and `accumulate`, which adds Q·x to `sums_0`, `sums_1`, ...

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

// The first group of the tile.
var<private> group: u32;
#repeat p = 0..TILE_PIXELS
// The pixel, the tile's sums, and all of Q·x + q_offset.
var<private> pixel_$p: u32;
var<private> sums_$p: array<vec4<f32>, TILE_GROUPS>;
var<private> compressed_$p: array<vec4<f32>, 16>;
#end

// A group past the last stands for the last one.
fn group_at(offset: u32) -> u32 {
    return min(tile_group(offset), params.latent_groups - 1u);
}

@compute @workgroup_size(WORKGROUP_X)
fn latent_map(invocation: Invocation) {
    begin(invocation);
    let picture = invocation.id.z;
    let pixel = TILE_PIXELS * invocation.id.x;
    let step = params.latent_groups;
    let offsets = 4u * params.in_groups * step;
    // So does a pixel.
#repeat p = 0..TILE_PIXELS
    pixel_$p = picture * params.pixels + min(pixel + $pu, params.pixels - 1u);
#end
    for (var first = 0u; first < step; first += TILE_GROUPS) {
        group = first;
#repeat g = 0..TILE_GROUPS
        let offset_$g = weight(offsets + group_at($gu));
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] = offset_$g;
#end
#end
        accumulate();
#repeat g = 0..TILE_GROUPS
#repeat p = 0..TILE_PIXELS
        compressed_$p[group_at($gu)] = sums_$p[$g];
#end
#end
    }

    for (var own = 0u; own < step; own++) {
#repeat p = 0..TILE_PIXELS
        var t_$p = weight(offsets + step + own);
#end
        for (var j = 0u; j < step; j++) {
            let row = picture * params.heads_stride + 4u * own * step + j;
            let m = mat4x4<f32>(heads[row], heads[row + step], heads[row + 2u * step], heads[row + 3u * step]);
#repeat p = 0..TILE_PIXELS
            // The rows of M lie in the columns of m.
            t_$p += compressed_$p[j] * m;
#end
        }
#repeat p = 0..TILE_PIXELS
        if pixel + $pu < params.pixels { latent[pixel_$p * step + own] = to_stored(t_$p); }
#end
    }
}
