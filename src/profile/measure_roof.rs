//! Measures what a device can do at best, with plans of nothing but multiply-adds, copies, reads and empty launches.
//!
//! The amount of work follows from the number of pictures, so one plan serves devices of any speed.

use std::collections::BTreeMap;

use web_time::Instant;

use super::roof::{MemoryRate, Roof};
use crate::exec::TimingMethod;
use crate::exec::gpu::{Gpu, GpuError, GpuExecutor, Timer};
use crate::kernels::{Dispatch, Kernel, Precision, roof, wgsl};
use crate::plan::{Memory, Output, Pass, Plan, View};
use crate::tensor::{Aligned, Map};

/// vec4 of one picture's copy, and invocations of its multiply-adds.
const COUNT: u32 = 4096;
const BYTES: u64 = 16 * COUNT as u64;
/// Pictures at most: 64 MiB read and as many written, beyond the caches of most devices.
const BATCH: u32 = 1024;
/// Steps of each chain of multiply-adds.
const ITERATIONS: u32 = 64;
/// Of a workgroup's that runs alone: so many that starting it hardly counts.
const WORKGROUP_ITERATIONS: u32 = 64 * ITERATIONS;
/// A rate counts once it was measured over this long, in nanoseconds, which even a coarse clock resolves.
const LONG_ENOUGH: f64 = 5e6;
/// The best of several runs is the rate: of this many at least, and of more as long as they are short.
const ATTEMPTS: std::ops::Range<u32> = 3..10;
/// Copies or reads in a row, which together the clock resolves where it may not resolve one.
const REPEATS: usize = 4;
/// Empty launches of which one's cost is the share.
const EMPTY: usize = 256;
const EMPTY_ATTEMPTS: usize = 15;

/// What a device can do at best; none where it has no timestamps.
///
/// # Errors
/// When the device fails.
pub async fn measure_roof(gpu: &Gpu) -> Result<Option<Roof>, GpuError> {
    if gpu.timing_method() == TimingMethod::WholeRuns {
        return Ok(None);
    }
    let f32_flops = flops_rate(gpu, &wgsl).await?;
    let f16_flops = if gpu.has_f16() { Some(flops_rate(gpu, &|_, _| roof::half_wgsl()).await?) } else { None };
    let (empty_dispatch, empty_submit) = empty_costs(gpu).await?;
    let (memory, workgroup_flops) = (memory_rates(gpu).await?, workgroup_rate(gpu).await?);
    // Software that has no subgroups for plans computes four invocations at once.
    let limits = gpu.limits();
    let busy_with = limits.software.then(|| limits.subgroup.unwrap_or(4));
    Ok(Some(Roof { f32_flops, f16_flops, memory, empty_dispatch, empty_submit, workgroup_flops, busy_with }))
}

/// A plan of launches over two slots of BYTES for each picture, of which each launch reads the one and writes the other.
fn plan(gpu: &Gpu, launches: Vec<Dispatch>) -> Plan {
    // The device may allow less than the largest copy needs.
    let most = gpu.limits().storage_binding_bytes.min(gpu.limits().buffer_bytes) / BYTES;
    let batch = BATCH.min(most as u32).max(1);
    let bytes = BYTES * u64::from(batch);
    let slot = |slot: usize| View { memory: Memory::Slot(slot as u32), offset: 0, bytes, precision: Precision::F32 };
    let passes = launches.into_iter().enumerate().map(|(index, dispatch)| {
        let (from, to) = (slot(1 + (index + 1) % 2), slot(1 + index % 2));
        let bindings = if dispatch.entry == "multiply_add" { vec![to] } else { vec![from, to] };
        Pass { node: format!("roof {index}"), dispatch, bindings }
    });
    // A plan has an input and a result; nothing computes with these.
    let view = View { bytes: 16 * u64::from(batch), ..slot(0) };
    let formal = Output { map: Map::vector(1), view };
    Plan {
        name: "roof".into(),
        batch,
        runs: 1,
        limits: gpu.limits(),
        precision: Precision::F32,
        weights: Aligned::default(),
        slots: vec![view.bytes, bytes, bytes],
        passes: passes.collect(),
        input: formal,
        scores: formal,
        best: view,
        top: 1,
        dynamic: Vec::new(),
        chosen: BTreeMap::new(),
    }
}

/// Nanoseconds from the begin of launch `first` to the end of the last, at best.
async fn span(
    executor: &mut GpuExecutor,
    timer: &mut Timer,
    pictures: u32,
    first: usize,
) -> Result<Option<f64>, GpuError> {
    let input = vec![0.0; 4 * pictures as usize];
    let mut times = Vec::new();
    let (mut attempts, mut spent) = (0, 0);
    while attempts < ATTEMPTS.start || (attempts < ATTEMPTS.end && (spent as f64) < LONG_ENOUGH) {
        attempts += 1;
        let (_, timing) = executor.run_timed(pictures, &input, timer).await?;
        if let (Some(Some([begin, _])), Some(Some([_, end]))) = (timing.launches.get(first), timing.launches.last()) {
            times.push(end - begin);
            spent += end - begin;
        }
    }
    Ok(at_best(times))
}

/// The shortest of these times; their mean where the clock is so coarse that they repeat, since each is then rounded to its ticks.
/// Nothing where that is no time.
fn at_best(mut times: Vec<u64>) -> Option<f64> {
    let (count, sum) = (times.len(), times.iter().sum::<u64>());
    times.sort_unstable();
    times.dedup();
    let is_coarse = count > 2 && 2 * times.len() <= count;
    let best = if is_coarse { sum as f64 / count as f64 } else { *times.first()? as f64 };
    (best > 0.0).then_some(best)
}

async fn flops_rate(gpu: &Gpu, sources: &(dyn Fn(Kernel, Precision) -> String + Sync)) -> Result<f64, GpuError> {
    let launch = roof::multiply_add(COUNT, ITERATIONS);
    let flops = launch.cost.flops as f64;
    let mut executor = GpuExecutor::with_sources(gpu, plan(gpu, vec![launch]), None, sources).await?;
    let mut timer = Timer::new(gpu, 1).await?;
    let (mut pictures, mut rate) = (1, 0.0f64);
    loop {
        let time = span(&mut executor, &mut timer, pictures, 0).await?;
        if let Some(time) = time {
            rate = rate.max(1e9 * flops * f64::from(pictures) / time);
        }
        if time.is_some_and(|time| time >= LONG_ENOUGH) || pictures >= executor.plan().batch {
            return Ok(rate);
        }
        pictures = (4 * pictures).min(executor.plan().batch);
    }
}

/// What one workgroup reaches alone.
async fn workgroup_rate(gpu: &Gpu) -> Result<Option<f64>, GpuError> {
    let launch = roof::multiply_add(roof::WORKGROUP, WORKGROUP_ITERATIONS);
    let flops = launch.cost.flops as f64;
    let mut executor = GpuExecutor::new(gpu, plan(gpu, vec![launch]), None).await?;
    let mut timer = Timer::new(gpu, 1).await?;
    Ok(span(&mut executor, &mut timer, 1, 0).await?.map(|time| 1e9 * flops / time))
}

/// The rates of memory, from sizes that fit into any cache to such that fit into few.
async fn memory_rates(gpu: &Gpu) -> Result<Vec<MemoryRate>, GpuError> {
    let (mut copies, mut copy_timer) = repeated(gpu, roof::copy(COUNT)).await?;
    let (mut reads, mut read_timer) = repeated(gpu, roof::add_up(COUNT)).await?;
    let mut rates = Vec::new();
    let mut pictures = 1;
    while pictures <= copies.plan().batch {
        let size = f64::from(pictures) * BYTES as f64;
        let copy = span(&mut copies, &mut copy_timer, pictures, 1).await?;
        let read = span(&mut reads, &mut read_timer, pictures, 1).await?;
        if let (Some(copy), Some(read)) = (copy, read) {
            // Nanoseconds of all launches; a copy goes through twice its size.
            let rate = |bytes: f64, time: f64| 1e9 * REPEATS as f64 * bytes / time;
            let bytes = BYTES * u64::from(pictures);
            rates.push(MemoryRate { bytes, copy: rate(2.0 * size, copy), read: rate(size, read) });
        }
        pictures *= 4;
    }
    Ok(rates)
}

/// One launch again and again, after one that writes what a first copy reads.
async fn repeated(gpu: &Gpu, launch: Dispatch) -> Result<(GpuExecutor, Timer), GpuError> {
    let launches = std::iter::once(roof::multiply_add(COUNT, 1));
    let launches: Vec<_> = launches.chain(std::iter::repeat_n(launch, REPEATS)).collect();
    let executor = GpuExecutor::new(gpu, plan(gpu, launches), None).await?;
    Ok((executor, Timer::new(gpu, 1 + REPEATS as u32).await?))
}

/// Nanoseconds of one more empty launch in a plain run, and of an empty submit; each the median of several.
async fn empty_costs(gpu: &Gpu) -> Result<(f64, f64), GpuError> {
    let launches = std::iter::once(roof::multiply_add(COUNT, 1)).chain(std::iter::repeat_n(roof::copy(0), EMPTY));
    let mut many = GpuExecutor::new(gpu, plan(gpu, launches.collect()), None).await?;
    let mut none = GpuExecutor::new(gpu, plan(gpu, vec![roof::multiply_add(COUNT, 1)]), None).await?;
    let (mut dispatches, mut submits) = (Vec::new(), Vec::new());
    for _ in 0..EMPTY_ATTEMPTS {
        let mut times = [0.0; 2];
        for (executor, time) in [&mut many, &mut none].into_iter().zip(&mut times) {
            let begin = Instant::now();
            executor.run(1, &[0.0; 4], false).await?;
            *time = begin.elapsed().as_nanos() as f64;
        }
        dispatches.push((times[0] - times[1]).max(0.0) / EMPTY as f64);
        submits.push(gpu.empty_submit().await?);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok((median(dispatches), median(submits)))
}

#[cfg(test)]
mod tests {
    use super::at_best;

    #[test]
    fn coarse_clocks_give_means_and_fine_ones_the_shortest() {
        assert_eq!(at_best(vec![193, 190, 250]), Some(190.0));
        assert_eq!(at_best(vec![100, 200, 200, 200, 200, 200, 200, 200, 200, 200]), Some(190.0));
        assert_eq!(at_best(vec![0, 0, 100, 0]), Some(25.0));
        assert_eq!(at_best(vec![0, 0, 0]), None);
        assert_eq!(at_best(vec![]), None);
    }
}
