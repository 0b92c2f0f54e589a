//! NumPy's `.npy` files, as far as networks need them: 32-bit floats in C order.
//!
//! The format is read here and not by a crate, since the one there is multiplies a hostile shape unchecked and parses a
//! hostile header recursively. Nothing is allocated by what a header claims.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dynaconv::tensor::Tensor;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The type that is read and written: little-endian float32.
const TYPE: &str = "<f4";
/// Larger files are not read.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Reads an array from a file. Errors name the file.
pub fn read(path: &Path) -> Result<Tensor> {
    read_file(path).with_context(|| path.display().to_string())
}

fn read_file(path: &Path) -> Result<Tensor> {
    let metadata = path.metadata()?;
    ensure!(metadata.is_file(), "not a regular file");
    let found = metadata.len();
    ensure!(found <= MAX_FILE_BYTES, "expected at most {MAX_FILE_BYTES} bytes, found {found}");
    parse(&fs::read(path)?)
}

fn parse(bytes: &[u8]) -> Result<Tensor> {
    let Some((header, data)) = split(bytes)? else {
        bail!("truncated: the file ends within its header, after {} bytes", bytes.len());
    };
    let shape = parse_header(header)?;
    let values = shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
    let expected = values.and_then(|values| values.checked_mul(size_of::<f32>() as u64));
    let expected = expected.with_context(|| format!("shape {shape:?} is larger than any file"))?;
    let found = data.len() as u64;
    ensure!(found >= expected, "truncated: shape {shape:?} needs {expected} bytes of values, found {found}");
    ensure!(found == expected, "shape {shape:?} needs {expected} bytes of values, found {found}");
    let values = data.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]));
    let shape = shape.into_iter().map(|length| length as usize).collect();
    Ok(Tensor::new(shape, values.collect())?)
}

/// The header's text and the values; nothing where the file ends too early.
fn split(bytes: &[u8]) -> Result<Option<(&str, &[u8])>> {
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    ensure!(start == MAGIC, "expected a NumPy file (.npy), found one that starts with {start:02x?}");
    let (length, rest) = match &bytes[MAGIC.len()..] {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [version @ (0 | 4..), ..] => bail!("expected version 1, 2 or 3 of the format, found {version}"),
        _ => return Ok(None),
    };
    let Some((header, data)) = rest.split_at_checked(length) else { return Ok(None) };
    Ok(Some((std::str::from_utf8(header).context("the header is no text")?, data)))
}

/// The shape, if the values are what is read here. A header is a Python dictionary that NumPy always writes alike.
fn parse_header(header: &str) -> Result<Vec<u64>> {
    let field = |name: &str| {
        let place = header.split_once(&format!("'{name}':"));
        place.map(|(_, value)| value.trim_start()).with_context(|| format!("the header has no field '{name}'"))
    };
    let found = field("descr")?.strip_prefix('\'').and_then(|it| it.split_once('\''));
    let found = found.map_or("a structured type", |(name, _)| name);
    ensure!(found == TYPE, "expected values of type {TYPE} (float32), found {found}; numpy.float32(x) converts them");
    let order = field("fortran_order")?;
    ensure!(
        order.starts_with("False"),
        "expected values in C order, found Fortran order; numpy.ascontiguousarray(x) converts them"
    );
    let lengths = field("shape")?.strip_prefix('(').and_then(|it| it.split_once(')'));
    let (lengths, _) = lengths.context("the header's field 'shape' is no tuple")?;
    let lengths = lengths.split(',').map(|length| length.trim().trim_end_matches('L')).filter(|it| !it.is_empty());
    let parse = |length: &str| {
        length.parse().ok().with_context(|| format!("expected lengths of axes in 'shape', found `{length}`"))
    };
    lengths.map(parse).collect()
}

/// The bytes of a file that holds the array.
pub fn to_bytes(tensor: &Tensor) -> Vec<u8> {
    let lengths: String = tensor.shape().iter().map(|length| format!("{length}, ")).collect();
    let mut header = format!("{{'descr': '{TYPE}', 'fortran_order': False, 'shape': ({}), }}", lengths.trim_end());
    // With its ten bytes before, the header is to end with a newline at a multiple of 64.
    let padding = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - (MAGIC.len() + 4 + header.len() + 1);
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tensor.data().iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[f32]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", parse(bytes).unwrap_err())
    }

    fn refused_header(header: &str) -> String {
        refused(&file(header, &[0.0; 6]))
    }

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![2, 3], vec![6], vec![1, 6, 1, 1]] {
            let tensor = Tensor::new(shape, vec![1.0, -2.5, 3.0, 0.0, 1e-30, f32::MAX]).unwrap();
            let bytes = to_bytes(&tensor);
            assert_eq!(bytes.len() % 64, 24);
            assert_eq!(parse(&bytes).unwrap(), tensor);
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = to_bytes(&Tensor::filled(vec![2, 2], 1.0));
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length}");
        }
        assert!(refused(&bytes[..bytes.len() - 1]).starts_with("truncated: shape [2, 2] needs 16 bytes"));
        assert!(refused(&[&bytes[..], &[0]].concat()).contains("needs 16 bytes of values, found 17"));
        assert!(refused(&bytes[..20]).contains("ends within its header"));
    }

    #[test]
    fn hostile_headers_are_refused() {
        let with = |descr: &str, order: &str, shape: &str| {
            refused_header(&format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"))
        };
        assert!(with("'<f8'", "False", "(6,)").contains("expected values of type <f4 (float32), found <f8"));
        assert!(with("'>f4'", "False", "(6,)").contains("found >f4"));
        assert!(with("[('a', '<f4')]", "False", "(6,)").contains("found a structured type"));
        assert!(with("'<f4'", "True", "(2, 3)").contains("found Fortran order"));
        assert!(with("'<f4'", "False", "(-6,)").contains("found `-6`"));
        assert!(with("'<f4'", "False", "6").contains("no tuple"));
        assert!(with("'<f4'", "False", "(1000000, 3)").starts_with("truncated: shape [1000000, 3] needs 12000000"));
        assert!(with("'<f4'", "False", "(4294967296, 4294967296)").contains("larger than any file"));
        assert!(with("'<f4'", "False", "(99999999999999999999,)").contains("expected lengths"));
        assert!(refused_header("").contains("no field 'descr'"));
        assert!(refused_header(&"[".repeat(60000)).contains("no field 'descr'"));
        assert!(refused(b"PK\x03\x04").contains("expected a NumPy file"));
        assert!(refused(b"").contains("expected a NumPy file"));
        assert!(refused(b"\x93NUMPY\x09\x00").contains("found 9"));
        assert!(refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{").contains("ends within its header"));
        assert!(refused(&[b"\x93NUMPY\x01\x00\x02\x00\xff\xff", &[0; 8][..]].concat()).contains("no text"));
    }
}
