//! Tables for people.

use std::io::{self, Write};

use super::show::clipped;

/// At which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Rows under a header of N columns.
pub struct Table<'a, const N: usize> {
    header: [(&'a str, Side); N],
    rows: Vec<[String; N]>,
}

impl<'a, const N: usize> Table<'a, N> {
    /// A table without rows.
    pub fn new(header: [(&'a str, Side); N]) -> Self {
        Self { header, rows: Vec::new() }
    }

    /// Adds a row; a text that is too long for a table is cut.
    pub fn push(&mut self, row: [String; N]) {
        self.rows.push(row.map(|text| clipped(&text)));
    }

    /// Prints the table, each column as wide as its widest text.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let width = |column: usize| {
            let texts = self.rows.iter().map(|row| row[column].chars().count());
            texts.chain([self.header[column].0.chars().count()]).max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |texts: [&str; N]| {
            let cells = (0..N).map(|column| {
                let (text, width) = (texts[column], widths[column]);
                if self.header[column].1 == Side::Left { format!("{text:width$}") } else { format!("{text:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        let underline = anstyle::Style::new().underline();
        writeln!(out, "{underline}{}{underline:#}", line(self.header.map(|(title, _)| title)))?;
        for row in &self.rows {
            writeln!(out, "{}", line(row.each_ref().map(String::as_str)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text() {
        let mut table = Table::new([("layer", Side::Left), ("size", Side::Right), ("form", Side::Left)]);
        table.push(["a".into(), "12,345".into(), String::new()]);
        table.push(["stem ×2".into(), "1".into(), "branch".into()]);
        let mut out = anstream::StripStream::new(Vec::new());
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        assert_eq!(text, "layer      size  form\na        12,345\nstem ×2       1  branch\n");
    }

    #[test]
    fn what_is_longer_than_columns_can_be_is_cut() {
        let mut table = Table::new([("layer", Side::Left), ("size", Side::Right)]);
        table.push(["a".repeat(70_000), "1".into()]);
        let mut out = anstream::StripStream::new(Vec::new());
        table.write(&mut out).unwrap();
        assert!(String::from_utf8(out.into_inner()).unwrap().ends_with("a…     1\n"));
    }
}
