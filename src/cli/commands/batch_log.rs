//! Who follows the batches of the standing queries of a script: `--progress-file`, a line of JSON a batch, and the
//! lines on the terminal.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::stream::{BatchProgress, Follower};

/// Adds a line a batch to a file.
pub(super) struct BatchLog {
    file: Mutex<File>,
    shown: String,
}

impl BatchLog {
    /// Opens the file, and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|cause| Error::io(format!("cannot write '{shown}'"), cause))?;
        Ok(Self { file: Mutex::new(file), shown })
    }
}

/// All who follow.
pub(super) struct All(pub(super) Vec<Arc<dyn Follower>>);

impl Follower for All {
    fn batch(&self, batch: &BatchProgress) -> Result<()> {
        self.0.iter().try_for_each(|one| one.batch(batch))
    }

    fn ended(&self, name: &str) {
        self.0.iter().for_each(|one| one.ended(name));
    }
}

impl Follower for BatchLog {
    fn batch(&self, batch: &BatchProgress) -> Result<()> {
        let line = serde_json::to_string(batch);
        let line = line.map_err(|cause| Error::internal("a batch as JSON").caused_by(cause))?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, so that a reader sees whole lines.
        let written = file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|cause| Error::io(format!("cannot write '{}'", self.shown), cause))
    }

    fn ended(&self, _: &str) {}
}
