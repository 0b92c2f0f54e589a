//! Prepares a frame on the GPU: a picture that a page shows, or pixels. Only the part that the network sees is copied,
//! to a texture that is kept between frames and from there to where `resize` reads it; what a page shows never passes through
//! this program's memory.

use super::{Gpu, GpuError};
use crate::picture::Window;

/// A picture outside of this program, or the part of one that the network sees.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where its pixels are.
    pub pixels: Pixels<'a>,
}

/// Where a frame's pixels are.
#[derive(Clone, Copy)]
pub enum Pixels<'a> {
    /// In memory: those of the frame's window, as [`Picture::packed`](crate::picture::Picture::packed) has them. A fourth channel
    /// is ignored.
    Packed(&'a [u32]),
    /// In a page's image, canvas, video or the like: whatever WebGPU's `copyExternalImageToTexture` takes.
    #[cfg(target_arch = "wasm32")]
    External {
        /// The image, canvas or video.
        source: &'a wasm_bindgen::JsValue,
        /// Whether it holds the frame's window alone.
        cut: bool,
    },
}

/// Words of a row where a texture is copied to a buffer are a multiple of this.
const ROW_WORDS: u32 = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT / 4;

impl Frame<'_> {
    pub(super) fn refused(&self, reason: impl Into<String>) -> GpuError {
        GpuError::Frame { width: self.width, height: self.height, reason: reason.into() }
    }

    /// Checks what can be known before anything is copied.
    pub(crate) fn check(&self, window: &Window) -> Result<(), GpuError> {
        if self.width == 0 || self.height == 0 {
            return Err(self.refused("it has no pixels"));
        }
        match self.pixels {
            Pixels::Packed(pixels) => {
                let [columns, rows] = [window.columns.length, window.rows.length];
                let (expected, found) = (u64::from(columns) * u64::from(rows), pixels.len() as u64);
                let reason = || format!("expected the {columns} × {rows} pixels that are seen of it, found {found}");
                if found == expected { Ok(()) } else { Err(self.refused(reason())) }
            }
            #[cfg(target_arch = "wasm32")]
            Pixels::External { .. } => Ok(()),
        }
    }
}

/// The texture that frames are copied to. It grows when a larger frame comes than ever before.
#[derive(Default)]
pub(super) struct FrameTexture(Option<wgpu::Texture>);

impl FrameTexture {
    /// Words from the start of one row to that of the next, once a window of `columns` is in a buffer.
    pub fn stride(columns: u32) -> u32 {
        columns.checked_next_multiple_of(ROW_WORDS).unwrap_or(u32::MAX)
    }

    /// Whether the device has textures that large.
    pub fn fits(gpu: &Gpu, window: Window) -> bool {
        window.columns.length.max(window.rows.length) <= gpu.device.limits().max_texture_dimension_2d
    }

    /// Copies a window of a frame to the texture, and records its way on to `target`.
    pub fn send(
        &mut self,
        gpu: &Gpu,
        frame: &Frame<'_>,
        window: Window,
        target: &wgpu::Buffer,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<(), GpuError> {
        let (width, height) = (window.columns.length, window.rows.length);
        let extent = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let texture = match &self.0 {
            Some(texture) if texture.width() >= width && texture.height() >= height => texture,
            old => {
                let [old_width, old_height] = old.as_ref().map_or([0, 0], |t| [t.width(), t.height()]);
                // wgpu leaves it to a page's garbage collector to give memory back.
                old.iter().for_each(wgpu::Texture::destroy);
                self.0.insert(texture(gpu, width.max(old_width), height.max(old_height)))
            }
        };
        match frame.pixels {
            Pixels::Packed(pixels) => {
                let layout =
                    wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * width), rows_per_image: None };
                gpu.queue.write_texture(texture.as_image_copy(), bytemuck::cast_slice(pixels), layout, extent);
            }
            #[cfg(target_arch = "wasm32")]
            Pixels::External { source, cut } => {
                let origin = if cut { [0, 0] } else { [window.columns.first, window.rows.first] };
                copy_external(gpu, source, origin, texture, extent).map_err(|reason| frame.refused(reason))?;
            }
        }
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * Self::stride(width)),
            rows_per_image: None,
        };
        let target = wgpu::TexelCopyBufferInfo { buffer: target, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), target, extent);
        Ok(())
    }
}

fn texture(gpu: &Gpu, width: u32, height: u32) -> wgpu::Texture {
    use wgpu::TextureUsages as Usage;
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("dynaconv.frame"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        // Browsers draw an image into the texture.
        usage: Usage::COPY_DST | Usage::COPY_SRC | Usage::RENDER_ATTACHMENT,
        view_formats: &[],
    })
}

/// Calls `copyExternalImageToTexture`. By hand, because wgpu's own call panics where the browser throws, as it does when an
/// image is broken or comes from another site.
#[cfg(target_arch = "wasm32")]
fn copy_external(
    gpu: &Gpu,
    source: &wasm_bindgen::JsValue,
    [left, top]: [u32; 2],
    texture: &wgpu::Texture,
    extent: wgpu::Extent3d,
) -> Result<(), String> {
    use js_sys::{Array, Function, Object, Reflect};
    use wasm_bindgen::{JsCast, JsValue};

    let object = |entries: &[(&str, &JsValue)]| {
        let object = Object::new();
        // Setting a property of a plain object cannot fail.
        entries.iter().for_each(|(name, value)| drop(Reflect::set(&object, &JsValue::from(*name), value)));
        JsValue::from(object)
    };
    let copy = || {
        let missing = || JsValue::from("the device is not the browser's");
        let queue: &JsValue = gpu.queue.as_webgpu().ok_or_else(missing)?.as_ref();
        let texture: &JsValue = texture.as_webgpu().ok_or_else(missing)?.as_ref();
        let origin = object(&[("x", &left.into()), ("y", &top.into())]);
        let from = object(&[("source", source), ("origin", &origin)]);
        let to = object(&[("texture", texture), ("colorSpace", &"srgb".into()), ("premultipliedAlpha", &false.into())]);
        let size = object(&[("width", &extent.width.into()), ("height", &extent.height.into())]);
        let function: Function = Reflect::get(queue, &"copyExternalImageToTexture".into())?.dyn_into()?;
        Reflect::apply(&function, queue, &Array::of3(&from, &to, &size))
    };
    match copy() {
        Ok(_) => Ok(()),
        Err(thrown) => Err(String::from(Object::from(thrown).to_string())),
    }
}
