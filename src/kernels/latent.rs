//! The latent map of a dynamic layer in branch form; see `shaders/latent.wgsl` and its variants.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::multiply::{multiply_rows, rows_of_task};
use super::{Access, Arguments, Cost, Dispatch, Kernel, Precision, Scalar, Spec, Subgroups, Tile, vec4_bytes};

/// The specification of the kernel that shares sums in workgroup memory.
pub const SPEC: Spec = Spec {
    stem: "latent",
    source: include_str!("../../shaders/latent.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: BINDINGS,
    entries: ENTRIES,
    stored: STORED,
    overrides: &["LATENT_GROUPS", "TILE"],
    workgroup: &["LATENT_GROUPS", "TILE"],
    workgroup_memory: &[(16, &["LATENT_GROUPS", "TILE"])],
    subgroups: Subgroups::None,
};

/// The specification of the kernel whose subgroups load weights together.
pub const SUBGROUP_SPEC: Spec = Spec {
    stem: "latent_subgroup",
    source: include_str!("../../shaders/latent_subgroup.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: BINDINGS,
    entries: ENTRIES,
    stored: STORED,
    overrides: &["LATENT_GROUPS", "WORKGROUP_X"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[],
    subgroups: Subgroups::OfEight,
};

/// The specification of the kernel whose quads load weights together.
pub const QUAD_SPEC: Spec = Spec {
    stem: "latent_quad",
    source: include_str!("../../shaders/latent_quad.wgsl"),
    subgroups: Subgroups::OfFour,
    ..WIDE_SPEC
};

/// The specification of the kernel whose invocations make all groups of a few pixels.
pub const WIDE_SPEC: Spec = Spec {
    stem: "latent_wide",
    source: include_str!("../../shaders/latent_wide.wgsl"),
    params_bytes: size_of::<Params>(),
    bindings: BINDINGS,
    entries: ENTRIES,
    stored: STORED,
    overrides: &["WORKGROUP_X"],
    workgroup: &["WORKGROUP_X"],
    workgroup_memory: &[],
    subgroups: Subgroups::None,
};

const BINDINGS: &[(&str, Access)] =
    &[("input", Access::Read), ("weights", Access::Read), ("heads", Access::Read), ("latent", Access::Write)];
const STORED: &[&str] = &["input", "weights", "latent"];
const ENTRIES: &[(&str, &[&str])] = &[("latent_map", &["input", "weights", "heads", "latent"])];

/// Pixels of one invocation, but in a quad, and most latent groups of the variants.
const TILE: [u32; 2] = [4, 16];
/// Pixels of one invocation in a quad: maps of these networks are 7 · 2ⁿ pixels wide.
const QUAD_PIXELS: u32 = 7;
/// Invocations of a workgroup of the wide kernel and that of quads: few, so that the cores share few pixels evenly.
const WIDE_WORKGROUP: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
struct Params {
    pixels: u32,
    in_groups: u32,
    heads_stride: u32,
    latent_groups: u32,
}

const _: () = assert!(size_of::<Params>() == 16);

/// The sizes of a latent map for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels of the map.
    pub pixels: u32,
    /// Channel groups of the input.
    pub in_groups: u32,
    /// Groups of the latent width.
    pub latent_groups: u32,
    /// vec4 of M and λ of one picture.
    pub head_groups: u32,
}

impl Shape {
    /// vec4 of Q and the two offsets.
    pub const fn weight_vec4s(&self) -> u32 {
        (4 * self.in_groups + 2) * self.latent_groups
    }

    /// Whether a tile's variant can make the map: they need a few pixels and not too many groups.
    pub const fn suits(&self, tile: Tile) -> bool {
        match tile {
            Tile::Subgroup(size) => self.pixels >= size && self.latent_groups <= TILE[1],
            Tile::Quad | Tile::Wide => self.pixels >= TILE[0] && self.latent_groups <= TILE[1],
            _ => true,
        }
    }
}

/// The launch of a latent map, by the tile's variant where it has one that suits.
pub fn dispatch(shape: Shape, tile: Tile) -> Dispatch {
    let Shape { pixels, in_groups, latent_groups, head_groups } = shape;
    let products = u64::from(pixels) * u64::from(4 * latent_groups) * u64::from(4 * (in_groups + latent_groups));
    let matrix = 4 * latent_groups * latent_groups;
    let groups = ("LATENT_GROUPS", latent_groups);
    let (kernel, overrides, workgroups) = match tile {
        Tile::Subgroup(size) if shape.suits(tile) => {
            (Kernel::LatentSubgroup, vec![groups, ("WORKGROUP_X", size)], pixels.div_ceil(TILE[0] * size))
        }
        Tile::Quad | Tile::Wide if shape.suits(tile) => {
            let (kernel, tile_pixels) = match tile {
                Tile::Quad => (Kernel::LatentQuad, QUAD_PIXELS),
                _ => (Kernel::LatentWide, TILE[0]),
            };
            let size = WIDE_WORKGROUP;
            (kernel, vec![("WORKGROUP_X", size)], pixels.div_ceil(tile_pixels * size))
        }
        _ => {
            let pixels_of_workgroup = (64 / latent_groups.max(1)).clamp(1, 16).min(pixels.max(1));
            (Kernel::Latent, vec![groups, ("TILE", pixels_of_workgroup)], pixels.div_ceil(pixels_of_workgroup))
        }
    };
    Dispatch {
        kernel,
        entry: "latent_map",
        precision: Precision::F32,
        overrides,
        params: bytemuck::bytes_of(&Params { pixels, in_groups, heads_stride: head_groups, latent_groups }).to_vec(),
        workgroups: [workgroups, 1],
        cost: Cost {
            // With M's offset; Q's begins its sums.
            flops: 2 * products + u64::from(pixels) * u64::from(4 * latent_groups),
            bytes_read: vec4_bytes(pixels * in_groups + shape.weight_vec4s() + matrix),
            bytes_written: vec4_bytes(pixels * latent_groups),
            single_read: vec4_bytes(matrix),
            single_written: 0,
        },
    }
}

pub(super) fn shape(dispatch: &Dispatch) -> String {
    let Params { pixels, in_groups, latent_groups, .. } = dispatch.params_as();
    format!("{pixels} pixels × {} → {}", 4 * in_groups, 4 * latent_groups)
}

pub(super) fn twin<S: Scalar>(dispatch: &Dispatch, mut arguments: Arguments<'_, S>) {
    let params: Params = dispatch.params_as();
    let (pixels, in_groups) = (params.pixels as usize, params.in_groups as usize);
    let latent_groups = params.latent_groups as usize;
    let (input, weights, heads) = (arguments.input("input"), arguments.input("weights"), arguments.input("heads"));
    let (q, offsets) = weights.split_at(4 * in_groups * latent_groups);
    let (q_offset, rest) = offsets.split_at(latent_groups);
    let latent_offset = &rest[..latent_groups];
    let latent = arguments.output("latent");
    let maps = latent.par_chunks_exact_mut(pixels * latent_groups).take(arguments.pictures).enumerate();
    maps.for_each(|(picture, map)| {
        let matrix = heads[picture * params.heads_stride as usize..].as_flattened();
        let width = 4 * latent_groups;
        let column = |j: usize| (0..width).map(move |l| matrix[l * width + j]);
        let transposed: Vec<S> = (0..width).flat_map(column).collect();
        let block = rows_of_task(pixels);
        map.par_chunks_mut(block * latent_groups).enumerate().for_each(|(index, out)| {
            let rows = out.len() / latent_groups;
            let first = (picture * pixels + index * block) * in_groups;
            let mut compressed = q_offset.repeat(rows);
            multiply_rows(&mut compressed, &input[first..][..rows * in_groups], q, latent_groups);
            out.fill([S::ZERO; 4]);
            multiply_rows(out, &compressed, transposed.as_chunks().0, latent_groups);
            for (t, offset) in out.iter_mut().zip(latent_offset.iter().cycle()) {
                *t = std::array::from_fn(|lane| offset[lane] + t[lane]);
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_variant_has_no_room_for_is_the_plain_kernels() {
        let of = |latent_groups, tile| {
            dispatch(Shape { pixels: 49, in_groups: 8, latent_groups, head_groups: 4 }, tile).kernel
        };
        for (tile, own) in [(Tile::Quad, Kernel::LatentQuad), (Tile::Wide, Kernel::LatentWide)] {
            assert_eq!([16, 17].map(|groups| of(groups, tile)), [own, Kernel::Latent]);
        }
    }
}
