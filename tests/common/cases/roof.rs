//! Cases of the kernels that measure what a device can do.

use dynaconv::kernels::{Dispatch, roof};

use super::SEED;
use crate::common::array::{Array, pack};
use crate::common::real::Real;
use crate::common::suite::{BATCH, Case, Output, Word};

pub fn roof() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in [1, 5, 64, 65, 300, 1024, 1500] {
        cases.push(copy(count));
        cases.push(read(count));
        cases.push(multiply_add(count, 8 * (count % 3)));
    }
    cases.push(multiply_add(70, 3));
    cases
}

/// `[picture][count]` vec4.
fn source(name: &str, count: u32) -> Array<f32, 3> {
    Array::random(name, [BATCH, count as usize, 4], -2.0, 2.0)
}

fn case(name: String, dispatch: Dispatch, source: Option<Array<f32, 3>>, words: Vec<Word>) -> Case {
    let words_of = |source: Array<f32, 3>| pack(source.shape, [false; 3], 0.0, |index| source.at(index));
    let binding = if dispatch.entry == "add_up" { "weights" } else { "source" };
    let inputs = source.map(|source| (binding, words_of(source))).into_iter().collect();
    Case { dispatch, inputs, outputs: vec![Output { name: "result", slots: 1, words }], name }
}

fn copy(count: u32) -> Case {
    let name = format!("{SEED} roof copy {count}");
    let source = source(&name, count);
    let words = pack(source.shape, [false; 3], Word::Finite, |index| Word::Is(source.at(index).into()));
    case(name, roof::copy(count), Some(source), words)
}

fn read(count: u32) -> Case {
    let name = format!("{SEED} roof read {count}");
    let source = source(&name, count);
    let dispatch = roof::add_up(count);
    // Invocation l of the eight of line i reads the vec4 16·8·i + 8·step + l.
    let invocations = 64 * dispatch.workgroups[0] as usize;
    let words = (0..BATCH * invocations * 4).map(|word| {
        let (picture, invocation, lane) = (word / 4 / invocations, word / 4 % invocations, word % 4);
        let read = (0..16).map(|step| 128 * (invocation / 8) + 8 * step + invocation % 8);
        let terms = read.filter(|at| *at < count as usize).map(|at| source.at([picture, at, lane]).into());
        Word::Is(Real::sum(terms))
    });
    let words = words.collect();
    case(name, dispatch, Some(source), words)
}

fn multiply_add(count: u32, iterations: u32) -> Case {
    let words = (0..BATCH as u32 * count).flat_map(|invocation| {
        let first = (invocation % count % 8) as f32;
        let chain = |start: u16| {
            let begin = Real::from(first + f32::from(start));
            (0..iterations.next_multiple_of(8)).fold(begin, |value, _| value * Real::from(0.5) + Real::from(1.0))
        };
        [Word::Is(Real::sum((0..8).map(chain))); 4]
    });
    let words = words.collect();
    case(format!("{SEED} roof multiply-add {count} × {iterations}"), roof::multiply_add(count, iterations), None, words)
}
