//! One suite for kernels, several runtimes: cases become a plan of independent passes, whose outputs are compared with a
//! reference word by word.
//!
//! Inputs lie in the weight arena, each followed by words that are not numbers, inside its binding. Every output has a
//! slot of its own, bound with guard words after it. Before each run all of it is poisoned, so that a word that was never
//! written, a write past the end, and a write to a picture that was not run all show.

use dynaconv::exec::cpu::CpuExecutor;
use dynaconv::kernels::{Access, Dispatch, Precision};
use dynaconv::plan::{Limits, Memory, Output as PlanOutput, Pass, Plan, View};
use dynaconv::tensor::Map;

use super::real::Real;

/// Pictures of every case. Each has its own values.
pub const BATCH: usize = 3;

/// Words after each input and output.
const GUARD: usize = 16;
/// A quiet not-a-number that no arithmetic makes, and that halves store exactly.
const POISON: u32 = 0x7fd5_a000;
/// First bytes of weights must be this far apart.
const ALIGNMENT: usize = 256;

/// What one word of an output must be.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// This number.
    Is(Real),
    /// Any number: a lane that nothing reads, or that meets zero weights.
    Finite,
    /// Not a number, but written.
    NotANumber,
    /// Anything, but written.
    Unspecified,
    /// Anything, written or not: of memory that a launch makes for itself.
    Free,
}

/// An output for all pictures of the batch.
pub struct Output {
    pub name: &'static str,
    /// Blocks of each picture whose sum is `words`: 1 but for partial sums of pools.
    pub slots: usize,
    pub words: Vec<Word>,
}

/// One launch with its inputs and what must come out.
pub struct Case {
    /// Also the seed of its values.
    pub name: String,
    pub dispatch: Dispatch,
    pub inputs: Vec<(&'static str, Vec<f32>)>,
    pub outputs: Vec<Output>,
}

impl Case {
    /// The same case with its maps and weights stored otherwise. Its inputs are numbers that both precisions store exactly.
    pub fn stored_as(mut self, precision: Precision) -> Self {
        self.dispatch = self.dispatch.stored_as(precision);
        for output in &mut self.outputs {
            let precision = self.dispatch.precision_of(output.name);
            for word in &mut output.words {
                if let Word::Is(real) = word {
                    *real = real.stored_as(precision);
                }
            }
        }
        self
    }
}

/// What runs a plan.
pub trait Runtime {
    fn write(&mut self, view: View, values: &[f32]);
    fn run(&mut self, pictures: usize);
    fn read(&self, view: View) -> Vec<f32>;
}

impl Runtime for CpuExecutor {
    fn write(&mut self, view: View, values: &[f32]) {
        Self::write(self, view, values);
    }

    fn run(&mut self, pictures: usize) {
        Self::run(self, pictures as u32);
    }

    fn read(&self, view: View) -> Vec<f32> {
        self.view(view).to_vec()
    }
}

/// One pass for each case.
pub fn plan(cases: &[Case]) -> Plan {
    // A plan has an input and a result; nothing computes with these.
    let slot = |slot: usize, words: usize, precision: Precision| {
        let bytes = words as u64 * precision.bytes();
        View { memory: Memory::Slot(slot as u32), offset: 0, bytes, precision }
    };
    let view = slot(0, 4 * BATCH, Precision::F32);
    let formal = PlanOutput { map: Map::vector(1), view };
    let mut plan = Plan {
        name: "suite".into(),
        batch: BATCH as u32,
        runs: 1,
        limits: Limits { quads: true, subgroup: Some(8), whole_subgroups: true, ..Limits::default() },
        precision: cases.first().map_or(Precision::F32, |case| case.dispatch.precision),
        weights: Default::default(),
        slots: vec![view.bytes],
        passes: Vec::new(),
        input: formal,
        scores: formal,
        best: view,
        top: 1,
        dynamic: Vec::new(),
        chosen: Default::default(),
    };
    let mut weights = Vec::new();
    for case in cases {
        let names = case.dispatch.kernel.spec().bindings_of(case.dispatch.entry).expect("a case's entry point exists");
        let bindings = names.map(|(_, name, access)| {
            let precision = case.dispatch.precision_of(name);
            match access {
                Access::Read => {
                    let (_, values) = case.inputs.iter().find(|(n, _)| *n == name).expect(name);
                    let guarded = (values.len() + GUARD).next_multiple_of(4);
                    let values = values.iter().copied().chain(std::iter::repeat(poison())).take(guarded);
                    let first = weights.len().next_multiple_of(ALIGNMENT);
                    weights.resize(first, 0);
                    precision.encode(&values.collect::<Vec<f32>>(), &mut |part| weights.extend_from_slice(part));
                    let bytes = (weights.len() - first) as u64;
                    View { memory: Memory::Weights, offset: first as u64, bytes, precision }
                }
                Access::Write | Access::Scratch => {
                    let output = case.outputs.iter().find(|output| output.name == name).expect(name);
                    let words = (output.words.len() * output.slots + GUARD).next_multiple_of(4);
                    let view = slot(plan.slots.len(), words, precision);
                    plan.slots.push(view.bytes);
                    view
                }
            }
        });
        let bindings = bindings.collect();
        plan.passes.push(Pass { node: case.name.clone(), dispatch: case.dispatch.clone(), bindings });
    }
    plan.weights = weights[..].into();
    plan
}

/// Runs the cases on the first `pictures` pictures, and says for each case that failed why.
pub fn failures(cases: &[Case], plan: &Plan, runtime: &mut dyn Runtime, pictures: usize) -> Vec<String> {
    for view in outputs(plan) {
        runtime.write(view, &poisoned(view));
    }
    runtime.run(pictures);
    judge(cases, plan, pictures, &|view| runtime.read(view))
}

/// Where the cases write.
pub fn outputs(plan: &Plan) -> impl Iterator<Item = View> {
    let views = plan.passes.iter().flat_map(|pass| &pass.bindings);
    views.copied().filter(|view| view.memory != Memory::Weights)
}

/// What an output holds before each run.
pub fn poisoned(view: View) -> Vec<f32> {
    vec![poison(); view.values() as usize]
}

/// Says for each case that failed why, after a run on the first `pictures` pictures.
pub fn judge(cases: &[Case], plan: &Plan, pictures: usize, read: &dyn Fn(View) -> Vec<f32>) -> Vec<String> {
    let mut failures = Vec::new();
    for (case, pass) in cases.iter().zip(&plan.passes) {
        let names = case.dispatch.kernel.spec().bindings_of(case.dispatch.entry).into_iter().flatten();
        for ((_, name, access), view) in names.zip(&pass.bindings).filter(|((_, _, access), _)| *access != Access::Read)
        {
            let output = case.outputs.iter().find(|output| output.name == name).expect(name);
            let found = read(*view);
            let judged = if access == Access::Scratch {
                is_used(output, &found, pictures)
            } else {
                compare(output, &found, pictures)
            };
            if let Err(reason) = judged {
                failures.push(format!("{}, {pictures} picture(s), `{name}`: {reason}", case.name));
            }
        }
    }
    failures
}

fn poison() -> f32 {
    f32::from_bits(POISON)
}

/// Whether what a launch made for itself is where it must be, and nothing past the end. Twins have memory of their own for it.
fn is_used(output: &Output, found: &[f32], pictures: usize) -> Result<(), String> {
    if found.iter().all(|word| word.to_bits() == POISON) {
        return Ok(());
    }
    let expected = &output.words[..output.words.len() / BATCH * pictures];
    let unwritten = |(word, found): (&Word, &f32)| matches!(word, Word::Unspecified) && found.to_bits() == POISON;
    match expected.iter().zip(found).position(unwritten) {
        Some(at) => Err(format!("word {at} of {} was not written", expected.len())),
        None => guard(output, found, pictures),
    }
}

/// Whether nothing past the end was written.
fn guard(output: &Output, found: &[f32], pictures: usize) -> Result<(), String> {
    let written = output.words.len() / BATCH * pictures * output.slots;
    let over = found[written..].iter().position(|word| word.to_bits() != POISON);
    over.map_or(Ok(()), |at| Err(format!("word {} past the end of {written} was overwritten", written + at)))
}

fn compare(output: &Output, found: &[f32], pictures: usize) -> Result<(), String> {
    let expected = &output.words[..output.words.len() / BATCH * pictures];
    let written = expected.len() * output.slots;
    if let Some(at) = found[..written].iter().position(|word| word.to_bits() == POISON) {
        return Err(format!("word {at} of {written} was not written"));
    }
    guard(output, found, pictures)?;
    let found = fold(&found[..written], output.words.len() / BATCH, output.slots);
    let mut wrong = 0;
    let mut worst: Option<(f64, String)> = None;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Written so that a difference that is not a number is wrong too.
        let (excess, bound) = match expected {
            Word::Is(real) => ((found - real.value).abs(), real.slack()),
            Word::Finite => (if found.is_finite() { 0.0 } else { f64::INFINITY }, 0.0),
            Word::NotANumber => (if found.is_nan() { 0.0 } else { f64::INFINITY }, 0.0),
            Word::Unspecified | Word::Free => (0.0, 0.0),
        };
        if !(excess <= bound) {
            wrong += 1;
            if worst.as_ref().is_none_or(|(most, _)| !(excess <= *most)) {
                worst = Some((excess, format!("at {index} found {found:e}, expected {expected:?}")));
            }
        }
    }
    match worst {
        None => Ok(()),
        Some((_, example)) => Err(format!("{wrong} of {} words are wrong; {example}", expected.len())),
    }
}

/// Adds up each picture's slots.
fn fold(words: &[f32], period: usize, slots: usize) -> Vec<f64> {
    let pictures = words.chunks_exact((period * slots).max(1));
    let sum = |picture: &[f32], index: usize| picture.iter().skip(index).step_by(period).copied().map(f64::from).sum();
    pictures.flat_map(|picture| (0..period).map(|index| sum(picture, index)).collect::<Vec<f64>>()).collect()
}

/// The GPU as a runtime.
#[cfg(feature = "gpu")]
pub mod gpu {
    use dynaconv::exec::gpu::{Gpu, GpuChoice, GpuExecutor};
    use dynaconv::kernels::{Kernel, Precision};

    use super::{BATCH, Plan, Runtime, View};

    /// The GPU of this machine. There must be one, if only a software adapter: a test that needs it never passes without.
    pub fn open() -> Gpu {
        pollster::block_on(Gpu::open(&GpuChoice::Best)).expect("a GPU test needs a GPU, if only a software one")
    }

    /// The plan on the GPU, from the texts that `sources` gives.
    pub fn executor(gpu: &Gpu, plan: Plan, sources: &(dyn Fn(Kernel, Precision) -> String + Sync)) -> GpuExecutor {
        pollster::block_on(GpuExecutor::with_sources(gpu, plan, None, sources)).expect("the device takes the plan")
    }

    impl Runtime for GpuExecutor {
        fn write(&mut self, view: View, values: &[f32]) {
            Self::write(self, view, values);
        }

        fn run(&mut self, pictures: usize) {
            let input = [0.0; 4 * BATCH];
            pollster::block_on(Self::run(self, pictures as u32, &input[..4 * pictures], false)).expect("the run ends");
        }

        fn read(&self, view: View) -> Vec<f32> {
            pollster::block_on(Self::read(self, view)).expect("the view can be read")
        }
    }
}
