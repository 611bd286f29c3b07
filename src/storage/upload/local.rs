//! A new local file, written on threads that may block while its caller prepares what follows.

use std::mem;
use std::path::Path;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::create::{Create, Finished, HiddenObject};
use super::pending_file::PendingFile;
use super::sha::hex;
use crate::cleanup;
use crate::error::{Error, Result};
use crate::storage::local::{LocalFiles, blocking};
use crate::storage::new_file::NewFile;

/// Writes of local files on their way at a time: enough to keep a disk busy. Each has a buffer that
/// no one accounts for.
static WRITES: Semaphore = Semaphore::const_new(4);

/// A local file in the making.
pub(super) struct LocalUpload {
    state: State,
    size: u64,
    is_hidden: bool,
}

enum State {
    Idle(Box<Growing>),
    Busy(SpawnedTask<Result<Box<Growing>>>),
    /// A write failed, or the file is finished.
    Over,
}

enum Growing {
    Pending(PendingFile),
    Hidden(NewFile, Sha256),
}

impl LocalUpload {
    pub(super) async fn create(files: LocalFiles, path: &Path, how: Create) -> Result<Self> {
        let path = path.to_owned();
        let growing = move || {
            Ok(Box::new(match how {
                Create::Hidden => Growing::Hidden(NewFile::create(&files, &path)?, Sha256::new()),
                Create::New => Growing::Pending(PendingFile::create(&files, &path, false)?),
                Create::Replace => Growing::Pending(PendingFile::create(&files, &path, true)?),
            }))
        };
        let is_hidden = how == Create::Hidden;
        Ok(Self { state: State::Idle(blocking(growing).await?), size: 0, is_hidden })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Begins to write; the call before has ended by then.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let mut growing = self.idle().await?;
        self.size += bytes.len() as u64;
        let turn = WRITES.acquire().await.expect("it is never closed");
        self.state = State::Busy(SpawnedTask::spawn_blocking(move || {
            match growing.as_mut() {
                Growing::Pending(file) => file.append(&bytes)?,
                Growing::Hidden(file, sha) => {
                    file.append(&bytes)?;
                    drop(turn);
                    sha.update(&bytes);
                }
            }
            Ok(growing)
        }));
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Finished> {
        let growing = self.idle().await?;
        blocking(move || match *growing {
            Growing::Pending(file) => match file.finish()? {
                true => Ok(Finished::Named),
                false => Ok(Finished::Taken),
            },
            Growing::Hidden(mut file, sha) => {
                file.complete()?;
                Ok(Finished::Hidden(HiddenObject { sha256: hex(sha), parts: Vec::new() }))
            }
        })
        .await
    }

    async fn idle(&mut self) -> Result<Box<Growing>> {
        match mem::replace(&mut self.state, State::Over) {
            State::Idle(growing) => Ok(growing),
            State::Busy(task) => task
                .await
                .map_err(|cause| Error::internal("a write did not finish").caused_by(cause))?,
            State::Over => Err(Error::internal("a write follows one that failed")),
        }
    }
}

/// Removes what is not finished when its last write is, on a thread that may block. A hidden file is
/// its caller's to remove.
impl Drop for LocalUpload {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, State::Over);
        if self.is_hidden || matches!(state, State::Over) {
            return;
        }
        cleanup::spawn(async move {
            let growing = match state {
                State::Idle(growing) => growing,
                State::Busy(task) => match task.await {
                    Ok(Ok(growing)) => growing,
                    _ => return, // a write that fails drops the file itself
                },
                State::Over => return,
            };
            let removed = move || {
                drop(growing);
                Ok(())
            };
            blocking(removed).await.ok();
        });
    }
}
