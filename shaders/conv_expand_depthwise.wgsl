// Expansion (1×1) and depthwise convolution (3×3 by 2) in one: small tiles, for hardware.

#import expand_depthwise

const TILE_COLUMNS: u32 = 4u;
const INPUT_COLUMNS: u32 = 9u;
const TILE_GROUPS: u32 = 1u;

#import expand_depthwise_plain
