//! The threads of the CPU executor, which stay awake while a run lasts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};
use web_time::Instant;

/// Threads that share the loops of twins: one for each core, or as many as `RAYON_NUM_THREADS` says.
///
/// A run is some hundred loops of microseconds each. Threads that slept between them would be woken for most, which takes longer than
/// many a loop itself, so they look for work while the run lasts. They are the executor's own: those of a pool that others use too
/// could wait for each other's runs.
pub(super) struct Threads {
    /// None where there are no threads, as in a browser.
    pool: Option<ThreadPool>,
}

impl Threads {
    pub(super) fn new() -> Self {
        Self { pool: ThreadPoolBuilder::new().thread_name(|index| format!("dynaconv-{index}")).build().ok() }
    }

    /// Does the work on one of the threads, while the others look for what it shares.
    pub(super) fn run(&self, work: impl FnOnce() + Send) {
        let Some(pool) = &self.pool else { return work() };
        let ended = AtomicBool::new(false);
        let ended = &ended;
        pool.scope(|scope| {
            let own = rayon::current_thread_index();
            scope.spawn_broadcast(move |_, context| {
                if Some(context.index()) != own {
                    help_until(ended);
                }
            });
            let _end = End(ended);
            work();
        });
    }
}

/// How long a thread looks for work in vain before it sleeps until it is woken: where there are many, not all find some.
const PATIENCE: Duration = Duration::from_millis(1);

fn help_until(ended: &AtomicBool) {
    let mut last = Instant::now();
    while !ended.load(Ordering::Relaxed) && last.elapsed() < PATIENCE {
        if rayon::yield_now() == Some(Yield::Executed) {
            last = Instant::now();
        } else {
            // Others may need the core.
            std::thread::yield_now();
        }
    }
}

/// Ends the help even where the work panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn runs_beside_each_other_end() {
        let sum = || {
            let threads = Threads::new();
            let mut sum = 0;
            for _ in 0..100 {
                threads.run(|| sum += (0..1000).into_par_iter().with_max_len(1).sum::<u32>());
            }
            sum
        };
        assert_eq!(rayon::join(sum, sum), (49_950_000, 49_950_000));
    }

    #[test]
    fn a_run_that_panics_ends_too() {
        let threads = Threads::new();
        let panics = || threads.run(|| panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        let mut ran = false;
        threads.run(|| ran = true);
        assert!(ran);
    }
}
