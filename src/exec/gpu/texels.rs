//! Textures that hold weights, static and assembled, where their loads are faster than a buffer's.
//!
//! A texture holds the views that begin where it does and are stored as it is, in the order of the buffer's bytes: row after row of
//! `ROW_TEXELS` vec4.

use std::collections::HashMap;

use super::Gpu;
use crate::kernels::{ROW_TEXELS, holds_weights};
use crate::plan::{Memory, Pass, Plan, View};
use crate::tensor::Precision;

/// The textures.
#[derive(Default)]
pub(super) struct Texels(HashMap<Place, Texture>);

/// Where a texture begins, and how it is stored.
type Place = (Memory, u64, Precision);

struct Texture {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
}

/// A rectangle of texels, and the first byte of what it holds.
struct Part {
    row: u32,
    size: wgpu::Extent3d,
    first: u64,
}

impl Texels {
    /// Whether the device has textures for all weights of a plan.
    pub fn fit(gpu: &Gpu, plan: &Plan) -> bool {
        let most = gpu.device.limits().max_texture_dimension_2d;
        ROW_TEXELS <= most && plan.passes.iter().flat_map(weights_of).all(|view| texture_rows(&view) <= u64::from(most))
    }

    /// Makes the textures of these views and fills those of static weights, whose arena is given.
    pub fn create(gpu: &Gpu, views: impl Iterator<Item = View>, arena: &[u8]) -> Self {
        let mut largest: HashMap<Place, View> = HashMap::new();
        for view in views {
            let known = largest.entry(place(&view)).or_insert(view);
            known.bytes = known.bytes.max(view.bytes);
        }
        let made = largest.values().map(|view| {
            let texture = texture(gpu, view);
            let bound = texture.create_view(&wgpu::TextureViewDescriptor::default());
            (place(view), Texture { texture, view: bound })
        });
        let made = Self(made.collect());
        for view in largest.values().filter(|view| view.memory == Memory::Weights) {
            made.write(gpu, view, &arena[view.offset as usize..][..view.bytes as usize]);
        }
        made
    }

    /// Gives the memory back at once.
    #[cfg(target_arch = "wasm32")]
    pub fn destroy(&self) {
        self.0.values().for_each(|texture| texture.texture.destroy());
    }

    /// What is bound in place of a view.
    pub fn of(&self, view: &View) -> Option<&wgpu::TextureView> {
        Some(&self.0.get(&place(view))?.view)
    }

    /// Writes to the beginning of a view, where it has a texture.
    pub fn write(&self, gpu: &Gpu, view: &View, bytes: &[u8]) {
        let Some(Texture { texture, .. }) = self.0.get(&place(view)) else { return };
        let written = View { bytes: bytes.len() as u64, ..*view };
        for part in parts(&written) {
            gpu.queue.write_texture(part.of(texture), bytes, layout(&written, part.first), part.size);
        }
    }

    /// Records the way of a view's texture to a buffer.
    pub fn copy(&self, view: &View, target: &wgpu::Buffer, encoder: &mut wgpu::CommandEncoder) {
        let Some(Texture { texture, .. }) = self.0.get(&place(view)) else { return };
        for part in parts(view) {
            let target = wgpu::TexelCopyBufferInfo { buffer: target, layout: layout(view, part.first) };
            encoder.copy_texture_to_buffer(part.of(texture), target, part.size);
        }
    }
}

const fn place(view: &View) -> Place {
    (view.memory, view.offset, view.precision)
}

impl Part {
    fn of<'a>(&self, texture: &'a wgpu::Texture) -> wgpu::TexelCopyTextureInfo<'a> {
        wgpu::TexelCopyTextureInfo { origin: wgpu::Origin3d { x: 0, y: self.row, z: 0 }, ..texture.as_image_copy() }
    }
}

/// The format whose texels hold a vec4.
pub(super) fn format(precision: Precision) -> wgpu::TextureFormat {
    match precision {
        Precision::F32 => wgpu::TextureFormat::Rgba32Float,
        Precision::F16 => wgpu::TextureFormat::Rg32Uint,
    }
}

/// What a load gives of such a texel.
pub(super) fn sample_type(precision: Precision) -> wgpu::TextureSampleType {
    match precision {
        Precision::F32 => wgpu::TextureSampleType::Float { filterable: false },
        Precision::F16 => wgpu::TextureSampleType::Uint,
    }
}

fn weights_of(pass: &Pass) -> impl Iterator<Item = View> + '_ {
    pass.bound().filter(|(name, ..)| holds_weights(name)).map(|(_, _, view)| view)
}

const fn row_bytes(view: &View) -> u64 {
    4 * view.precision.bytes() * ROW_TEXELS as u64
}

const fn rows(view: &View) -> u64 {
    view.bytes.div_ceil(row_bytes(view))
}

/// Rows of the texture that holds a view, never a power of two: llvmpipe compiles a pipeline anew for textures of such sizes.
fn texture_rows(view: &View) -> u64 {
    let rows = rows(view).max(2);
    rows + u64::from(rows.is_power_of_two())
}

/// Whole rows, then what is left of one.
fn parts(view: &View) -> impl Iterator<Item = Part> + use<> {
    let whole = (view.bytes / row_bytes(view)) as u32;
    let rest = (view.bytes % row_bytes(view) / (4 * view.precision.bytes())) as u32;
    let part = |row: u32, width: u32, height: u32, first: u64| Part {
        row,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        first,
    };
    let parts = [part(0, ROW_TEXELS, whole, 0), part(whole, rest, 1, u64::from(whole) * row_bytes(view))];
    parts.into_iter().filter(|part| part.size.width > 0 && part.size.height > 0)
}

fn layout(view: &View, offset: u64) -> wgpu::TexelCopyBufferLayout {
    wgpu::TexelCopyBufferLayout { offset, bytes_per_row: Some(row_bytes(view) as u32), rows_per_image: None }
}

fn texture(gpu: &Gpu, view: &View) -> wgpu::Texture {
    use wgpu::TextureUsages as Usage;
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("dynaconv.weights"),
        size: wgpu::Extent3d { width: ROW_TEXELS, height: texture_rows(view) as u32, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: format(view.precision),
        usage: Usage::STORAGE_BINDING | Usage::TEXTURE_BINDING | Usage::COPY_DST | Usage::COPY_SRC,
        view_formats: &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_texture_is_a_power_of_two_high() {
        for rows in 1..=4096 {
            let bytes = (rows - 1) * 16 * u64::from(ROW_TEXELS) + 16;
            let view = View { memory: Memory::Weights, offset: 0, bytes, precision: Precision::F32 };
            let made = texture_rows(&view);
            assert!((rows..=rows + 2).contains(&made) && !made.is_power_of_two(), "{rows} rows are {made}");
        }
    }
}
