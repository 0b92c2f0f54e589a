//! Bounds what a checkpoint's pickle may ask for, before it is unpickled.
//!
//! `pytorch-reader` runs nothing and checks every length, but it builds each value that a pickle makes: a byte of
//! pickle becomes a value of about a hundred bytes, and in a zip that byte may come from a thousandth of one. A scan
//! that makes no values counts them first, and what is copied of them. A network's checkpoint has some forty per
//! tensor; the bounds are far above that.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use zip::result::ZipResult;
use zip::{CompressionMethod, ZipArchive, ZipReadOptions};

use super::Fault;
use super::copies::{Operand, Sizes};

/// Operations that the pickles of one file may have, and so values that they can make.
const MAX_OPERATIONS: u64 = 1 << 20;
/// Bytes that the pickles of one file may have.
const MAX_BYTES: u64 = 64 << 20;
/// Bytes that the pickles of one file may copy, in values and in the names of tensors: more than twice what all operations
/// take of what keeps each value once.
const MAX_COPIED: u64 = 256 << 20;

/// The number that begins PyTorch's stream form, as the pickle of an integer: `PROTO 2, LONG1, 10 bytes`.
const STREAM_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Pickles at the beginning of the stream form: magic number, protocol, system, the object, the storages' keys.
const STREAM_PICKLES: usize = 5;
/// How far into the file the magic number is looked for; later protocols put more before it.
const STREAM_MAGIC_WITHIN: usize = 64;
/// Where an archive of the form before the stream form (2016) has its mark.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// Accepts a checkpoint in zip or stream form whose pickles are of a sensible size.
pub(super) fn scan(path: &Path) -> Result<(), Fault> {
    let failed = |source| Fault::Io { doing: "read it", source };
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    file.by_ref().take(512).read_to_end(&mut head).map_err(failed)?;
    file.rewind().map_err(failed)?;

    let mut budget = Budget { operations: MAX_OPERATIONS, bytes: MAX_BYTES, copied: MAX_COPIED };
    if head.starts_with(b"PK\x03\x04") {
        return scan_zip(file, &mut budget);
    }
    let (offset, magic) = TAR_MAGIC;
    let is_tar = head.get(offset..offset + magic.len()) == Some(magic);
    let start = &head[..head.len().min(STREAM_MAGIC_WITHIN)];
    if is_tar || !start.windows(STREAM_MAGIC.len()).any(|bytes| bytes == STREAM_MAGIC) {
        return Err(refused("it begins neither as a zip archive nor as PyTorch's older stream"));
    }
    let mut stream = BufReader::new(file);
    (0..STREAM_PICKLES).try_for_each(|_| budget.scan_pickle(&mut stream))
}

fn scan_zip(file: File, budget: &mut Budget) -> Result<(), Fault> {
    let broken = |error: &dyn std::fmt::Display| refused(&format!("zip archive: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&error))?;
    for index in 0..archive.len() {
        // PyTorch compresses nothing. What a tensor has of a compressed entry could be a thousand times the file.
        let method = archive.by_index_raw(index).map_err(|error| broken(&error))?.compression();
        // The reader refuses archives with a name that is no text.
        let is_pickle = |name: ZipResult<Cow<'_, str>>| name.is_ok_and(|name| name.ends_with("data.pkl"));
        if archive.name_for_index(index).is_some_and(is_pickle) {
            // PyTorch can leave checksums out; the reader checks those that are there.
            let unchecked = ZipReadOptions::new().ignore_crc32(true);
            let entry = archive.by_index_with_options(index, unchecked).map_err(|error| broken(&error))?;
            budget.scan_pickle(&mut BufReader::new(entry))?;
        } else if method != CompressionMethod::Stored {
            return Err(refused(&format!("zip archive: entry {index} is compressed")));
        }
    }
    Ok(())
}

fn refused(reason: &str) -> Fault {
    Fault::Checkpoint(reason.into())
}

/// What is left of the bounds.
struct Budget {
    operations: u64,
    bytes: u64,
    copied: u64,
}

/// What follows an operation's byte.
enum Argument {
    /// So many bytes.
    Fixed(u64),
    /// So many lines of text.
    Lines(usize),
    /// A length of so many bytes, then as many bytes as it says.
    Counted(usize),
    /// A number of so many bytes, under which a value is kept.
    Number(usize),
    /// Such a number in a line of text.
    NumberLine,
}

/// The argument of a pickle operation; `None` for what is no operation. (CPython, `Lib/pickletools.py`.)
fn argument(operation: u8) -> Option<Argument> {
    Some(match operation {
        b'I' | b'L' | b'F' | b'V' | b'S' | b'P' => Argument::Lines(1),
        b'g' | b'p' => Argument::NumberLine,
        b'h' | b'q' => Argument::Number(1),
        b'j' | b'r' => Argument::Number(4),
        b'c' | b'i' => Argument::Lines(2),
        b'(' | b'.' | b'0' | b'1' | b'2' | b'N' | b'R' | b'b' | b'd' | b'l' | b't' | b's' | b'a' | b')' | b']'
        | b'}' | b'e' | b'u' | b'Q' | b'o' => Argument::Fixed(0),
        0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => Argument::Fixed(0),
        b'K' | 0x80 | 0x82 => Argument::Fixed(1),
        b'M' | 0x83 => Argument::Fixed(2),
        b'J' | 0x84 => Argument::Fixed(4),
        b'G' | 0x95 => Argument::Fixed(8),
        b'U' | b'C' | 0x8a | 0x8c => Argument::Counted(1),
        b'T' | b'X' | b'B' | 0x8b => Argument::Counted(4),
        0x8d | 0x8e | 0x96 => Argument::Counted(8),
        _ => return None,
    })
}

impl Budget {
    /// Reads one pickle up to its end, making nothing of it.
    fn scan_pickle(&mut self, reader: &mut impl BufRead) -> Result<(), Fault> {
        let mut sizes = Sizes::default();
        loop {
            let [operation] = self.take(reader)?;
            self.operations = self.operations.checked_sub(1).ok_or_else(too_large)?;
            let Some(argument) = argument(operation) else {
                return Err(refused(&format!("its pickle has an unknown operation, 0x{operation:02x}")));
            };
            let operand = match argument {
                Argument::Fixed(bytes) => Operand::Bytes(self.skip(reader, bytes)?),
                Argument::Lines(lines) => Operand::Bytes(self.skip_lines(reader, lines)?),
                Argument::Counted(1) => {
                    let [length] = self.take(reader)?;
                    Operand::Bytes(self.skip(reader, length.into())?)
                }
                Argument::Counted(4) => {
                    let length = u32::from_le_bytes(self.take(reader)?);
                    Operand::Bytes(self.skip(reader, length.into())?)
                }
                Argument::Counted(_) => {
                    let length = u64::from_le_bytes(self.take(reader)?);
                    Operand::Bytes(self.skip(reader, length)?)
                }
                Argument::Number(1) => Operand::Number(self.take::<1>(reader)?[0].into()),
                Argument::Number(_) => Operand::Number(u32::from_le_bytes(self.take(reader)?).into()),
                Argument::NumberLine => Operand::Number(self.take_number(reader)?),
            };
            let copied =
                sizes.step(operation, operand).ok_or_else(|| refused("its pickle lacks what an operation needs"))?;
            self.copied = self.copied.checked_sub(copied).ok_or_else(too_much_copied)?;
            if operation == b'.' {
                return Ok(());
            }
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Fault> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }

    fn take<const N: usize>(&mut self, reader: &mut impl Read) -> Result<[u8; N], Fault> {
        self.spend(N as u64)?;
        let mut bytes = [0; N];
        reader.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Goes past so many bytes, and says how many they were.
    fn skip(&mut self, reader: &mut impl Read, bytes: u64) -> Result<u64, Fault> {
        self.spend(bytes)?;
        let skipped = std::io::copy(&mut reader.take(bytes), &mut std::io::sink()).map_err(failed)?;
        if skipped == bytes { Ok(bytes) } else { Err(failed(ErrorKind::UnexpectedEof.into())) }
    }

    fn skip_lines(&mut self, reader: &mut impl BufRead, lines: usize) -> Result<u64, Fault> {
        let mut bytes = 0;
        for _ in 0..lines {
            while self.take(reader)? != *b"\n" {
                bytes += 1;
            }
        }
        Ok(bytes)
    }

    fn take_number(&mut self, reader: &mut impl BufRead) -> Result<u64, Fault> {
        let mut number: u64 = 0;
        loop {
            let [byte] = self.take(reader)?;
            let next = match byte {
                b'\n' => return Ok(number),
                b'\r' => Some(number),
                b'0'..=b'9' => number.checked_mul(10).and_then(|number| number.checked_add((byte - b'0').into())),
                _ => None,
            };
            number = next.ok_or_else(|| refused("its pickle keeps a value under what is no number"))?;
        }
    }
}

fn too_much_copied() -> Fault {
    refused(&format!("its pickle copies more than {MAX_COPIED} bytes"))
}

fn too_large() -> Fault {
    refused(&format!("its pickle has more than {MAX_OPERATIONS} operations or {MAX_BYTES} bytes"))
}

fn failed(source: std::io::Error) -> Fault {
    match source.kind() {
        ErrorKind::UnexpectedEof => refused("its pickle is truncated"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            refused(&format!("its pickle: {source}"))
        }
        _ => Fault::Io { doing: "read it", source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(pickle: &[u8], operations: u64, bytes: u64) -> Result<(u64, u64), String> {
        let mut budget = Budget { operations, bytes, copied: MAX_COPIED };
        let result = budget.scan_pickle(&mut { pickle });
        result.map(|()| (budget.operations, budget.bytes)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn every_operation_and_byte_up_to_the_end_is_counted() {
        // protocol 2, {'a': 1000, 'b': (1.5, None)}, and bytes that are not the pickle's.
        let pickle = b"\x80\x02}(X\x01\x00\x00\x00aM\xe8\x03X\x01\x00\x00\x00bG\x3f\xf8\0\0\0\0\0\0N\x86u.rest";
        assert_eq!(scanned(pickle, 100, 100), Ok((100 - 11, 100 - (pickle.len() as u64 - 4))));
        assert_eq!(scanned(b"cos\nsystem\n(S'x'\ntR.", 6, 20), Ok((0, 0)));
        assert!(scanned(b"cos\nsystem\n(S'x'\ntR.", 5, 20).unwrap_err().contains("more than"));
        assert!(scanned(b"cos\nsystem\n(S'x'\ntR.", 6, 19).unwrap_err().contains("more than"));
    }

    #[test]
    fn lengths_are_bounded_before_they_are_followed() {
        let long = b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffx";
        assert!(scanned(long, 100, MAX_BYTES).unwrap_err().contains("more than"));
        assert!(scanned(b"X\xff\0\0\0x", 100, 1000).unwrap_err().contains("truncated"));
        assert!(scanned(b"cos\nsys", 100, 1000).unwrap_err().contains("truncated"));
        assert!(scanned(b"", 100, 1000).unwrap_err().contains("truncated"));
        assert!(scanned(b"\x80\x02\xff", 100, 1000).unwrap_err().contains("0xff"));
    }

    #[test]
    fn copies_are_bounded() {
        let scanned = |pickle: &[u8]| scanned(pickle, MAX_OPERATIONS, MAX_BYTES).map(|_| ());
        // A key of a megabyte in a table that is fetched again and again, by each way of numbering.
        let long = [b"X\0\0\x10\0".as_slice(), &vec![b'k'; 1 << 20]].concat();
        for (keep, fetch) in
            [(&b"q\x05"[..], &b"h\x05"[..]), (b"r\x05\0\0\0", b"j\x05\0\0\0"), (b"p5\n", b"g5\n"), (b"\x94", b"h\0")]
        {
            let fetched = |times| [&b"\x80\x04}"[..], &long, b"Ns", keep, &fetch.repeat(times), b"."].concat();
            assert_eq!(scanned(&fetched(200)), Ok(()));
            assert!(scanned(&fetched(300)).unwrap_err().contains("copies more than"));
        }
        // A function's name likewise, and a key above many values.
        let name = [&b"c"[..], &vec![b'n'; 1 << 20], b"\nf\nq\0", &b"h\0".repeat(300), b"."].concat();
        assert!(scanned(&name).unwrap_err().contains("copies more than"));
        let names = [&b"}"[..], &long, b"](", &b"N".repeat(300), b"es."].concat();
        assert!(scanned(&names).unwrap_err().contains("copies more than"));
        assert!(scanned(b"h\0.").unwrap_err().contains("lacks what"));
        assert!(scanned(b"Np5x\n.").unwrap_err().contains("no number"));
    }

    #[test]
    fn a_bomb_is_refused_by_its_number_of_values() {
        let bomb = vec![b'N'; MAX_OPERATIONS as usize + 1];
        assert!(scanned(&bomb, MAX_OPERATIONS, MAX_BYTES).unwrap_err().contains("more than"));
    }
}
