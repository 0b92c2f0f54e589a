// Dense convolution, any kernel size, stride and padding: the stem of the networks.
//
// Large tiles, for software that computes lanes on a CPU: there loads cost more than registers.

#import dense

const TILE_PIXELS: u32 = 8u;
const TILE_GROUPS: u32 = 4u;

#import dense_plain
