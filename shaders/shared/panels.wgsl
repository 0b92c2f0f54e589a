// How a matrix of weights lies in memory: in panels of PANEL_GROUPS groups of columns, each panel row after row, so that what a
// workgroup reads of it is one stretch. The last panel is as narrow as what is left.

const PANEL_GROUPS: u32 = 8u;

// The place of the first row's value at a group of columns.
fn panel_place(rows: u32, group: u32) -> u32 {
    let first = group / PANEL_GROUPS * PANEL_GROUPS;
    return first * rows + group - first;
}

// How far the rows are apart there, of a matrix of `groups` groups of columns.
fn panel_step(groups: u32, group: u32) -> u32 {
    return min(PANEL_GROUPS, groups - group / PANEL_GROUPS * PANEL_GROUPS);
}
