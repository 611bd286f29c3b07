//! Work on all cores: what computes runs on threads of its own, and ends soon when nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::common::runtime::JoinSet;

use crate::error::{Error, Result};

/// Tells the threads of a phase to end when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// The flag that threads look at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers below a count, each given out once.
#[derive(Debug)]
pub(crate) struct WorkQueue {
    next: AtomicUsize,
    count: usize,
    stop: Arc<AtomicBool>,
}

impl WorkQueue {
    /// The next number; none when all are out, or nobody waits any more.
    pub(crate) fn next(&self) -> Option<usize> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        (next < self.count && !self.stop.load(Ordering::Relaxed)).then_some(next)
    }
}

/// Runs `work` on `threads` threads, which share the numbers below `count`; what each answers.
pub(crate) async fn parallel_for<T: Send + 'static>(
    threads: usize,
    count: usize,
    work: impl Fn(&WorkQueue) -> Result<T> + Send + Sync + 'static,
) -> Result<Vec<T>> {
    let stop = Stop::default();
    let queue = Arc::new(WorkQueue { next: AtomicUsize::new(0), count, stop: stop.flag() });
    let work = Arc::new(work);
    let mut running = JoinSet::new();
    for _ in 0..threads.min(count).max(1) {
        let (work, queue) = (Arc::clone(&work), Arc::clone(&queue));
        running.spawn_blocking(move || work(&queue));
    }
    let mut answers = Vec::new();
    while let Some(answer) = running.join_next().await {
        answers.push(answer.map_err(died)??);
    }
    Ok(answers)
}

/// The error of a thread that panicked.
pub(crate) fn died(cause: tokio::task::JoinError) -> Error {
    Error::internal("a thread of dbscan died").caused_by(cause)
}
