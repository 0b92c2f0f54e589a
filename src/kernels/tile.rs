//! How convolutions over all channels are cut into invocations: the variants of the pointwise and the dense kernel.

use super::{Kernel, split_workgroup};

/// A variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// 4 pixels × 2 groups an invocation, for hardware.
    Small,
    /// 8 pixels × 4 groups, for software, where a load costs more than a register.
    Wide,
    /// 7 pixels × 8 groups with weights that four invocations load together, for software whose subgroups are small.
    Quad,
    /// 4 pixels × 8 groups with weights handed round in subgroups of this many invocations, at least eight.
    Subgroup(u32),
    /// 4 pixels × 2 groups, whose inputs and weights a workgroup loads into memory that it shares, for hardware. Of pointwise
    /// convolutions alone; dense ones take small tiles instead.
    Workgroup,
    /// 4 pixels × 2 groups with the input channels split among eight invocations, for few pixels. Likewise.
    Split,
}

impl Tile {
    /// For people and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Wide => "wide",
            Self::Quad => "quad",
            Self::Subgroup(_) => "subgroup",
            Self::Workgroup => "workgroup",
            Self::Split => "split",
        }
    }

    /// Pixels of one invocation.
    pub(super) const fn pixels(self) -> u32 {
        pixels_of(super::conv_pointwise::kernel_of(self))
    }

    /// Pixels of one slot of a pointwise kernel's partial sums.
    pub(super) const fn slot_pixels(self) -> u32 {
        slot_pixels_of(super::conv_pointwise::kernel_of(self))
    }

    /// The workgroup's sizes, and the workgroups that cover `out_groups` groups of `tiles` tiles of pixels.
    pub(super) fn launch(self, out_groups: u32, tiles: u32) -> ([u32; 2], [u32; 2]) {
        match self {
            Self::Small => {
                let across = out_groups.div_ceil(2);
                let [x, y] = split_workgroup(across, 8);
                ([x, y], [across.div_ceil(x), tiles.div_ceil(y)])
            }
            // Small workgroups share the cores better, and software gains nothing from large ones.
            Self::Wide => ([1, 8], [out_groups.div_ceil(4), tiles.div_ceil(8)]),
            Self::Quad => {
                // One quad, since a larger workgroup has more for nothing; as many as needed where there would be too many workgroups.
                let quads = tiles.div_ceil(4).div_ceil(MOST_WORKGROUPS).next_power_of_two().min(64);
                ([4 * quads, 1], [tiles.div_ceil(4 * quads), out_groups.div_ceil(8)])
            }
            Self::Subgroup(size) => ([size, 1], [tiles.div_ceil(size), out_groups.div_ceil(8)]),
            Self::Workgroup => ([8, 8], [out_groups.div_ceil(16), tiles.div_ceil(8)]),
            // Along x are those that share a tile.
            Self::Split => ([8, 8], [out_groups.div_ceil(2), tiles.div_ceil(8)]),
        }
    }
}

/// Workgroups on an axis that every device allows.
const MOST_WORKGROUPS: u32 = 65535;

/// Pixels of one invocation of a kernel with tiles.
pub(super) const fn pixels_of(kernel: Kernel) -> u32 {
    match kernel {
        Kernel::ConvDenseQuad | Kernel::ConvPointwiseQuad => 7,
        Kernel::ConvDenseWide | Kernel::ConvPointwiseWide => 8,
        _ => 4,
    }
}

/// Rows of a workgroup whose invocations share a slot, where they do.
pub(super) const SLOT_ROWS: u32 = 8;

/// Pixels of one slot of a pointwise kernel's partial sums: those of one invocation, or of the four or eight that share weights or a slot.
pub(super) const fn slot_pixels_of(kernel: Kernel) -> u32 {
    match kernel {
        Kernel::ConvPointwiseQuad => 4 * pixels_of(kernel),
        Kernel::ConvDynamicSubgroup | Kernel::ConvPointwiseSubgroup => 8 * pixels_of(kernel),
        Kernel::ConvDynamic | Kernel::ConvPointwise | Kernel::ConvPointwiseWorkgroup => SLOT_ROWS * pixels_of(kernel),
        _ => pixels_of(kernel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_have_larger_workgroups_of_quads() {
        assert_eq!(Tile::Quad.launch(9, 13), ([4, 1], [4, 2]));
        assert_eq!(Tile::Quad.launch(8, 4 * 65535), ([4, 1], [65535, 1]));
        assert_eq!(Tile::Quad.launch(8, 4 * 65535 + 1), ([8, 1], [32768, 1]));
        assert_eq!(Tile::Quad.launch(8, 64 * 65535), ([64, 1], [65535, 1]));
    }
}
