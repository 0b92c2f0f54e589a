//! The sizes of a launch in words, for people to read.

use super::{Dispatch, Kernel};

impl Dispatch {
    /// The sizes of one picture's work, such as `14×14×96 → 14×14×576`. Channels are counted with their padding.
    pub fn shape(&self) -> String {
        match self.kernel {
            Kernel::Assemble => super::assemble::shape(self),
            Kernel::Controller | Kernel::ControllerScratch | Kernel::ControllerSubgroup => {
                super::controller::shape(self)
            }
            Kernel::ControllerAssemble
            | Kernel::ControllerAssembleQuad
            | Kernel::ControllerAssembleScratch
            | Kernel::ControllerAssembleSubgroup => super::controller_assemble::shape(self),
            Kernel::ConvDense | Kernel::ConvDenseQuad | Kernel::ConvDenseSubgroup | Kernel::ConvDenseWide => {
                super::conv_dense::shape(self)
            }
            Kernel::ConvDepthwise => super::conv_depthwise::shape(self),
            Kernel::ConvDynamic | Kernel::ConvDynamicSubgroup => super::conv_dynamic::shape(self),
            Kernel::ConvExpandDepthwise | Kernel::ConvExpandDepthwiseSubgroup => {
                super::conv_expand_depthwise::shape(self)
            }
            Kernel::ConvPointwise
            | Kernel::ConvPointwiseQuad
            | Kernel::ConvPointwiseSplit
            | Kernel::ConvPointwiseSubgroup
            | Kernel::ConvPointwiseWide
            | Kernel::ConvPointwiseWorkgroup => super::conv_pointwise::shape(self),
            Kernel::Latent | Kernel::LatentQuad | Kernel::LatentSubgroup | Kernel::LatentWide => {
                super::latent::shape(self)
            }
            Kernel::Linear => super::linear::shape(self),
            Kernel::Pool => super::pool::shape(self),
            Kernel::Resize => super::resize::shape(self),
            Kernel::Roof => super::roof::shape(self),
            Kernel::TopK => super::top_k::shape(self),
        }
    }
}
