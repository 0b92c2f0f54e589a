// Dense convolution, any kernel size, stride and padding: the stem of the networks.
//
// Small tiles, of the fewest registers: for hardware.

#import dense

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

#import dense_plain
