//! Pictures from JPEG, PNG and WebP files, as Pillow's `Image.open(f).convert("RGB")` gives them, turned upright.
//!
//! Grey becomes three equal channels, palettes are looked up, an alpha channel is dropped without compositing, and a
//! 16-bit sample v becomes v >> 8 (Pillow does that for colour but clips 16-bit grey at 255, which nobody can want). Colour
//! profiles are ignored, an animation gives its first frame. The one departure from `convert` is that the EXIF orientation
//! is applied, as by Pillow's `ImageOps.exif_transpose`; one that stands in XMP or in PNG's text alone is not. What is particular
//! to JPEG stands in `jpeg.rs`.
//!
//! Bytes are not trusted: the declared size is checked before anything of that size is allocated.

use super::{Picture, chunks, jpeg};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{UnwindSafe, catch_unwind};
use std::path::Path;

/// The longest side that is decoded, in pixels.
const MAX_SIDE: u32 = 16384;
/// The largest area that is decoded, in pixels.
const MAX_PIXELS: u64 = 100_000_000;
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// What a decoder may allocate, in bytes: `MAX_PIXELS` of 16-bit RGBA, and its working memory.
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// Why bytes did not become a picture. Each message starts with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file system's refusal.
    #[error("{name}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system says.
        reason: std::io::Error,
    },
    /// More bytes than any sensible picture has.
    #[error("{name}: expected at most {MAX_FILE_BYTES} bytes, found {}", found.map_or("more".into(), |n| n.to_string()))]
    FileTooLarge {
        /// The file.
        name: String,
        /// Its bytes, where known without reading it to its end.
        found: Option<u64>,
    },
    /// Another kind of file.
    #[error("{name}: expected a JPEG, PNG or WebP picture, found {found}")]
    UnknownFormat {
        /// The file.
        name: String,
        /// What its first bytes look like.
        found: String,
    },
    /// The file declares an unreasonable size, or none.
    #[error(
        "{name}: expected 1 to {MAX_SIDE} pixels on a side and at most {MAX_PIXELS} pixels in all, \
         found {width} × {height} declared"
    )]
    BadSize {
        /// The file.
        name: String,
        /// Declared columns.
        width: u32,
        /// Declared rows.
        height: u32,
    },
    /// The end of the file is missing.
    #[error("{name}: expected a whole {format} picture, found one that ends early, after {bytes} bytes")]
    Truncated {
        /// The file.
        name: String,
        /// Its format.
        format: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The decoder's refusal.
    #[error("{name}: expected a sound {format} picture, found a fault: {reason}")]
    Corrupt {
        /// The file.
        name: String,
        /// Its format.
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
}

impl Picture {
    /// Reads and decodes the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Picture::decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PictureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long, also where the system knows no length.
        let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Err(reason) => Err(PictureError::Unreadable { name, reason }),
            Ok(length) if length as u64 > MAX_FILE_BYTES => {
                let found = path.metadata().ok().map(|data| data.len()).filter(|&length| length > MAX_FILE_BYTES);
                Err(PictureError::FileTooLarge { name, found })
            }
            Ok(_) => Self::decode(&name, &bytes),
        }
    }

    /// Decodes a JPEG, PNG or WebP file's bytes; `name` is for error messages.
    ///
    /// # Errors
    /// When the bytes are another format, truncated or corrupt, more than 256 MiB, or declare more than 16384 pixels on a
    /// side or 100 megapixels in all.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, PictureError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(PictureError::FileTooLarge { name: name.to_owned(), found: Some(bytes.len() as u64) });
        }
        let found = match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => return upright(name, sound(name, "JPEG", || jpeg::decode(name, bytes))?),
            Ok(format @ ImageFormat::Png) => {
                return upright(name, sound(name, "PNG", || decode_plain(name, bytes, format, "PNG"))?);
            }
            Ok(format @ ImageFormat::WebP) => {
                return upright(name, sound(name, "WebP", || decode_plain(name, bytes, format, "WebP"))?);
            }
            Ok(other) => format!("{other:?}").to_uppercase(),
            Err(_) => format!("{} bytes that start with {:02x?}", bytes.len(), &bytes[..bytes.len().min(8)]),
        };
        Err(PictureError::UnknownFormat { name: name.to_owned(), found })
    }
}

/// What a file holds: row-major RGB, not yet turned as its EXIF orientation says.
pub(super) struct Stored {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    pub orientation: Orientation,
}

/// What a decoder gives; an error where it panics, which none should.
fn sound<T>(
    name: &str,
    format: &'static str,
    decode: impl FnOnce() -> Result<T, PictureError> + UnwindSafe,
) -> Result<T, PictureError> {
    let failed = |_| PictureError::Corrupt { name: name.to_owned(), format, reason: "its decoder gave up".into() };
    catch_unwind(decode).map_err(failed)?
}

/// Decodes the bytes of a format that leaves its decoders no freedom.
fn decode_plain(name: &str, bytes: &[u8], kind: ImageFormat, format: &'static str) -> Result<Stored, PictureError> {
    if kind == ImageFormat::Png
        && let Some([width, height]) = png_size(bytes)
    {
        check_size(name, width, height)?;
    }
    let corrupt = |reason: String| PictureError::Corrupt { name: name.to_owned(), format, reason };
    if kind == ImageFormat::WebP {
        chunks::check_webp(bytes).map_err(|reason| corrupt(reason.into()))?;
    }
    let refused = |error: ImageError| corrupt(error.to_string());
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    check_size(name, width, height)?;
    let orientation = chunks::orientation(bytes, kind);
    let color = decoder.color_type();
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples).map_err(refused)?;
    let rgb = rgb_from(samples, usize::from(color.channel_count()), usize::from(color.bytes_per_pixel()));
    Ok(Stored { width, height, rgb, orientation })
}

/// Refuses sizes that are not worth allocating for.
pub(super) fn check_size(name: &str, width: u32, height: u32) -> Result<(), PictureError> {
    let sides = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    if sides && u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok(());
    }
    Err(PictureError::BadSize { name: name.to_owned(), width, height })
}

/// The size in a PNG's header, which stands at a fixed place. The decoder allocates a row before it tells the size.
fn png_size(bytes: &[u8]) -> Option<[u32; 2]> {
    let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some([side(16)?, side(20)?])
}

/// Three bytes a pixel from grey, grey + alpha, RGB or RGBA samples of 8 or (native-endian) 16 bits.
fn rgb_from(samples: Vec<u8>, channels: usize, bytes_per_pixel: usize) -> Vec<u8> {
    if (channels, bytes_per_pixel) == (3, 3) {
        return samples;
    }
    let depth = bytes_per_pixel / channels.max(1);
    let high = if cfg!(target_endian = "little") { depth - 1 } else { 0 };
    let [red, green, blue] = if channels < 3 { [0, 0, 0] } else { [0, 1, 2] }.map(|channel| channel * depth + high);
    let mut rgb = Vec::with_capacity(samples.len() / bytes_per_pixel * 3);
    for pixel in samples.chunks_exact(bytes_per_pixel) {
        rgb.extend([pixel[red], pixel[green], pixel[blue]]);
    }
    rgb
}

/// Turns the pixels as the EXIF orientation says.
fn upright(name: &str, stored: Stored) -> Result<Picture, PictureError> {
    let Stored { width, height, rgb, orientation } = stored;
    let turned = RgbImage::from_raw(width, height, rgb).and_then(|image| {
        let mut image = DynamicImage::ImageRgb8(image);
        image.apply_orientation(orientation);
        Picture::from_rgb(image.width(), image.height(), image.into_bytes())
    });
    turned.ok_or_else(|| PictureError::BadSize { name: name.to_owned(), width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error() {
        let panicking = || -> Result<(), PictureError> { panic!("as a decoder might") };
        let error = sound("a.webp", "WebP", panicking).unwrap_err().to_string();
        assert!(error.starts_with("a.webp: expected a sound WebP picture"), "{error}");
    }

    #[test]
    fn grey_alpha_and_16_bits_become_rgb() {
        assert_eq!(rgb_from(vec![7, 9], 1, 1), [7, 7, 7, 9, 9, 9]);
        assert_eq!(rgb_from(vec![7, 0, 9, 255], 2, 2), [7, 7, 7, 9, 9, 9]);
        assert_eq!(rgb_from(vec![1, 2, 3, 4], 4, 4), [1, 2, 3]);
        let wide = [0x01ff_u16, 0x8000, 0xffff].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(rgb_from(wide, 3, 6), [0x01, 0x80, 0xff]);
    }
}
