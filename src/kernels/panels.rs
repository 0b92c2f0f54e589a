//! How matrices of weights lie in memory; see `shaders/shared/panels.wgsl`.

/// Groups of columns of a panel.
pub(super) const PANEL_GROUPS: usize = 8;

/// A matrix `[row][column]` of vec4 groups in panels: eight groups of columns, row after row, then the next eight. What a workgroup, or
/// a core, reads of it is one stretch of memory. `columns` are numbers, a multiple of four; the last panel may be narrower.
pub fn in_panels(matrix: &[f32], columns: usize) -> Vec<f32> {
    let panel = 4 * PANEL_GROUPS;
    let stretch = |first: usize| {
        let width = panel.min(columns - first);
        matrix.chunks_exact(columns).flat_map(move |row| &row[first..first + width])
    };
    (0..columns).step_by(panel).flat_map(stretch).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_panel_is_as_narrow_as_what_is_left() {
        let matrix: Vec<f32> = (0..72).map(|value| value as f32).collect();
        let packed = in_panels(&matrix, 36);
        let expected = (0..32).chain(36..68).chain(32..36).chain(68..72);
        assert_eq!(packed, expected.map(|value| value as f32).collect::<Vec<_>>());
        assert_eq!(in_panels(&matrix[..64], 32), matrix[..64], "one panel is the matrix itself");
    }
}
