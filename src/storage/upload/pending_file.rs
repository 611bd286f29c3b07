//! A local file that grows beside its place and gets its name when it is whole.
//!
//! It is written as `name#<number>`, which listings of the object store leave out, and locked, so
//! that files of killed processes differ from those of living ones.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::storage::local::{LocalFiles, Temporary};
use crate::storage::new_file::NewFile;

/// A file on its way to its name. Dropped before it has it, it is removed. Every call blocks.
#[derive(Debug)]
pub struct PendingFile {
    files: LocalFiles,
    file: NewFile,
    path: PathBuf,
    replace: bool,
    /// `None` once the file has its name.
    temporary: Option<Temporary>,
}

impl PendingFile {
    /// Begins a file that shall be called `path`, in place of one that is there if it may `replace`
    /// it. Missing directories are made.
    ///
    /// # Errors
    /// If a call fails.
    pub fn create(files: &LocalFiles, path: &Path, replace: bool) -> Result<Self> {
        let temporary = files.temporary(path)?;
        let file = NewFile::over(files, temporary.path(), path);
        let files = files.clone();
        let (path, temporary) = (path.to_owned(), Some(temporary));
        Ok(Self { files, file, path, replace, temporary })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes)
    }

    /// The bytes so far.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Makes the bytes durable and gives them their name; `false` means that there is a file of this
    /// name, which may not be replaced.
    ///
    /// # Errors
    /// If a call fails.
    pub fn finish(mut self) -> Result<bool> {
        self.file.complete()?;
        let Some(temporary) = &self.temporary else { return Ok(true) };
        let is_named = match self.replace {
            true => self.files.rename_durably(temporary.path(), &self.path).map(|()| true)?,
            false => self.files.name(temporary.path(), &self.path)?,
        };
        self.temporary = None;
        Ok(is_named)
    }
}

/// The error of a write holds ours.
impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            fs::remove_file(temporary.path()).ok(); // the error that matters is another one
        }
    }
}
