//! SHA-256 of what is sent, taken beside the sending.

use std::mem;

use datafusion::common::runtime::SpawnedTask;
use sha2::{Digest, Sha256};

use super::multipart::Part;
use crate::error::{Error, Result};

/// Bytes whose SHA-256 takes far less than a millisecond.
const QUICKLY_HASHED: usize = 128 * 1024;

/// The sum so far.
pub(super) enum Hash {
    Idle(Sha256),
    Busy(SpawnedTask<Sha256>),
}

impl Hash {
    /// Adds a part: at once if it is small, else on a thread that may block.
    pub(super) async fn update(&mut self, part: &Part) -> Result<()> {
        let mut sha = mem::replace(self, Self::Idle(Sha256::new())).idle().await?;
        if part.bytes <= QUICKLY_HASHED {
            part.chunks.iter().for_each(|chunk| sha.update(chunk));
            *self = Self::Idle(sha);
            return Ok(());
        }
        let chunks = part.chunks.clone();
        *self = Self::Busy(SpawnedTask::spawn_blocking(move || {
            chunks.iter().for_each(|chunk| sha.update(chunk));
            sha
        }));
        Ok(())
    }

    /// The sum of all that was added.
    pub(super) async fn idle(self) -> Result<Sha256> {
        match self {
            Self::Idle(sha) => Ok(sha),
            Self::Busy(task) => {
                task.await.map_err(|cause| Error::internal("a sum did not end").caused_by(cause))
            }
        }
    }
}

/// The sum in hexadecimal digits.
pub(super) fn hex(sha: Sha256) -> String {
    format!("{:x}", sha.finalize())
}
