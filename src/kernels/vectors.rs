//! Compiles the loops that cost twins most for the widest vectors of the processor that runs them.
//!
//! Products and sums are rounded one by one and in the same order whatever the width, so a result has the same bits on every
//! processor.

/// Loops over blocks of numbers that should stay in registers.
pub(super) trait Loops {
    /// Runs the loops with blocks of ROWS × COLUMNS numbers. To be inlined always: only then it takes its caller's vectors.
    fn run<const ROWS: usize, const COLUMNS: usize>(self);
}

/// Runs loops with the widest vectors that there are, and blocks that fit their registers.
pub(super) fn widest(loops: impl Loops) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was just asked whether it has what the function is compiled for.
            return unsafe { with_avx512(loops) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { with_avx2(loops) };
        }
    }
    loops.run::<4, 8>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn with_avx512(loops: impl Loops) {
    loops.run::<8, 32>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(loops: impl Loops) {
    loops.run::<6, 16>();
}
