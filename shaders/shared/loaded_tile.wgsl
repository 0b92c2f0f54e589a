// Tiles whose inputs and weights a workgroup loads into memory that it shares, DEPTH input groups at a time. Each kernel brings
// `inputs` [row of lanes][pixel][group] and `tile_weights` [column of lanes][input channel][group] as large as its workgroup.

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;
const DEPTH: u32 = 4u;
// Of an invocation's pixels and groups.
const TILE_INPUTS: u32 = 16u;
const TILE_WEIGHTS: u32 = 32u;

// Adds the products of all that is loaded.
fn multiply_loaded() {
    for (var k = 0u; k < DEPTH; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = inputs[local.y][$pu * DEPTH + k];
#end
#repeat g = 0..TILE_GROUPS
        let at_$g = 4u * k * TILE_GROUPS + $gu;
        let rows_$g = mat4x4<f32>(
            tile_weights[local.x][at_$g],
            tile_weights[local.x][at_$g + TILE_GROUPS],
            tile_weights[local.x][at_$g + 2u * TILE_GROUPS],
            tile_weights[local.x][at_$g + 3u * TILE_GROUPS],
        );
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += rows_$g * x_$p;
#end
#end
    }
}
