//! Work on several threads, natively; one after another in a browser, whose GPU objects stay on the thread that made them.

/// What each item makes, in order.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn each<I: Sync, O: Send>(items: &[I], make: impl Fn(&I) -> O + Sync + Send) -> Vec<O> {
    use rayon::prelude::*;
    // One by one: the last to begin may take as long as all the others.
    items.par_iter().with_max_len(1).map(make).collect()
}

/// What two pieces of work make.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn both<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    rayon::join(a, b)
}

/// What each item makes, in order.
#[cfg(target_arch = "wasm32")]
pub(super) fn each<I, O>(items: &[I], make: impl Fn(&I) -> O) -> Vec<O> {
    items.iter().map(make).collect()
}

/// What two pieces of work make.
#[cfg(target_arch = "wasm32")]
pub(super) fn both<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}
