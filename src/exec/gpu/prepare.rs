//! Prepares pictures on the GPU: each one's pixels are sent as they are; resize, crop and normalisation run before the
//! network in the same pass.
//!
//! Pictures differ in size, so their launches are made for each run; the memory is made once and grows only when a larger
//! picture comes than ever before.

use super::frame::{Frame, FrameTexture};
use super::memory::{binding, buffer, under_way};
use super::pipelines::{Compiler, Resolved};
use super::record::Launch;
use super::uploads::Uploads;
use super::{Gpu, GpuError};
use crate::kernels::resize::Resize;
use crate::picture::{Picture, Preprocess};
use crate::plan::{Limits, Plan};

/// Bytes of one picture's params with the room to their aligned successor.
const PARAMS_STRIDE: u64 = 256;
/// What one picture's memory starts with: a photo's crop region of half a million pixels.
const FIRST_ROOM: Room = Room { source: 2 << 20, narrowed: 1 << 20 };
/// What the pictures of a batch may take in each of the buffers that they go through: larger ones are prepared by the CPU.
const MOST_BATCH_BYTES: u64 = 512 << 20;

/// Bytes for one picture's source pixels, and for its narrowed ones.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Room {
    source: u64,
    narrowed: u64,
}

impl Room {
    fn of(resize: &Resize) -> Self {
        Self { source: resize.source_bytes(), narrowed: resize.narrowed_bytes() }
    }

    fn max(self, other: Self) -> Self {
        Self { source: self.source.max(other.source), narrowed: self.narrowed.max(other.narrowed) }
    }
}

/// The launches of one run's pictures.
pub(super) struct Launches {
    workgroups: Vec<[[u32; 2]; 2]>,
}

impl Launches {
    /// Those of a picture without pixels.
    pub fn of_none() -> Self {
        Self { workgroups: vec![[[0; 2]; 2]] }
    }
}

/// Memory and pipelines that prepare a batch.
pub(super) struct Preparation {
    preprocess: Preprocess,
    batch: u32,
    horizontal: Resolved,
    vertical: Resolved,
    room: Room,
    memory: Memory,
    texture: FrameTexture,
}

struct Memory {
    params: wgpu::Buffer,
    source: wgpu::Buffer,
    #[cfg(target_arch = "wasm32")]
    narrowed: wgpu::Buffer,
    /// Params of the batch, then its source pixels. A browser's frames go another way, so it has them once they are needed.
    uploads: Option<Uploads>,
    /// For each picture of the batch the two bind groups.
    groups: Vec<[wgpu::BindGroup; 2]>,
}

impl Preparation {
    /// What the launches of any picture need, across and down.
    pub fn resolve(gpu: &Gpu, plan: &Plan, preprocess: &Preprocess, compiler: &mut Compiler<'_>) -> [Resolved; 2] {
        let dispatches = Resize::new(1, 1, preprocess, 0).dispatches();
        dispatches.map(|dispatch| compiler.resolve(gpu, &dispatch.stored_as(plan.precision), None))
    }

    pub fn create(
        gpu: &Gpu,
        plan: &Plan,
        preprocess: &Preprocess,
        input: &wgpu::Buffer,
        [horizontal, vertical]: [Resolved; 2],
    ) -> Self {
        let most = largest(gpu.limits(), plan.batch);
        let room = Room { source: FIRST_ROOM.source.min(most), narrowed: FIRST_ROOM.narrowed.min(most) };
        let memory = Memory::create(gpu, plan, room, input, [&horizontal, &vertical]);
        Self {
            preprocess: preprocess.clone(),
            batch: plan.batch,
            horizontal,
            vertical,
            room,
            memory,
            texture: FrameTexture::default(),
        }
    }

    /// Whether the device has room for every picture.
    pub fn fits(&self, gpu: &Gpu, pictures: &[&Picture]) -> bool {
        let Room { source, narrowed } = self.needed(pictures);
        source.max(narrowed) <= largest(gpu.limits(), self.batch)
    }

    fn needed(&self, pictures: &[&Picture]) -> Room {
        let rooms = pictures
            .iter()
            .map(|picture| Room::of(&Resize::new(picture.width(), picture.height(), &self.preprocess, 0)));
        rooms.fold(Room { source: 0, narrowed: 0 }, Room::max)
    }

    /// Writes the pictures where the next run finds them, and records their way to the device.
    pub async fn send(
        &mut self,
        gpu: &Gpu,
        plan: &Plan,
        input: &wgpu::Buffer,
        pictures: &[&Picture],
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Launches, GpuError> {
        self.grow(gpu, plan, input, self.needed(pictures))?;
        let first_source = PARAMS_STRIDE * u64::from(self.batch);
        let resizes: Vec<Resize> = (0..)
            .zip(pictures)
            .map(|(slot, picture)| Resize::new(picture.width(), picture.height(), &self.preprocess, slot))
            .collect();
        let Memory { params, source, uploads, .. } = &mut self.memory;
        let uploads = uploads.get_or_insert_with(|| Memory::uploads(gpu, plan, self.room));
        let bytes = first_source + self.room.source * pictures.len() as u64;
        let fill = |view: &mut wgpu::BufferViewMut| {
            let mut write = |at: u64, bytes: &[u8]| {
                view.slice(at as usize..at as usize + bytes.len()).copy_from_slice(bytes);
            };
            for ((slot, picture), resize) in (0u64..).zip(pictures).zip(&resizes) {
                write(slot * PARAMS_STRIDE, resize.params());
                let pixels = picture.packed(&resize.window());
                write(first_source + slot * self.room.source, bytemuck::cast_slice(&pixels));
            }
        };
        uploads.write(gpu, bytes, fill).await?;
        let upload = uploads.buffer(uploads.current());
        for (slot, resize) in (0u64..).zip(&resizes) {
            let at = slot * self.room.source;
            encoder.copy_buffer_to_buffer(upload, first_source + at, source, at, resize.source_bytes());
        }
        encoder.copy_buffer_to_buffer(upload, 0, params, 0, PARAMS_STRIDE * pictures.len() as u64);
        Ok(Launches { workgroups: resizes.iter().map(Resize::workgroups).collect() })
    }

    /// Makes room for pictures that need so much each; where more is needed than there is, for a quarter more than that.
    fn grow(&mut self, gpu: &Gpu, plan: &Plan, input: &wgpu::Buffer, needed: Room) -> Result<(), GpuError> {
        let most = largest(gpu.limits(), self.batch);
        let grown = |needed: u64, there: u64| {
            if needed <= there { there } else { (needed + needed / 4).next_multiple_of(PARAMS_STRIDE).min(most) }
        };
        let room = Room {
            source: grown(needed.source, self.room.source),
            narrowed: grown(needed.narrowed, self.room.narrowed),
        };
        if room != self.room {
            self.memory = Memory::create(gpu, plan, room, input, [&self.horizontal, &self.vertical]);
            self.room = room;
            gpu.check()?;
        }
        Ok(())
    }

    /// Whether the device has room for a frame of this size.
    pub fn fits_frame(&self, gpu: &Gpu, width: u32, height: u32) -> bool {
        let resize = self.frame_resize(width, height);
        let Room { source, narrowed } = Room::of(&resize);
        source.max(narrowed) <= largest(gpu.limits(), self.batch) && FrameTexture::fits(gpu, resize.window())
    }

    fn frame_resize(&self, width: u32, height: u32) -> Resize {
        let resize = Resize::new(width, height, &self.preprocess, 0);
        let stride = FrameTexture::stride(resize.window().columns.length);
        resize.with_stride(stride)
    }

    /// Copies a frame where the next run finds it, as its first picture, and records the rest of its way.
    pub fn send_frame(
        &mut self,
        gpu: &Gpu,
        plan: &Plan,
        input: &wgpu::Buffer,
        frame: &Frame<'_>,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Launches, GpuError> {
        if !self.fits_frame(gpu, frame.width, frame.height) {
            return Err(frame.refused("the device has no room for it"));
        }
        let resize = self.frame_resize(frame.width, frame.height);
        frame.check(&resize.window())?;
        self.grow(gpu, plan, input, Room::of(&resize))?;
        self.texture.send(gpu, frame, resize.window(), &self.memory.source, encoder)?;
        gpu.queue.write_buffer(&self.memory.params, 0, resize.params());
        Ok(Launches { workgroups: vec![resize.workgroups()] })
    }

    /// The launches that prepare the pictures sent last.
    pub fn steps<'a>(&'a self, launches: &'a Launches) -> impl Iterator<Item = Launch<'a>> {
        [&self.horizontal, &self.vertical].into_iter().enumerate().flat_map(move |(step, resolved)| {
            launches.workgroups.iter().enumerate().map(move |(slot, workgroups)| {
                let [x, y] = workgroups[step];
                Launch {
                    pipeline: resolved.pipeline,
                    bind_group: &self.memory.groups[slot][step],
                    params_offset: slot as u32 * PARAMS_STRIDE as u32,
                    workgroups: [x, y, 1],
                }
            })
        })
    }

    /// Asks for the upload memory back once the submitted run has read it.
    pub fn reclaim(&mut self, after: wgpu::SubmissionIndex) {
        if let Some(uploads) = &mut self.memory.uploads {
            uploads.reclaim(after);
        }
    }
}

impl Memory {
    fn create(
        gpu: &Gpu,
        plan: &Plan,
        room: Room,
        input: &wgpu::Buffer,
        [horizontal, vertical]: [&Resolved; 2],
    ) -> Self {
        use wgpu::BufferUsages as Usage;
        let batch = u64::from(plan.batch);
        let params_bytes = PARAMS_STRIDE * batch;
        let params = buffer(gpu, "picture params", params_bytes, Usage::UNIFORM | Usage::COPY_DST, false);
        let source = buffer(gpu, "pictures", batch * room.source, Usage::STORAGE | Usage::COPY_DST, false);
        let narrowed = buffer(gpu, "narrowed pictures", batch * room.narrowed, Usage::STORAGE, false);
        let uploads = cfg!(not(target_arch = "wasm32")).then(|| Self::uploads(gpu, plan, room));
        let target = plan.input.view;
        let groups = (0..batch).map(|slot| {
            let params = binding(&params, 0, 64);
            let between = binding(&narrowed, slot * room.narrowed, room.narrowed);
            let across = [params.clone(), binding(&source, slot * room.source, room.source), between.clone()];
            let down = [params, between, binding(input, target.offset, target.bytes)];
            [horizontal.bind(gpu, "resize", &across), vertical.bind(gpu, "resize", &down)]
        });
        let groups = groups.collect();
        Self {
            params,
            source,
            #[cfg(target_arch = "wasm32")]
            narrowed,
            uploads,
            groups,
        }
    }

    fn uploads(gpu: &Gpu, plan: &Plan, room: Room) -> Uploads {
        let bytes = u64::from(plan.batch) * (PARAMS_STRIDE + room.source);
        Uploads::create(gpu, "picture upload", under_way(plan), bytes)
    }
}

/// wgpu leaves it to a page's garbage collector to give memory back.
#[cfg(target_arch = "wasm32")]
impl Drop for Memory {
    fn drop(&mut self) {
        [&self.params, &self.source, &self.narrowed].into_iter().for_each(wgpu::Buffer::destroy);
    }
}

/// Bytes that the device can give to one picture of a batch.
fn largest(limits: Limits, batch: u32) -> u64 {
    // The upload buffer also holds the params.
    let buffer = limits.buffer_bytes.min(MOST_BATCH_BYTES) / u64::from(batch) - PARAMS_STRIDE;
    buffer.min(limits.storage_binding_bytes) / PARAMS_STRIDE * PARAMS_STRIDE
}
