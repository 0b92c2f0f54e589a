//! How a network wants its picture: shorter side resized, centre cropped, normalised.

use serde::{Deserialize, Serialize};

/// The resampling filter, with Pillow's antialiasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Triangle, radius 1.
    Bilinear,
    /// Keys' cubic with a = −0.5, radius 2.
    Bicubic,
}

impl Filter {
    /// How far the filter reaches from its centre, in pixels of the coarser of source and output.
    pub fn radius(self) -> u32 {
        match self {
            Self::Bilinear => 1,
            Self::Bicubic => 2,
        }
    }
}

/// Resize the shorter side to `resize` pixels, cut the central `crop` × `crop` square, and map each 8-bit value v of
/// channel c to `(v / 255 − mean[c]) / std[c]`. The same as torchvision's `Resize`, `CenterCrop`, `ToTensor`, `Normalize`
/// on a Pillow image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Shorter side after resizing, in pixels; at least `crop`.
    pub resize: u32,
    /// Side of the square that the network sees, in pixels.
    pub crop: u32,
    /// Resampling filter.
    pub filter: Filter,
    /// Subtracted from each channel, in units of the full range.
    pub mean: [f32; 3],
    /// Divides each channel, in units of the full range.
    pub std: [f32; 3],
}

/// Where one picture's pixels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Size of the whole resized picture.
    pub resized: [u32; 2],
    /// Left and top of the crop within the resized picture.
    pub offset: [u32; 2],
}

impl Preprocess {
    /// ImageNet's usual preparation at a given input side: the shorter side at 8/7 of it, bilinear.
    pub fn imagenet(crop: u32) -> Self {
        Self {
            resize: (u64::from(crop) * 8 / 7).min(u64::from(u32::MAX)) as u32,
            crop,
            filter: Filter::Bilinear,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// The place of a `width` × `height` picture: the long side is ⌊resize · long / short⌋, the offset half the surplus,
    /// rounded half to even as Python's `round` does.
    pub fn placement(&self, width: u32, height: u32) -> Placement {
        let short = u64::from(width.min(height).max(1));
        let scaled = |side: u32| (u64::from(self.resize) * u64::from(side) / short).min(u64::from(u32::MAX)) as u32;
        let resized = [scaled(width), scaled(height)];
        let offset = resized.map(|side| {
            let surplus = side.saturating_sub(self.crop);
            let half = surplus / 2;
            if surplus % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
        });
        Placement { resized, offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_is_torchvisions() {
        let p = Preprocess::imagenet(224);
        assert_eq!(p.resize, 256);
        assert_eq!(p.placement(451, 300), Placement { resized: [384, 256], offset: [80, 16] });
        assert_eq!(p.placement(600, 400), Placement { resized: [384, 256], offset: [80, 16] });
        // Surplus 161 → 80.5 → 80; surplus 163 → 81.5 → 82.
        assert_eq!(p.placement(300, 452).resized, [256, 385]);
        assert_eq!(p.placement(300, 452).offset, [16, 80]);
        assert_eq!(p.placement(1000, 662).offset[0], 81);
        assert_eq!(p.placement(1, 1), Placement { resized: [256, 256], offset: [16, 16] });
    }
}
