//! Work on several threads, natively; one after another in a browser, whose GPU objects stay on the thread that made them.

/// What each item makes, in order. They are begun in order too: those that take longest should come first.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn each<I: Sync, O: Send>(items: &[I], make: impl Fn(&I) -> O + Sync + Send) -> Vec<O> {
    use rayon::prelude::*;
    let made = items.iter().enumerate().par_bridge().map(|(index, item)| (index, make(item)));
    let mut made: Vec<_> = made.collect();
    made.sort_unstable_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, made)| made).collect()
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
