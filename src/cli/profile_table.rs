//! A profile as tables for the terminal.

use std::io::Write;

use anyhow::Result;
use dynaconv::exec::TimingMethod;
use dynaconv::profile::{Bound, Profile, Samples, View};

use super::show::{bar, duration, printable, rate, resolved};
use super::table::{Side, Table};

/// Launches shown where nobody asked for a view.
const MOST_COSTLY: usize = 12;

/// Prints a profile: one view of it where that was asked for, else a summary.
pub fn print(profile: &Profile, view: Option<View>, out: &mut impl Write) -> Result<()> {
    match view {
        Some(View::Dispatch) => dispatches(profile, profile.dispatches.len(), out)?,
        Some(view) => groups(profile, view, out)?,
        None => {
            groups(profile, View::Part, out)?;
            writeln!(out)?;
            groups(profile, View::Kernel, out)?;
            writeln!(out)?;
            dispatches(profile, MOST_COSTLY, out)?;
        }
    }
    writeln!(out)?;
    whole_runs(profile, out)?;
    roof(profile, out)?;
    method(profile, out)
}

/// A time that the clock resolves, or what it does not.
fn time(profile: &Profile, nanoseconds: Option<f64>) -> String {
    nanoseconds.map_or("–".into(), |time| resolved(time, profile.method.resolution.unwrap_or(0) as f64))
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share))
}

fn groups(profile: &Profile, view: View, out: &mut impl Write) -> Result<()> {
    let (left, right) = (Side::Left, Side::Right);
    let title = match view {
        View::Dispatch => "launch",
        View::Layer => "layer",
        View::Block => "block",
        View::Kernel => "kernel",
        View::Part => "part",
    };
    let header = [
        (title, left),
        ("launches", right),
        ("median", right),
        ("p10", right),
        ("p90", right),
        ("of all", right),
        ("", left),
        ("GFLOP/s", right),
        ("GB/s", right),
        ("of roof", right),
        ("bound by", left),
    ];
    let mut table = Table::new(header);
    for group in profile.groups(view) {
        let at = |q| time(profile, group.time.as_ref().map(|samples| samples.quantile(q)));
        let median = group.time.as_ref().map(Samples::median).filter(|median| profile.method.resolves(*median));
        let per_second = |amount: u64| median.map_or("–".into(), |median| rate(1e9 * amount as f64 / median));
        table.push([
            printable(&group.name),
            group.launches.to_string(),
            at(0.5),
            at(0.1),
            at(0.9),
            percent(group.share),
            bar(group.share.unwrap_or(0.0), 12),
            per_second(group.flops),
            per_second(group.bytes),
            percent(group.roof_share),
            group.bound.map_or("–", Bound::name).into(),
        ]);
    }
    Ok(table.write(out)?)
}

/// The most costly launches, in the order of their cost where there are more.
fn dispatches(profile: &Profile, most: usize, out: &mut impl Write) -> Result<()> {
    let (left, right) = (Side::Left, Side::Right);
    let header = [
        ("", right),
        ("layer", left),
        ("kernel", left),
        ("sizes", left),
        ("workgroups", left),
        ("median", right),
        ("p10", right),
        ("p90", right),
        ("flop/byte", right),
        ("GFLOP/s", right),
        ("GB/s", right),
        ("of roof", right),
        ("predicted", right),
        ("bound by", left),
    ];
    let mut shown: Vec<_> = profile.dispatches.iter().collect();
    if most < shown.len() {
        let median = |index: &u32| profile.dispatches[*index as usize].time.as_ref().map_or(0.0, Samples::median);
        shown.sort_by(|a, b| median(&b.index).total_cmp(&median(&a.index)));
        shown.truncate(most);
    }
    let mut table = Table::new(header);
    for dispatch in shown {
        let at = |q| time(profile, dispatch.time.as_ref().map(|samples| samples.quantile(q)));
        let [x, y, z] = dispatch.workgroups;
        table.push([
            dispatch.index.to_string(),
            printable(&dispatch.layer),
            printable(&dispatch.name()),
            printable(&dispatch.shape),
            format!("{x}×{y}×{z} of {}", dispatch.workgroup_size),
            at(0.5),
            at(0.1),
            at(0.9),
            format!("{:.2}", dispatch.intensity),
            dispatch.flops_rate.map_or("–".into(), rate),
            dispatch.bytes_rate.map_or("–".into(), rate),
            percent(dispatch.roof_share),
            dispatch.predicted.map_or("–".into(), duration),
            dispatch.prediction.map_or("–", |prediction| prediction.bound().name()).into(),
        ]);
    }
    Ok(table.write(out)?)
}

fn whole_runs(profile: &Profile, out: &mut impl Write) -> Result<()> {
    let runs = &profile.runs;
    let spread = |samples: &Samples| {
        let [low, median, high] = [0.1, 0.5, 0.9].map(|q| duration(samples.quantile(q)));
        format!("{median} (p10 {low}, p90 {high})")
    };
    writeln!(out, "plain run    {}", spread(&runs.plain))?;
    let overhead = runs.timed.median() / runs.plain.median() - 1.0;
    writeln!(out, "timed run    {}, {:+.1} %", spread(&runs.timed), 100.0 * overhead)?;
    if let Some(parts) = &runs.parts {
        let of_run = |samples: &Samples| 100.0 * samples.median() / runs.timed.median();
        writeln!(out, "  launches   {}, {:.1} %", duration(parts.launches.median()), of_run(&parts.launches))?;
        writeln!(out, "  bubble     {}, {:.1} %", duration(parts.bubble.median()), of_run(&parts.bubble))?;
        let details =
            [("encode", &parts.encode), ("submit", &parts.submit), ("latency", &parts.latency), ("gaps", &parts.gaps)];
        let details = details.map(|(name, samples)| format!("{name} {}", time(profile, Some(samples.median()))));
        writeln!(out, "             {}", details.join(", "))?;
    }
    let predicted: Option<f64> = profile.dispatches.iter().map(|dispatch| dispatch.predicted).sum();
    if let Some(predicted) = predicted {
        let taken = runs.parts.as_ref().map(|parts| parts.launches.median() / predicted);
        let taken = taken.map_or(String::new(), |ratio| format!("; they take {ratio:.1} times as long"));
        writeln!(out, "predicted    {} for all launches at the roof{taken}", duration(predicted))?;
    }
    let compiled: f64 = profile.compilations.iter().map(|compilation| compilation.nanoseconds as f64).sum();
    let count = profile.compilations.len();
    writeln!(out, "first run    {}", duration(runs.first as f64))?;
    if let Some(slowest) = profile.compilations.iter().max_by_key(|compilation| compilation.nanoseconds) {
        let (all, most) = (duration(compiled), duration(slowest.nanoseconds as f64));
        writeln!(out, "compilation  {count} pipelines in {all}, longest {} in {most}", printable(&slowest.pipeline))?;
    }
    Ok(())
}

fn roof(profile: &Profile, out: &mut impl Write) -> Result<()> {
    let Some(roof) = &profile.roof else { return Ok(()) };
    let half = roof.f16_flops.map_or("none in f16".into(), |flops| format!("{} in f16", rate(flops)));
    writeln!(out, "roof         {} GFLOP/s in f32, {half}", rate(roof.f32_flops))?;
    let rates = roof
        .memory
        .iter()
        .map(|of| format!("{} / {} at {}", rate(of.copy), rate(of.read), super::show::bytes(of.bytes)));
    writeln!(out, "             GB/s copied / read: {}", rates.collect::<Vec<_>>().join(", "))?;
    let (dispatch, submit) = (duration(roof.empty_dispatch), duration(roof.empty_submit));
    let alone =
        roof.workgroup_flops.map_or(String::new(), |flops| format!("; one workgroup alone {} GFLOP/s", rate(flops)));
    writeln!(out, "             an empty launch {dispatch}, an empty submit {submit}{alone}")?;
    Ok(())
}

fn method(profile: &Profile, out: &mut impl Write) -> Result<()> {
    let (device, method) = (&profile.device, &profile.method);
    let driver = if device.driver.is_empty() { String::new() } else { format!(", {}", device.driver) };
    let software = if device.software { "; a software adapter: its times say nothing of any GPU" } else { "" };
    let adapter = format!("{} ({}, {}{driver}){software}", device.name, device.api, device.kind);
    writeln!(out, "device       {}", printable(&adapter))?;
    let timing = match method.timing {
        TimingMethod::InsidePass => "timestamps around each launch, all in one pass",
        TimingMethod::PassBoundaries => "timestamps at pass boundaries, a pass for each launch",
        TimingMethod::HostClock => "the host's clock around each twin",
        TimingMethod::WholeRuns => "whole runs only: the device has no timestamps",
    };
    let resolution = method.resolution.map_or(String::new(), |step| {
        format!("; clock resolution {}, period {} ns", duration(step as f64), method.period)
    });
    writeln!(out, "method       {timing}{resolution}")?;
    let dropped = if method.dropped > 0 { format!(", {} of them dropped", method.dropped) } else { String::new() };
    writeln!(
        out,
        "             {} plain and as many timed runs in turns{dropped}, after {} of each to warm the caches; {} picture(s)",
        method.repeats, method.warm_up, profile.pictures
    )?;
    Ok(())
}
