//! Cases of the kernels that compute a dynamic convolution in one launch.

use dynaconv::kernels::controller::Shape;
use dynaconv::kernels::conv_dynamic_subgroup::{self, Made};
use dynaconv::kernels::{Dispatch, Epilogue, Pooling, WORKGROUP_BYTES, conv_dynamic};

use super::dynamic::{Assembly, Control};
use super::{ACTIVATIONS, CHANNELS, POOLINGS, Sampler, map_outputs};
use crate::common::array::{Array, pack_map};
use crate::common::reference;
use crate::common::suite::{BATCH, Case, Output, Word};

/// Epilogues of every kind, maps of one workgroup and of several.
pub fn conv_dynamic() -> Vec<Case> {
    let mut sampler = Sampler::new("conv_dynamic");
    let mut cases = Vec::new();
    for index in 0..18 {
        let sizes = (sampler.one_of(&CHANNELS), sampler.one_of(&[3, 16, 33, 40, 77]));
        let squeeze = sampler.one_of(&[4, 9, 16, 36]);
        let pooling = sampler.one_of(&[Pooling::Global, Pooling::TwoByTwo]);
        // What is wider does not fit into the memory that every device has.
        let latent = [4, 7, 8, 12, 20, 24][index % 6];
        let control = Control::random(&mut sampler, "conv_dynamic", sizes, squeeze, pooling, latent);
        let epilogue = Epilogue {
            nonlinearity: ACTIVATIONS[index % ACTIVATIONS.len()],
            residual: index % 2 == 0,
            pooling: POOLINGS[index / 2 % POOLINGS.len()],
        };
        let parts = Parts::random(control, sizes, epilogue);
        let dispatch = conv_dynamic::dispatch(parts.control.shape, epilogue);
        cases.push(parts.case(dispatch, conv_dynamic::slots, Assembly::block, None));
    }
    let several = |axis: usize| cases.iter().filter(|case| case.dispatch.workgroups[axis] > 1).count();
    assert!(several(0) >= 2 && several(1) >= 2, "several workgroups across and down");
    cases
}

/// Groups that a branch makes five at a time: fewer, as many, two more, and twice as many.
const LATENTS: [usize; 7] = [4, 7, 8, 12, 20, 28, 40];

/// Both sides the wider one and branches, epilogues of every kind, for one core and for several: runs that end within a tile's outputs or
/// pixels and at their ends.
pub fn conv_dynamic_subgroup() -> Vec<Case> {
    let mut sampler = Sampler::new("conv_dynamic_subgroup");
    let mut cases = Vec::new();
    for index in 0..64 {
        let (few, many) = (sampler.one_of(&CHANNELS), sampler.one_of(&[33, 40, 77, 150]));
        let sizes = if index % 2 == 0 { (few, many) } else { (many, few) };
        let squeeze = sampler.one_of(&[4, 9, 16, 36]);
        let pooling = sampler.one_of(&[Pooling::Global, Pooling::TwoByTwo]);
        let latent = LATENTS[index % LATENTS.len()];
        let control = Control::random(&mut sampler, "conv_dynamic_subgroup", sizes, squeeze, pooling, latent);
        let epilogue = Epilogue {
            nonlinearity: ACTIVATIONS[index / 2 % ACTIVATIONS.len()],
            residual: sampler.one_of(&[true, false]),
            pooling: sampler.one_of(&POOLINGS),
        };
        let cores = [2, 1, 3, 2][index / 4 % 4];
        let made = if index % 4 < 2 { Made::Weights } else { Made::Latent };
        let block = if made == Made::Weights { Assembly::block } else { Assembly::branch_block };
        let dispatch = conv_dynamic_subgroup::dispatch(control.shape, made, cores, epilogue, 8);
        // What does not fit is not one launch.
        if dispatch.workgroup_bytes() > WORKGROUP_BYTES {
            continue;
        }
        let vec4s = conv_dynamic_subgroup::scratch_vec4s(control.shape, made, cores, 8) as usize;
        let scratch = if made == Made::Weights { "assembled" } else { "latent" };
        let parts = Parts::random(control, sizes, epilogue);
        cases.push(parts.case(dispatch, conv_dynamic_subgroup::slots, block, Some((scratch, vec4s))));
    }
    for entry in ["columns", "rows", "branch"] {
        let met = |test: &dyn Fn(&Case) -> bool| {
            cases.iter().filter(|case| case.dispatch.entry == entry && test(case)).count()
        };
        assert!(met(&|case| case.dispatch.workgroups[0] > 1) >= 4, "{entry} in several workgroups");
        assert!(met(&|case| ends_within(&case.dispatch)) >= 2, "{entry} with runs that end within what they make");
    }
    for latent in LATENTS.map(|latent| format!(" latent {latent} ")) {
        let branch = |case: &&Case| case.dispatch.entry == "branch" && case.name.contains(&latent);
        assert!(cases.iter().any(|case| branch(&case)), "a branch with{latent}");
    }
    cases
}

/// Whether the first run ends within the tiles of an output group, or within those of a tile's pixels for a branch.
fn ends_within(dispatch: &Dispatch) -> bool {
    let word = |index: usize| u32::from_le_bytes(dispatch.params[4 * index..][..4].try_into().expect("four bytes"));
    let (pixels, out_groups, own_tiles) = (word(0) * word(1), word(3), word(13));
    let others = if dispatch.entry == "branch" { out_groups.div_ceil(8) } else { pixels.div_ceil(32) };
    dispatch.workgroups[0] > 1 && own_tiles % others != 0
}

/// A dynamic convolution with its maps.
struct Parts {
    name: String,
    control: Control,
    assembly: Assembly,
    epilogue: Epilogue,
    x: Array<f32, 4>,
    residual: Array<f32, 4>,
}

impl Parts {
    fn random(control: Control, (inputs, outputs): (usize, usize), epilogue: Epilogue) -> Self {
        let name = format!("{} {epilogue:?}", control.name);
        let [height, width] = [control.shape.height, control.shape.width].map(|side| side as usize);
        let random = |what: &str, channels| {
            Array::random(&format!("{name} {what}"), [BATCH, channels, height, width], -1.0, 1.0)
        };
        let (x, residual) = (random("x", inputs), random("residual", outputs));
        let assembly = Assembly::random(&name, inputs, outputs, control.heads[0].0.shape[0]);
        Self { name, control, assembly, epilogue, x, residual }
    }

    fn case(
        self,
        dispatch: Dispatch,
        slots: fn(Shape) -> u32,
        block: fn(&Assembly) -> Vec<f32>,
        scratch: Option<(&'static str, usize)>,
    ) -> Case {
        let Self { name, control, assembly, epilogue, x, residual } = self;
        let [outputs, inputs] = [residual.shape[1], x.shape[1]];
        let made: Vec<_> = control.heads.iter().map(|(m, lambda)| assembly.made(m, lambda)).collect();
        let w = Array::from_fn([BATCH, outputs, inputs], |[p, n, k]| made[p].0.at([n, k]));
        let sums = reference::pointwise(&x, &w);
        let added = epilogue.residual.then_some(&residual);
        let maps = reference::epilogue(&sums, |p, n| made[p].1[n], epilogue.nonlinearity, added);
        let slots = slots(control.shape);
        let mut results = map_outputs(&maps, epilogue.pooling.map(|pooling| (pooling, slots)));
        if epilogue.pooling.is_none() {
            results.push(Output { name: "partials", slots: 1, words: Vec::new() });
        }
        results.push(control.output());
        results.extend(scratch.map(|(name, vec4s)| Output {
            name,
            slots: 1,
            words: vec![Word::Free; 4 * BATCH * vec4s],
        }));
        Case {
            dispatch,
            outputs: results,
            inputs: vec![
                ("input", pack_map(&x, 0.0)),
                ("residual", pack_map(&residual, 0.0)),
                ("sums", control.sums),
                ("weights", [control.block, block(&assembly)].concat()),
            ],
            name,
        }
    }
}
