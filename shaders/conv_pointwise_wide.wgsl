// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// Large tiles, for software that computes lanes on a CPU: there loads cost more than registers.

#import pointwise

const TILE_PIXELS: u32 = 8u;
const TILE_GROUPS: u32 = 4u;

#import pointwise_plain
