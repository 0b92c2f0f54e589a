//! How matrices of weights lie in memory; see `shaders/shared/panels.wgsl`.

use rayon::prelude::*;

/// Groups of columns of a panel.
pub(super) const PANEL_GROUPS: usize = 8;

/// A matrix of vec4 groups in panels: eight groups of columns, row after row, then the next eight. What a workgroup, or a core, reads
/// of it is one stretch of memory. `columns` are numbers, a multiple of four; the last panel may be narrower.
pub fn in_panels(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32 + Sync) -> Vec<f32> {
    let mut out = vec![0.0; rows * columns];
    let wide = 4 * PANEL_GROUPS;
    out.par_chunks_mut((rows * wide).max(1)).enumerate().for_each(|(panel, values)| {
        let width = wide.min(columns - wide * panel);
        for (row, values) in values.chunks_exact_mut(width).enumerate() {
            for (column, out) in (wide * panel..).zip(values) {
                *out = value(row, column);
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panel_is_as_narrow_as_what_is_left() {
        let packed = in_panels(2, 36, |row, column| (36 * row + column) as f32);
        let expected = (0..32).chain(36..68).chain(32..36).chain(68..72);
        assert_eq!(packed, expected.map(|value| value as f32).collect::<Vec<_>>());
    }
}
