//! Rearranges folded weights into the blocks that the kernels read.
//!
//! Matrices are transposed so that the four lanes of a vec4 are neighbouring outputs, and padded with zeros to whole
//! groups of four on both sides; zeros leave every result as it is. Those that kernels stream through lie in panels.

use crate::graph::DynamicWeights;
use crate::kernels::in_panels;
use crate::tensor::{GROUP, groups};

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4, in panels.
pub fn panels(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    in_panels(&transposed(weight, outputs, inputs), padded(outputs))
}

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4.
fn transposed(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let columns = padded(outputs);
    let mut out = vec![0.0; padded(inputs) * columns];
    for (output, row) in weight.chunks_exact(inputs).enumerate() {
        for (input, value) in row.iter().enumerate() {
            out[input * columns + output] = *value;
        }
    }
    out
}

/// `weight[rows][columns]` as it stands, with both sides padded.
fn straight(weight: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; padded(rows) * padded(columns)];
    for (target, source) in out.chunks_exact_mut(padded(columns)).zip(weight.chunks_exact(columns)) {
        target[..columns].copy_from_slice(source);
    }
    out
}

/// A vector, padded.
pub fn vector(values: &[f32]) -> Vec<f32> {
    let mut out = values.to_vec();
    out.resize(padded(values.len()), 0.0);
    out
}

/// `weight[outputs][inputs][kernel²]` as `[kernel²][4·in_groups][out_groups]` of vec4: one transposed matrix for each tap.
pub fn dense(weight: &[f32], outputs: usize, inputs: usize, taps: usize) -> Vec<f32> {
    let tap_of = |tap: usize| weight.iter().copied().skip(tap).step_by(taps).collect::<Vec<f32>>();
    (0..taps).flat_map(|tap| transposed(&tap_of(tap), outputs, inputs)).collect()
}

/// `weight[channels][kernel²]` as `[kernel²][groups]` of vec4.
pub fn depthwise(weight: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    let tap_of = |tap: usize| weight.iter().copied().skip(tap).step_by(taps).collect::<Vec<f32>>();
    (0..taps).flat_map(|tap| vector(&tap_of(tap)[..channels])).collect()
}

/// The block of `kernels::controller`: fc0, gate, and the heads of Φ and λ.
pub fn controller(w: &DynamicWeights) -> Vec<f32> {
    let (bins, squeeze, latent) = (w.sizes.bins * w.sizes.bins, w.sizes.squeeze, w.sizes.latent);
    // Columns of fc0 run channel by channel in the file, bin by bin in memory.
    let fc0 = (0..bins).flat_map(|bin| {
        let columns: Vec<f32> = w.fc0.iter().copied().skip(bin).step_by(bins).collect();
        transposed(&columns, squeeze, w.inputs)
    });
    let fc0 = in_panels(&fc0.collect::<Vec<f32>>(), padded(squeeze));
    let gate = panels(&w.gate, squeeze, squeeze);
    // Rows of the head matrix in the layout of M and λ: M is padded to whole groups on both axes.
    let side = padded(latent);
    let mut heads = vec![0.0; (side * side + w.sizes.outputs) * squeeze];
    for (index, row) in w.phi.chunks_exact(squeeze).enumerate() {
        let place = index / latent * side + index % latent;
        heads[place * squeeze..][..squeeze].copy_from_slice(row);
    }
    heads[side * side * squeeze..].copy_from_slice(&w.scale);
    let heads = panels(&heads, side * side + w.sizes.outputs, squeeze);
    [fc0, gate, heads].concat()
}

/// The block of `kernels::assemble`: W₀, bias, P, Q and the two offsets.
pub fn assemble(w: &DynamicWeights) -> Vec<f32> {
    let (outputs, latent) = (w.sizes.outputs, w.sizes.latent);
    [
        panels(&w.w0, outputs, w.inputs),
        vector(&w.bias),
        panels(&w.p, outputs, latent),
        in_panels(&straight(&w.q, latent, w.inputs), padded(w.inputs)),
        vector(&w.q_offset),
        vector(&w.latent_offset),
    ]
    .concat()
}

/// The block of `kernels::latent`: Q and the two offsets.
pub fn latent(w: &DynamicWeights) -> Vec<f32> {
    [transposed(&w.q, w.sizes.latent, w.inputs), vector(&w.q_offset), vector(&w.latent_offset)].concat()
}

/// The block of the branch entries of `kernels::conv_pointwise` and `kernels::linear`: W₀, bias, P, scaled bias.
pub fn branch(w: &DynamicWeights) -> Vec<f32> {
    let outputs = w.sizes.outputs;
    [panels(&w.w0, outputs, w.inputs), vector(&w.bias), panels(&w.p, outputs, w.sizes.latent), vector(&w.scaled_bias)]
        .concat()
}

fn padded(channels: usize) -> usize {
    groups(channels) * GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_transposed_and_padded() {
        let packed = transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3);
        assert_eq!(packed, [1.0, 4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0, 3.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let taps = depthwise(&[1.0, 2.0, 3.0, 4.0], 2, 2);
        assert_eq!(taps, [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
        let taps = dense(&[1.0, 2.0, 3.0, 4.0], 1, 2, 2);
        assert_eq!(taps[..8], [1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(taps[16..24], [2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    }
}
