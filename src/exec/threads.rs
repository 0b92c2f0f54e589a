//! The threads of the CPU executor, which stay awake while a run lasts.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};

/// Threads that share the loops of twins: one for each core, or as many as `RAYON_NUM_THREADS` says.
///
/// A run is some hundred loops of microseconds each. Threads that slept between them would be woken for most, which takes longer than
/// many a loop itself, so they look for work until the run has ended. They are the executor's own: those of a pool that others use too
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

fn help_until(ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        if rayon::yield_now() != Some(Yield::Executed) {
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
