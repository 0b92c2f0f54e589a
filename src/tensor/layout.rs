//! The layout of feature maps in memory: channels-last, in groups of four channels.
//!
//! A map of height H, width W and C channels is `[H][W][ceil(C/4)]` of vec4. The lanes past the last channel hold zero,
//! so that every kernel may read whole groups.

use super::Map;

/// Channels in one group: the lanes of a WGSL `vec4`.
pub const GROUP: usize = 4;

/// Groups that hold `channels` channels.
pub const fn groups(channels: usize) -> usize {
    channels.div_ceil(GROUP)
}

/// Rearranges pictures from `[N][C][H][W]` into the channels-last layout, `[N][H][W][ceil(C/4)]` of vec4.
///
/// `values` must hold a whole number of maps. Of a map without values there is nothing.
pub fn channels_last_from_nchw(map: Map, values: &[f32]) -> Vec<f32> {
    let pixels = map.pixels();
    if pixels * map.channels == 0 {
        return Vec::new();
    }
    let lanes = groups(map.channels) * GROUP;
    let pictures = values.len() / (pixels * map.channels);
    let mut out = vec![0.0; pictures * pixels * lanes];
    for (source, target) in values.chunks_exact(pixels * map.channels).zip(out.chunks_exact_mut(pixels * lanes)) {
        for (channel, plane) in source.chunks_exact(pixels).enumerate() {
            for (pixel, value) in plane.iter().enumerate() {
                target[pixel * lanes + channel] = *value;
            }
        }
    }
    out
}

/// The inverse of [`channels_last_from_nchw`]; padding lanes are dropped.
pub fn nchw_from_channels_last(map: Map, values: &[f32]) -> Vec<f32> {
    let pixels = map.pixels();
    if pixels * map.channels == 0 {
        return Vec::new();
    }
    let lanes = groups(map.channels) * GROUP;
    let pictures = values.len() / (pixels * lanes);
    let mut out = Vec::with_capacity(pictures * pixels * map.channels);
    for source in values.chunks_exact(pixels * lanes) {
        for channel in 0..map.channels {
            out.extend((0..pixels).map(|pixel| source[pixel * lanes + channel]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_inverse_and_pad_with_zero() {
        let map = Map::new(2, 3, 5);
        let values: Vec<f32> = (0..2 * 30).map(|v| v as f32 + 1.0).collect();
        let packed = channels_last_from_nchw(map, &values);
        assert_eq!(packed.len(), 2 * map.padded_values());
        assert_eq!(packed[0..8], [1.0, 7.0, 13.0, 19.0, 25.0, 0.0, 0.0, 0.0]);
        assert_eq!(nchw_from_channels_last(map, &packed), values);
        assert!(channels_last_from_nchw(Map::vector(0), &values).is_empty());
        assert!(nchw_from_channels_last(Map::new(0, 3, 5), &values).is_empty());
    }
}
