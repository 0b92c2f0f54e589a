//! JPEG, every level as libjpeg-turbo has it, which Pillow decodes with.
//!
//! The standard leaves the inverse DCT some freedom and the upsampling of chroma all of it, and a network's answer can hang on
//! either. So this is libjpeg's default path in all its parts: the `islow` inverse DCT, triangle ("fancy") upsampling, integer
//! conversion to RGB, and the smoothing of blocks whose fine coefficients a progressive file never sends.

use super::decode::{PictureError, Stored, check_size};
use image::metadata::Orientation;
use libjpeg_turbo_rs::{ComponentInfo, DecodeLimits, Decoder, JpegError, PixelFormat};

/// The most scans that are decoded. Encoders write about ten; each can be a few bytes that cost a walk over all blocks.
const MAX_SCANS: usize = 500;

/// Decodes a JPEG file's bytes; `name` is for error messages.
///
/// # Errors
/// When the bytes are truncated or corrupt, or declare a size that [`check_size`] refuses.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Stored, PictureError> {
    if !is_whole(bytes) {
        return Err(PictureError::Truncated { name: name.to_owned(), format: "JPEG", bytes: bytes.len() });
    }
    let corrupt = |reason: String| PictureError::Corrupt { name: name.to_owned(), format: "JPEG", reason };
    let fault = |error: JpegError| corrupt(error.to_string());
    let limits = DecodeLimits { max_scans: MAX_SCANS, ..DecodeLimits::default() };
    // Reads headers only; what takes memory comes after the size is known to be sensible.
    let decoder = Decoder::new_with_limits(bytes, limits).map_err(fault)?;
    let (width, height) = (u32::from(decoder.header().width), u32::from(decoder.header().height));
    check_size(name, width, height)?;
    check_sampling(&decoder.header().components).map_err(corrupt)?;
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let image =
        decoder.with_output_format(PixelFormat::Rgb).with_block_smoothing(true).decode_image().map_err(fault)?;
    Ok(Stored { width, height, rgb: image.data, orientation })
}

/// Refuses what the decoder would panic over: four components of which the outer two are not the finest, or the inner two
/// not a whole fraction of them. Full CMYK and YCCK with coarse chroma pass; CMYK with coarse black does not.
fn check_sampling(components: &[ComponentInfo]) -> Result<(), String> {
    let [first, second, third, last] = components else { return Ok(()) };
    let factors = |component: &ComponentInfo| [component.horizontal_sampling, component.vertical_sampling];
    let ([across, down], [less_across, less_down]) = (factors(first), factors(second));
    let divides = across.is_multiple_of(less_across) && down.is_multiple_of(less_down);
    if factors(last) == factors(first) && factors(third) == factors(second) && divides {
        return Ok(());
    }
    let expected = "expected four components with the outer two sampled alike and the inner two at a fraction of that";
    Err(format!("{expected}, found the factors {:?}", [first, second, third, last].map(factors)))
}

/// Whether an end-of-image marker closes a JPEG. Missing scans of a progressive file would go unnoticed.
///
/// Walks from marker to marker (ITU-T T.81, annex B): segments are stepped over by their length, since thumbnails inside
/// them have end markers of their own; within a scan's data FF is followed by 00 or a restart marker.
fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(rest) = bytes.get(at..) {
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd7 | 0xff);
        let Some(step) = rest.windows(2).position(is_marker) else { return false };
        match &rest[step + 1..] {
            [0xd9, ..] => return true,
            [_, high, low, ..] => at += step + 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_marker_of_its_own_closes_a_jpeg() {
        let thumbnail = [0xff, 0xd8, 0xff, 0xe1, 0, 4, 0xff, 0xd9];
        assert!(!is_whole(&thumbnail));
        let scan = [&thumbnail[..], &[0xff, 0xda, 0, 2, 0xff, 0x00, 0xff, 0xd3, 5]].concat();
        assert!(!is_whole(&scan));
        assert!(is_whole(&[&scan[..], &[0xff, 0xd9]].concat()));
        assert!(!is_whole(&[]) && !is_whole(&[0xff, 0xd8, 0xff, 0xe1]));
    }
}
