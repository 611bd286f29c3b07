//! What a run or an upload leaves to be done when it is dropped: the removal of what it staged. And
//! what must not be dropped half done, since no one would remove it.
//!
//! The work is begun at once, and remembered as long as it goes on, so that a process can wait for it
//! before it ends: a while for removals, as long as it takes for work that users want done.

use std::sync::{Mutex, PoisonError};

use futures::channel::oneshot;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared, join_all};

use crate::error::{Error, Result};

type Work = Shared<BoxFuture<'static, ()>>;
type Pending = Mutex<Vec<WeakShared<BoxFuture<'static, ()>>>>;

static REMOVALS: Pending = Mutex::new(Vec::new());
static WANTED: Pending = Mutex::new(Vec::new());

/// Begins `work` beside the caller. Without a runtime nothing is done: whoever uses the same place
/// next finds what was left.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    begin(&REMOVALS, work);
}

/// Begins `work` that users want done, beside the caller.
pub fn spawn_wanted(work: impl Future<Output = ()> + Send + 'static) {
    begin(&WANTED, work);
}

fn begin(pending: &Pending, work: impl Future<Output = ()> + Send + 'static) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let work = work.boxed().shared();
    if let Some(begun) = work.downgrade() {
        let mut all = pending.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|earlier| earlier.upgrade().is_some());
        all.push(begun);
    }
    drop(runtime.spawn(work));
}

/// Does `work` to its end although this future may be dropped before; then what it gives is dropped too.
///
/// # Errors
/// Those of `work`.
pub async fn undivided<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (done, is_done) = oneshot::channel();
    spawn(async move { drop(done.send(work.await)) });
    let died = |cause| Error::internal("a step that is not divided died").caused_by(cause);
    is_done.await.map_err(died)?
}

/// Waits until everything that was begun is done, and what that leaves in its turn. The caller does it
/// itself where the threads of the runtime are busy.
pub async fn finish() {
    end(&REMOVALS).await;
}

/// Waits until everything that users want done is done.
pub async fn finish_wanted() {
    end(&WANTED).await;
}

async fn end(pending: &Pending) {
    loop {
        // What goes on stays known, so that whoever else waits for it does so too.
        let all: Vec<_> = {
            let mut all = pending.lock().unwrap_or_else(PoisonError::into_inner);
            let goes_on = |work: Work| work.peek().is_none().then_some(work);
            all.retain(|begun| begun.upgrade().and_then(goes_on).is_some());
            all.iter().filter_map(WeakShared::upgrade).collect()
        };
        if all.is_empty() {
            return;
        }
        join_all(all).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// A value that leaves work behind.
    struct Leaves(Arc<AtomicBool>);

    impl Drop for Leaves {
        fn drop(&mut self) {
            let left = Arc::clone(&self.0);
            spawn(async move { left.store(true, Ordering::Relaxed) });
        }
    }

    #[tokio::test]
    async fn a_step_is_done_although_no_one_waits_and_what_it_gives_is_dropped() {
        let (go, goes) = oneshot::channel::<()>();
        let is_left = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&is_left);
        let mut step = Box::pin(undivided(async move {
            goes.await.ok();
            Ok(Leaves(left))
        }));
        assert!(futures::poll!(&mut step).is_pending());
        drop(step);
        go.send(()).expect("the step goes on");
        finish().await;
        assert!(is_left.load(Ordering::Relaxed));
        assert_eq!(undivided(async { Ok(7) }).await.expect("a number"), 7);
    }

    #[tokio::test]
    async fn each_who_waits_waits_to_the_end() {
        let pending = Pending::default();
        let (go, goes) = oneshot::channel::<()>();
        begin(&pending, async move { goes.await.unwrap_or_default() });
        let (mut one, mut other) = (Box::pin(end(&pending)), Box::pin(end(&pending)));
        assert!(futures::poll!(&mut one).is_pending());
        assert!(futures::poll!(&mut other).is_pending());
        go.send(()).expect("the work goes on");
        other.await;
        one.await;
        assert!(pending.lock().expect("no panic").is_empty());
    }

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
