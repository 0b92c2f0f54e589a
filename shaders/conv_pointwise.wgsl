// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Small tiles, of the fewest registers: for hardware.

#import pointwise

const TILE_PIXELS: u32 = 4u;
const TILE_GROUPS: u32 = 2u;

#import pointwise_plain
