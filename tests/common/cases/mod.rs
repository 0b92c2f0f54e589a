//! The kernels' cases: ragged shapes from a seeded sampler, each with its inputs and its reference's result.

pub mod conv_dynamic;
pub mod convolution;
pub mod dynamic;
pub mod roof;
pub mod vector;

use dynaconv::kernels::{Kernel, Nonlinearity, Pooling};

use super::array::{Array, pack, round_up};
use super::generator::uniform;
use super::real::Real;
use super::reference::{Maps, pool_sums};
use super::suite::{Case, Output, Word};

/// Changing it changes every shape and value. A case's name starts with it and says all its sizes.
const SEED: &str = "seed 1:";

const SIZES: [[usize; 2]; 5] = [[7, 7], [5, 9], [1, 1], [13, 2], [14, 14]];
const CHANNELS: [usize; 9] = [1, 3, 4, 5, 8, 13, 16, 33, 40];
const ACTIVATIONS: [Nonlinearity; 3] = [Nonlinearity::Identity, Nonlinearity::Relu, Nonlinearity::Relu6];
const POOLINGS: [Option<Pooling>; 3] = [None, Some(Pooling::Global), Some(Pooling::TwoByTwo)];

/// A kernel's cases.
///
/// The preparation of pictures has none: its sizes follow from the picture, and no plan launches it. `tests/preparation.rs` has its own.
pub fn of(kernel: Kernel) -> Vec<Case> {
    match kernel {
        Kernel::Assemble => dynamic::assemble(),
        Kernel::Controller => dynamic::controller(),
        Kernel::ControllerAssemble => dynamic::controller_assemble(),
        Kernel::ControllerAssembleQuad => dynamic::controller_assemble_quad(),
        Kernel::ControllerAssembleScratch => dynamic::controller_assemble_scratch(),
        Kernel::ControllerAssembleSubgroup => dynamic::controller_assemble_subgroup(),
        Kernel::ControllerScratch => dynamic::controller_scratch(),
        Kernel::ControllerSubgroup => dynamic::controller_subgroup(),
        Kernel::ConvDense => convolution::dense(),
        Kernel::ConvDenseQuad => convolution::dense_quad(),
        Kernel::ConvDenseSubgroup => convolution::dense_subgroup(),
        Kernel::ConvDenseWide => convolution::dense_wide(),
        Kernel::ConvDepthwise => convolution::depthwise(),
        Kernel::ConvDynamic => conv_dynamic::conv_dynamic(),
        Kernel::ConvDynamicSubgroup => conv_dynamic::conv_dynamic_subgroup(),
        Kernel::ConvExpandDepthwise => convolution::expand_depthwise(),
        Kernel::ConvExpandDepthwiseSubgroup => convolution::expand_depthwise_subgroup(),
        Kernel::ConvPointwise => convolution::pointwise(),
        Kernel::ConvPointwiseQuad => convolution::pointwise_quad(),
        Kernel::ConvPointwiseSplit => convolution::pointwise_split(),
        Kernel::ConvPointwiseWorkgroup => convolution::pointwise_workgroup(),
        Kernel::ConvPointwiseSubgroup => convolution::pointwise_subgroup(),
        Kernel::ConvPointwiseWide => convolution::pointwise_wide(),
        Kernel::Latent => dynamic::latent(),
        Kernel::LatentQuad => dynamic::latent_quad(),
        Kernel::LatentSubgroup => dynamic::latent_subgroup(),
        Kernel::LatentWide => dynamic::latent_wide(),
        Kernel::Linear => vector::linear(),
        Kernel::Pool => vector::pool(),
        Kernel::Resize => Vec::new(),
        Kernel::Roof => roof::roof(),
        Kernel::TopK => vector::top_k(),
    }
}

/// Draws sizes.
struct Sampler {
    numbers: Box<dyn Iterator<Item = f64>>,
}

impl Sampler {
    fn new(kernel: &str) -> Self {
        Self { numbers: Box::new(uniform(&format!("{SEED} {kernel}"))) }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let number = self.numbers.next().expect("the stream has no end");
        choices[(number * choices.len() as f64) as usize]
    }
}

/// Outputs `output` and, where something is pooled, `partials`.
///
/// Lanes past the last channel are zero.
fn map_outputs(maps: &Maps, pooling: Option<(Pooling, u32)>) -> Vec<Output> {
    let [pictures, channels, height, width] = maps.shape;
    let shape = [pictures, height, width, channels];
    let words =
        pack(shape, [false, false, false, true], Word::Is(Real::ZERO), |[p, y, x, c]| Word::Is(maps.at([p, c, y, x])));
    let mut outputs = vec![Output { name: "output", slots: 1, words }];
    if let Some((pooling, slots)) = pooling {
        outputs.push(sums_output("partials", maps, pooling, slots));
    }
    outputs
}

fn sums_output(name: &'static str, maps: &Maps, pooling: Pooling, slots: u32) -> Output {
    let sums = pool_sums(maps, pooling);
    let words = pack(sums.shape, [false, false, true], Word::Is(Real::ZERO), |index| Word::Is(sums.at(index)));
    Output { name, slots: slots as usize, words }
}

/// M `[picture][latent][latent]` and λ `[picture][outputs]` as `heads`; the lanes between hold what kernels must ignore.
fn pack_heads(matrix: &Array<f32, 3>, lambda: &Array<f32, 2>) -> Vec<f32> {
    let ([pictures, latent, _], outputs) = (matrix.shape, lambda.shape[1]);
    let heads = (0..pictures).flat_map(|p| {
        let m = pack([latent, latent], [true, true], 7.5, |[row, column]| matrix.at([p, row, column]));
        [m, pack([outputs], [true], 7.5, |[o]| lambda.at([p, o]))].concat()
    });
    heads.collect()
}

/// vec4 of M and λ.
fn head_groups(latent: usize, outputs: usize) -> u32 {
    ((round_up(latent) * round_up(latent) + round_up(outputs)) / 4) as u32
}
