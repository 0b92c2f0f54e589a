//! Image networks with dynamic convolution on any GPU, through wgpu and WGSL compute shaders.

pub mod classifier;
pub mod exec;
pub mod graph;
pub mod kernels;
pub mod lower;
pub mod model;
pub mod picture;
pub mod plan;
pub mod tensor;
