//! Work that blocks: what computes for long or waits for a disk runs on threads of its own. When the
//! future that waits for them is dropped, the threads are asked to stop, and do so within milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::common::runtime::JoinSet;

use crate::error::{Error, Result};
use pleiad_core::dbscan::Watch;

/// A thread that may block. Only the functions of this file hand one out, so who has one is not on a
/// thread that the engine polls its futures on.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockingThread {
    stop: Arc<AtomicBool>,
}

impl BlockingThread {
    /// For work that is stopped by this flag.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch::new(&self.stop)
    }

    /// The flag itself.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// An error once the thread has been asked to stop.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        Ok(self.watch().check()?)
    }
}

/// Threads that work on one thing. They are asked to stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Threads<T> {
    running: JoinSet<Result<T>>,
    thread: BlockingThread,
}

impl<T: Send + 'static> Threads<T> {
    pub(crate) fn new() -> Self {
        Self { running: JoinSet::new(), thread: BlockingThread::default() }
    }

    /// Begins `work` on a thread of its own.
    pub(crate) fn spawn(
        &mut self,
        work: impl FnOnce(&BlockingThread) -> Result<T> + Send + 'static,
    ) {
        let thread = self.thread.clone();
        self.running.spawn_blocking(move || work(&thread));
    }

    /// Threads that have not been waited for.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The answer of the next thread that ends; none when all have.
    pub(crate) async fn next(&mut self) -> Option<Result<T>> {
        let ended = self.running.join_next().await?;
        Some(ended.unwrap_or_else(|cause| {
            Err(Error::internal("a thread of dbscan died").caused_by(cause))
        }))
    }
}

impl<T> Drop for Threads<T> {
    fn drop(&mut self) {
        self.thread.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread of its own.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce(&BlockingThread) -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut threads = Threads::new();
    threads.spawn(work);
    threads.next().await.expect("a thread was begun")
}

/// Numbers below a count, each given out once.
#[derive(Debug)]
pub(crate) struct WorkQueue {
    next: AtomicUsize,
    count: usize,
    thread: BlockingThread,
}

impl WorkQueue {
    /// The next number; none when all are given out, or the threads have been asked to stop.
    pub(crate) fn next(&self) -> Option<usize> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        (next < self.count && !self.thread.watch().is_stopped()).then_some(next)
    }

    /// The thread that asks.
    pub(crate) fn thread(&self) -> &BlockingThread {
        &self.thread
    }
}

/// Runs `work` on `threads` threads, which share the numbers below `count`; what each answers.
pub(crate) async fn parallel_for<T: Send + 'static>(
    threads: usize,
    count: usize,
    work: impl Fn(&WorkQueue) -> Result<T> + Send + Sync + 'static,
) -> Result<Vec<T>> {
    let mut running = Threads::new();
    let (next, thread) = (AtomicUsize::new(0), running.thread.clone());
    let queue = Arc::new(WorkQueue { next, count, thread });
    let work = Arc::new(work);
    for _ in 0..threads.min(count).max(1) {
        let (work, queue) = (Arc::clone(&work), Arc::clone(&queue));
        running.spawn(move |_| work(&queue));
    }
    let mut answers = Vec::new();
    while let Some(answer) = running.next().await {
        answers.push(answer?);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thread_that_no_one_waits_for_is_asked_to_stop() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let work = run(move |thread| {
            begun.send(()).expect("the test waits");
            while thread.check().is_ok() {}
            ended.send(()).expect("the test waits");
            Ok(())
        });
        tokio::select! {
            done = work => panic!("nothing has stopped it: {done:?}"),
            begun = has_begun => begun.unwrap(),
        }
        has_ended.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_of_one_thread_stops_the_others() {
        let work = parallel_for(2, 2, |queue| match queue.next() {
            Some(0) => Err(Error::data("this one fails")),
            _ => {
                while queue.thread().check().is_ok() {}
                Ok(())
            }
        });
        assert_eq!(work.await.unwrap_err().to_string(), "this one fails");
    }
}
