//! Threads that share the work of one region and are done with it in microseconds.
//!
//! A token is about a hundred regions of tens of microseconds each, so that waking threads by the system would cost as
//! much as the work: workers spin for a while before they sleep. A worker that the system does not run in time is not
//! waited for: regions hand out work in small pieces, and a region ends when those who joined it are done.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Turns of the spin loop before a worker sleeps: about a tenth of a millisecond.
const SPINS: u32 = 4000;
/// Turns between offers of the processor to others.
const YIELD_EVERY: u32 = 500;

/// Lowest bits of the state: how many workers joined the region.
const JOINED: u64 = 0xffff;
/// Whether workers may join.
const OPEN: u64 = 0x1_0000;
/// What a region's number counts in.
const REGION: u64 = 0x2_0000;

type Work<'a> = &'a (dyn Fn() + Sync);

/// A pool of workers; the thread that runs a region works too.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Region number, whether it is open, who joined.
    state: AtomicU64,
    /// Points at the region's `Work`, on the stack of the thread that runs the region.
    work: AtomicPtr<()>,
    /// Workers that left the region.
    left: AtomicU64,
    panicked: AtomicBool,
    stopping: AtomicBool,
    sleeping: Vec<AtomicBool>,
}

impl Pool {
    /// A pool of `threads` threads, the caller's included. Threads that the system refuses are done without.
    pub(crate) fn new(threads: usize) -> Self {
        let count = threads.clamp(1, JOINED as usize) - 1;
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            work: AtomicPtr::new(std::ptr::null_mut()),
            left: AtomicU64::new(0),
            panicked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            sleeping: (0..count).map(|_| AtomicBool::new(false)).collect(),
        });
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("bigquill-cpu-{index}"));
            thread.spawn(move || shared.serve(index)).ok()
        };
        let workers = (0..count).map_while(spawn).collect();
        Self { shared, workers }
    }

    /// Threads that work, the caller's included.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` with ranges that cover `0..items`, each at most `piece` long, on all threads.
    ///
    /// # Panics
    /// Where `work` does.
    pub(crate) fn for_ranges(&self, items: usize, piece: usize, work: impl Fn(Range<usize>) + Sync) {
        let piece = piece.max(1);
        if self.workers.is_empty() || items <= piece {
            return work(0..items);
        }
        let next = AtomicUsize::new(0);
        self.run(&|| {
            loop {
                let start = next.fetch_add(piece, Ordering::Relaxed);
                if start >= items {
                    return;
                }
                work(start..(start + piece).min(items));
            }
        });
    }

    /// Runs a region: `work` on this thread and on every worker that joins in time.
    fn run(&self, work: Work<'_>) {
        let shared = &self.shared;
        shared
            .work
            .store((&raw const work).cast_mut().cast(), Ordering::Relaxed);
        shared.left.store(0, Ordering::Relaxed);
        let region = (shared.state.load(Ordering::Relaxed) & !(JOINED | OPEN)).wrapping_add(REGION);
        // Sequentially consistent with a worker's announcement that it sleeps: one of the two sees the other.
        shared.state.store(region | OPEN, Ordering::SeqCst);
        for (worker, sleeping) in self.workers.iter().zip(&shared.sleeping) {
            if sleeping.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let closing = CloseOnDrop { shared };
        work();
        drop(closing);
        assert!(
            !shared.panicked.swap(false, Ordering::Relaxed),
            "a worker thread panicked"
        );
    }
}

/// Ends the region even where its work panics: `work` lies on the stack that is then unwound.
struct CloseOnDrop<'a> {
    shared: &'a Shared,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let joined = self.shared.state.fetch_and(!OPEN, Ordering::AcqRel) & JOINED;
        let mut turns = 0;
        while self.shared.left.load(Ordering::Acquire) != joined {
            turns += 1;
            if turns % YIELD_EVERY == 0 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its work, so that there is nothing to report.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn serve(&self, index: usize) {
        let mut last_region = 0;
        let mut turns = 0;
        while !self.stopping.load(Ordering::Relaxed) {
            let state = self.state.load(Ordering::SeqCst);
            let region = state & !(JOINED | OPEN);
            if state & OPEN != 0 && region != last_region {
                let joined =
                    self.state
                        .compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed);
                if joined.is_ok() {
                    last_region = region;
                    self.join();
                    turns = 0;
                }
                continue;
            }
            turns += 1;
            if turns > SPINS {
                self.sleep(index, state);
                turns = 0;
            } else if turns % YIELD_EVERY == 0 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }

    #[expect(
        unsafe_code,
        reason = "the work lies on another thread's stack, whose lifetime cannot be named"
    )]
    fn join(&self) {
        let work = self.work.load(Ordering::Acquire).cast::<Work<'_>>();
        // SAFETY: the state's exchange counted this worker into an open region, so that the region's thread does not
        // leave `run`, on whose stack `work` lies, before `left` counts this worker too.
        let work = unsafe { *work };
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
        self.left.fetch_add(1, Ordering::Release);
    }

    /// Sleeps until a region opens, unless one opened meanwhile.
    fn sleep(&self, index: usize, seen: u64) {
        self.sleeping[index].store(true, Ordering::SeqCst);
        if self.state.load(Ordering::SeqCst) == seen && !self.stopping.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.sleeping[index].store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(pool: &Pool, items: usize, piece: usize) -> usize {
        let sum = AtomicUsize::new(0);
        pool.for_ranges(items, piece, |range| {
            sum.fetch_add(range.sum::<usize>(), Ordering::Relaxed);
        });
        sum.into_inner()
    }

    #[test]
    fn every_item_is_worked_on_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for items in [0, 1, 7, 1000] {
                for _ in 0..200 {
                    assert_eq!(sum(&pool, items, 3), items * items.saturating_sub(1) / 2);
                }
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(3);
        let panicking = || pool.for_ranges(100, 1, |range| assert!(range.start != 50, "on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        assert_eq!(sum(&pool, 10, 1), 45);
    }
}
