//! The kernels: for each WGSL file in `shaders/` a module of the same name with its specification, its parameters, its
//! dispatch arithmetic, its cost and its CPU twin. Knows neither networks nor GPUs.
//!
//! A module's `dispatch` function is pure: sizes in, a complete [`Dispatch`] out. Who runs it only binds memory.

pub mod assemble;
mod axis;
pub mod controller;
pub mod controller_assemble;
pub mod conv_dense;
pub mod conv_depthwise;
pub mod conv_dynamic;
pub mod conv_dynamic_subgroup;
pub mod conv_expand_depthwise;
pub mod conv_pointwise;
mod epilogue;
pub mod latent;
pub mod linear;
mod multiply;
mod panels;
pub mod pool;
pub mod resize;
pub mod roof;
mod scalar;
mod shape;
mod source;
mod stored;
mod tile;
pub mod top_k;
mod twin;
mod variants;
mod vectors;

pub use epilogue::{Epilogue, Nonlinearity, Pooling};
pub use panels::in_panels;
pub use scalar::Scalar;
pub use source::{
    SAMPLER, Texels, holds_weights, in_browser, in_pairs, in_texels, texels_of, textures, through_sampler, wgsl,
};
pub use tile::Tile;
pub use twin::{Arguments, run_twin};
pub use variants::Variant;

use serde::Serialize;

pub use crate::tensor::Precision;

/// Bytes of workgroup memory that every device allows: WebGPU promises 16 KiB, some that wgpu knows have 32 fewer.
pub const WORKGROUP_BYTES: u32 = 16352;

/// A kernel by the stem of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// `shaders/assemble.wgsl`
    Assemble,
    /// `shaders/controller.wgsl`
    Controller,
    /// `shaders/controller_assemble.wgsl`
    ControllerAssemble,
    /// `shaders/controller_assemble_quad.wgsl`
    ControllerAssembleQuad,
    /// `shaders/controller_assemble_scratch.wgsl`
    ControllerAssembleScratch,
    /// `shaders/controller_assemble_subgroup.wgsl`
    ControllerAssembleSubgroup,
    /// `shaders/controller_scratch.wgsl`
    ControllerScratch,
    /// `shaders/controller_subgroup.wgsl`
    ControllerSubgroup,
    /// `shaders/conv_dense.wgsl`
    ConvDense,
    /// `shaders/conv_dense_quad.wgsl`
    ConvDenseQuad,
    /// `shaders/conv_dense_subgroup.wgsl`
    ConvDenseSubgroup,
    /// `shaders/conv_dense_wide.wgsl`
    ConvDenseWide,
    /// `shaders/conv_depthwise.wgsl`
    ConvDepthwise,
    /// `shaders/conv_dynamic.wgsl`
    ConvDynamic,
    /// `shaders/conv_dynamic_subgroup.wgsl`
    ConvDynamicSubgroup,
    /// `shaders/conv_expand_depthwise.wgsl`
    ConvExpandDepthwise,
    /// `shaders/conv_expand_depthwise_subgroup.wgsl`
    ConvExpandDepthwiseSubgroup,
    /// `shaders/conv_pointwise.wgsl`
    ConvPointwise,
    /// `shaders/conv_pointwise_quad.wgsl`
    ConvPointwiseQuad,
    /// `shaders/conv_pointwise_split.wgsl`
    ConvPointwiseSplit,
    /// `shaders/conv_pointwise_subgroup.wgsl`
    ConvPointwiseSubgroup,
    /// `shaders/conv_pointwise_wide.wgsl`
    ConvPointwiseWide,
    /// `shaders/conv_pointwise_workgroup.wgsl`
    ConvPointwiseWorkgroup,
    /// `shaders/latent.wgsl`
    Latent,
    /// `shaders/latent_quad.wgsl`
    LatentQuad,
    /// `shaders/latent_subgroup.wgsl`
    LatentSubgroup,
    /// `shaders/latent_wide.wgsl`
    LatentWide,
    /// `shaders/linear.wgsl`
    Linear,
    /// `shaders/pool.wgsl`
    Pool,
    /// `shaders/resize.wgsl`
    Resize,
    /// `shaders/roof.wgsl`, which no network launches
    Roof,
    /// `shaders/top_k.wgsl`
    TopK,
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Self; 32] = [
        Self::Assemble,
        Self::Controller,
        Self::ControllerAssemble,
        Self::ControllerAssembleQuad,
        Self::ControllerAssembleScratch,
        Self::ControllerAssembleSubgroup,
        Self::ControllerScratch,
        Self::ControllerSubgroup,
        Self::ConvDense,
        Self::ConvDenseQuad,
        Self::ConvDenseSubgroup,
        Self::ConvDenseWide,
        Self::ConvDepthwise,
        Self::ConvDynamic,
        Self::ConvDynamicSubgroup,
        Self::ConvExpandDepthwise,
        Self::ConvExpandDepthwiseSubgroup,
        Self::ConvPointwise,
        Self::ConvPointwiseQuad,
        Self::ConvPointwiseSplit,
        Self::ConvPointwiseSubgroup,
        Self::ConvPointwiseWide,
        Self::ConvPointwiseWorkgroup,
        Self::Latent,
        Self::LatentQuad,
        Self::LatentSubgroup,
        Self::LatentWide,
        Self::Linear,
        Self::Pool,
        Self::Resize,
        Self::Roof,
        Self::TopK,
    ];

    /// Whether it is one of the pointwise convolutions, which differ in their tiles alone.
    const fn is_pointwise(self) -> bool {
        matches!(
            self,
            Self::ConvPointwise
                | Self::ConvPointwiseQuad
                | Self::ConvPointwiseSplit
                | Self::ConvPointwiseSubgroup
                | Self::ConvPointwiseWide
                | Self::ConvPointwiseWorkgroup
        )
    }

    /// What the host must know of the kernel's WGSL; `tests/shaders.rs` holds both together.
    pub const fn spec(self) -> &'static Spec {
        match self {
            Self::Assemble => &assemble::SPEC,
            Self::Controller => &controller::SPEC,
            Self::ControllerAssemble => &controller_assemble::SPEC,
            Self::ControllerAssembleQuad => &controller_assemble::QUAD_SPEC,
            Self::ControllerAssembleScratch => &controller_assemble::SCRATCH_SPEC,
            Self::ControllerAssembleSubgroup => &controller_assemble::SUBGROUP_SPEC,
            Self::ControllerScratch => &controller::SCRATCH_SPEC,
            Self::ControllerSubgroup => &controller::SUBGROUP_SPEC,
            Self::ConvDense => &conv_dense::SPEC,
            Self::ConvDenseQuad => &conv_dense::QUAD_SPEC,
            Self::ConvDenseSubgroup => &conv_dense::SUBGROUP_SPEC,
            Self::ConvDenseWide => &conv_dense::WIDE_SPEC,
            Self::ConvDepthwise => &conv_depthwise::SPEC,
            Self::ConvDynamic => &conv_dynamic::SPEC,
            Self::ConvDynamicSubgroup => &conv_dynamic_subgroup::SPEC,
            Self::ConvExpandDepthwise => &conv_expand_depthwise::SPEC,
            Self::ConvExpandDepthwiseSubgroup => &conv_expand_depthwise::SUBGROUP_SPEC,
            Self::ConvPointwise => &conv_pointwise::SPEC,
            Self::ConvPointwiseQuad => &conv_pointwise::QUAD_SPEC,
            Self::ConvPointwiseSplit => &conv_pointwise::SPLIT_SPEC,
            Self::ConvPointwiseSubgroup => &conv_pointwise::SUBGROUP_SPEC,
            Self::ConvPointwiseWide => &conv_pointwise::WIDE_SPEC,
            Self::ConvPointwiseWorkgroup => &conv_pointwise::WORKGROUP_SPEC,
            Self::Latent => &latent::SPEC,
            Self::LatentQuad => &latent::QUAD_SPEC,
            Self::LatentSubgroup => &latent::SUBGROUP_SPEC,
            Self::LatentWide => &latent::WIDE_SPEC,
            Self::Linear => &linear::SPEC,
            Self::Pool => &pool::SPEC,
            Self::Resize => &resize::SPEC,
            Self::Roof => &roof::SPEC,
            Self::TopK => &top_k::SPEC,
        }
    }
}

/// What a kernel needs of subgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subgroups {
    /// Nothing.
    None,
    /// Quads: at least four invocations each.
    OfFour,
    /// At least eight invocations each.
    OfEight,
    /// The same, and each workgroup is exactly one of them and uses its barrier: for software that runs lanes in lockstep.
    Whole,
}

/// What the host must know of a WGSL file.
#[derive(Debug)]
pub struct Spec {
    /// The file's name without `.wgsl`; also in labels and reports.
    pub stem: &'static str,
    /// The file's text before imports are resolved.
    pub source: &'static str,
    /// Bytes of the uniform `params` at binding 0.
    pub params_bytes: usize,
    /// Storage buffers from binding 1 on, in order.
    pub bindings: &'static [(&'static str, Access)],
    /// Entry points and the bindings that each uses, by name, in the order of `bindings`.
    pub entries: &'static [(&'static str, &'static [&'static str])],
    /// Bindings that hold maps and weights, which are stored in the launch's precision. The others hold words of 32 bits.
    pub stored: &'static [&'static str],
    /// Names of the overrides that a dispatch may set.
    pub overrides: &'static [&'static str],
    /// Overrides whose product is the number of invocations of a workgroup.
    pub workgroup: &'static [&'static str],
    /// Arrays in workgroup memory: bytes of an element, and the overrides whose product is their length.
    pub workgroup_memory: &'static [(u32, &'static [&'static str])],
    /// What it needs of subgroups.
    pub subgroups: Subgroups,
}

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
    /// The same, of what a workgroup makes for itself and nobody else reads.
    Scratch,
}

impl Spec {
    /// Those of these values whose overrides the kernel has: variants that share a launch may differ in them.
    fn known<const N: usize>(&self, values: [(&'static str, u32); N]) -> Vec<(&'static str, u32)> {
        values.into_iter().filter(|(name, _)| self.overrides.contains(name)).collect()
    }

    /// The bindings of one entry point: number, name and access.
    pub fn bindings_of(&self, entry: &str) -> Option<impl Iterator<Item = (u32, &'static str, Access)>> {
        let (_, used) = self.entries.iter().find(|(name, _)| *name == entry)?;
        let all = self.bindings.iter().zip(1..);
        Some(all.filter(|((name, _), _)| used.contains(name)).map(|((name, access), number)| (number, *name, *access)))
    }
}

/// One kernel launch without its memory: everything that follows from sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Kernel,
    /// Its entry point.
    pub entry: &'static str,
    /// How its maps and weights are stored.
    pub precision: Precision,
    /// Values of its overrides, in the order of the specification.
    pub overrides: Vec<(&'static str, u32)>,
    /// The uniform `params`, as bytes.
    pub params: Vec<u8>,
    /// Workgroups on x and y; on z there is one for each picture.
    pub workgroups: [u32; 2],
    /// Work for one picture.
    pub cost: Cost,
}

/// What one dispatch computes and moves for one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Floating-point operations: additions, multiplications, divisions and exponentials that the result needs. Comparisons
    /// are none, and what several workgroups do alike counts once.
    pub flops: u64,
    /// Bytes of distinct values read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Of the bytes read, those that are words of 32 bits in every precision.
    #[serde(skip)]
    pub single_read: u64,
    /// Of the bytes written, those that are words of 32 bits in every precision.
    #[serde(skip)]
    pub single_written: u64,
}

impl Cost {
    /// The cost of a launch that moves words of 32 bits alone.
    const fn of_words(flops: u64, bytes_read: u64, bytes_written: u64) -> Self {
        Self { flops, bytes_read, bytes_written, single_read: bytes_read, single_written: bytes_written }
    }
}

impl Dispatch {
    /// The value of an override that this dispatch sets.
    pub fn override_value(&self, name: &str) -> Option<u32> {
        self.overrides.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// Kernel, entry point, precision and override values: what tells its pipeline from others.
    pub fn pipeline_name(&self) -> String {
        let precision = if self.precision == Precision::F32 { "" } else { " f16" };
        let overrides = self.overrides.iter().map(|(name, value)| format!(" {name}={value}"));
        format!("{} {}{precision}{}", self.kernel.spec().stem, self.entry, overrides.collect::<String>())
    }

    /// Whether a binding of the entry point stands idle in this launch: a residual where nothing is added, or sums where nothing is
    /// pooled.
    pub fn ignores(&self, binding: &str) -> bool {
        match self.kernel {
            Kernel::ConvDynamic | Kernel::ConvDynamicSubgroup => conv_dynamic::ignores(self, binding),
            kernel => kernel.is_pointwise() && conv_pointwise::ignores(self, binding),
        }
    }

    /// Invocations of one workgroup.
    pub fn invocations(&self) -> u32 {
        self.product(self.kernel.spec().workgroup)
    }

    /// Bytes of memory that one workgroup shares, at most.
    pub fn workgroup_bytes(&self) -> u32 {
        let arrays = self.kernel.spec().workgroup_memory.iter();
        arrays.fold(0, |sum: u32, (bytes, length)| sum.saturating_add(bytes.saturating_mul(self.product(length))))
    }

    fn product(&self, overrides: &[&str]) -> u32 {
        overrides.iter().fold(1, |n: u32, name| n.saturating_mul(self.override_value(name).unwrap_or(u32::MAX)))
    }

    /// The params as the kernel's own type; zero where the bytes are of another length.
    fn params_as<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::try_pod_read_unaligned(&self.params).unwrap_or_else(|_| P::zeroed())
    }
}

/// Bytes of `vec4s` vec4 of f32.
const fn vec4_bytes(vec4s: u32) -> u64 {
    vec4s as u64 * 16
}

/// Splits 64 invocations over `across` neighbours on x and the rest on y: a power of two on x that covers `across`.
fn split_workgroup(across: u32, most: u32) -> [u32; 2] {
    let x = across.max(1).next_power_of_two().min(most);
    [x, 64 / x]
}
