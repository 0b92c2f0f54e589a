//! Counts what a pickle copies, on a stack of sizes in place of values.
//!
//! `pytorch-reader` copies what is kept under a number for later and what is fetched from there, and names each tensor by the
//! keys on the way to it. So a few operations can ask for more than all others together. (What each operation does: CPython,
//! `Lib/pickletools.py`.)

use std::collections::HashMap;

/// Bytes that a value takes beside those of its text.
const VALUE_BYTES: u64 = 128;
/// Bytes that a list's index takes in a name, with its dot.
const INDEX_BYTES: u64 = 8;

/// What comes with an operation.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    /// So many bytes of a value.
    Bytes(u64),
    /// The number under which a value is kept.
    Number(u64),
}

/// What a value takes, and under which number it was kept.
#[derive(Clone, Copy, Default)]
struct Size {
    values: u64,
    text: u64,
    kept: Option<u64>,
}

impl Size {
    fn bytes(self) -> u64 {
        self.values.saturating_mul(VALUE_BYTES).saturating_add(self.text)
    }

    fn with(self, other: Self) -> Self {
        let values = self.values.saturating_add(other.values);
        Self { values, text: self.text.saturating_add(other.text), kept: self.kept }
    }
}

/// The sizes of what a pickle's operations have made so far.
#[derive(Default)]
pub(super) struct Sizes {
    stack: Vec<Size>,
    marks: Vec<usize>,
    memo: HashMap<u64, Size>,
}

impl Sizes {
    /// Does an operation; the bytes that it copies, or nothing where the stack lacks what it needs.
    pub(super) fn step(&mut self, operation: u8, operand: Operand) -> Option<u64> {
        let copied = match operation {
            // STOP, PROTO, FRAME and READONLY_BUFFER leave the stack alone.
            b'.' | 0x80 | 0x95 | 0x98 => 0,
            b'(' => {
                self.marks.push(self.stack.len());
                0
            }
            // POP takes a mark too; POP_MARK all from one on.
            b'0' if self.marks.last() == Some(&self.stack.len()) => self.marks.pop().map(|_| 0)?,
            b'0' => self.pop().map(|_| 0)?,
            b'1' => self.pop_to_mark().map(|_| 0)?,
            b'2' => self.copy(*self.stack.last()?),
            // Containers of what lies above the mark, or of one to three values.
            b't' | b'l' | b'i' | b'o' | 0x91 => self.contain_from_mark(operand)?,
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(EMPTY);
                self.set(&items)?
            }
            0x85..=0x87 => self.contain(1 + usize::from(operation - 0x85))?,
            // What is added to the container below.
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(&items)?
            }
            b's' => {
                let [value, key] = [self.pop()?, self.pop()?];
                self.set(&[key, value])?
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?
            }
            // STACK_GLOBAL, REDUCE, NEWOBJ, NEWOBJ_EX: one of two or three.
            0x93 | b'R' | 0x81 => self.contain(2)?,
            0x92 => self.contain(3)?,
            // BUILD renews what was kept of the object.
            b'b' => {
                let [state, object] = [self.pop()?, self.pop()?];
                let built = object.with(state);
                self.stack.push(built);
                built.kept.map_or(0, |number| self.keep(number, built))
            }
            // BINPERSID puts one value in another's place.
            b'Q' => self.pop().map(|id| self.push(id))?,
            b'p' | b'q' | b'r' => {
                let Operand::Number(number) = operand else { return None };
                self.keep_top(number)?
            }
            0x94 => self.keep_top(self.memo.len() as u64)?,
            b'g' | b'h' | b'j' => {
                let Operand::Number(number) = operand else { return None };
                self.copy(*self.memo.get(&number)?)
            }
            _ => {
                let Operand::Bytes(text) = operand else { return None };
                self.push(Size { values: 1, text, kept: None })
            }
        };
        Some(copied)
    }

    /// Puts a new value on the stack, of which nothing is copied.
    fn push(&mut self, size: Size) -> u64 {
        self.stack.push(Size { kept: None, ..size });
        0
    }

    /// A value above the innermost mark.
    fn pop(&mut self) -> Option<Size> {
        (self.stack.len() > self.marks.last().copied().unwrap_or(0)).then(|| self.stack.pop())?
    }

    fn pop_to_mark(&mut self) -> Option<Vec<Size>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    fn copy(&mut self, size: Size) -> u64 {
        self.stack.push(size);
        size.bytes()
    }

    fn keep_top(&mut self, number: u64) -> Option<u64> {
        let top = self.stack.last_mut()?;
        top.kept = Some(number);
        let top = *top;
        Some(self.keep(number, top))
    }

    fn keep(&mut self, number: u64, size: Size) -> u64 {
        self.memo.insert(number, size);
        size.bytes()
    }

    /// The last `count` values in a new one.
    fn contain(&mut self, count: usize) -> Option<u64> {
        let items: Vec<Size> = (0..count).map(|_| self.pop()).collect::<Option<_>>()?;
        self.push(EMPTY);
        self.extend(&items)
    }

    /// What lies above the mark in a new value, which may have a name.
    fn contain_from_mark(&mut self, operand: Operand) -> Option<u64> {
        let items = self.pop_to_mark()?;
        let Operand::Bytes(text) = operand else { return None };
        self.push(Size { text, ..EMPTY });
        self.extend(&items)
    }

    /// Adds items to the last value; the bytes that their indices take in the names of all they hold.
    fn extend(&mut self, items: &[Size]) -> Option<u64> {
        let all = items.iter().fold(Size::default(), |all, item| all.with(*item));
        let top = self.stack.last_mut()?;
        *top = top.with(all);
        Some(INDEX_BYTES.saturating_mul(all.values))
    }

    /// Adds keys and values to the last value; the bytes that the keys take in the names of all that the values hold.
    fn set(&mut self, items: &[Size]) -> Option<u64> {
        let names = items.as_chunks().0.iter().map(|[key, value]| key.text.saturating_mul(value.values));
        let names = names.fold(0, u64::saturating_add);
        Some(self.extend(items)?.saturating_add(names))
    }
}

/// A container of nothing.
const EMPTY: Size = Size { values: 1, text: 0, kept: None };

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: u64) -> (u8, Operand) {
        (b'X', Operand::Bytes(bytes))
    }

    fn number(operation: u8, number: u64) -> (u8, Operand) {
        (operation, Operand::Number(number))
    }

    fn plain(operation: u8) -> (u8, Operand) {
        (operation, Operand::Bytes(0))
    }

    /// What all operations copy together.
    fn copied(operations: &[(u8, Operand)]) -> Option<u64> {
        let mut sizes = Sizes::default();
        operations.iter().try_fold(0, |sum, (operation, operand)| Some(sum + sizes.step(*operation, *operand)?))
    }

    #[test]
    fn what_is_kept_and_fetched_is_copied_whole() {
        let value = VALUE_BYTES + 100;
        assert_eq!(copied(&[text(100)]), Some(0));
        assert_eq!(copied(&[text(100), number(b'q', 0), number(b'h', 0)]), Some(2 * value));
        assert_eq!(copied(&[text(100), plain(0x94), number(b'j', 0), plain(b'2')]), Some(3 * value));
        // (text, text), kept and fetched: a container and two texts, whose indices are part of names.
        let pair = [plain(b'('), text(100), text(100), plain(b't'), number(b'p', 7), number(b'g', 7)];
        assert_eq!(copied(&pair), Some(2 * INDEX_BYTES + 2 * (3 * VALUE_BYTES + 200)));
    }

    #[test]
    fn keys_count_in_copies_and_in_the_names_of_all_below_them() {
        // {key: [a, b]}
        let list = [plain(b']'), plain(b'('), plain(b'N'), plain(b'N'), plain(b'e')];
        let operations = [&[plain(b'}'), text(1000)][..], &list, &[plain(b's')]].concat();
        let names = 2 * INDEX_BYTES + (1 + 3) * INDEX_BYTES + 3 * 1000;
        assert_eq!(copied(&operations), Some(names));
        let kept = [&operations[..], &[number(b'q', 0)]].concat();
        assert_eq!(copied(&kept), Some(names + 5 * VALUE_BYTES + 1000));
        // The same in one step.
        let in_one = [&[plain(b'('), text(1000)][..], &list, &[plain(b'd'), number(b'q', 0)]].concat();
        assert_eq!(copied(&in_one), copied(&kept));
    }

    #[test]
    fn what_is_kept_grows_with_what_is_built() {
        let object = [plain(b'c'), plain(b')'), plain(0x81), number(b'q', 0)];
        let before = copied(&object).unwrap();
        let built = [&object[..], &[text(500), plain(b'b')]].concat();
        assert_eq!(before, 2 * INDEX_BYTES + 3 * VALUE_BYTES);
        assert_eq!(copied(&built), Some(before + 4 * VALUE_BYTES + 500));
        let fetched = [&built[..], &[number(b'h', 0)]].concat();
        assert_eq!(copied(&fetched), Some(before + 2 * (4 * VALUE_BYTES + 500)));
    }

    #[test]
    fn a_stack_without_what_an_operation_needs_is_noticed() {
        for broken in [
            &[plain(b't')][..],
            &[plain(b'R')],
            &[plain(b'N'), plain(b'('), plain(b'a')],
            &[plain(b'0')],
            &[number(b'h', 0)],
            &[number(b'q', 0)],
        ] {
            assert_eq!(copied(broken), None);
        }
        assert_eq!(copied(&[plain(b'('), plain(b'0'), plain(b'N'), plain(b'0')]), Some(0));
    }
}
