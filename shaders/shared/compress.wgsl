// The branch's middle, t = M·(Q·x + q_offset) + latent_offset, where an invocation computes all of at most 16 latent groups at
// TILE_PIXELS neighbouring pixels. The first eight invocations of a subgroup load two groups' weights each and hand them round.
//
// weights Q [4·in_groups][LATENT_GROUPS], q_offset, latent_offset       vec4 of latent channels
//
// Each kernel brings `input`, `place`, where a pixel's input begins, `matrix`, which loads four channels of a row of M, and
// `store_latent`, which stores a group of a pixel's t.

override LATENT_GROUPS: u32 = 1u;

// Q·x + q_offset of each pixel.
#repeat p = 0..TILE_PIXELS
var<private> compressed_$p: array<vec4<f32>, 16>;
#end

// The groups that this invocation loads; one past the last stands for the last one.
var<private> group_a: u32;
var<private> group_b: u32;

// A row of M times what is compressed, of each pixel.
fn mix(row: u32) -> vec4<f32> {
    let own_a = matrix(row + group_a);
    var own_b = own_a;
    if LATENT_GROUPS > 8u { own_b = matrix(row + group_b); }
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

// Makes t of the pixels at which `groups` groups of inputs lie, with the weights from `first` on.
fn make_latent(first: u32, groups: u32, lane: u32) {
    let offsets = first + 4u * groups * LATENT_GROUPS;
    group_a = min(lane % 8u, LATENT_GROUPS - 1u);
    group_b = min(lane % 8u + 8u, LATENT_GROUPS - 1u);
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
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    var row = first;
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
        let row = 4u * group * LATENT_GROUPS;
        let offset = weight(offsets + LATENT_GROUPS + group);
#repeat c = 0..4
        let mixed_$c = offset[$c] + mix(row + $cu * LATENT_GROUPS);
#end
#repeat p = 0..TILE_PIXELS
        store_latent($pu, group, vec4<f32>(mixed_0[$p], mixed_1[$p], mixed_2[$p], mixed_3[$p]));
#end
    }
}
