//! Image networks with dynamic convolution on any GPU, through wgpu and WGSL compute shaders.
//!
//! A dynamic convolution makes its own weights for each picture. The method is dynamic convolution decomposition (Li et al.,
//! ICLR 2021): W(x) = Λ(x)·W₀ + P·Φ(x)·Qᵀ, where a small MLP on the pooled input yields Λ and Φ.
//!
//! [`classifier`] is the whole way from pictures to the most probable classes and the place to start. Below it, in the order
//! in which a network passes through: [`model`] reads files, [`graph`] holds networks and folds them, [`lower`] turns them into a
//! [`plan`] of [`kernels`], and [`exec`] runs it. [`profile`] says where the time goes,
//! and [`tune`] which way to compute each layer is the fastest on a device.
//!
//! ```
//! use dynaconv::graph::networks::{Architecture, MobileNetV2};
//! use dynaconv::lower::{FormChoice, multiply_adds};
//! use dynaconv::plan::Limits;
//!
//! let base = MobileNetV2::imagenet(1.0);
//! let network = Architecture::MobileNetV2Dcd { base, fc_squeeze: 16 }.build()?;
//! assert_eq!(network.parameter_count(), 5_720_028);
//! assert_eq!(multiply_adds(&network, FormChoice::Auto, &Limits::default()), 326_371_068);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod classifier;
pub mod exec;
pub mod graph;
pub mod kernels;
pub mod lower;
pub mod model;
pub mod picture;
pub mod plan;
pub mod profile;
pub mod tensor;
pub mod tune;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub mod web;

/// The README's samples, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
