//! Cases of the convolutions.
//!
//! What decides a pipeline is drawn first, then several shapes for it: compiling is what takes the time.

use dynaconv::kernels::{
    Epilogue, Nonlinearity, Pooling, Tile, conv_dense, conv_depthwise, conv_expand_depthwise, conv_pointwise,
};

use super::{ACTIVATIONS, CHANNELS, POOLINGS, SEED, SIZES, Sampler, head_groups, map_outputs, pack_heads};
use crate::common::array::{Array, groups, pack, pack_map, pack_panels, pack_vector};
use crate::common::real::Real;
use crate::common::reference::{self, Geometry};
use crate::common::suite::{BATCH, Case, Output};

/// Draws a stride and padding that fit the size; paddings differ from side to side.
fn geometry(sampler: &mut Sampler, [height, width]: [usize; 2], kernel: usize) -> Geometry {
    let stride = sampler.one_of(&[1, 2, 3]);
    let paddings: Vec<usize> = (0..kernel.min(4)).collect();
    let even = sampler.one_of(&[false, true]);
    let mut side = |size: usize| {
        let before = if even { kernel / 2 } else { sampler.one_of(&paddings) };
        let after = if even { kernel / 2 } else { sampler.one_of(&paddings) };
        // A map smaller than the kernel needs the difference as padding.
        let after = after.max(kernel.saturating_sub(size + before));
        (before, (size + before + after - kernel) / stride + 1)
    };
    let ((top, rows), (left, columns)) = (side(height), side(width));
    Geometry { stride, top, left, output: [rows, columns] }
}

fn draw_epilogue(sampler: &mut Sampler) -> Epilogue {
    Epilogue { nonlinearity: sampler.one_of(&ACTIVATIONS), residual: false, pooling: sampler.one_of(&POOLINGS) }
}

fn corner(g: Geometry) -> [u32; 2] {
    [g.top as u32, g.left as u32]
}

fn sides(size: [usize; 2]) -> [u32; 2] {
    size.map(|side| side as u32)
}

pub fn dense() -> Vec<Case> {
    dense_in(Tile::Small)
}

pub fn dense_wide() -> Vec<Case> {
    dense_in(Tile::Wide)
}

pub fn dense_quad() -> Vec<Case> {
    in_all_workgroups(dense_in(Tile::Quad))
}

/// Every other case in workgroups of several quads, as `ab` tries them and large maps have them.
fn in_all_workgroups(mut cases: Vec<Case>) -> Vec<Case> {
    for case in cases.iter_mut().skip(1).step_by(2) {
        let larger = case.dispatch.variants().into_iter().find(|variant| variant.name == "32×1");
        case.dispatch = larger.expect("quads lie in one row").dispatch;
    }
    cases
}

/// Channels of outputs. A tile of quads has eight groups, so they get more than two tiles' worth.
fn outputs_of(sampler: &mut Sampler, tile: Tile) -> usize {
    let channels: &[usize] = if tile == Tile::Quad { &[3, 13, 33, 45, 61, 72] } else { &CHANNELS };
    sampler.one_of(channels)
}

/// In workgroups of eight, which any subgroup of eight or more computes.
pub fn dense_subgroup() -> Vec<Case> {
    dense_in(Tile::Subgroup(8))
}

fn dense_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("conv_dense");
    let mut cases = Vec::new();
    for _ in 0..12 {
        let (kernel, outputs) = (sampler.one_of(&[1, 3, 5]), outputs_of(&mut sampler, tile));
        let epilogue = draw_epilogue(&mut sampler);
        cases.extend((0..4).map(|_| dense_case(&mut sampler, kernel, outputs, epilogue, tile)));
    }
    cases
}

fn dense_case(sampler: &mut Sampler, kernel: usize, outputs: usize, epilogue: Epilogue, tile: Tile) -> Case {
    let (size, inputs) = (sampler.one_of(&SIZES), sampler.one_of(&[1, 3, 4, 5, 13]));
    let g = geometry(sampler, size, kernel);
    let name = format!("{SEED} conv_dense {size:?} {inputs}→{outputs} {kernel}×{kernel} {g:?} {epilogue:?}");
    let x = Array::random(&format!("{name} x"), [BATCH, inputs, size[0], size[1]], -1.0, 1.0);
    let weight = Array::random(&format!("{name} w"), [outputs, inputs, kernel, kernel], -1.0, 1.0);
    let bias = Array::random(&format!("{name} b"), [outputs], -4.0, 6.0);

    let shape = conv_dense::Shape {
        input: sides(size),
        in_groups: groups(inputs),
        output: sides(g.output),
        out_groups: groups(outputs),
        kernel: kernel as u32,
        stride: g.stride as u32,
        padding: corner(g),
    };
    let taps = [kernel, kernel, inputs, outputs];
    let packed = pack(taps, [false, false, true, true], 0.0, |[ky, kx, i, o]| weight.at([o, i, ky, kx]));
    let sums = reference::convolution(&x, &weight, g, false);
    let maps = reference::epilogue(&sums, |_, c| bias.at([c]), epilogue.nonlinearity, None);
    Case {
        dispatch: conv_dense::dispatch(shape, epilogue, tile),
        inputs: vec![("input", pack_map(&x, 0.0)), ("weights", [packed, pack_vector(&bias)].concat())],
        outputs: map_outputs(&maps, epilogue.pooling.map(|pooling| (pooling, shape.slots(tile)))),
        name,
    }
}

pub fn depthwise() -> Vec<Case> {
    let mut sampler = Sampler::new("conv_depthwise");
    let mut cases = Vec::new();
    for _ in 0..20 {
        let (kernel, channels) = (sampler.one_of(&[3, 5]), sampler.one_of(&CHANNELS));
        let epilogue = draw_epilogue(&mut sampler);
        // Where they can roll, two in three do.
        cases.extend((0..6).map(|index| depthwise_case(&mut sampler, kernel, channels, epilogue, index % 3 > 0)));
    }
    cases
}

fn depthwise_case(sampler: &mut Sampler, kernel: usize, channels: usize, epilogue: Epilogue, rolling: bool) -> Case {
    // Some have more rows than the tallest tile.
    let size = sampler.one_of(&[[7, 7], [5, 9], [1, 1], [13, 2], [14, 14], [29, 6], [61, 5], [32, 3]]);
    let g = geometry(sampler, size, kernel);
    let name = format!("{SEED} conv_depthwise {size:?} {channels} {kernel}×{kernel} {g:?} {epilogue:?}");
    let x = Array::random(&format!("{name} x"), [BATCH, channels, size[0], size[1]], -1.0, 1.0);
    let weight = Array::random(&format!("{name} w"), [channels, 1, kernel, kernel], -1.0, 1.0);
    let bias = Array::random(&format!("{name} b"), [channels], -4.0, 6.0);

    let shape = conv_depthwise::Shape {
        input: sides(size),
        output: sides(g.output),
        groups: groups(channels),
        kernel: kernel as u32,
        stride: g.stride as u32,
        padding: corner(g),
        tile_rows: sampler.one_of(&[1, 4, 14]),
        rolling,
    };
    let taps = [kernel, kernel, channels];
    let packed = pack(taps, [false, false, true], 0.0, |[ky, kx, c]| weight.at([c, 0, ky, kx]));
    let sums = reference::convolution(&x, &weight, g, true);
    let maps = reference::epilogue(&sums, |_, c| bias.at([c]), epilogue.nonlinearity, None);
    Case {
        dispatch: conv_depthwise::dispatch(shape, epilogue),
        inputs: vec![("input", pack_map(&x, 0.0)), ("weights", [packed, pack_vector(&bias)].concat())],
        outputs: map_outputs(&maps, epilogue.pooling.map(|pooling| (pooling, shape.slots()))),
        name,
    }
}

pub fn expand_depthwise() -> Vec<Case> {
    expand_depthwise_in(Tile::Small)
}

/// In workgroups of eight, which any subgroup of eight or more computes.
pub fn expand_depthwise_subgroup() -> Vec<Case> {
    expand_depthwise_in(Tile::Subgroup(8))
}

fn expand_depthwise_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("conv_expand_depthwise");
    let mut cases = Vec::new();
    for pooled in [false, true] {
        for nonlinearity in ACTIVATIONS {
            let case = |sets: bool| expand_depthwise_case(&mut sampler, sets, nonlinearity, pooled, tile);
            cases.extend([false, false, true, true].map(case));
        }
    }
    cases
}

fn expand_depthwise_case(
    sampler: &mut Sampler,
    per_picture: bool,
    nonlinearity: Nonlinearity,
    pooled: bool,
    tile: Tile,
) -> Case {
    let size = sampler.one_of(&[[7, 7], [5, 9], [1, 1], [13, 2], [14, 14], [29, 6], [9, 33]]);
    let (inputs, channels) = (sampler.one_of(&CHANNELS), sampler.one_of(&CHANNELS));
    let g = loop {
        let drawn = geometry(sampler, size, 3);
        if drawn.stride == 2 {
            break drawn;
        }
    };
    let name = format!(
        "{SEED} conv_expand_depthwise {size:?} {inputs}→{channels} {per_picture} {g:?} {nonlinearity:?} {pooled}"
    );
    let x = Array::random(&format!("{name} x"), [BATCH, inputs, size[0], size[1]], -1.0, 1.0);
    let sets = if per_picture { BATCH } else { 1 };
    let weight = Array::random(&format!("{name} w"), [sets, channels, inputs], -1.0, 1.0);
    let expansion_bias = Array::random(&format!("{name} e"), [sets, channels], -1.0, 2.0);
    let taps = Array::random(&format!("{name} t"), [channels, 1, 3, 3], -1.0, 1.0);
    let bias = Array::random(&format!("{name} b"), [channels], -4.0, 6.0);
    let set = |p: usize| p.min(sets - 1);

    let mut block = Vec::new();
    for s in 0..sets {
        block.extend(pack_panels(&Array::from_fn([channels, inputs], |[o, i]| weight.at([s, o, i]))));
        block.extend(pack_vector(&Array::from_fn([channels], |[o]| expansion_bias.at([s, o]))));
    }
    let matrix = Array::from_fn([BATCH, channels, inputs], |[p, o, i]| weight.at([set(p), o, i]));
    let sums = reference::pointwise(&x, &matrix);
    let expanded = reference::epilogue(&sums, |p, c| expansion_bias.at([set(p), c]), nonlinearity, None);
    let sums = reference::convolution(&expanded, &taps, g, true);
    let maps = reference::epilogue(&sums, |_, c| bias.at([c]), nonlinearity, None);

    let shape = conv_expand_depthwise::Shape {
        input: sides(size),
        output: sides(g.output),
        in_groups: groups(inputs),
        groups: groups(channels),
        padding: corner(g),
        tile_rows: sampler.one_of(&[1, 4, 14]),
    };
    let packed = pack([3, 3, channels], [false, false, true], 0.0, |[ky, kx, c]| taps.at([c, 0, ky, kx]));
    Case {
        dispatch: conv_expand_depthwise::dispatch(shape, per_picture, nonlinearity, pooled, tile),
        inputs: vec![("input", pack_map(&x, 0.0)), ("weights", block), ("taps", [packed, pack_vector(&bias)].concat())],
        outputs: map_outputs(&maps, pooled.then(|| (Pooling::Global, shape.slots(tile)))),
        name,
    }
}

/// Where a pointwise case's weights come from.
#[derive(Clone, Copy, Debug)]
enum Weights {
    Static,
    PerPicture,
    Branch { latent: usize },
}

/// Every entry point and source of weights, with two epilogues in two shapes each.
pub fn pointwise() -> Vec<Case> {
    pointwise_in(Tile::Small)
}

pub fn pointwise_wide() -> Vec<Case> {
    pointwise_in(Tile::Wide)
}

pub fn pointwise_split() -> Vec<Case> {
    pointwise_in(Tile::Split)
}

pub fn pointwise_workgroup() -> Vec<Case> {
    pointwise_in(Tile::Workgroup)
}

pub fn pointwise_quad() -> Vec<Case> {
    in_all_workgroups(pointwise_in(Tile::Quad))
}

/// In workgroups of eight, which any subgroup of eight or more computes.
pub fn pointwise_subgroup() -> Vec<Case> {
    pointwise_in(Tile::Subgroup(8))
}

fn pointwise_in(tile: Tile) -> Vec<Case> {
    let mut sampler = Sampler::new("conv_pointwise");
    let mut cases = Vec::new();
    for _ in 0..2 {
        for residual in [false, true] {
            for pooling in POOLINGS {
                let latent = sampler.one_of(&[4, 7, 12, 20, 40]);
                for weights in [Weights::Static, Weights::PerPicture, Weights::Branch { latent }] {
                    let epilogue = Epilogue { nonlinearity: sampler.one_of(&ACTIVATIONS), residual, pooling };
                    let outputs = outputs_of(&mut sampler, tile);
                    cases.extend((0..2).map(|_| pointwise_case(&mut sampler, weights, outputs, epilogue, tile)));
                }
            }
        }
    }
    cases
}

fn pointwise_case(sampler: &mut Sampler, weights: Weights, outputs: usize, epilogue: Epilogue, tile: Tile) -> Case {
    let size @ [height, width] = sampler.one_of(&SIZES);
    let inputs = sampler.one_of(&CHANNELS);
    let name = format!("{SEED} conv_pointwise {size:?} {inputs}→{outputs} {weights:?} {epilogue:?}");
    let random =
        |what: &str, channels| Array::random(&format!("{name} {what}"), [BATCH, channels, height, width], -1., 1.);
    let (x, residual) = (random("x", inputs), random("residual", outputs));
    let sets = if matches!(weights, Weights::PerPicture) { BATCH } else { 1 };
    let weight = Array::random(&format!("{name} w"), [sets, outputs, inputs], -1.0, 1.0);
    let bias = Array::random(&format!("{name} b"), [sets, outputs], -4.0, 6.0);
    let set = |p: usize| p.min(sets - 1);

    let mut block = Vec::new();
    for s in 0..sets {
        block.extend(pack_panels(&Array::from_fn([outputs, inputs], |[o, i]| weight.at([s, o, i]))));
        block.extend(pack_vector(&Array::from_fn([outputs], |[o]| bias.at([s, o]))));
    }
    let matrix = Array::from_fn([BATCH, outputs, inputs], |[p, o, i]| weight.at([set(p), o, i]));
    let mut sums = reference::pointwise(&x, &matrix);
    let mut memory = vec![("input", pack_map(&x, 0.0)), ("residual", pack_map(&residual, 0.0))];
    let kind = match weights {
        Weights::Static => conv_pointwise::Weights::Static,
        Weights::PerPicture => conv_pointwise::Weights::PerPicture,
        Weights::Branch { latent } => {
            let t = random("latent", latent);
            let p = Array::random(&format!("{name} p"), [outputs, latent], -1.0, 1.0);
            let lambda = Array::random(&format!("{name} lambda"), [BATCH, outputs], 0.0, 2.0);
            let ignored = Array::random(&format!("{name} m"), [BATCH, latent, latent], -1.0, 1.0);
            let branch = reference::pointwise(&t, &Array::from_fn([BATCH, outputs, latent], |[_, o, l]| p.at([o, l])));
            sums = reference::map(&sums, |index @ [p, c, _, _], sum| sum * lambda.at([p, c]) + branch.at(index));
            block.extend(pack_panels(&p));
            memory.push(("heads", pack_heads(&ignored, &lambda)));
            memory.push(("latent", pack_map(&t, 0.0)));
            assert_eq!(memory[2].1.len(), BATCH * 4 * head_groups(latent, outputs) as usize);
            conv_pointwise::Weights::Branch { latent_groups: groups(latent) }
        }
    };
    memory.push(("weights", block));

    let shape = conv_pointwise::Shape {
        height: height as u32,
        width: width as u32,
        in_groups: groups(inputs),
        out_groups: groups(outputs),
    };
    let added = epilogue.residual.then_some(&residual);
    let maps = reference::epilogue(&sums, |p, c| bias.at([set(p), c]), epilogue.nonlinearity, added);
    let mut outputs = map_outputs(&maps, epilogue.pooling.map(|pooling| (pooling, shape.slots(tile))));
    if epilogue.pooling.is_none() {
        outputs.push(Output { name: "partials", slots: 1, words: Vec::new() });
    }
    Case { dispatch: conv_pointwise::dispatch(shape, kind, epilogue, tile), inputs: memory, outputs, name }
}

/// A map of single values, for references that take none.
pub fn exact(map: &Array<f32, 4>) -> Array<Real, 4> {
    Array::from_fn(map.shape, |index| map.at(index).into())
}
