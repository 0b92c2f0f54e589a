// Pool sums where eight rows of a workgroup's invocations share a slot: they add up what they have in memory that the workgroup shares,
// since what reads the slots next is one workgroup or a few. Each kernel brings that memory, which `keep_sum` writes and `kept_sum`
// reads by lane and group of the tile, and how many lanes make a row.

const SLOT_ROWS: u32 = 8u;
const SLOT_PIXELS: u32 = SLOT_ROWS * TILE_PIXELS;

// The invocation's place in its workgroup, across groups and down pixels, and its number.
var<private> local: vec2<u32>;
var<private> lane: u32;

// Never false: an invocation without pixels waits for the others.
fn locate_pooled(invocation: Invocation) -> bool {
    locate(invocation);
    return true;
}

// The first rows add up one group each.
fn store_slot(first: u32, sums: array<vec4<f32>, TILE_GROUPS>) {
    // The sums of the bin before have been read.
    workgroupBarrier();
#repeat g = 0..TILE_GROUPS
    keep_sum(lane, $gu, sums[$g]);
#end
    workgroupBarrier();
    let own = local.y % SLOT_ROWS;
    if own < TILE_GROUPS && has_group(own) && pixel < stored_pixels + TILE_PIXELS * own {
        let top = lane - own * lanes_across();
        var sum = vec4<f32>(0.0);
        for (var row = 0u; row < SLOT_ROWS; row++) {
            sum += kept_sum(top + row * lanes_across(), own);
        }
        partials[first + own] = sum;
    }
}
