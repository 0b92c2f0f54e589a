//! Image networks with dynamic convolution on any GPU, through wgpu and WGSL compute shaders.

pub mod graph;
pub mod model;
pub mod picture;
pub mod tensor;
