//! The size of one picture's feature map.

use std::fmt;

use super::groups;

/// Height, width and channels of a feature map of one picture. A vector of C values is a 1×1 map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Map {
    /// A map of `height` × `width` pixels with `channels` values each.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// A vector of `channels` values.
    pub const fn vector(channels: usize) -> Self {
        Self::new(1, 1, channels)
    }

    /// Pixels of the map.
    pub const fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Values of the map in the channels-last layout, padding lanes included.
    pub const fn padded_values(&self) -> usize {
        self.pixels() * groups(self.channels) * super::GROUP
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}
