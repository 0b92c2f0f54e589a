//! `dynaconv inspect`: what a network is made of and what it costs.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use clap::Args;
use dynaconv::graph::{Graph, Node, Op, Role};
use dynaconv::lower::{Form, FormChoice, form_of, multiply_adds, multiply_adds_in};
use dynaconv::model::{Model, Precision};
use dynaconv::plan::{Limits, Plan};
use serde::Serialize;

use super::network::NetworkArguments;
use super::output::{print_json, stdout};
use super::settings::{Target, TargetArguments};
use super::show::{bytes, millions, printable, thousands};
use super::table::{Side, Table};
use super::{Outcome, describe};

/// Show the layers of a network, what they cost in each form, and every launch
#[derive(Args)]
#[command(after_help = "\
Examples:
  dynaconv inspect
  dynaconv inspect --model mobilenet.safetensors --form branch
  dynaconv inspect --network mobilenet-v2-dcd:0.5@160  # without a model file
  dynaconv inspect --plan                              # every launch
  dynaconv inspect --plan --device gpu                 # as the GPU runs it
  dynaconv inspect --json")]
pub struct Arguments {
    #[command(flatten)]
    model: NetworkArguments,
    #[command(flatten)]
    target: TargetArguments,
    /// Print the plan, launch by launch, and nothing else
    #[arg(long, conflicts_with = "json")]
    plan: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Launches that resize, cut and normalise a picture: one across, one down.
const PREPARATION: usize = 2;
/// Everything is recorded in one command buffer.
const SUBMITS: usize = 1;

#[derive(Serialize)]
struct Report {
    name: String,
    network: String,
    parameters: u64,
    /// Of the whole network; without its dynamic parts, and with all of them in a form.
    multiply_adds: Totals,
    /// Of the network, for one picture; and those that prepare the picture.
    dispatches: usize,
    preparation_dispatches: usize,
    submits: usize,
    /// How maps and weights are stored.
    precision: Precision,
    weight_bytes: u64,
    activation_bytes: u64,
    /// Layers whose way `dynaconv tune` found.
    tuned: usize,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Totals {
    r#static: u64,
    assemble: u64,
    branch: u64,
    best: u64,
    /// With the forms that were asked for.
    chosen: u64,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    operation: String,
    /// Height, width, channels.
    output: [usize; 3],
    parameters: u64,
    /// Of the static convolution or product alone.
    static_multiply_adds: u64,
    #[serde(flatten)]
    dynamic: Option<DynamicPart>,
}

/// What a dynamic layer costs in all, in each form.
#[derive(Clone, Copy, Serialize)]
struct DynamicPart {
    assemble_multiply_adds: u64,
    branch_multiply_adds: u64,
    form: Form,
}

/// Shows the model.
pub fn run(arguments: &Arguments) -> Result<Outcome> {
    let model = arguments.model.load()?;
    let target = arguments.target.target(&model)?;
    let plan = target.plan(&model)?;
    if arguments.plan {
        let plan = Plan { name: printable(&plan.name), ..plan };
        write!(stdout(), "{plan}")?;
        return Ok(Outcome::Success);
    }
    let report = report(&model, &plan, &target)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report, &mut stdout())?;
    }
    Ok(Outcome::Success)
}

fn report(model: &Model, plan: &Plan, target: &Target) -> Result<Report> {
    let forms = target.forms(model)?;
    let (graph, description) = (model.graph(), model.description());
    // Where all limits are the default ones, the best form is that of the fewest multiply-adds.
    let total = |choice| multiply_adds(graph, choice, &Limits::default());
    let multiply_adds = Totals {
        r#static: graph.nodes().iter().map(|node| graph.static_multiply_adds(node)).sum(),
        assemble: total(FormChoice::Always(Form::Assemble)),
        branch: total(FormChoice::Always(Form::Branch)),
        best: total(FormChoice::Auto),
        chosen: multiply_adds_in(graph, |node| form_taken(node, graph, target, &forms)),
    };
    Ok(Report {
        name: description.name.clone(),
        network: describe::network(&description.architecture),
        parameters: graph.parameter_count() as u64,
        multiply_adds,
        dispatches: plan.passes.len(),
        preparation_dispatches: PREPARATION,
        submits: SUBMITS,
        precision: plan.precision,
        weight_bytes: plan.weights.len() as u64,
        activation_bytes: plan.activation_bytes(),
        tuned: plan.chosen.len(),
        layers: layers(graph, target, &forms),
    })
}

/// The form that a node takes: the one that was found to be faster, or the rule's.
fn form_taken(node: &Node, graph: &Graph, target: &Target, forms: &BTreeMap<String, Form>) -> Option<Form> {
    let found = forms.get(&node.name).copied();
    found.or_else(|| form_of(graph, node, target.options.form, &target.limits))
}

/// The network's layers; norms and activations belong to the layer before them, as they do when it is computed.
fn layers(graph: &Graph, target: &Target, forms: &BTreeMap<String, Form>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for node in graph.nodes() {
        let parameters = learnt(graph, node);
        match (&node.op, layers.last_mut()) {
            (Op::BatchNorm { .. } | Op::Activation(_), Some(layer)) => layer.parameters += parameters,
            _ => layers.push(layer(graph, node, parameters, target, forms)),
        }
    }
    layers
}

fn layer(graph: &Graph, node: &Node, parameters: u64, target: &Target, forms: &BTreeMap<String, Form>) -> Layer {
    let form = |choice| form_of(graph, node, choice, &target.limits);
    let taken = form_taken(node, graph, target, forms);
    let static_multiply_adds = graph.static_multiply_adds(node);
    let dynamic = graph.dynamic_cost_of(node).zip(taken).map(|(cost, chosen)| {
        let assemble = static_multiply_adds + cost.controller + cost.assemble;
        let branch = static_multiply_adds + cost.controller + cost.branch;
        // What has one form alone, the classifier, costs the same whatever is asked for.
        let assembles = form(FormChoice::Always(Form::Assemble)) == Some(Form::Assemble);
        let assemble = if assembles { assemble } else { branch };
        DynamicPart { assemble_multiply_adds: assemble, branch_multiply_adds: branch, form: chosen }
    });
    Layer {
        name: node.name.clone(),
        operation: node.op.to_string(),
        output: [node.output.height, node.output.width, node.output.channels],
        parameters,
        static_multiply_adds,
        dynamic,
    }
}

fn learnt(graph: &Graph, node: &Node) -> u64 {
    let learnt = graph.parameters_of(node).into_iter().filter(|parameter| parameter.role == Role::Learnt);
    learnt.map(|parameter| parameter.shape.iter().product::<usize>() as u64).sum()
}

fn print(report: &Report, out: &mut impl Write) -> Result<()> {
    let (left, right) = (Side::Left, Side::Right);
    let mut table = Table::new([
        ("layer", left),
        ("operation", left),
        ("output", right),
        ("parameters", right),
        ("static", right),
        ("assembled", right),
        ("branch", right),
        ("form", left),
    ]);
    let unless_zero = |number: u64| if number == 0 { String::new() } else { thousands(number) };
    for layer in &report.layers {
        let [height, width, channels] = layer.output;
        let part =
            |number: fn(&DynamicPart) -> u64| layer.dynamic.as_ref().map_or(String::new(), |it| thousands(number(it)));
        table.push([
            layer.name.clone(),
            layer.operation.clone(),
            format!("{height}×{width}×{channels}"),
            unless_zero(layer.parameters),
            unless_zero(layer.static_multiply_adds),
            part(|it| it.assemble_multiply_adds),
            part(|it| it.branch_multiply_adds),
            layer.dynamic.map_or(String::new(), |it| {
                match it.form {
                    Form::Assemble => "assembled",
                    Form::Branch => "branch",
                    Form::InLoad => "in load",
                }
                .into()
            }),
        ]);
    }
    table.write(out)?;
    let Totals { r#static, assemble, branch, best, chosen } = report.multiply_adds;
    writeln!(out)?;
    writeln!(out, "model          {}", printable(&report.name))?;
    writeln!(out, "network        {}", report.network)?;
    writeln!(out, "parameters     {}", thousands(report.parameters))?;
    write!(out, "multiply-adds  {} static", millions(r#static))?;
    if assemble != r#static {
        let [assemble, branch, best] = [assemble, branch, best].map(millions);
        write!(out, ", {assemble} assembled, {branch} branch, {best} best")?;
    }
    if chosen != best {
        write!(out, ", {} as chosen", millions(chosen))?;
    }
    writeln!(out)?;
    if report.tuned > 0 {
        writeln!(out, "tuned          {} layers, as `dynaconv tune` found on this device", report.tuned)?;
    }
    let Report { dispatches, submits, weight_bytes, activation_bytes, .. } = report;
    writeln!(out, "launches       {dispatches}, and {PREPARATION} to prepare the picture, in {submits} submit")?;
    writeln!(out, "memory         weights {}, activations {}", bytes(*weight_bytes), bytes(*activation_bytes))?;
    Ok(())
}
