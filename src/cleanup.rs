//! What a run or an upload leaves to be done when it is dropped: the removal of what it staged.
//!
//! The work is begun at once, and remembered as long as it goes on, so that a process can wait for it
//! before it ends.

use std::sync::{Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt, WeakShared, join_all};

static PENDING: Mutex<Vec<WeakShared<BoxFuture<'static, ()>>>> = Mutex::new(Vec::new());

/// Begins `work` beside the caller. Without a runtime nothing is done: whoever uses the same place
/// next finds what was left.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let work = work.boxed().shared();
    if let Some(pending) = work.downgrade() {
        let mut all = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|earlier| earlier.upgrade().is_some());
        all.push(pending);
    }
    drop(runtime.spawn(work));
}

/// Waits until everything that was begun is done. The caller does it itself where the threads of the
/// runtime are busy.
pub async fn finish() {
    let all = std::mem::take(&mut *PENDING.lock().unwrap_or_else(PoisonError::into_inner));
    join_all(all.iter().filter_map(WeakShared::upgrade)).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_finished_although_every_worker_is_busy() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let leave = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&leave);
        runtime.spawn(async move {
            while !busy.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let done = Arc::new(AtomicBool::new(false));
        let finished = Arc::clone(&done);
        runtime.block_on(async {
            spawn(async move { finished.store(true, Ordering::Relaxed) });
            finish().await;
        });
        assert!(done.load(Ordering::Relaxed));
        leave.store(true, Ordering::Relaxed);
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
}
