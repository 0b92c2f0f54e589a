// Dense convolution, any kernel size, stride and padding: the stem of the networks.
//
// Small tiles, for hardware that hides its loads and lacks registers.

#import dense

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

#import dense_plain
