//! Pictures as they come from files, and how a network wants them prepared. Knows neither networks nor kernels.

#[cfg(not(target_arch = "wasm32"))]
mod chunks;
#[cfg(not(target_arch = "wasm32"))]
mod decode;
#[cfg(not(target_arch = "wasm32"))]
mod jpeg;
mod preprocess;
mod span;

#[cfg(not(target_arch = "wasm32"))]
pub use decode::PictureError;
pub use preprocess::{Filter, Placement, Preprocess};
pub use span::{Span, Window};

/// A decoded picture: 8-bit RGB, rows from the top, upright.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// Wraps row-major RGB bytes; `None` when their number is not 3 · width · height or a side is zero.
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let bytes = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
        (bytes > 0 && bytes == rgb.len()).then_some(Self { width, height, rgb })
    }

    /// Columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, row-major RGB.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}
