// Expansion (1×1) and depthwise convolution (3×3 by 2) in one.
//
// Large tiles, for software that computes lanes on a CPU: there loads cost more than registers.

#import expand_depthwise

const TILE_COLUMNS: u32 = 4u;
const INPUT_COLUMNS: u32 = 9u;
const TILE_GROUPS: u32 = 4u;

#import expand_depthwise_plain
