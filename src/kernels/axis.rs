//! What a convolution meets along one axis of its map; taps that fall outside of the map are left out.

/// Counts along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Pairs of an output and a tap that falls inside the map.
    pub taps: u32,
    /// Inputs that some tap falls on.
    pub inputs: u32,
    /// Weights that some tap inside the map uses.
    pub weights: u32,
}

impl Axis {
    /// For a kernel of this length, moved by `stride` from `padding` before the first of `input` places.
    pub fn new(input: u32, output: u32, kernel: u32, stride: u32, padding: u32) -> Self {
        let place = |out: u32, tap: u32| i64::from(out) * i64::from(stride) + i64::from(tap) - i64::from(padding);
        let inside = |out: u32, tap: u32| (0..i64::from(input)).contains(&place(out, tap));
        let taps = (0..output).map(|out| (0..kernel).filter(|tap| inside(out, *tap)).count() as u32).sum();
        let weights = (0..kernel).filter(|tap| (0..output).any(|out| inside(out, *tap))).count() as u32;
        // Each output's stretch begins after the one before it, so what it adds lies past that one's end.
        let (mut inputs, mut covered) = (0, 0);
        for out in 0..output {
            let end = (place(out, kernel)).clamp(0, input.into());
            let begin = place(out, 0).clamp(covered, i64::from(input).max(covered));
            inputs += (end - begin).max(0) as u32;
            covered = covered.max(end);
        }
        Self { taps, inputs, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn counts_are_those_of_small_axes() {
        let of = |input, output, kernel, stride, padding| {
            let Axis { taps, inputs, weights } = Axis::new(input, output, kernel, stride, padding);
            [taps, inputs, weights]
        };
        assert_eq!(of(5, 5, 3, 1, 1), [13, 5, 3]);
        assert_eq!(of(5, 3, 3, 2, 1), [7, 5, 3]);
        assert_eq!(of(6, 3, 3, 2, 0), [8, 6, 3]);
        assert_eq!(of(1, 1, 3, 1, 1), [1, 1, 1]);
        // A stride past the kernel leaves inputs out.
        assert_eq!(of(7, 3, 1, 3, 0), [3, 3, 1]);
        assert_eq!(of(4, 1, 2, 1, 0), [2, 2, 2]);
    }
}
