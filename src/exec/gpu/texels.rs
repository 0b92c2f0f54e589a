//! Textures that hold weights, static and assembled, where their loads are faster than a buffer's.
//!
//! A texture holds the views that begin where it does and are stored as it is, in the order of the buffer's bytes: line after line of
//! vec4. Of sampled textures each is a layer, of stored ones a row.

use std::collections::HashMap;

use super::Gpu;
use crate::kernels::{Texels, holds_weights};
use crate::plan::{Memory, Plan, View};
use crate::tensor::Precision;

/// The textures of a plan.
#[derive(Default)]
pub(super) struct Textures(HashMap<Place, Texture>);

/// Where a texture begins, how it is stored, and how it is loaded.
type Place = (Memory, u64, Precision, Texels);

struct Texture {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
}

/// Lines of a texture, or the beginning of one, and the first byte of what they hold.
struct Part {
    origin: wgpu::Origin3d,
    size: wgpu::Extent3d,
    first: u64,
}

/// Whether a device of these limits has textures for all weights of a plan.
pub(super) fn fit(limits: &wgpu::Limits, plan: &Plan, loads: Texels) -> bool {
    let views = plan.passes.iter().flat_map(|pass| pass.bound()).filter(|(name, ..)| holds_weights(name));
    views.map(|(_, _, view)| view).all(|view| fits(limits, &view, loads))
}

fn fits(limits: &wgpu::Limits, view: &View, loads: Texels) -> bool {
    let most_lines = match loads {
        Texels::Stored => limits.max_texture_dimension_2d,
        Texels::Sampled => limits.max_texture_array_layers,
    };
    loads.line() <= limits.max_texture_dimension_2d && texture_lines(view, loads) <= u64::from(most_lines)
}

impl Textures {
    /// Makes the textures of these views and fills those of static weights, whose arena is given.
    pub fn create(gpu: &Gpu, views: impl Iterator<Item = (View, Texels)>, arena: &[u8]) -> Self {
        let mut largest: HashMap<Place, View> = HashMap::new();
        for (view, loads) in views {
            let known = largest.entry(place(&view, loads)).or_insert(view);
            known.bytes = known.bytes.max(view.bytes);
        }
        let made = largest.iter().map(|(place @ (.., loads), view)| {
            let texture = texture(gpu, view, *loads);
            let dimension = Some(dimension(*loads));
            let bound = texture.create_view(&wgpu::TextureViewDescriptor { dimension, ..Default::default() });
            (*place, Texture { texture, view: bound })
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
    pub fn of(&self, view: &View, loads: Texels) -> Option<&wgpu::TextureView> {
        Some(&self.0.get(&place(view, loads))?.view)
    }

    /// Writes to the beginning of a view, wherever it has a texture.
    pub fn write(&self, gpu: &Gpu, view: &View, bytes: &[u8]) {
        let written = View { bytes: bytes.len() as u64, ..*view };
        for loads in [Texels::Stored, Texels::Sampled] {
            let Some(Texture { texture, .. }) = self.0.get(&place(view, loads)) else { continue };
            for part in parts(&written, loads) {
                gpu.queue.write_texture(part.of(texture), bytes, layout(&written, loads, &part), part.size);
            }
        }
    }

    /// Records the way of a view's texture to a buffer.
    pub fn copy(&self, view: &View, loads: Texels, target: &wgpu::Buffer, encoder: &mut wgpu::CommandEncoder) {
        let Some(Texture { texture, .. }) = self.0.get(&place(view, loads)) else { return };
        for part in parts(view, loads) {
            let target = wgpu::TexelCopyBufferInfo { buffer: target, layout: layout(view, loads, &part) };
            encoder.copy_texture_to_buffer(part.of(texture), target, part.size);
        }
    }
}

const fn place(view: &View, loads: Texels) -> Place {
    (view.memory, view.offset, view.precision, loads)
}

impl Part {
    fn of<'a>(&self, texture: &'a wgpu::Texture) -> wgpu::TexelCopyTextureInfo<'a> {
        wgpu::TexelCopyTextureInfo { origin: self.origin, ..texture.as_image_copy() }
    }
}

/// How a texture is bound.
pub(super) const fn dimension(loads: Texels) -> wgpu::TextureViewDimension {
    match loads {
        Texels::Stored => wgpu::TextureViewDimension::D2,
        Texels::Sampled => wgpu::TextureViewDimension::D2Array,
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

const fn line_bytes(view: &View, loads: Texels) -> u64 {
    4 * view.precision.bytes() * loads.line() as u64
}

/// Lines of the texture that holds a view. Rows are never a power of two: llvmpipe compiles a pipeline anew for textures of such heights.
fn texture_lines(view: &View, loads: Texels) -> u64 {
    let lines = view.bytes.div_ceil(line_bytes(view, loads));
    match loads {
        Texels::Stored => lines.max(2) + u64::from(lines.max(2).is_power_of_two()),
        Texels::Sampled => lines.max(1),
    }
}

/// The extent of so many lines, each of `width` texels.
const fn extent(width: u32, lines: u32, loads: Texels) -> wgpu::Extent3d {
    match loads {
        Texels::Stored => wgpu::Extent3d { width, height: lines, depth_or_array_layers: 1 },
        Texels::Sampled => wgpu::Extent3d { width, height: 1, depth_or_array_layers: lines },
    }
}

/// Whole lines, then what is left of one.
fn parts(view: &View, loads: Texels) -> impl Iterator<Item = Part> + use<> {
    let bytes = line_bytes(view, loads);
    let whole = (view.bytes / bytes) as u32;
    let rest = (view.bytes % bytes / (4 * view.precision.bytes())) as u32;
    let after = match loads {
        Texels::Stored => wgpu::Origin3d { x: 0, y: whole, z: 0 },
        Texels::Sampled => wgpu::Origin3d { x: 0, y: 0, z: whole },
    };
    let lines = Part { origin: wgpu::Origin3d::ZERO, size: extent(loads.line(), whole, loads), first: 0 };
    let line = Part { origin: after, size: extent(rest, 1, loads), first: u64::from(whole) * bytes };
    [(whole, lines), (rest, line)].into_iter().filter(|(texels, _)| *texels > 0).map(|(_, part)| part)
}

fn layout(view: &View, loads: Texels, part: &Part) -> wgpu::TexelCopyBufferLayout {
    let bytes_per_row = Some(line_bytes(view, loads) as u32);
    wgpu::TexelCopyBufferLayout { offset: part.first, bytes_per_row, rows_per_image: Some(part.size.height) }
}

/// What loads the texel that lies nearest to where it is asked for, within the texture.
pub(super) fn sampler(gpu: &Gpu) -> wgpu::Sampler {
    gpu.device.create_sampler(&wgpu::SamplerDescriptor { label: Some("dynaconv.weights"), ..Default::default() })
}

fn texture(gpu: &Gpu, view: &View, loads: Texels) -> wgpu::Texture {
    use wgpu::TextureUsages as Usage;
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("dynaconv.weights"),
        size: extent(loads.line(), texture_lines(view, loads) as u32, loads),
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

    const fn view(texels: u64, precision: Precision) -> View {
        View { memory: Memory::Weights, offset: 0, bytes: 4 * texels * precision.bytes(), precision }
    }

    #[test]
    fn no_texture_is_a_power_of_two_high() {
        for rows in 1..=4096 {
            let made = texture_lines(&view((rows - 1) * 1024 + 1, Precision::F32), Texels::Stored);
            assert!((rows..=rows + 2).contains(&made) && !made.is_power_of_two(), "{rows} rows are {made}");
        }
    }

    #[test]
    fn a_view_fits_in_as_many_lines_as_a_device_has() {
        let limits = |max_texture_dimension_2d, max_texture_array_layers| wgpu::Limits {
            max_texture_dimension_2d,
            max_texture_array_layers,
            ..wgpu::Limits::default()
        };
        for precision in [Precision::F32, Precision::F16] {
            // A row more than a power of two, and as many texels as that has.
            let rows =
                |limits| [2047 * 1024, 2047 * 1024 + 1].map(|it| fits(&limits, &view(it, precision), Texels::Stored));
            assert_eq!(rows(limits(2047, 1)), [true, false]);
            assert_eq!(rows(limits(2048, 1)), [true, false]);
            assert_eq!(rows(limits(2049, 1)), [true, true]);
            let layers =
                |limits| [256 * 4096, 256 * 4096 + 1].map(|it| fits(&limits, &view(it, precision), Texels::Sampled));
            assert_eq!(layers(limits(4096, 256)), [true, false]);
            assert_eq!(layers(limits(4096, 257)), [true, true]);
            assert_eq!(layers(limits(4095, 257)), [false, false]);
        }
    }

    #[test]
    fn parts_are_whole_lines_and_the_beginning_of_one() {
        for (precision, texel) in [(Precision::F32, 16), (Precision::F16, 8)] {
            for (texels, expected) in [(5, (0, 5)), (3 * 4096, (3, 0)), (3 * 4096 + 7, (3, 7))] {
                let found: Vec<_> = parts(&view(texels, precision), Texels::Sampled).collect();
                let [whole, rest] = [[4096, 1, expected.0], [expected.1, 1, 1]];
                let known = [(0, whole), (expected.0, rest)].into_iter().filter(|(_, size)| !size.contains(&0));
                let boxes = |part: &Part| {
                    let wgpu::Extent3d { width, height, depth_or_array_layers } = part.size;
                    (part.origin.z, [width, height, depth_or_array_layers])
                };
                assert_eq!(found.iter().map(boxes).collect::<Vec<_>>(), known.collect::<Vec<_>>(), "{texels} texels");
                assert!(found.iter().all(|part| [part.origin.x, part.origin.y] == [0, 0]));
                assert!(found.iter().all(|part| part.first == u64::from(part.origin.z) * 4096 * texel));
            }
        }
        let found: Vec<_> = parts(&view(2 * 1024 + 7, Precision::F32), Texels::Stored).collect();
        let boxes = |part: &Part| (part.origin.y, part.size.width, part.size.height, part.first);
        assert_eq!(found.iter().map(boxes).collect::<Vec<_>>(), [(0, 1024, 2, 0), (2, 7, 1, 2 * 1024 * 16)]);
    }
}
