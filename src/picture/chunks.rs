//! The chunks of PNG and WebP files, where what is asked of them goes further than their decoders.

use image::ImageFormat;
use image::metadata::Orientation;

/// How EXIF says that the picture is to be turned, wherever in the file the chunk stands. Some programs begin it with the name that
/// JPEG has before it.
pub(super) fn orientation(bytes: &[u8], format: ImageFormat) -> Orientation {
    let exif = match format {
        ImageFormat::Png => png(bytes).find(|(name, _)| name == b"eXIf"),
        _ => webp(bytes).filter_map(Result::ok).find(|(name, _)| name == b"EXIF"),
    };
    let turned = exif.and_then(|(_, mut exif)| {
        while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
            exif = rest;
        }
        Orientation::from_exif_chunk(exif)
    });
    turned.unwrap_or(Orientation::NoTransforms)
}

/// Refuses WebP files that the decoder would panic over, or allocate for what they do not have: chunks reach past the end of the
/// file, or an animation's first frame holds a picture of another size.
pub(super) fn check_webp(bytes: &[u8]) -> Result<(), &'static str> {
    for chunk in webp(bytes) {
        let (name, content) = chunk?;
        if name == b"ANMF" {
            return check_frame(content);
        }
    }
    Ok(())
}

/// A frame's size stands behind its place; behind its duration and flags come its chunks.
fn check_frame(frame: &[u8]) -> Result<(), &'static str> {
    let side = |at: usize| {
        let bytes = frame.get(at..at + 3)?;
        Some(1 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
    };
    for chunk in little_endian(frame.get(16..).unwrap_or_default()) {
        // Behind the frame's tag and start code, in fourteen bits each; what is above scales.
        if let (b"VP8 ", content) = chunk? {
            let number =
                |at: usize| Some(u32::from(u16::from_le_bytes(content.get(at..at + 2)?.try_into().ok()?) & 0x3fff));
            if [number(6), number(8)] != [side(6), side(9)] {
                return Err("its first frame holds a picture of another size");
            }
        }
    }
    Ok(())
}

/// A chunk's name and content.
type Chunk<'a> = (&'a [u8], &'a [u8]);

/// Those of the container, behind which a file may go on.
fn webp(bytes: &[u8]) -> impl Iterator<Item = Result<Chunk<'_>, &'static str>> {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    let end = bytes.len().min((length as usize).saturating_add(8));
    little_endian(bytes.get(12..end).unwrap_or_default())
}

/// Chunks of a name, a length and so many bytes, which end at an even place.
fn little_endian(mut bytes: &[u8]) -> impl Iterator<Item = Result<Chunk<'_>, &'static str>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(8)?;
        let length = u32::from_le_bytes(head[4..].try_into().ok()?) as usize;
        let Some((content, after)) = rest.split_at_checked(length) else {
            bytes = &[];
            return Some(Err("a chunk reaches past its end"));
        };
        bytes = after.get(length % 2..).unwrap_or_default();
        Some(Ok((&head[..4], content)))
    })
}

/// Chunks of a length, a name, so many bytes and a checksum, behind the signature.
fn png(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut bytes = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(8)?;
        let length = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
        let (content, after) = rest.split_at_checked(length)?;
        bytes = after.get(4..).unwrap_or_default();
        Some((&head[4..], content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let padding = &[0][..content.len() % 2];
        [&name[..], &(content.len() as u32).to_le_bytes(), content, padding].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let chunks = chunks.concat();
        [b"RIFF", &(4 + chunks.len() as u32).to_le_bytes()[..], b"WEBP", &chunks].concat()
    }

    fn frame(declared: [u32; 2], held: [u16; 2]) -> Vec<u8> {
        let sides = declared
            .map(|side| (side - 1).to_le_bytes())
            .iter()
            .flat_map(|bytes| bytes[..3].to_vec())
            .collect::<Vec<_>>();
        let picture = [&[0; 6][..], &held[0].to_le_bytes(), &held[1].to_le_bytes()].concat();
        let alpha = chunk(b"ALPH", &[1, 2, 3]);
        chunk(b"ANMF", &[&[0; 6][..], &sides, &[0; 4], &alpha, &chunk(b"VP8 ", &picture)].concat())
    }

    #[test]
    fn frames_hold_pictures_of_their_size() {
        assert_eq!(check_webp(&file(&[chunk(b"VP8X", &[0; 10]), frame([41, 29], [41, 29])])), Ok(()));
        assert!(check_webp(&file(&[frame([1, 1], [41, 29])])).is_err());
        assert!(check_webp(&file(&[chunk(b"ANMF", &[0; 16 + 4])])).is_ok(), "for the decoder to refuse");
    }

    #[test]
    fn chunks_lie_within_the_file() {
        let whole = file(&[chunk(b"EXIF", b"odd"), chunk(b"VP8 ", &[0; 30])]);
        assert_eq!(check_webp(&whole), Ok(()));
        assert!(check_webp(&whole[..whole.len() - 1]).is_err());
        assert_eq!(check_webp(&[&whole[..], b"and something else"].concat()), Ok(()));
        let mut claims = file(&[chunk(b"EXIF", b"none")]);
        claims[16..20].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        assert!(check_webp(&claims).is_err());
    }

    #[test]
    fn orientations_are_found_behind_everything_and_behind_a_name() {
        // One entry: orientation, a short, 6.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let named = [&b"Exif\0\0"[..], exif].concat();
        for exif in [&exif[..], &named] {
            let webp = file(&[chunk(b"VP8 ", &[0; 9]), chunk(b"EXIF", exif)]);
            assert_eq!(orientation(&webp, ImageFormat::WebP), Orientation::Rotate90);
            let part =
                |name: &[u8], content: &[u8]| [&(content.len() as u32).to_be_bytes(), name, content, &[0; 4]].concat();
            let png = [b"\x89PNG\r\n\x1a\n".to_vec(), part(b"IDAT", &[1; 5]), part(b"eXIf", exif)].concat();
            assert_eq!(orientation(&png, ImageFormat::Png), Orientation::Rotate90);
            assert_eq!(orientation(&png[..png.len() - 30], ImageFormat::Png), Orientation::NoTransforms);
        }
    }
}
