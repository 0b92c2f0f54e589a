//! How matrices of weights lie in memory; see `shaders/shared/panels.wgsl`.

use rayon::prelude::*;

/// Groups of columns of a panel.
pub(super) const PANEL_GROUPS: usize = 8;

/// A matrix of vec4 groups in panels: eight groups of columns, row after row, then the next eight. What a workgroup, or a core, reads
/// of it is one stretch of memory. `columns` are numbers, a multiple of four; the last panel may be narrower. `out` takes whole rows.
pub fn in_panels(out: &mut [f32], columns: usize, value: impl Fn(usize, usize) -> f32 + Sync) {
    let rows = out.len() / columns.max(1);
    let wide = 4 * PANEL_GROUPS;
    out.par_chunks_mut((rows * wide).max(1)).enumerate().for_each(|(panel, values)| {
        let width = wide.min(columns - wide * panel);
        for (row, values) in values.chunks_exact_mut(width).enumerate() {
            for (column, out) in (wide * panel..).zip(values) {
                *out = value(row, column);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panel_is_as_narrow_as_what_is_left() {
        let mut packed = [0.0; 2 * 36];
        in_panels(&mut packed, 36, |row, column| (36 * row + column) as f32);
        let expected = (0..32).chain(36..68).chain(32..36).chain(68..72);
        assert!(packed.into_iter().eq(expected.map(|value| value as f32)));
    }
}
