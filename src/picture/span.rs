//! Which source pixels a crop is computed from, axis by axis, so that nothing else is packed, sent or resized.

use super::{Filter, Picture, Preprocess};
use rayon::prelude::*;

/// The stretch of one source axis that the crop's pixels draw on, and where those pixels lie in it.
///
/// Output pixel i of the crop is centred on `phase + (i + 0.5) · scale`, counted in source pixels from `first`. Counting
/// from `first` rather than from the picture's edge keeps the numbers small, so that `f32` places them well even in the
/// middle of a picture 16384 pixels wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first source pixel needed.
    pub first: u32,
    /// How many source pixels are needed; at least 1.
    pub length: u32,
    /// Left (upper) edge of the crop, in source pixels after `first`.
    pub phase: f32,
    /// Source pixels per output pixel.
    pub scale: f32,
}

/// The part of a picture that its crop is computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Across.
    pub columns: Span,
    /// Down.
    pub rows: Span,
}

impl Span {
    /// The span under `crop` output pixels from `offset` on, when `size` source pixels become `resized`.
    ///
    /// The bounds of each output pixel's taps are those of Pillow's `precompute_coeffs` (libImaging/Resample.c): from
    /// `trunc(centre − support + ½)` to `trunc(centre + support + ½)`, cut to the picture.
    fn new(size: u32, resized: u32, offset: u32, crop: u32, filter: Filter) -> Self {
        let scale = f64::from(size) / f64::from(resized.max(1));
        let support = f64::from(filter.radius()) * scale.max(1.0);
        let centre = |i: u32| (f64::from(offset) + f64::from(i) + 0.5) * scale;
        // Casts saturate, and the clamps keep one pixel whatever the preparation asks for.
        let first = ((centre(0) - support + 0.5) as u32).min(size.saturating_sub(1));
        let end = ((centre(crop.saturating_sub(1)) + support + 0.5) as u32).min(size).max(first + 1);
        let phase = (f64::from(offset) * scale - f64::from(first)) as f32;
        Self { first, length: end - first, phase, scale: scale as f32 }
    }
}

impl Preprocess {
    /// The part of a `width` × `height` picture that its crop is computed from.
    pub fn window(&self, width: u32, height: u32) -> Window {
        let placement = self.placement(width, height);
        let span = |axis: usize, size| {
            Span::new(size, placement.resized[axis], placement.offset[axis], self.crop, self.filter)
        };
        Window { columns: span(0, width), rows: span(1, height) }
    }
}

impl Picture {
    /// The pixels of `window`, one word each (red | green << 8 | blue << 16), row-major: `[rows.length][columns.length]`.
    /// Pixels that the picture does not have are black.
    pub fn packed(&self, window: &Window) -> Vec<u32> {
        let [left, columns] = [window.columns.first, window.columns.length].map(|n| n as usize);
        let [top, rows] = [window.rows.first, window.rows.length].map(|n| n as usize);
        let mut packed = vec![0; rows * columns];
        packed.par_chunks_mut(columns.max(1)).enumerate().for_each(|(y, row)| {
            let source = self.rgb.chunks_exact(3 * self.width as usize).nth(top + y).unwrap_or_default();
            for (word, pixel) in row.iter_mut().zip(source.chunks_exact(3).skip(left)) {
                *word = u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]);
            }
        });
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_what_the_crop_needs_and_no_more() {
        // 400 → 200, the middle 100 of it: source pixels 100..300 and a support of 2 on either side; Pillow's rounding
        // of the bounds adds the half pixel.
        let span = Span::new(400, 200, 50, 100, Filter::Bilinear);
        assert_eq!(span, Span { first: 99, length: 202, phase: 1.0, scale: 2.0 });
        // Nothing to resize: the crop itself, and the tap of weight zero after it.
        let span = Span::new(400, 400, 50, 100, Filter::Bilinear);
        assert_eq!(span, Span { first: 50, length: 101, phase: 0.0, scale: 1.0 });
        // A panorama: a crop in the middle of 16384 × 100 needs little of it.
        let window = Preprocess::imagenet(224).window(16384, 100);
        assert!(window.columns.length < 100 && window.columns.first > 8000 && window.rows.length < 100, "{window:?}");
    }

    #[test]
    fn no_preparation_leads_out_of_the_picture() {
        for (resize, crop) in [(0, 0), (0, 7), (1, 1), (7, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            let preprocess = Preprocess { resize, crop, filter: Filter::Bicubic, ..Preprocess::imagenet(224) };
            for (width, height) in [(1, 1), (3, 400), (16384, 1)] {
                let window = preprocess.window(width, height);
                for (span, size) in [(window.columns, width), (window.rows, height)] {
                    assert!(span.length >= 1 && span.first + span.length <= size, "{preprocess:?} {span:?} of {size}");
                }
            }
        }
    }

    #[test]
    fn packing_takes_the_window() {
        let picture = Picture::from_rgb(3, 2, (0..18).collect()).unwrap();
        let span = |first, length| Span { first, length, phase: 0.0, scale: 1.0 };
        let window = Window { columns: span(1, 2), rows: span(1, 1) };
        assert_eq!(picture.packed(&window), [0x0e0d0c, 0x11100f]);
    }
}
