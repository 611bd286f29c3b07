//! Computing off the threads that serve async code.
//!
//! What takes more than about a millisecond of CPU runs on a thread that may block. Nothing can end
//! such a thread from outside, so it gets a flag to look at.

use datafusion::common::runtime::SpawnedTask;

use crate::cancel::{CancelFlag, CancelOnDrop};
use crate::error::{Error, Result};

/// Runs `work` on a thread of its own. Its flag is set when no one waits for the answer any more:
/// `work` should look at it a few times a second, and end.
///
/// # Errors
/// Those of `work`.
pub async fn compute<T: Send + 'static>(
    work: impl FnOnce(&CancelFlag) -> Result<T> + Send + 'static,
) -> Result<T> {
    let waiting = CancelOnDrop::default();
    let stop = waiting.flag();
    SpawnedTask::spawn_blocking(move || work(&stop))
        .await
        .map_err(|cause| Error::internal("a computation did not finish").caused_by(cause))?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_sees_that_no_one_waits() {
        let (begun, begins) = mpsc::channel();
        let (ended, ends) = mpsc::channel();
        let work = compute(move |stop| {
            begun.send(()).unwrap();
            while !stop.is_set() {
                std::hint::spin_loop();
            }
            ended.send(()).unwrap();
            Ok(())
        });
        let waited = tokio::time::timeout(Duration::from_millis(20), work).await;
        assert!(waited.is_err() && begins.recv().is_ok());
        ends.recv_timeout(Duration::from_secs(5)).unwrap();
    }

    #[tokio::test]
    async fn answers_and_errors_come_back() {
        assert_eq!(compute(|_| Ok(7)).await.unwrap(), 7);
        let error = compute::<()>(|_| Err(Error::usage("no"))).await.unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
