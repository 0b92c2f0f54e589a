//! What can be wrong with a model file.

use std::fmt;

use super::Mismatch;
use crate::graph::GraphError;

/// A model file that cannot be read, written or imported: which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct ModelError {
    file: String,
    // Boxed, so that results stay small.
    fault: Box<Fault>,
}

impl ModelError {
    pub(super) fn new(file: impl fmt::Display, fault: Fault) -> Self {
        Self { file: file.to_string(), fault: Box::new(fault) }
    }

    /// The file, or the name that stands for it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Why.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The operating system refused.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, such as `read it`.
        doing: &'static str,
        /// Why it was refused.
        source: std::io::Error,
    },
    /// The file is larger than any model; it was not read.
    #[error("{found} bytes are more than the {most} that a model file may have")]
    TooLarge {
        /// Bytes that a file may have.
        most: u64,
        /// Bytes that this one has.
        found: u64,
    },
    /// The file ends too early.
    #[error("truncated: it ends after {found} bytes, expected {expected}")]
    Truncated {
        /// Bytes that the file's own header asks for.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The header would be longer than any model's.
    #[error("not a safetensors file, or a broken one: its header would be {found} bytes long, at most {most} are read")]
    HeaderTooLong {
        /// Bytes that a header may have.
        most: u64,
        /// Bytes that this one claims.
        found: u64,
    },
    /// The header is not what a safetensors file has.
    #[error("not a safetensors file, or a broken one: {0}")]
    Header(String),
    /// The file holds tensors, but nothing says of which network.
    #[error("its metadata has no entry `dynaconv` that describes the network (a safetensors file of another program?)")]
    NoDescription,
    /// The description is not the JSON that it should be.
    #[error("description: {}{}", within(.field.as_deref()), brief(&.source.to_string()))]
    Description {
        /// The field, where it is the fault of one.
        field: Option<String>,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The description is of a format that this program does not know.
    #[error("field `format_version`: expected {known}, found {found}{}", newer(*known, *found))]
    FormatVersion {
        /// The version that is read and written.
        known: u32,
        /// The file's.
        found: u64,
    },
    /// The network cannot be built.
    #[error("field `architecture`: {0}")]
    Architecture(#[from] GraphError),
    /// Another field of the description is out of range.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The tensors are not those of the network.
    #[error("{0}")]
    Tensors(#[from] Mismatch),
    /// The values of a tensor have a type that no weights have.
    #[error("tensor {}: expected {expected} values, found {found}", Quoted(tensor))]
    Type {
        /// The tensor.
        tensor: String,
        /// The types that are read.
        expected: &'static str,
        /// Its type.
        found: String,
    },
    /// A value is NaN or infinite.
    #[error("tensor {}: expected finite values, found {value} at index {index}", Quoted(tensor))]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Where, counted row-major.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A value is too large to be written in half precision.
    #[error(
        "tensor {}: expected values within ±65504 for half precision, found {value} at index {index}",
        Quoted(tensor)
    )]
    HalfOverflow {
        /// The tensor.
        tensor: String,
        /// Where, counted row-major.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The file is not a PyTorch checkpoint that can be read.
    #[error("not a PyTorch checkpoint that can be imported: {0}")]
    Checkpoint(String),
    /// The tensors are those of no known network.
    #[error("no known network has these tensors; the closest is {closest}: {mismatch}")]
    NoNetwork {
        /// The network whose tensors are most alike.
        closest: String,
        /// How they differ from the checkpoint's.
        mismatch: Mismatch,
    },
}

fn newer(known: u32, found: u64) -> &'static str {
    if found > known.into() { ": written by a newer dynaconv" } else { "" }
}

fn within(field: Option<&str>) -> String {
    field.map_or(String::new(), |field| format!("field {}: ", Quoted(field)))
}

/// A reader's words in an error message, which may quote the file: made harmless, and cut where they are long.
pub(super) fn brief(reason: &str) -> String {
    const MOST: usize = 400;
    reason.chars().map(|c| if c.is_control() { '�' } else { c }).take(MOST).collect()
}

/// Text from a file in an error message: quoted, escaped, and cut where it is long.
pub(super) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 120;
        match self.0.char_indices().nth(MOST) {
            None => write!(f, "`{}`", self.0.escape_debug()),
            Some((end, _)) => write!(f, "`{}…`", self.0[..end].escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_can_neither_flood_nor_steer_a_terminal() {
        assert_eq!(Quoted("features.0").to_string(), "`features.0`");
        assert_eq!(Quoted("a\x1b[2J\n").to_string(), "`a\\u{1b}[2J\\n`");
        assert_eq!(Quoted(&"ä".repeat(5000)).to_string().chars().count(), 123);
        assert_eq!(brief("a\x1b[2J"), "a�[2J");
        assert_eq!(brief(&"ä".repeat(5000)).chars().count(), 400);
    }
}
