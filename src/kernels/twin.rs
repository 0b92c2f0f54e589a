//! Runs the CPU twin of a dispatch.

use super::{Access, Dispatch, Kernel, Scalar};

/// The memory of one dispatch, bound by name, as vec4.
pub struct Arguments<'a, S = f32> {
    reads: Vec<(&'static str, &'a [[S; 4]])>,
    writes: Vec<(&'static str, &'a mut [[S; 4]])>,
    /// Pictures to compute.
    pub pictures: usize,
}

impl<'a, S: Scalar> Arguments<'a, S> {
    /// No memory yet, for `pictures` pictures.
    pub fn new(pictures: usize) -> Self {
        Self { reads: Vec::new(), writes: Vec::new(), pictures }
    }

    /// Binds memory that is read.
    #[must_use]
    pub fn read(mut self, name: &'static str, memory: &'a [S]) -> Self {
        self.reads.push((name, memory.as_chunks().0));
        self
    }

    /// Binds memory that is written.
    #[must_use]
    pub fn write(mut self, name: &'static str, memory: &'a mut [S]) -> Self {
        self.writes.push((name, memory.as_chunks_mut().0));
        self
    }

    /// Bound memory; none where nothing of that name was bound, which the plan's validation rules out.
    pub(super) fn input(&self, name: &str) -> &'a [[S; 4]] {
        self.reads.iter().find(|(n, _)| *n == name).map_or(&[], |(_, memory)| memory)
    }

    /// Takes bound memory to write to.
    pub(super) fn output(&mut self, name: &str) -> &'a mut [[S; 4]] {
        let place = self.writes.iter().position(|(n, _)| *n == name);
        place.map_or(&mut [], |place| self.writes.swap_remove(place).1)
    }
}

/// Computes what the dispatch's shader computes, from the same parameters and memory layout.
///
/// # Panics
/// When the memory is smaller than the dispatch's sizes say. Lowering makes it as large; nothing else makes plans.
pub fn run_twin<S: Scalar>(dispatch: &Dispatch, arguments: Arguments<'_, S>) {
    debug_assert!(
        dispatch.kernel.spec().bindings_of(dispatch.entry).is_some_and(|mut bindings| bindings.all(
            |(_, name, access)| {
                match access {
                    Access::Read => arguments.reads.iter().any(|(n, _)| *n == name),
                    Access::Write => arguments.writes.iter().any(|(n, _)| *n == name),
                    Access::Scratch => true,
                }
            }
        )),
        "{:?} `{}` lacks memory",
        dispatch.kernel,
        dispatch.entry
    );
    match dispatch.kernel {
        Kernel::Assemble => super::assemble::twin(dispatch, arguments),
        Kernel::Controller | Kernel::ControllerScratch | Kernel::ControllerSubgroup => {
            super::controller::twin(dispatch, arguments);
        }
        Kernel::ControllerAssemble
        | Kernel::ControllerAssembleQuad
        | Kernel::ControllerAssembleScratch
        | Kernel::ControllerAssembleSubgroup => {
            super::controller_assemble::twin(dispatch, arguments);
        }
        Kernel::ConvDense | Kernel::ConvDenseQuad | Kernel::ConvDenseSubgroup | Kernel::ConvDenseWide => {
            super::conv_dense::twin(dispatch, arguments);
        }
        Kernel::ConvDepthwise => super::conv_depthwise::twin(dispatch, arguments),
        Kernel::ConvDynamic | Kernel::ConvDynamicSubgroup => super::conv_dynamic::twin(dispatch, arguments),
        Kernel::ConvExpandDepthwise | Kernel::ConvExpandDepthwiseSubgroup => {
            super::conv_expand_depthwise::twin(dispatch, arguments)
        }
        Kernel::ConvPointwise
        | Kernel::ConvPointwiseQuad
        | Kernel::ConvPointwiseSplit
        | Kernel::ConvPointwiseSubgroup
        | Kernel::ConvPointwiseWide
        | Kernel::ConvPointwiseWorkgroup => super::conv_pointwise::twin(dispatch, arguments),
        Kernel::Latent | Kernel::LatentQuad | Kernel::LatentSubgroup | Kernel::LatentWide => {
            super::latent::twin(dispatch, arguments)
        }
        Kernel::Linear => super::linear::twin(dispatch, arguments),
        Kernel::Pool => super::pool::twin(dispatch, arguments),
        Kernel::Resize => super::resize::twin(dispatch, arguments),
        Kernel::Roof => super::roof::twin(dispatch, arguments),
        Kernel::TopK => super::top_k::twin(dispatch, arguments),
    }
}
