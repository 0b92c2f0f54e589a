//! Cases of the kernels that make a dynamic convolution's weights.

use dynaconv::kernels::{
    Dispatch, Kernel, Pooling, Tile, WORKGROUP_BYTES, assemble, controller, controller_assemble, latent,
};

use super::{CHANNELS, SEED, SIZES, Sampler, head_groups, pack_heads};
use crate::common::array::{
    Array, groups, pack, pack_map, pack_panels, pack_transposed, pack_vector, panels, round_up,
};
use crate::common::real::Real;
use crate::common::reference::{pixels_of_bin, product};
use crate::common::suite::{BATCH, Case, Output, Word};

const LATENTS: [usize; 6] = [4, 7, 8, 12, 20, 40];

/// M and λ of every picture.
struct Heads {
    matrix: Array<f32, 3>,
    lambda: Array<f32, 2>,
}

impl Heads {
    fn random(name: &str, latent: usize, outputs: usize) -> Self {
        Self {
            matrix: Array::random(&format!("{name} m"), [BATCH, latent, latent], -1.0, 1.0),
            lambda: Array::random(&format!("{name} lambda"), [BATCH, outputs], 0.0, 2.0),
        }
    }

    fn matrix_of(&self, picture: usize) -> Array<f32, 2> {
        let [_, rows, columns] = self.matrix.shape;
        Array::from_fn([rows, columns], |[row, column]| self.matrix.at([picture, row, column]))
    }

    fn packed(&self) -> Vec<f32> {
        pack_heads(&self.matrix, &self.lambda)
    }
}

pub fn assemble() -> Vec<Case> {
    let mut sampler = Sampler::new("assemble");
    (0..24).map(|_| assemble_case(&mut sampler)).collect()
}

fn assemble_case(sampler: &mut Sampler) -> Case {
    let (inputs, outputs) = (sampler.one_of(&CHANNELS), sampler.one_of(&CHANNELS));
    let latent = sampler.one_of(&LATENTS);
    let name = format!("{SEED} assemble {inputs}→{outputs} latent {latent}");
    let heads = Heads::random(&name, latent, outputs);
    let assembly = Assembly::random(&name, inputs, outputs, latent);
    let lambda = |p: usize| -> Vec<Real> { (0..outputs).map(|n| heads.lambda.at([p, n]).into()).collect() };
    let matrix = |p: usize| Array::from_fn([latent, latent], |[row, column]| heads.matrix.at([p, row, column]).into());
    let words = (0..BATCH).flat_map(|p| assembly.words(&matrix(p), &lambda(p))).collect();
    let shape =
        assemble::Shape { in_groups: groups(inputs), out_groups: groups(outputs), latent_groups: groups(latent) };
    Case {
        dispatch: assemble::dispatch(shape),
        inputs: vec![("weights", assembly.block()), ("heads", heads.packed())],
        outputs: vec![Output { name: "assembled", slots: 1, words }],
        name,
    }
}

/// The static values of an assembly.
pub(super) struct Assembly {
    w0: Array<f32, 2>,
    p: Array<f32, 2>,
    q: Array<f32, 2>,
    bias: Array<f32, 1>,
    q_offset: Array<f32, 1>,
    latent_offset: Array<f32, 1>,
}

impl Assembly {
    pub(super) fn random(name: &str, inputs: usize, outputs: usize, latent: usize) -> Self {
        let matrix = |what: &str, shape| Array::<f32, 2>::random(&format!("{name} {what}"), shape, -1.0, 1.0);
        let vector = |what: &str, length| Array::<f32, 1>::random(&format!("{name} {what}"), [length], -1.0, 1.0);
        Self {
            w0: matrix("w0", [outputs, inputs]),
            p: matrix("p", [outputs, latent]),
            q: matrix("q", [latent, inputs]),
            bias: vector("b", outputs),
            q_offset: vector("qo", latent),
            latent_offset: vector("lo", latent),
        }
    }

    pub(super) fn block(&self) -> Vec<f32> {
        let straight = pack(self.q.shape, [true, true], 0.0, |[l, k]| self.q.at([l, k]));
        let q = panels(&straight, round_up(self.q.shape[1]));
        let vectors = [pack_vector(&self.q_offset), pack_vector(&self.latent_offset)].concat();
        [pack_panels(&self.w0), pack_vector(&self.bias), pack_panels(&self.p), q, vectors].concat()
    }

    /// The same values where Q is a matrix of vec4 of latent channels, for a branch.
    pub(super) fn branch_block(&self) -> Vec<f32> {
        let vectors = [pack_vector(&self.q_offset), pack_vector(&self.latent_offset)].concat();
        let static_values = [pack_panels(&self.w0), pack_vector(&self.bias), pack_panels(&self.p)].concat();
        [static_values, pack_transposed(&self.q), vectors].concat()
    }

    /// W `[output][input]` and b of one picture.
    pub(super) fn made(&self, m: &Array<Real, 2>, lambda: &[Real]) -> (Array<Real, 2>, Vec<Real>) {
        let ([outputs, inputs], [latent, _]) = (self.w0.shape, self.q.shape);
        let times_m = |vector: &dyn Fn(usize) -> f32| -> Vec<Real> {
            (0..latent).map(|row| Real::sum((0..latent).map(|l| m.at([row, l]) * vector(l)))).collect()
        };
        // Column k of M·Q for every input k, and the latent vector that the offsets make.
        let columns = (0..inputs).map(|k| times_m(&|l| self.q.at([l, k])));
        let low_rank: Vec<Vec<Real>> = columns.map(|column| product(&self.p, &column)).collect();
        let offsets = times_m(&|l| self.q_offset.at([l])).into_iter().enumerate();
        let offsets: Vec<Real> = offsets.map(|(l, t)| t + self.latent_offset.at([l])).collect();
        let low_rank_bias = product(&self.p, &offsets);
        let w = Array::from_fn([outputs, inputs], |[n, k]| lambda[n] * self.w0.at([n, k]) + low_rank[k][n]);
        (w, (0..outputs).map(|n| low_rank_bias[n] + self.bias.at([n])).collect())
    }

    /// The same as it is stored.
    fn words(&self, m: &Array<Real, 2>, lambda: &[Real]) -> Vec<Word> {
        let (w, b) = self.made(m, lambda);
        let ([outputs, inputs], zero) = (w.shape, Word::Is(Real::ZERO));
        let words = pack([inputs, outputs], [true, true], zero, |[k, n]| Word::Is(w.at([n, k])));
        [panels(&words, round_up(outputs)), pack([outputs], [true], zero, |[n]| Word::Is(b[n]))].concat()
    }
}

pub fn controller() -> Vec<Case> {
    controller_in(Tile::Small)
}

/// With what a workgroup shares in a buffer.
pub fn controller_scratch() -> Vec<Case> {
    controller_in(Tile::Wide)
}

/// In workgroups of eight, which are subgroups on lavapipe.
pub fn controller_subgroup() -> Vec<Case> {
    controller_in(Tile::Subgroup(8))
}

/// Squeezes that fill their groups and that do not, both pools, and heads enough for several workgroups.
fn controller_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("controller");
    let mut cases = Vec::new();
    for squeeze in [4, 9, 16, 100] {
        for pooling in [Pooling::Global, Pooling::TwoByTwo] {
            for latent in [sampler.one_of(&LATENTS), 4] {
                cases.push(controller_case(&mut sampler, tile, squeeze, pooling, latent));
            }
        }
    }
    cases.push(controller_case(&mut sampler, tile, 4, Pooling::TwoByTwo, 64));
    cases.push(controller_case(&mut sampler, tile, 4, Pooling::Global, 63));
    assert!(cases.iter().filter(|case| case.dispatch.workgroups[0] > 1).count() >= 2, "several workgroups of heads");
    cases
}

fn controller_case(sampler: &mut Sampler, tile: Tile, squeeze: usize, pooling: Pooling, latent: usize) -> Case {
    let sizes = (sampler.one_of(&CHANNELS), sampler.one_of(&CHANNELS));
    let control = Control::random(sampler, "controller", sizes, squeeze, pooling, latent);
    let dispatch = controller::dispatch(control.shape, tile);
    let vectors = hidden(control.shape);
    // The pool's first result, and the hidden vector's last before its gate.
    let scratch = (dispatch.kernel == Kernel::ControllerScratch).then(|| {
        rooms(&dispatch, vectors, |_| vec![0, vectors - 1], controller::scratch_vec4s(control.shape, &dispatch))
    });
    Case {
        outputs: std::iter::once(control.output()).chain(scratch).collect(),
        dispatch,
        inputs: vec![("partials", control.sums), ("weights", control.block)],
        name: control.name,
    }
}

/// Vectors of a controller.
fn hidden(shape: controller::Shape) -> usize {
    (shape.pooled_groups().max(shape.squeeze_groups) + shape.squeeze_groups) as usize
}

/// What a launch's workgroups share in a buffer of `vec4s` for each picture: each has a room with the sums of its invocations and then
/// `own` vec4, of which those that `used` names for a workgroup are written.
fn rooms(dispatch: &Dispatch, own: usize, used: impl Fn(usize) -> Vec<usize>, vec4s: u64) -> Output {
    let [workgroups, sums] = [dispatch.workgroups[0], 2 * dispatch.invocations()].map(|number| number as usize);
    assert_eq!(vec4s as usize, workgroups * (sums + own), "{dispatch:?}");
    let room = |workgroup: usize| {
        let mut words = vec![Word::Free; 4 * (sums + own)];
        used(workgroup).into_iter().for_each(|at| words[4 * (sums + at)..][..4].fill(Word::Unspecified));
        words
    };
    let words = (0..BATCH).flat_map(|_| (0..workgroups).flat_map(room)).collect();
    Output { name: "scratch", slots: 1, words }
}

/// A controller with what it makes.
pub(super) struct Control {
    pub(super) name: String,
    pub(super) shape: controller::Shape,
    pub(super) sums: Vec<f32>,
    pub(super) block: Vec<f32>,
    /// M and λ of each picture.
    pub(super) heads: Vec<(Array<Real, 2>, Vec<Real>)>,
}

impl Control {
    pub(super) fn random(
        sampler: &mut Sampler,
        kernel: &str,
        (inputs, outputs): (usize, usize),
        squeeze: usize,
        pooling: Pooling,
        latent: usize,
    ) -> Self {
        let [height, width] = sampler.one_of(&SIZES);
        let slots = sampler.one_of(&[1, 3, 7]);
        let name = format!(
            "{SEED} {kernel} {height}×{width}×{inputs} {slots} slots {pooling:?} squeeze {squeeze} latent {latent} →{outputs}"
        );
        let bins = pooling.count() as usize;
        // Scales that keep the gates inside their range more often than not.
        let matrix = |what: &str, rows: usize, columns: usize| {
            let scale = 3.0 / (columns as f32).sqrt();
            Array::<f32, 2>::random(&format!("{name} {what}"), [rows, columns], -scale, scale)
        };
        let (fc0, gate) = (matrix("fc0", squeeze, inputs * bins), matrix("gate", squeeze, squeeze));
        let (phi, scale) = (matrix("phi", latent * latent, squeeze), matrix("scale", outputs, squeeze));
        let pixels = pixels_of_bin(height, width, 0, pooling) as f32;
        let partials = Array::random(&format!("{name} sums"), [BATCH, slots, bins, inputs], -pixels, 1.5 * pixels);

        let heads_of = |picture: usize| {
            // Column c·bins + bin of fc0, as in the authors' files.
            let pooled = |column: usize| {
                let (c, bin) = (column / bins, column % bins);
                let sum = Real::sum((0..slots).map(|slot| partials.at([picture, slot, bin, c]).into()));
                sum.over(pixels_of_bin(height, width, bin, pooling) as f32)
            };
            let y = product(&fc0, &(0..inputs * bins).map(pooled).collect::<Vec<_>>());
            let gates = product(&gate, &y);
            let y: Vec<Real> = y.iter().zip(gates).map(|(y, g)| *y * (g + 3.0f32).relu6()).collect();
            let (m, lambda) = (product(&phi, &y), product(&scale, &y));
            let identity = |row, column| if row == column { 1.0f32 } else { 0.0 };
            let m = Array::from_fn([latent, latent], |[row, column]| m[row * latent + column] + identity(row, column));
            (m, lambda.into_iter().map(|value| (value + 3.0f32).relu6()).collect())
        };
        let first = pack([bins, inputs, squeeze], [false, true, true], 0.0, |[bin, c, s]| fc0.at([s, c * bins + bin]));
        // One row of the heads for each hidden value: M, padded on both axes, then λ.
        let heads = (0..round_up(squeeze)).flat_map(|s| {
            let value = |matrix: &Array<f32, 2>, row| if s < squeeze { matrix.at([row, s]) } else { 0.0 };
            let m = pack([latent, latent], [true, true], 0.0, |[row, column]| value(&phi, row * latent + column));
            [m, pack([outputs], [true], 0.0, |[o]| value(&scale, o))].concat()
        });
        let heads = panels(&heads.collect::<Vec<f32>>(), round_up(latent) * round_up(latent) + round_up(outputs));
        let block = [panels(&first, round_up(squeeze)), pack_panels(&gate), heads].concat();
        let shape = controller::Shape {
            height: height as u32,
            width: width as u32,
            in_groups: groups(inputs),
            slots: slots as u32,
            pooling,
            squeeze_groups: groups(squeeze),
            latent_groups: groups(latent),
            out_groups: groups(outputs),
        };
        let sums = pack(partials.shape, [false, false, false, true], 0.0, |index| partials.at(index));
        Self { shape, sums, block, heads: (0..BATCH).map(heads_of).collect(), name }
    }

    pub(super) fn output(&self) -> Output {
        let words = self.heads.iter().flat_map(|(m, lambda)| {
            let m = pack(m.shape, [true, true], Word::Finite, |index| Word::Is(m.at(index)));
            [m, pack([lambda.len()], [true], Word::Finite, |[o]| Word::Is(lambda[o]))].concat()
        });
        Output { name: "heads", slots: 1, words: words.collect() }
    }
}

pub fn controller_assemble() -> Vec<Case> {
    controller_assemble_in(Tile::Small)
}

/// In quads that load a factor together, with what they share in a buffer.
pub fn controller_assemble_quad() -> Vec<Case> {
    controller_assemble_in(Tile::Quad)
}

/// With what a workgroup shares in a buffer.
pub fn controller_assemble_scratch() -> Vec<Case> {
    controller_assemble_in(Tile::Wide)
}

/// In workgroups of eight, likewise.
pub fn controller_assemble_subgroup() -> Vec<Case> {
    controller_assemble_in(Tile::Subgroup(8))
}

/// Both sides the wider one, in one workgroup and in several, with last ones that are narrower; the last four with groups on the
/// narrower side that are no whole tiles.
fn controller_assemble_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("controller_assemble");
    let mut cases = Vec::new();
    for index in 0..22 {
        let (few, many, latent) = match index {
            0 | 1 => (77, 150, 24),
            18 | 19 => (33, 60, 20),
            20 | 21 => (77, 150, 26),
            _ => {
                let (few, many) = (sampler.one_of(&CHANNELS), sampler.one_of(&[3, 16, 33, 77, 150, 260]));
                (few, many, LATENTS[index % LATENTS.len()])
            }
        };
        let sizes = if index % 2 == 0 { (few, many) } else { (many, few) };
        let squeeze = sampler.one_of(&[4, 9, 16, 36]);
        let pooling = sampler.one_of(&[Pooling::Global, Pooling::TwoByTwo]);
        let control = Control::random(&mut sampler, "controller_assemble", sizes, squeeze, pooling, latent);
        let assembly = Assembly::random(&control.name, sizes.0, sizes.1, latent);
        let words = control.heads.iter().flat_map(|(m, lambda)| assembly.words(m, lambda)).collect();
        let dispatch = controller_assemble::dispatch(control.shape, tile);
        // What does not fit is two launches.
        if dispatch.workgroup_bytes() > WORKGROUP_BYTES {
            continue;
        }
        let made = [control.output(), Output { name: "assembled", slots: 1, words }];
        let room = controller_assemble::scratch_vec4s(control.shape, &dispatch);
        let scratch = (room > 0).then(|| rooms_of_assembly(control.shape, &dispatch));
        cases.push(Case {
            outputs: made.into_iter().chain(scratch).collect(),
            dispatch,
            inputs: vec![("partials", control.sums), ("weights", [control.block, assembly.block()].concat())],
            name: control.name,
        });
    }
    for entry in ["columns", "rows"] {
        assert!(cases.iter().filter(|case| case.dispatch.entry == entry).count() >= 6, "{entry}");
    }
    // Software gets two.
    let many = if tile == Tile::Small { 3 } else { 2 };
    assert!(cases.iter().filter(|case| case.dispatch.workgroups[0] >= many).count() >= 2, "several workgroups");
    cases
}

/// The rooms of such a launch: vectors or the product on the narrower side, then M and λ of the workgroup's outputs, which are fewer in
/// the last one.
fn rooms_of_assembly(shape: controller::Shape, dispatch: &Dispatch) -> Output {
    let controller::Shape { in_groups, out_groups, latent_groups, .. } = shape;
    let [narrow, wide] = [in_groups.min(out_groups), in_groups.max(out_groups)];
    let vectors = hidden(shape).max(((4 * narrow + 1) * latent_groups) as usize);
    let columns = dispatch.entry == "columns";
    let outputs = if columns { wide.div_ceil(8 * 2) * 8 } else { out_groups } as usize;
    let heads = (4 * latent_groups * latent_groups) as usize + outputs;
    let last = dispatch.workgroups[0] as usize - 1;
    let used = |workgroup| match columns && workgroup == last {
        true => vec![0, vectors],
        false => vec![0, vectors, vectors + heads - 1],
    };
    rooms(dispatch, vectors + heads, used, controller_assemble::scratch_vec4s(shape, dispatch))
}

pub fn latent() -> Vec<Case> {
    latent_in(Tile::Small)
}

pub fn latent_wide() -> Vec<Case> {
    let mut cases = latent_in(Tile::Wide);
    cases.retain(|case| case.dispatch.kernel == Kernel::LatentWide);
    cases
}

/// Every other case in workgroups of several quads.
pub fn latent_quad() -> Vec<Case> {
    let mut cases = latent_in(Tile::Quad);
    cases.retain(|case| case.dispatch.kernel == Kernel::LatentQuad);
    for case in cases.iter_mut().skip(1).step_by(2) {
        let larger = case.dispatch.variants().into_iter().find(|variant| variant.name == "32");
        case.dispatch = larger.expect("quads lie in one row").dispatch;
    }
    cases
}

/// In workgroups of eight, which any subgroup of eight or more computes.
pub fn latent_subgroup() -> Vec<Case> {
    let mut cases = latent_in(Tile::Subgroup(8));
    cases.retain(|case| case.dispatch.kernel == Kernel::LatentSubgroup);
    cases
}

fn latent_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("latent");
    // The most that tiles of a few pixels have room for, and more than one tile of quads.
    let wide: &[usize] = if matches!(tile, Tile::Quad | Tile::Wide) { &[52, 64] } else { &[] };
    let latents = [&LATENTS, wide].concat();
    (0..18).map(|index| latent_case(&mut sampler, latents[index % latents.len()], tile)).collect()
}

fn latent_case(sampler: &mut Sampler, latent: usize, tile: Tile) -> Case {
    let [height, width] = sampler.one_of(&SIZES);
    let (inputs, outputs) = (sampler.one_of(&CHANNELS), sampler.one_of(&CHANNELS));
    let name = format!("{SEED} latent {height}×{width}×{inputs} latent {latent} heads of {outputs}");
    let x = Array::random(&format!("{name} x"), [BATCH, inputs, height, width], -1.0, 1.0);
    let q = Array::random(&format!("{name} q"), [latent, inputs], -1.0, 1.0);
    let q_offset = Array::random(&format!("{name} qo"), [latent], -1.0, 1.0);
    let latent_offset = Array::random(&format!("{name} lo"), [latent], -1.0, 1.0);
    let heads = Heads::random(&name, latent, outputs);

    let mut words = Vec::new();
    for picture in 0..BATCH {
        let m = heads.matrix_of(picture);
        for pixel in 0..height * width {
            let at = |c| Real::from(x.at([picture, c, pixel / width, pixel % width]));
            let z = product(&q, &(0..inputs).map(at).collect::<Vec<_>>());
            let z: Vec<Real> = z.into_iter().enumerate().map(|(l, z)| z + q_offset.at([l])).collect();
            let t = product(&m, &z);
            words.extend(pack([latent], [true], Word::Finite, |[l]| Word::Is(t[l] + latent_offset.at([l]))));
        }
    }
    let shape = latent::Shape {
        pixels: (height * width) as u32,
        in_groups: groups(inputs),
        latent_groups: groups(latent),
        head_groups: head_groups(latent, outputs),
    };
    let block = [pack_transposed(&q), pack_vector(&q_offset), pack_vector(&latent_offset)];
    Case {
        dispatch: latent::dispatch(shape, tile),
        inputs: vec![("input", pack_map(&x, 0.0)), ("weights", block.concat()), ("heads", heads.packed())],
        outputs: vec![Output { name: "latent", slots: 1, words }],
        name,
    }
}
