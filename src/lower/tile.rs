//! Chooses among the variants of a kernel.

use crate::kernels::Tile;
use crate::plan::Limits;

/// The tile of pointwise and dense convolutions on a device.
///
/// Measured on software with 784 pixels and 192 × 192 channels: lavapipe computes 12, 18 and 40 GFLOP/s with small, wide and
/// subgroup tiles, SwiftShader 2.9 and 4.1 with small and wide ones. With 196 pixels, 576 and 96 channels SwiftShader computes 5.4 with
/// wide ones and 7.9 with quads. No hardware was measured; it gets the tile of the fewest registers.
pub const fn convolution_tile(limits: &Limits) -> Tile {
    match limits.subgroup {
        Some(size) if limits.software => Tile::Subgroup(size),
        _ if limits.computes_in_quads() => Tile::Quad,
        _ if limits.software => Tile::Wide,
        _ => Tile::Small,
    }
}

/// The tile of controllers and of what assembles weights: as of convolutions, but in subgroups only where each is a whole workgroup.
/// `Wide` and `Quad` stand for workgroups that share memory in a buffer.
pub const fn controller_tile(limits: &Limits) -> Tile {
    match convolution_tile(limits) {
        Tile::Subgroup(_) if !limits.whole_subgroups => Tile::Wide,
        tile => tile,
    }
}

/// Workgroups of 64 invocations that a map must give small tiles; below it their input channels are split. Of what hardware
/// has, even small chips hold some dozens at a time; on none was this measured.
const FEW_WORKGROUPS: u32 = 32;
/// Groups of input channels below which splitting them gives each invocation next to nothing.
const FEW_GROUPS: u32 = 32;

/// The tile of pointwise convolutions of a map of `pixels` from `in_groups` to `out_groups` groups.
pub const fn pointwise_tile(limits: &Limits, pixels: u32, in_groups: u32, out_groups: u32) -> Tile {
    let invocations = pixels.div_ceil(4) as u64 * out_groups.div_ceil(2) as u64;
    match convolution_tile(limits) {
        Tile::Small if invocations < 64 * FEW_WORKGROUPS as u64 && in_groups >= FEW_GROUPS => Tile::Split,
        tile => tile,
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

/// Groups of input channels up to which a depthwise convolution of stride 2 is faster with its expansion than after it.
///
/// Measured on lavapipe with 4, 6, 8 and 24: one launch takes 0.55, 0.60, 0.83 and 1.8 of the time of both. On SwiftShader, with
/// small tiles, one took some 0.7 with 4, but Chromium 1.8 s longer to load it.
const EXPANSION_GROUPS: u32 = 8;

/// The tile in which a depthwise convolution is computed with its expansion from `in_groups` groups, where it is. No hardware was
/// measured; it stores the expanded map.
pub const fn expansion_tile(limits: &Limits, in_groups: u32) -> Option<Tile> {
    match convolution_tile(limits) {
        tile @ Tile::Subgroup(_) if in_groups <= EXPANSION_GROUPS => Some(tile),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pixels_of_many_channels_are_split_on_hardware_alone() {
        let hardware = Limits::default();
        assert_eq!(pointwise_tile(&hardware, 49, 240, 80), Tile::Split);
        assert_eq!(pointwise_tile(&hardware, 196, 96, 24), Tile::Split);
        assert_eq!(pointwise_tile(&hardware, 784, 48, 48), Tile::Small);
        assert_eq!(pointwise_tile(&hardware, 49, 8, 80), Tile::Small);
        assert_eq!(pointwise_tile(&Limits { software: true, ..hardware }, 49, 240, 80), Tile::Wide);
    }

    #[test]
    fn each_kind_of_device_has_its_tile() {
        let tile = |subgroup, software| convolution_tile(&Limits { subgroup, software, ..Limits::default() });
        let quads = |software| Limits { quads: true, software, ..Limits::default() };
        assert_eq!([true, false].map(|software| convolution_tile(&quads(software))), [Tile::Quad, Tile::Small]);
        assert_eq!(tile(None, false), Tile::Small);
        assert_eq!(tile(Some(32), false), Tile::Small);
        assert_eq!(tile(None, true), Tile::Wide);
        assert_eq!(tile(Some(8), true), Tile::Subgroup(8));
        let tile = |whole_subgroups| {
            controller_tile(&Limits { subgroup: Some(8), software: true, whole_subgroups, ..Limits::default() })
        };
        assert_eq!([tile(true), tile(false)], [Tile::Subgroup(8), Tile::Wide]);
    }
}
