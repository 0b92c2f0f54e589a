//! Decides whether software computes a dynamic convolution in one launch, controller and all.

use super::draft::{ADDRESSABLE_BYTES, VEC4_BYTES, most_bytes};
use super::form::{Form, controller_shape};
use super::pack::{self, Part};
use crate::graph::{DynamicWeights, Layer};
use crate::kernels::conv_dynamic_subgroup::{self, Made};
use crate::kernels::{Dispatch, Epilogue, controller};
use crate::plan::Limits;

/// The most cores on which it was measured: the more there are, the more of them make the controller's results again.
const MOST_CORES: u32 = 2;

/// A dynamic convolution in one launch.
#[derive(Clone, Copy)]
pub(super) struct OneLaunch {
    made: Made,
    cores: u32,
    size: u32,
}

impl OneLaunch {
    /// How a layer in this form is one launch for `batch` pictures on a device; nothing where it cannot be: elsewhere than on software of
    /// one or two cores whose lanes go in step, or where a workgroup's memory or a buffer does not hold what it makes.
    pub fn of(layer: &Layer, w: &DynamicWeights, form: Form, batch: u64, limits: &Limits) -> Option<Self> {
        let size = limits.subgroup.filter(|_| limits.software && limits.whole_subgroups)?;
        if !(1..=MOST_CORES).contains(&limits.cores) {
            return None;
        }
        let made = match form {
            Form::Assemble => Made::Weights,
            Form::Branch => Made::Latent,
            Form::InLoad => return None,
        };
        let one = Self { made, cores: limits.cores, size };
        let shape = controller_shape(&w.sizes, layer.input_map, 1);
        // What no buffer holds is refused elsewhere, before its sizes are computed with.
        let vec4s =
            layer.input_map.pixels() as u64 * u64::from(shape.in_groups + shape.latent_groups + shape.out_groups);
        let bytes = u64::from(VEC4_BYTES);
        let fits = vec4s <= ADDRESSABLE_BYTES / bytes
            && one.scratch_vec4s(shape).saturating_mul(bytes * batch) <= most_bytes(limits)
            && one.dispatch(shape, Epilogue::default()).workgroup_bytes() <= limits.workgroup_bytes;
        fits.then_some(one)
    }

    /// The launch of a layer whose controller has this shape.
    pub fn dispatch(self, shape: controller::Shape, epilogue: Epilogue) -> Dispatch {
        conv_dynamic_subgroup::dispatch(shape, self.made, self.cores, epilogue, self.size)
    }

    /// vec4 of f32 that its workgroups make for themselves.
    pub fn scratch_vec4s(self, shape: controller::Shape) -> u64 {
        conv_dynamic_subgroup::scratch_vec4s(shape, self.made, self.cores, self.size)
    }

    /// The layer's weights after those of the controller.
    pub fn pack(self, w: &DynamicWeights) -> Vec<Part<'_>> {
        match self.made {
            Made::Weights => pack::assemble(w),
            Made::Latent => pack::branch_with_latent(w),
        }
    }
}
