//! Chooses among the variants of a kernel.

use crate::kernels::Tile;
use crate::plan::Limits;

/// The tile of pointwise and dense convolutions on a device.
///
/// Measured on software with 784 pixels and 192 × 192 channels: lavapipe computes 12, 18 and 40 GFLOP/s with small, wide and
/// subgroup tiles, SwiftShader 2.9 and 4.1 with small and wide ones. No hardware was measured; it gets the tile of the fewest registers.
pub const fn convolution_tile(limits: &Limits) -> Tile {
    match limits.subgroup {
        Some(size) if limits.software => Tile::Subgroup(size),
        _ if limits.software => Tile::Wide,
        _ => Tile::Small,
    }
}

/// Rows of a depthwise tile for maps of `height` rows. The taller, the more often a loaded row is used again, but the fewer
/// invocations there are: hardware, which was not measured, gets more of those.
pub const fn depthwise_rows(limits: &Limits, height: u32) -> u32 {
    match limits.software {
        true if height < 14 => height,
        true => 14,
        false if height >= 28 => 4,
        false => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_device_has_its_tile() {
        let tile = |subgroup, software| convolution_tile(&Limits { subgroup, software, ..Limits::default() });
        assert_eq!(tile(None, false), Tile::Small);
        assert_eq!(tile(Some(32), false), Tile::Small);
        assert_eq!(tile(None, true), Tile::Wide);
        assert_eq!(tile(Some(8), true), Tile::Subgroup(8));
    }
}
