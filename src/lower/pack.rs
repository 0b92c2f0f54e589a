//! Rearranges folded weights into the blocks that the kernels read.
//!
//! Matrices are transposed so that the four lanes of a vec4 are neighbouring outputs, and padded with zeros to whole
//! groups of four on both sides; zeros leave every result as it is. Those that kernels stream through lie in panels. A block is a
//! list of parts that follow one another.

use crate::graph::DynamicWeights;
use crate::kernels::in_panels;
use crate::tensor::{GROUP, groups};

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4, in panels.
pub fn panels(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    in_panels(padded(inputs), padded(outputs), |input, output| {
        if input < inputs && output < outputs { weight[output * inputs + input] } else { 0.0 }
    })
}

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4, row after row.
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
pub fn controller(w: &DynamicWeights) -> Vec<Vec<f32>> {
    let (bins, squeeze, latent) = (w.sizes.bins * w.sizes.bins, w.sizes.squeeze, w.sizes.latent);
    let (inputs, outputs) = (w.inputs, w.sizes.outputs);
    // Columns of fc0 run channel by channel in the file, bin by bin in memory.
    let fc0 = in_panels(bins * padded(inputs), padded(squeeze), |row, hidden| {
        let (bin, channel) = (row / padded(inputs), row % padded(inputs));
        if channel < inputs && hidden < squeeze { w.fc0[(hidden * inputs + channel) * bins + bin] } else { 0.0 }
    });
    let gate = panels(&w.gate, squeeze, squeeze);
    // Rows of the head matrix in the layout of M and λ: M is padded to whole groups on both axes.
    let side = padded(latent);
    let heads = in_panels(padded(squeeze), side * side + padded(outputs), |hidden, head| {
        let (row, column) = (head / side, head % side);
        let scale = head.checked_sub(side * side);
        match scale {
            _ if hidden >= squeeze => 0.0,
            Some(output) if output < outputs => w.scale[output * squeeze + hidden],
            None if row < latent && column < latent => w.phi[(row * latent + column) * squeeze + hidden],
            _ => 0.0,
        }
    });
    vec![fc0, gate, heads]
}

/// The block of `kernels::assemble`: W₀, bias, P, Q and the two offsets.
pub fn assemble(w: &DynamicWeights) -> Vec<Vec<f32>> {
    let (inputs, outputs, latent) = (w.inputs, w.sizes.outputs, w.sizes.latent);
    let q = in_panels(padded(latent), padded(inputs), |row, input| {
        if row < latent && input < inputs { w.q[row * inputs + input] } else { 0.0 }
    });
    vec![
        panels(&w.w0, outputs, inputs),
        vector(&w.bias),
        panels(&w.p, outputs, latent),
        q,
        vector(&w.q_offset),
        vector(&w.latent_offset),
    ]
}

/// The block of `kernels::latent`: Q and the two offsets.
pub fn latent(w: &DynamicWeights) -> Vec<Vec<f32>> {
    vec![transposed(&w.q, w.sizes.latent, w.inputs), vector(&w.q_offset), vector(&w.latent_offset)]
}

/// The block of the branch entries of `kernels::conv_pointwise` and `kernels::linear`: W₀, bias, P, scaled bias.
pub fn branch(w: &DynamicWeights) -> [Vec<f32>; 4] {
    let outputs = w.sizes.outputs;
    [panels(&w.w0, outputs, w.inputs), vector(&w.bias), panels(&w.p, outputs, w.sizes.latent), vector(&w.scaled_bias)]
}

/// The block of the branch entry of `kernels::conv_dynamic_subgroup` after the controller's: W₀, bias, P, Q and the two offsets.
pub fn branch_with_latent(w: &DynamicWeights) -> Vec<Vec<f32>> {
    let [w0, bias, p, _] = branch(w);
    [vec![w0, bias, p], latent(w)].concat()
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
