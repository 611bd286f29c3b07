//! Computing away from the async threads: what can take longer than a millisecond runs on a thread
//! for blocking work. The thread goes on when its future is dropped, so loops look at a
//! [`CancelFlag`](crate::cancel::CancelFlag).

use datafusion::common::runtime::SpawnedTask;

use crate::error::{Error, Result};

/// Runs `work` on a thread of its own.
pub(super) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = SpawnedTask::spawn_blocking(work).await;
    done.map_err(|cause| Error::internal("a thread of k-means panicked").caused_by(cause))?
}
