//! What a picture makes of the dynamic layers, as it is read after a run: against the formulas on the unfolded weights in f64,
//! and through the classifier on both devices.

mod common;

use common::generator;
use dynaconv::exec::cpu::CpuExecutor;
use dynaconv::graph::{Dynamic, Graph, GraphBuilder, Op, Weights, fold};
use dynaconv::lower::{Form, FormChoice, Options, lower};
use dynaconv::plan::{Insight, Limits, Plan};
use dynaconv::tensor::{Map, Tensor, channels_last_from_nchw};

const INPUT: Map = Map::new(5, 7, 3);
const FIRST: Dynamic = Dynamic { outputs: 10, latent: 5, squeeze: 6, bins: 2 };
const LAST: Dynamic = Dynamic { outputs: 7, latent: 4, squeeze: 5, bins: 1 };
const PICTURES: usize = 2;

/// A dynamic convolution right on the picture, and a dynamic classifier on its mean.
fn network() -> Graph {
    let mut builder = GraphBuilder::new(INPUT).unwrap();
    let first = builder.add("first", Op::DynamicConvolution(FIRST), &[builder.input()]).unwrap();
    let pool = builder.add("pool", Op::AveragePool { bins: 1 }, &[first]).unwrap();
    builder.add("last", Op::DynamicLinear(LAST), &[pool]).unwrap();
    builder.finish()
}

fn input() -> Tensor {
    generator::tensor("input", &[PICTURES, INPUT.channels, INPUT.height, INPUT.width])
}

fn planned(weights: &Weights, form: Form, insight: bool) -> Plan {
    let options = Options { batch: PICTURES as u32, form: FormChoice::Always(form), insight, ..Options::default() };
    lower("insight", &fold(&network(), weights).unwrap(), options, Limits::default()).unwrap()
}

/// The formulas of the released networks, on a layer's own weights.
struct Reference<'a> {
    node: &'a str,
    sizes: Dynamic,
    weights: &'a Weights,
}

impl Reference<'_> {
    fn values(&self, name: &str) -> Vec<f64> {
        let tensor = &self.weights[&format!("{}.{name}", self.node)];
        tensor.data().iter().copied().map(f64::from).collect()
    }

    fn product(&self, matrix: &str, x: &[f64]) -> Vec<f64> {
        self.values(matrix).chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum()).collect()
    }

    fn norm(&self, prefix: &str, x: &[f64]) -> Vec<f64> {
        let [gamma, beta, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|name| self.values(&format!("{prefix}.{name}")));
        (0..x.len()).map(|c| (x[c] - mean[c]) / (variance[c] + 1e-5).sqrt() * gamma[c] + beta[c]).collect()
    }

    /// λ and Φ for a pooled input.
    fn heads(&self, pooled: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let gate = |u: &f64| (u + 3.0).clamp(0.0, 6.0) / 3.0;
        let y = self.product("fc.0.weight", pooled);
        let gates = self.product("fc.1.fc.0.weight", &y);
        let y: Vec<f64> = y.iter().zip(&gates).map(|(y, g)| y * gate(g)).collect();
        let lambda = self.product("fc_scale.weight", &y).iter().map(gate).collect();
        (lambda, self.product("fc_phi.weight", &y))
    }

    /// The layer's result for one pixel, given λ and Φ.
    fn result(&self, x: &[f64], (lambda, phi): &(Vec<f64>, Vec<f64>)) -> Vec<f64> {
        let z = self.norm("bn1", &self.product("conv_q.weight", x));
        let mixed: Vec<f64> =
            phi.chunks_exact(z.len()).map(|row| row.iter().zip(&z).map(|(phi, z)| phi * z).sum()).collect();
        let latent: Vec<f64> = self.norm("bn2", &mixed).iter().zip(&z).map(|(m, z)| m + z).collect();
        let branch = self.product("conv_p.weight", &latent);
        let straight = self.product("conv.weight", x);
        (0..branch.len()).map(|o| lambda[o] * straight[o] + branch[o]).collect()
    }

    fn assert_agrees(&self, found: &Insight, (lambda, phi): &(Vec<f64>, Vec<f64>), what: &str) {
        assert_eq!(found.node, self.node, "{what}");
        assert_eq!((found.outputs, found.latent), (self.sizes.outputs, self.sizes.latent), "{what}");
        assert_eq!((found.lambda.len(), found.phi.len()), (lambda.len(), phi.len()), "{what}");
        let (gamma, variance) = (self.values("bn2.weight"), self.values("bn2.running_var"));
        let row_scale = |index: usize| {
            let row = index / self.sizes.latent;
            gamma[row] / (variance[row] + 1e-5).sqrt()
        };
        let scaled: Vec<f64> = phi.iter().enumerate().map(|(index, value)| value * row_scale(index)).collect();
        for (name, found, expected) in [("λ", &found.lambda, lambda), ("Φ", &found.phi, &scaled)] {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                let off = (f64::from(*found) - expected).abs();
                // A few dozen roundings of sums of order one, and the identity that was added and taken away.
                assert!(off <= 1e-5, "{what}: {} {name}[{index}] is {found}, expected {expected}", self.node);
            }
        }
    }
}

/// The mean of each channel's part of the picture: `bins` × `bins` parts, channel by channel.
fn pooled(picture: &[f32], bins: usize) -> Vec<f64> {
    let (height, width) = (INPUT.height, INPUT.width);
    let part = |i: usize, size: usize| i * size / bins..((i + 1) * size).div_ceil(bins);
    let mean = |plane: &[f32], rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let pixels = (rows.len() * columns.len()) as f64;
        rows.flat_map(|y| columns.clone().map(move |x| f64::from(plane[y * width + x]))).sum::<f64>() / pixels
    };
    let bins_of = |plane: &[f32]| -> Vec<f64> {
        (0..bins * bins).map(|bin| mean(plane, part(bin / bins, height), part(bin % bins, width))).collect()
    };
    picture.chunks_exact(height * width).flat_map(bins_of).collect()
}

fn assert_agrees(plan: &Plan, weights: &Weights, heads: &dyn Fn(usize) -> Vec<f32>, what: &str) {
    let input = input();
    for (picture, values) in input.data().chunks_exact(INPUT.channels * INPUT.pixels()).enumerate() {
        let insights: Vec<Insight> = plan
            .dynamic
            .iter()
            .enumerate()
            .map(|(index, layer)| {
                let values = layer.head_values();
                layer.insight(&heads(index)[picture * values..][..values])
            })
            .collect();
        let [first, last] = insights.as_slice() else { panic!("{what}: {} layers", insights.len()) };
        assert_eq!((first.inputs, last.inputs), (INPUT.channels, FIRST.outputs));
        let reference = Reference { node: "first", sizes: FIRST, weights };
        let expected = reference.heads(&pooled(values, FIRST.bins));
        reference.assert_agrees(first, &expected, &format!("{what}, picture {picture}"));
        // The first layer is affine for a given picture: the mean of its results is the result of the mean.
        let mean = reference.result(&pooled(values, 1), &expected);
        let reference = Reference { node: "last", sizes: LAST, weights };
        reference.assert_agrees(last, &reference.heads(&mean), &format!("{what}, picture {picture}"));
    }
}

#[test]
fn the_cpu_shows_what_the_formulas_say() {
    let weights = generator::weights(&network());
    for form in [Form::Assemble, Form::Branch, Form::InLoad] {
        let plan = planned(&weights, form, true);
        let mut executor = CpuExecutor::new(plan.clone()).unwrap();
        executor.input_mut().copy_from_slice(&channels_last_from_nchw(INPUT, input().data()));
        executor.run(PICTURES as u32);
        let heads = |index: usize| executor.view(plan.dynamic[index].heads).to_vec();
        assert_agrees(&plan, &weights, &heads, &format!("CPU, {form:?}"));
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_shows_what_the_formulas_say() {
    let weights = generator::weights(&network());
    let gpu = common::suite::gpu::open();
    for form in [Form::Assemble, Form::Branch, Form::InLoad] {
        let plan = planned(&weights, form, true);
        let mut executor = common::suite::gpu::executor(&gpu, plan.clone(), &gpu.texts());
        let values = channels_last_from_nchw(INPUT, input().data());
        pollster::block_on(executor.run(PICTURES as u32, &values, false)).unwrap();
        let all = pollster::block_on(executor.start_insight().unwrap().values()).unwrap();
        let first = plan.dynamic[0].heads.bytes as usize / 4;
        let heads = |index: usize| if index == 0 { all[..first].to_vec() } else { all[first..].to_vec() };
        assert_agrees(&plan, &weights, &heads, &format!("GPU, {form:?}"));
    }
}

#[test]
fn a_plan_without_insight_keeps_nothing() {
    let weights = generator::weights(&network());
    let (with, without) = (planned(&weights, Form::Branch, true), planned(&weights, Form::Branch, false));
    assert!(without.dynamic.is_empty());
    assert!(with.activation_bytes() > without.activation_bytes());
    let slots: Vec<_> = with.dynamic.iter().map(|layer| layer.heads.memory).collect();
    for pass in &with.passes {
        let written = pass.dispatch.kernel.spec().bindings_of(pass.dispatch.entry).unwrap().zip(&pass.bindings);
        for ((_, name, access), view) in written {
            let writes = access != dynaconv::kernels::Access::Read;
            assert!(!writes || name == "heads" || !slots.contains(&view.memory), "{} overwrites heads", pass.node);
        }
    }
}

/// Two pictures at once through the classifier, and what the second made of the network.
#[cfg(feature = "gpu")]
#[test]
fn the_classifier_shows_the_same_on_both_devices() {
    use dynaconv::classifier::{Classifier, Device, block_on};
    use dynaconv::exec::gpu::{Frame, GpuError, Pixels};
    use dynaconv::model::Model;
    use dynaconv::picture::Picture;

    let model = Model::load("assets/models/mobilenet-v2-dcd-cifar10.safetensors").unwrap();
    let options = Options { insight: true, ..Options::default() };
    let pictures = [40, 90].map(|seed| {
        let rgb = (0..40 * 30 * 3).map(|i| (i * seed % 251) as u8).collect();
        let picture = Picture::from_rgb(40, 30, rgb).unwrap();
        picture.packed(&model.description().preprocess.window(40, 30))
    });
    let frame = |pixels| Frame { width: 40, height: 30, pixels: Pixels::Packed(pixels) };
    let mut shown = Vec::new();
    for device in [Device::Cpu, Device::Gpu(Default::default())] {
        let mut classifier = block_on(Classifier::new(&model, &device, options.clone())).unwrap();
        let pending = [&pictures[0], &pictures[1]].map(|pixels| classifier.start(&frame(pixels)).unwrap());
        if device != Device::Cpu {
            let third = classifier.start(&frame(&pictures[0])).map(drop).unwrap_err().to_string();
            assert_eq!(third, GpuError::Busy { most: 2 }.to_string());
        }
        let insight = classifier.start_insight().unwrap();
        let guesses = pending.map(|pending| block_on(pending.guesses()).unwrap());
        let insight = block_on(insight.layers()).unwrap();
        // A picture that nobody waits for leaves room for others.
        drop(classifier.start(&frame(&pictures[0])).unwrap());
        drop(classifier.start(&frame(&pictures[0])).unwrap());
        let again = block_on(classifier.start(&frame(&pictures[1])).unwrap().guesses()).unwrap();
        assert_eq!(again, guesses[1]);
        shown.push((guesses, insight));
    }
    let [(cpu_guesses, cpu), (gpu_guesses, gpu)] = shown.as_slice() else { unreachable!() };
    assert_ne!(cpu_guesses[0], cpu_guesses[1], "the pictures should differ");
    for (cpu, gpu) in cpu_guesses.iter().flatten().zip(gpu_guesses.iter().flatten()) {
        assert_eq!(cpu.class, gpu.class);
        assert!((cpu.probability - gpu.probability).abs() <= 1e-4, "{cpu:?} {gpu:?}");
    }
    assert_eq!((cpu.len(), gpu.len()), (33, 33));
    for (cpu, gpu) in cpu.iter().zip(gpu) {
        assert_eq!((&cpu.node, cpu.latent, cpu.lambda.len()), (&gpu.node, gpu.latent, gpu.lambda.len()));
        for (c, g) in cpu.lambda.iter().chain(&cpu.phi).zip(gpu.lambda.iter().chain(&gpu.phi)) {
            assert!((c - g).abs() <= 1e-3, "{}: {c} on the CPU, {g} on the GPU", cpu.node);
        }
    }
}
