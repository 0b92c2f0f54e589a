//! Other launches that compute the same from the same memory, to be tried against the one that ships.

use super::tile::SLOT_ROWS;
use super::{Dispatch, Kernel, Subgroups, WORKGROUP_BYTES};

/// Sides of workgroups that are tried.
const SIDES: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Invocations of a workgroup that are tried. All devices allow the most.
const INVOCATIONS: std::ops::RangeInclusive<u32> = 32..=256;

/// A launch with the name that tells it from its like.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Such as `8×8`, after the size of its workgroups.
    pub name: String,
    /// The launch.
    pub dispatch: Dispatch,
}

impl Dispatch {
    /// The variants of this launch, itself among them.
    pub fn variants(&self) -> Vec<Variant> {
        let axes = ["WORKGROUP_X", "WORKGROUP_Y"].map(|name| self.override_value(name));
        // What a subgroup shares hangs on rows of its size: they may only be put side by side.
        let subgroups = self.kernel.spec().subgroups;
        // Of invocations that share a slot there are whole rows.
        let rows = if self.shares_slots() { SLOT_ROWS } else { 1 };
        let mut variants: Vec<Variant> = match axes {
            // What shares a tile lies along x, or is as large as the workgroup.
            _ if matches!(self.kernel, Kernel::ConvPointwiseSplit | Kernel::ConvDynamic) => self.shipped(),
            // The room that a workgroup has in a buffer hangs on its invocations.
            _ if self.kernel.spec().bindings.iter().any(|(name, _)| *name == "scratch") => self.shipped(),
            _ if subgroups == Subgroups::Whole => self.shipped(),
            [Some(x), y] if matches!(subgroups, Subgroups::OfFour | Subgroups::OfEight) => {
                let own = [x, y.unwrap_or(1)];
                let sizes = SIDES.iter().filter(|side| side.is_multiple_of(x)).map(|side| [*side, own[1]]);
                sizes.map(|size| self.with_workgroup(own, size)).collect()
            }
            [Some(x), Some(y)] => {
                let sizes = SIDES.iter().flat_map(|x| SIDES.map(|y| [*x, y]));
                let tried = |[w, h]: &[u32; 2]| INVOCATIONS.contains(&(w * h)) && h.is_multiple_of(rows);
                let sizes = sizes.filter(|size| *size == [x, y] || tried(size));
                sizes.map(|size| self.with_workgroup([x, y], size)).collect()
            }
            [Some(x), None] => {
                let sizes = SIDES.iter().filter(|side| INVOCATIONS.contains(side) || **side == x);
                sizes.map(|size| self.with_workgroup([x, 1], [*size, 1])).collect()
            }
            _ => self.shipped(),
        };
        variants.retain(|variant| variant.dispatch.workgroup_bytes() <= WORKGROUP_BYTES || variant.dispatch == *self);
        variants
    }

    fn shares_slots(&self) -> bool {
        matches!(self.kernel, Kernel::ConvPointwise | Kernel::ConvPointwiseWorkgroup) && self.entry != "plain"
    }

    fn shipped(&self) -> Vec<Variant> {
        vec![Variant { name: "shipped".into(), dispatch: self.clone() }]
    }

    /// The name of this launch among its variants.
    pub fn variant_name(&self) -> String {
        let own = self.variants().into_iter().find(|variant| variant.dispatch == *self);
        own.map_or("shipped".into(), |variant| variant.name)
    }

    /// This launch with workgroups of another size.
    fn with_workgroup(&self, [old_x, old_y]: [u32; 2], [x, y]: [u32; 2]) -> Variant {
        let mut dispatch = self.clone();
        for (name, value) in &mut dispatch.overrides {
            match *name {
                "WORKGROUP_X" => *value = x,
                "WORKGROUP_Y" => *value = y,
                _ => {}
            }
        }
        // The workgroups of these kernels go through their work in steps of their own size.
        let in_steps =
            matches!(self.kernel, Kernel::Assemble | Kernel::Controller | Kernel::ControllerAssemble | Kernel::TopK);
        if !in_steps && [x, y] != [old_x, old_y] {
            let [across, down] = self.workgroups;
            dispatch.workgroups = [(across * old_x).div_ceil(x), (down * old_y).div_ceil(y)];
        }
        let two_axes = self.override_value("WORKGROUP_Y").is_some();
        Variant { name: if two_axes { format!("{x}×{y}") } else { x.to_string() }, dispatch }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::conv_pointwise::{Shape, Weights, dispatch};
    use crate::kernels::{Epilogue, Pooling, Tile, controller, controller_assemble, top_k};

    #[test]
    fn variants_cover_the_work_and_hold_what_ships() {
        let shape = Shape { height: 14, width: 14, in_groups: 16, out_groups: 24 };
        let shipped = dispatch(shape, Weights::Static, Epilogue::default(), Tile::Small);
        let variants = shipped.variants();
        assert!(variants.iter().any(|variant| variant.dispatch == shipped), "{variants:?}");
        assert_eq!(shipped.variant_name(), "8×8");
        let invocations =
            |d: &crate::kernels::Dispatch, axis: usize, name| d.workgroups[axis] * d.override_value(name).unwrap();
        for variant in &variants {
            // 12 pairs of groups, 49 tiles of pixels.
            assert!(invocations(&variant.dispatch, 0, "WORKGROUP_X") >= 12, "{variant:?}");
            assert!(invocations(&variant.dispatch, 1, "WORKGROUP_Y") >= 49, "{variant:?}");
        }
        let in_rows = dispatch(shape, Weights::Static, Epilogue::default(), Tile::Subgroup(16));
        let names: Vec<_> = in_rows.variants().into_iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["16×1", "32×1", "64×1", "128×1", "256×1"]);
        assert_eq!(in_rows.variant_name(), "16×1");
        let in_quads = dispatch(shape, Weights::Static, Epilogue::default(), Tile::Quad);
        let names: Vec<_> = in_quads.variants().into_iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["4×1", "8×1", "16×1", "32×1", "64×1", "128×1", "256×1"]);
        assert_eq!(in_quads.variant_name(), "4×1");
        let (pooling, sides) = (Pooling::Global, Shape { in_groups: 24, out_groups: 144, ..shape });
        let Shape { height, width, in_groups, out_groups } = sides;
        let control = controller::Shape {
            height,
            width,
            in_groups,
            slots: 7,
            pooling,
            squeeze_groups: 9,
            latent_groups: 6,
            out_groups,
        };
        for tile in [Tile::Quad, Tile::Wide] {
            let sharing = controller_assemble::dispatch(control, tile).variants();
            assert_eq!(sharing.into_iter().map(|variant| variant.name).collect::<Vec<_>>(), ["shipped"]);
        }
        let wide = dispatch(shape, Weights::Static, Epilogue::default(), Tile::Wide);
        assert_eq!(wide.variant_name(), "1×8");
        let names: Vec<_> = top_k::top_k(1000, 5, true).variants().into_iter().map(|variant| variant.name).collect();
        assert_eq!(names, ["8", "32", "64", "128", "256"]);
    }
}
