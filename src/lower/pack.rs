//! Rearranges folded weights into the blocks that the kernels read.
//!
//! Matrices are transposed so that the four lanes of a vec4 are neighbouring outputs, and padded with zeros to whole
//! groups of four on both sides; zeros leave every result as it is. Those that kernels stream through lie in panels. A block is a
//! list of parts that follow one another.

use crate::graph::DynamicWeights;
use crate::kernels::in_panels;
use crate::tensor::{GROUP, groups};

/// A part of a block. It is rearranged where it is to lie: whole networks are too large to be copied once more.
pub struct Part<'a> {
    /// How many values it has.
    pub values: usize,
    write: Box<Write<'a>>,
}

type Write<'a> = dyn Fn(&mut [f32]) + Send + Sync + 'a;

impl<'a> Part<'a> {
    fn new(values: usize, write: impl Fn(&mut [f32]) + Send + Sync + 'a) -> Self {
        Self { values, write: Box::new(write) }
    }

    /// A matrix in panels.
    fn panels(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32 + Send + Sync + 'a) -> Self {
        Self::new(rows * columns, move |out| in_panels(out, columns, &value))
    }

    /// Writes the part to as many zeros as it has values.
    pub fn write(&self, zeros: &mut [f32]) {
        (self.write)(zeros);
    }
}

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4, in panels.
pub fn panels(weight: &[f32], outputs: usize, inputs: usize) -> Part<'_> {
    Part::panels(padded(inputs), padded(outputs), move |input, output| {
        if input < inputs && output < outputs { weight[output * inputs + input] } else { 0.0 }
    })
}

/// `weight[outputs][inputs]` as `[4·in_groups][out_groups]` of vec4, row after row.
fn transposed(weight: &[f32], outputs: usize, inputs: usize) -> Part<'_> {
    dense(weight, outputs, inputs, 1)
}

/// A vector, padded.
pub fn vector(values: &[f32]) -> Part<'_> {
    Part::new(padded(values.len()), |out| out[..values.len()].copy_from_slice(values))
}

/// `weight[outputs][inputs][kernel²]` as `[kernel²][4·in_groups][out_groups]` of vec4: one transposed matrix for each tap.
pub fn dense(weight: &[f32], outputs: usize, inputs: usize, taps: usize) -> Part<'_> {
    let (rows, columns) = (padded(inputs), padded(outputs));
    Part::new(taps * rows * columns, move |out| {
        for (output, of_output) in weight.chunks_exact(inputs * taps).enumerate() {
            for (input, of_taps) in of_output.chunks_exact(taps).enumerate() {
                for (tap, value) in of_taps.iter().enumerate() {
                    out[(tap * rows + input) * columns + output] = *value;
                }
            }
        }
    })
}

/// `weight[channels][kernel²]` as `[kernel²][groups]` of vec4.
pub fn depthwise(weight: &[f32], channels: usize, taps: usize) -> Part<'_> {
    Part::new(taps * padded(channels), move |out| {
        for (channel, of_taps) in weight.chunks_exact(taps).enumerate() {
            for (tap, value) in of_taps.iter().enumerate() {
                out[tap * padded(channels) + channel] = *value;
            }
        }
    })
}

/// The block of `kernels::controller`: fc0, gate, and the heads of Φ and λ.
pub fn controller(w: &DynamicWeights) -> Vec<Part<'_>> {
    let (bins, squeeze, latent) = (w.sizes.bins * w.sizes.bins, w.sizes.squeeze, w.sizes.latent);
    let (inputs, outputs) = (w.inputs, w.sizes.outputs);
    // Columns of fc0 run channel by channel in the file, bin by bin in memory.
    let fc0 = Part::panels(bins * padded(inputs), padded(squeeze), move |row, hidden| {
        let (bin, channel) = (row / padded(inputs), row % padded(inputs));
        if channel < inputs && hidden < squeeze { w.fc0[(hidden * inputs + channel) * bins + bin] } else { 0.0 }
    });
    let gate = panels(&w.gate, squeeze, squeeze);
    // Rows of the head matrix in the layout of M and λ: M is padded to whole groups on both axes.
    let side = padded(latent);
    let heads = Part::panels(padded(squeeze), side * side + padded(outputs), move |hidden, head| {
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
pub fn assemble(w: &DynamicWeights) -> Vec<Part<'_>> {
    let (inputs, outputs, latent) = (w.inputs, w.sizes.outputs, w.sizes.latent);
    let q = Part::panels(padded(latent), padded(inputs), move |row, input| {
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
pub fn latent(w: &DynamicWeights) -> Vec<Part<'_>> {
    vec![transposed(&w.q, w.sizes.latent, w.inputs), vector(&w.q_offset), vector(&w.latent_offset)]
}

/// The block of the branch entries of `kernels::conv_pointwise` and `kernels::linear`: W₀, bias, P, scaled bias.
pub fn branch(w: &DynamicWeights) -> [Part<'_>; 4] {
    let outputs = w.sizes.outputs;
    [panels(&w.w0, outputs, w.inputs), vector(&w.bias), panels(&w.p, outputs, w.sizes.latent), vector(&w.scaled_bias)]
}

/// The block of the branch entry of `kernels::conv_dynamic_subgroup` after the controller's: W₀, bias, P, Q and the two offsets.
pub fn branch_with_latent(w: &DynamicWeights) -> Vec<Part<'_>> {
    let [w0, bias, p, _] = branch(w);
    [w0, bias, p].into_iter().chain(latent(w)).collect()
}

fn padded(channels: usize) -> usize {
    groups(channels) * GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(part: &Part<'_>) -> Vec<f32> {
        let mut values = vec![0.0; part.values];
        part.write(&mut values);
        values
    }

    #[test]
    fn matrices_are_transposed_and_padded() {
        let packed = written(&transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3));
        assert_eq!(packed, [1.0, 4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0, 3.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let taps = written(&depthwise(&[1.0, 2.0, 3.0, 4.0], 2, 2));
        assert_eq!(taps, [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
        let taps = written(&dense(&[1.0, 2.0, 3.0, 4.0], 1, 2, 2));
        assert_eq!(taps[..8], [1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(taps[16..24], [2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    }
}
