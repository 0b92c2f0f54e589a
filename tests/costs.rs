//! The costs that launches are planned and profiled with, against counts of what their twins do.
//!
//! The twins run with numbers that count each operation and know where in memory they came from. What a twin reads is what
//! it computes with or copies to its output; what it writes is what is no longer as it was.

mod common;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use common::cases;
use common::suite::{BATCH, Case, Output, Word};
use dynaconv::kernels::resize::Resize;
use dynaconv::kernels::{Access, Arguments, Cost, Kernel, Precision, Scalar, run_twin};
use dynaconv::picture::{Filter, Preprocess};

/// Operations since the last count.
static FLOPS: AtomicU64 = AtomicU64::new(0);
/// Whether the word of this origin was used.
static USED: [AtomicBool; 1 << 20] = [const { AtomicBool::new(false) }; 1 << 20];
/// The counts are the program's, so one test counts at a time.
static COUNTING: Mutex<()> = Mutex::new(());

/// The origin of what was computed.
const COMPUTED: u32 = 0;
/// The origin of what no launch has written.
const UNWRITTEN: u32 = 1;
/// That of the first word that is read.
const FIRST: u32 = 2;

/// A number that counts what is done with it.
#[derive(Clone, Copy, Debug)]
struct Counted {
    value: f32,
    origin: u32,
}

impl Counted {
    fn used(self) -> f32 {
        USED[self.origin as usize].store(true, Relaxed);
        self.value
    }

    fn with(self, other: Self, operation: fn(f32, f32) -> f32) -> Self {
        FLOPS.fetch_add(1, Relaxed);
        Self { value: operation(self.used(), other.used()), origin: COMPUTED }
    }
}

impl From<f32> for Counted {
    fn from(value: f32) -> Self {
        Self { value, origin: COMPUTED }
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.used() == other.used()
    }
}

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.used().partial_cmp(&other.used())
    }
}

impl Add for Counted {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, f32::add)
    }
}

impl Sub for Counted {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, f32::sub)
    }
}

impl Mul for Counted {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.with(other, f32::mul)
    }
}

impl Div for Counted {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        self.with(other, f32::div)
    }
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Scalar for Counted {
    const ZERO: Self = Self { value: 0.0, origin: COMPUTED };

    fn clamp(self, low: f32, high: f32) -> Self {
        self.used().clamp(low, high).into()
    }

    fn exp(self) -> Self {
        FLOPS.fetch_add(1, Relaxed);
        self.used().exp().into()
    }

    fn is_nan(self) -> bool {
        self.used().is_nan()
    }

    fn to_bits(self) -> u32 {
        self.used().to_bits()
    }

    fn from_bits(bits: u32) -> Self {
        f32::from_bits(bits).into()
    }
}

/// What the twin of a case's launch does for one picture.
fn count(case: &Case) -> Cost {
    let spec = case.dispatch.kernel.spec();
    let bindings: Vec<_> = spec.bindings_of(case.dispatch.entry).expect("an entry point").collect();
    let mut next = FIRST;
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    // Origins of words that are f32 in every precision.
    let mut single = Vec::new();
    for (_, name, access) in bindings {
        if access == Access::Read {
            let (_, values) = case.inputs.iter().find(|(n, _)| *n == name).expect(name);
            let words = values.iter().zip(next..).map(|(value, origin)| Counted { value: *value, origin });
            let mut words: Vec<_> = words.collect();
            if !spec.stored.contains(&name) {
                single.push(next as usize..next as usize + words.len());
            }
            next += words.len() as u32;
            words.resize(words.len().next_multiple_of(4), Counted::ZERO);
            reads.push((name, words));
        } else {
            let output = case.outputs.iter().find(|output| output.name == name).expect(name);
            let words = (output.words.len() * output.slots).next_multiple_of(4);
            writes.push((name, vec![Counted { value: 0.0, origin: UNWRITTEN }; words]));
        }
    }
    assert!((next as usize) < USED.len(), "{} is too large to be counted", case.name);
    FLOPS.store(0, Relaxed);
    for used in &USED[..next as usize] {
        used.store(false, Relaxed);
    }
    let mut arguments = Arguments::new(1);
    for (name, words) in &reads {
        arguments = arguments.read(name, words);
    }
    for (name, words) in &mut writes {
        arguments = arguments.write(name, words);
    }
    run_twin(&case.dispatch, arguments);
    let flops = FLOPS.load(Relaxed);
    let (mut bytes_written, mut single_written) = (0, 0);
    for (name, words) in &writes {
        for word in words.iter().filter(|word| word.origin != UNWRITTEN) {
            bytes_written += 4;
            single_written += if spec.stored.contains(name) { 0 } else { 4 };
            if word.origin >= FIRST {
                // It was copied.
                word.used();
            }
        }
    }
    let used = |words: &[AtomicBool]| 4 * words.iter().filter(|used| used.load(Relaxed)).count() as u64;
    let bytes_read = used(&USED[FIRST as usize..next as usize]);
    let single_read = single.into_iter().map(|words| used(&USED[words])).sum();
    Cost { flops, bytes_read, bytes_written, single_read, single_written }
}

/// Both launches of resizes that narrow, widen and keep sizes: no plan has them, so the suites of plans have no such cases.
fn resizes() -> Vec<Case> {
    let sizes = [(45, 30), (31, 64), (16, 16), (9, 12)];
    let of_size = |(width, height): (u32, u32)| {
        [Filter::Bilinear, Filter::Bicubic].into_iter().flat_map(move |filter| {
            let resize = Resize::new(width, height, &Preprocess { filter, ..Preprocess::imagenet(16) }, 0);
            let words = |bytes: u64| bytes as usize / 4;
            let pixels =
                |bytes: u64| (0..words(bytes) as u32).map(|i| f32::from_bits((i * 12_345) & 0xff_ffff)).collect();
            let output = |name, bytes| Output { name, slots: 1, words: vec![Word::Unspecified; words(bytes)] };
            let name = format!("{width}×{height} {filter:?}");
            let [horizontal, vertical] = resize.dispatches();
            [
                Case {
                    name: name.clone(),
                    dispatch: horizontal,
                    inputs: vec![("source", pixels(resize.source_bytes()))],
                    outputs: vec![output("narrowed_out", resize.narrowed_bytes())],
                },
                Case {
                    name,
                    dispatch: vertical,
                    inputs: vec![("narrowed", pixels(resize.narrowed_bytes()))],
                    outputs: vec![output("normalised", resize.normalised_bytes())],
                },
            ]
        })
    };
    sizes.into_iter().flat_map(of_size).collect()
}

#[test]
fn costs_are_what_the_twins_do() {
    let _one_at_a_time = COUNTING.lock();
    let mut checked: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in Kernel::ALL.into_iter().flat_map(cases::of).chain(resizes()) {
        let dispatch = &case.dispatch;
        wrong.extend(fault(&case));
        *checked.entry((dispatch.kernel.spec().stem, dispatch.entry)).or_default() += 1;
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
    for kernel in Kernel::ALL {
        for (entry, _) in kernel.spec().entries {
            let stem = kernel.spec().stem;
            assert!(checked.get(&(stem, *entry)).is_some_and(|count| *count > 0), "{stem} {entry} was not counted");
        }
    }
}

/// What a case's plan says that its twin does not do.
fn fault(case: &Case) -> Option<String> {
    let (planned, counted) = (case.dispatch.cost, count(case));
    let name = || format!("{} {}: planned {planned:?}, counted {counted:?}", case.name, case.dispatch.entry);
    (planned != counted).then(name)
}

#[test]
fn a_wrong_cost_is_seen() {
    let _one_at_a_time = COUNTING.lock();
    let mut case = cases::of(Kernel::Linear).into_iter().next().expect("a case");
    let Cost { flops, bytes_read, bytes_written, .. } = case.dispatch.cost;
    assert!(flops > 0 && bytes_read > 0 && bytes_written > 0 && BATCH > 1);
    assert_eq!(fault(&case), None);
    for wrong in [
        Cost { flops: flops + 1, ..case.dispatch.cost },
        Cost { bytes_read: bytes_read + 16, ..case.dispatch.cost },
        Cost { bytes_written: bytes_written + 16, ..case.dispatch.cost },
    ] {
        case.dispatch.cost = wrong;
        assert!(fault(&case).is_some(), "{wrong:?}");
    }
}

#[test]
fn what_is_stored_as_halves_costs_half_the_bytes() {
    let single = cases::of(Kernel::ConvPointwise)
        .into_iter()
        .find(|case| case.dispatch.entry == "branch" && case.outputs[1].slots > 1);
    let single = single.expect("a case").dispatch;
    let half = single.clone().stored_as(Precision::F16);
    let Cost { flops, bytes_read, bytes_written, single_read, single_written } = single.cost;
    assert!(single_read > 0 && single_written > 0);
    let expected = Cost {
        bytes_read: (bytes_read - single_read) / 2 + single_read,
        bytes_written: (bytes_written - single_written) / 2 + single_written,
        ..single.cost
    };
    assert_eq!((half.cost, half.cost.flops), (expected, flops));
    assert_eq!(half.stored_as(Precision::F32), single);
}
