//! Pictures prepared on the GPU against the twin, which `tests/pictures.rs` holds to Pillow; and faults that must show.
#![cfg(feature = "gpu")]

mod common;

use common::generator::uniform;
use common::suite::gpu;
use dynaconv::exec::gpu::{Frame, Gpu, GpuError, GpuExecutor, Pixels};
use dynaconv::kernels::resize::Resize;
use dynaconv::kernels::{Kernel, Precision, wgsl};
use dynaconv::picture::{Filter, Picture, Preprocess};
use dynaconv::plan::{Limits, Memory, Output, Plan, View};
use dynaconv::tensor::Map;

const BATCH: u32 = 3;
const CROP: u32 = 56;

fn preprocess(filter: Filter) -> Preprocess {
    Preprocess { filter, ..Preprocess::imagenet(CROP) }
}

/// Noise on a gradient, so that every tap and every channel counts.
fn picture(width: u32, height: u32) -> Picture {
    let noise = uniform(&format!("{width}×{height}")).take((3 * width * height) as usize);
    let level = |(index, u): (usize, f64)| (u * 128.0) as u8 + (index as u32 % (3 * width) * 127 / (3 * width)) as u8;
    Picture::from_rgb(width, height, noise.enumerate().map(level).collect()).expect("as many levels as the size says")
}

/// A plan that only prepares. Its formal result is the first words of its input.
fn plan(precision: Precision) -> Plan {
    let map = Map::new(CROP as usize, CROP as usize, 3);
    let bytes = precision.bytes() * (map.padded_values() * BATCH as usize) as u64;
    let view = View { memory: Memory::Slot(0), offset: 0, bytes, precision };
    let formal = View { bytes: 16 * u64::from(BATCH), precision: Precision::F32, ..view };
    Plan {
        name: "preparation".into(),
        batch: BATCH,
        runs: 1,
        limits: Limits::default(),
        precision,
        weights: Default::default(),
        slots: vec![bytes],
        passes: Vec::new(),
        input: Output { map, view },
        scores: Output { map: Map::vector(1), view: formal },
        best: formal,
        top: 1,
        dynamic: Vec::new(),
        chosen: Default::default(),
    }
}

fn executor(gpu: &Gpu, filter: Filter, sources: &(dyn Fn(Kernel, Precision) -> String + Sync)) -> GpuExecutor {
    executor_storing(Precision::F32, gpu, filter, sources)
}

fn executor_storing(
    precision: Precision,
    gpu: &Gpu,
    filter: Filter,
    sources: &(dyn Fn(Kernel, Precision) -> String + Sync),
) -> GpuExecutor {
    let (plan, preprocess) = (plan(precision), preprocess(filter));
    pollster::block_on(GpuExecutor::with_sources(gpu, plan, Some(&preprocess), sources)).expect("the device takes it")
}

/// Prepares the pictures, and says what is wrong with the result. The slots of pictures that are not there stay poisoned.
fn difference(executor: &mut GpuExecutor, filter: Filter, pictures: &[&Picture]) -> Result<(), String> {
    difference_after(executor, filter, pictures, |executor| {
        pollster::block_on(executor.run_pictures(pictures, false)).map(drop)
    })
}

/// As [`difference`], of a picture that comes as a frame: RGBA, of its window.
fn frame_difference(executor: &mut GpuExecutor, filter: Filter, picture: &Picture) -> Result<(), String> {
    let (width, height) = (picture.width(), picture.height());
    let pixels = picture.packed(&preprocess(filter).window(width, height));
    let rgba: Vec<u32> = pixels.into_iter().map(|rgb| rgb | (rgb ^ 0x5a) << 24).collect();
    let frame = Frame { width, height, pixels: Pixels::Packed(&rgba) };
    difference_after(executor, filter, &[picture], |executor| {
        pollster::block_on(executor.start_frame(&frame, false)?.results()).map(drop)
    })
}

fn difference_after(
    executor: &mut GpuExecutor,
    filter: Filter,
    pictures: &[&Picture],
    run: impl FnOnce(&mut GpuExecutor) -> Result<(), GpuError>,
) -> Result<(), String> {
    let (preprocess, input) = (preprocess(filter), executor.plan().input.view);
    let mut expected = vec![f32::NAN; input.values() as usize];
    executor.write(input, &expected);
    run(executor).map_err(|error| error.to_string())?;
    let found = pollster::block_on(executor.read(input)).map_err(|error| error.to_string())?;
    for (slot, picture) in (0..).zip(pictures) {
        Resize::new(picture.width(), picture.height(), &preprocess, slot).on_cpu(picture, &mut expected);
    }
    let mut unequal = 0;
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        if found.is_nan() && expected.is_nan() {
            continue;
        }
        // Both round the same sums to whole levels; only a sum next to a half may fall to the other side.
        let level = if index % 4 == 3 { 0.0 } else { 1.0 / 255.0 / preprocess.std[index % 4] };
        let off = (found - expected).abs();
        if !(off <= 1.01 * level) {
            return Err(format!("word {index} is {found}, expected {expected}"));
        }
        unequal += usize::from(off > 0.1 * level);
    }
    let allowed = expected.len() / 1000;
    if unequal > allowed { Err(format!("{unequal} levels differ, allowed are {allowed}")) } else { Ok(()) }
}

#[test]
fn pictures_of_any_size_are_prepared_as_on_the_cpu() {
    let gpu = gpu::open();
    let sizes = [(451, 300), (37, 53), (3, 400), (1, 1), (64, 64), (1500, 1100), (300, 451)];
    let pictures: Vec<Picture> = sizes.iter().map(|(width, height)| picture(*width, *height)).collect();
    for (filter, precision) in
        [(Filter::Bilinear, Precision::F32), (Filter::Bicubic, Precision::F32), (Filter::Bilinear, Precision::F16)]
    {
        let mut executor = executor_storing(precision, &gpu, filter, &wgsl);
        // Batches of three, two and one; the picture of 1500 × 1100 needs more memory than there was at first.
        for batch in [&pictures[..3], &pictures[2..4], &pictures[4..7], &pictures[..1]] {
            let batch: Vec<&Picture> = batch.iter().collect();
            assert!(executor.can_prepare(&batch));
            let sizes: Vec<_> = batch.iter().map(|p| (p.width(), p.height())).collect();
            assert_eq!(difference(&mut executor, filter, &batch), Ok(()), "{filter:?} {sizes:?}");
        }
    }
}

#[test]
fn frames_of_any_size_are_prepared_as_on_the_cpu() {
    let gpu = gpu::open();
    for filter in [Filter::Bilinear, Filter::Bicubic] {
        let mut executor = executor(&gpu, filter, &wgsl);
        // Rows of the copy are padded to a multiple of 64 pixels; the texture and the memory grow on the way.
        for (width, height) in [(451, 300), (37, 53), (3, 400), (1, 1), (64, 64), (1500, 1100), (300, 451)] {
            let picture = picture(width, height);
            assert!(executor.can_prepare_frame(width, height));
            assert_eq!(frame_difference(&mut executor, filter, &picture), Ok(()), "{filter:?} {width}×{height}");
        }
        // Frames and pictures may take turns.
        let one = picture(70, 75);
        assert_eq!(difference(&mut executor, filter, &[&one, &one]), Ok(()));
        assert_eq!(frame_difference(&mut executor, filter, &one), Ok(()));
    }
}

#[test]
fn frames_that_are_not_what_they_say_are_refused() {
    let gpu = gpu::open();
    let mut executor = executor(&gpu, Filter::Bilinear, &wgsl);
    let mut refused = |width, height, pixels: &[u32]| {
        let started = executor.start_frame(&Frame { width, height, pixels: Pixels::Packed(pixels) }, false);
        started.map(drop).unwrap_err().to_string()
    };
    let short = "a frame of 2 × 2 pixels: expected the 2 × 2 pixels that are seen of it, found 3";
    assert_eq!(refused(2, 2, &[0; 3]), short);
    assert_eq!(refused(0, 2, &[]), "a frame of 0 × 2 pixels: it has no pixels");
    assert!(refused(u32::MAX, u32::MAX, &[0; 4]).contains("the device has no room for it"));
    assert!(!executor.can_prepare_frame(1 << 20, 1 << 20));
    assert_eq!(
        frame_difference(&mut executor, Filter::Bilinear, &picture(8, 8)),
        Ok(()),
        "after refusals it still runs"
    );
}

#[test]
fn what_cannot_be_prepared_is_refused() {
    let gpu = gpu::open();
    let one = picture(8, 8);
    let refused = |executor: &mut GpuExecutor, pictures: &[&Picture]| {
        matches!(pollster::block_on(executor.run_pictures(pictures, false)), Err(GpuError::CannotPrepare { .. }))
    };
    let mut able = executor(&gpu, Filter::Bilinear, &wgsl);
    assert!(refused(&mut able, &[]) && refused(&mut able, &[&one; 4]));
    assert_eq!(difference(&mut able, Filter::Bilinear, &[&one]), Ok(()), "after a refusal it still runs");
    let mut unable =
        pollster::block_on(GpuExecutor::new(&gpu, plan(Precision::F32), None)).expect("the device takes it");
    assert!(!unable.can_prepare(&[&one]) && refused(&mut unable, &[&one]));
}

#[test]
fn faults_are_caught() {
    let faults = [
        (
            "rows and columns swapped",
            "source[row * params.stride + u32(tap)]",
            "source[u32(tap) * params.stride + row]",
        ),
        ("no antialiasing", "let stretch = max(scale, 1.0);", "let stretch = 1.0;"),
        ("half a pixel off", "(f32(position) + 0.5) * scale", "f32(position) * scale"),
        ("rounded down", "sum.rgb / sum.w + 0.5", "sum.rgb / sum.w"),
        ("red for blue", "rgb.r | (rgb.g << 8u) | (rgb.b << 16u)", "rgb.b | (rgb.g << 8u) | (rgb.r << 16u)"),
        ("mean forgotten", "levels(sum) / 255.0 - mean", "levels(sum) / 255.0"),
        ("first slot only", "normalised[params.first_pixel +", "normalised["),
        ("last row forgotten", "row >= params.crop { return; }", "row + 1u >= params.crop { return; }"),
    ];
    let gpu = gpu::open();
    let (first, second) = (picture(131, 90), picture(70, 75));
    for (what, right, wrong) in faults {
        let text = wgsl(Kernel::Resize, Precision::F32);
        assert!(text.contains(right), "the text of `{what}` is out of date: {right}");
        let text = text.replacen(right, wrong, 1);
        let mut executor = executor(&gpu, Filter::Bilinear, &|_, _| text.clone());
        let found = difference(&mut executor, Filter::Bilinear, &[&first, &second]);
        assert!(found.is_err(), "`{what}` was not caught");
    }
}
