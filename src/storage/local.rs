//! The calls on local files that publishing a dataset needs and an object store does not offer:
//! create-only writes that are durable, and renames.
//!
//! Every call of the commit protocol passes through here, and each is counted, so that a test can
//! stop a process before and after any of them. All of them block: call them where blocking is
//! allowed. A name below that ends in `#<digits>` is a temporary file; listings of the object store
//! leave such names out. Its writer holds a lock on it, so those of dead writers are recognised.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::runtime::SpawnedTask;

use super::crash;
use super::effects::{self, Effect};
use super::locked::Locked;
use crate::error::{Error, Kind, Result};

/// Files of this machine. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct LocalFiles {
    calls: Arc<AtomicU64>,
    /// Behaves as a file system without hard links, for tests.
    without_links: bool,
    /// Behaves as a file system of several machines, for tests.
    are_shared: bool,
}

/// A file of this machine, or a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes; none of a link.
    pub size: u64,
}

impl LocalFile {
    /// Whether listings of the object store leave it out although it is not a temporary file of ours.
    pub fn is_unlisted(&self) -> bool {
        self.is_hidden() && !is_temporary(&self.path)
    }

    /// Whether listings of the object store leave it out: its name has `#` and digits at the end.
    pub(super) fn is_hidden(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let digits = name.and_then(|name| Some(name.split_once('#')?.1));
        digits.is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    }
}

/// A temporary file, locked while its writer is alive.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    file: Locked,
}

impl Temporary {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl LocalFiles {
    /// Files whose calls are added to `calls`.
    pub(super) fn counted_by(calls: Arc<AtomicU64>) -> Self {
        Self { calls, ..Self::default() }
    }

    /// The same files, which other machines may have too.
    pub(super) fn shared(self) -> Self {
        Self { are_shared: true, ..self }
    }

    pub(super) fn are_shared(&self) -> bool {
        self.are_shared
    }

    /// Writes a new file: it is there whole and durable, or not at all. `false` means that the name
    /// is taken, and by whom is for the caller to read. Missing directories are made.
    ///
    /// The name appears by a hard link, which fails if it exists. Where there are no hard links
    /// (FAT, some FUSE and SMB) a `.claim` file beside it decides who may rename onto the name.
    ///
    /// # Errors
    /// If a call fails; of kind [`Kind::Retry`] if another writer holds the claim.
    pub fn create(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let temporary = self.write_beside(path, bytes)?;
        self.name(&temporary.path, path)
    }

    /// Writes a file in place of one that may be there: readers see the old bytes or the new.
    ///
    /// # Errors
    /// If a call fails.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.write_beside(path, bytes)?;
        self.rename_durably(&temporary.path, path)
    }

    /// Gives a temporary file its name unless that is taken, and removes it.
    pub(super) fn name(&self, temporary: &Path, path: &Path) -> Result<bool> {
        let created = match self.link(temporary, path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(cause) if no_links(&cause) => self.claim(temporary, path),
            Err(cause) => Err(failed("create", path, cause)),
        };
        self.remove(temporary)?;
        if created.as_ref().is_ok_and(|created| *created) {
            self.sync_dir(parent(path))?;
        }
        created
    }

    /// The temporary files in `dir`, and with `deep` below it, whose writers are dead, sorted. Links
    /// are not followed.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn leftovers(&self, dir: &Path, deep: bool) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        self.walk(dir, deep, |path, kind| {
            if kind.is_file() && is_temporary(&path) && is_free(&path) {
                found.push(path);
            }
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Removes what killed processes left of the file at `path` while they wrote it.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove_leftovers_of(&self, path: &Path) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}#", short_name(&name));
        let is_of_it = |found: &&PathBuf| {
            let found = found.file_name().unwrap_or_default().to_string_lossy();
            found.starts_with(&name)
        };
        let found = self.leftovers(parent(path), false)?;
        found.iter().filter(is_of_it).try_for_each(|found| self.remove(found).map(drop))
    }

    /// All files below `dir`, those too that the object store does not list, sorted. A link is a
    /// file, whatever it leads to.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn below(&self, dir: &Path) -> Result<Vec<LocalFile>> {
        let mut found = Vec::new();
        self.walk(dir, true, |path, kind| {
            if kind.is_dir() {
                return Ok(());
            }
            match fs::symlink_metadata(&path) {
                Ok(meta) => {
                    let size = if kind.is_file() { meta.len() } else { 0 };
                    found.push(LocalFile { path, size });
                    Ok(())
                }
                Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
                Err(cause) => Err(failed("look at", &path, cause)),
            }
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Shows `look` everything in `dir`, and with `deep` below it, in any order. Links are not
    /// followed.
    fn walk(
        &self,
        dir: &Path,
        deep: bool,
        mut look: impl FnMut(PathBuf, FileType) -> Result<()>,
    ) -> Result<()> {
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            self.count();
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
                Err(cause) => return Err(failed("list", &dir, cause)),
            };
            for entry in entries {
                let entry = entry.map_err(|cause| failed("list", &dir, cause))?;
                let kind = entry.file_type().map_err(|cause| failed("look at", &dir, cause))?;
                if kind.is_dir() && deep {
                    open.push(entry.path());
                }
                look(entry.path(), kind)?;
            }
        }
        Ok(())
    }

    /// Opens a new, empty file for writing, which errors call `shown`. Missing directories are made.
    pub(super) fn create_empty(&self, path: &Path, shown: &Path) -> Result<File> {
        self.make_dirs(parent(path))?;
        self.count();
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        let file = opened.map_err(|cause| failed("create", shown, cause))?;
        effects::note(|| Effect::Create(path.to_owned()));
        Ok(file)
    }

    /// Makes a file of so many bytes that stand for others: it need not be durable. If that fails, it is
    /// not there.
    ///
    /// # Errors
    /// If it exists, or the disk is full or fails.
    pub fn fill(&self, path: &Path, bytes: u64) -> Result<()> {
        let mut file = self.create_empty(path, path)?;
        self.count();
        let filled = io::copy(&mut io::repeat(b' ').take(bytes), &mut file);
        if filled.is_err() {
            drop(fs::remove_file(path)); // the first failure is the one to report
        }
        filled.map(drop).map_err(|cause| failed("write", path, cause))
    }

    /// Gives a file another name on the same file system. Missing directories are made; the new
    /// name is durable after [`LocalFiles::sync_dir`] of its directory and of those that were made.
    ///
    /// # Errors
    /// If a call fails, for instance because the names are on two file systems.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.make_dirs(parent(to))?;
        self.count();
        fs::rename(from, to).map_err(|cause| {
            Error::io(format!("cannot rename '{}' to '{}'", from.display(), to.display()), cause)
        })?;
        effects::note(|| Effect::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    /// As [`LocalFiles::rename`] within a directory, durable on return.
    pub(super) fn rename_durably(&self, from: &Path, to: &Path) -> Result<()> {
        self.rename(from, to)?;
        self.sync_dir(parent(to))
    }

    /// Waits until the names in a directory are on the disk.
    ///
    /// # Errors
    /// If a call fails.
    pub fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.count();
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| failed("write", dir, cause))?;
        effects::note(|| Effect::SyncDir(dir.to_owned()));
        Ok(())
    }

    /// Removes a file; `false` means that there was none.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove(&self, path: &Path) -> Result<bool> {
        self.count();
        let removed = gone(fs::remove_file(path)).map_err(|cause| failed("remove", path, cause))?;
        if removed {
            effects::note(|| Effect::Remove(path.to_owned()));
        }
        Ok(removed)
    }

    /// Removes a directory that is empty; `false` means that it is not there or not empty.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove_empty_dir(&self, dir: &Path) -> Result<bool> {
        self.count();
        match gone(fs::remove_dir(dir)) {
            Err(cause) if cause.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Ok(true) => {
                effects::note(|| Effect::Remove(dir.to_owned()));
                Ok(true)
            }
            other => other.map_err(|cause| failed("remove", dir, cause)),
        }
    }

    /// Removes the directories below `dir` and itself, as far as there is nothing in them.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove_empty_dirs(&self, dir: &Path) -> Result<()> {
        let mut dirs = vec![dir.to_owned()];
        self.walk(dir, true, |path, kind| {
            dirs.extend(kind.is_dir().then_some(path));
            Ok(())
        })?;
        // What is below comes later in the order of paths.
        dirs.sort_unstable();
        dirs.iter().rev().try_for_each(|dir| self.remove_empty_dir(dir).map(drop))
    }

    /// Removes a directory and all in it; of a symbolic link the link. `false` means that it is not
    /// there.
    ///
    /// # Errors
    /// If a call fails; some files may be gone then.
    pub fn remove_dir(&self, dir: &Path) -> Result<bool> {
        self.count();
        let removed =
            gone(fs::remove_dir_all(dir)).map_err(|cause| failed("remove", dir, cause))?;
        if removed {
            effects::note(|| Effect::Remove(dir.to_owned()));
        }
        Ok(removed)
    }

    /// The one place every call passes: a test that stops the process stops it here.
    #[cfg_attr(feature = "test-hooks", track_caller)]
    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        crash::point();
    }

    /// Makes a directory and those above it, durable on return.
    pub(super) fn make_dir(&self, dir: &Path) -> Result<()> {
        let made = self.make_dirs(dir)?;
        made.iter().try_for_each(|dir| self.sync_dir(parent(dir)))
    }

    /// Makes a directory and those above it; the answer is those that were not there, outermost first.
    fn make_dirs(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        if dir.is_dir() {
            return Ok(Vec::new());
        }
        self.count();
        let missing = dir.ancestors().take_while(|dir| !dir.is_dir());
        let mut made: Vec<_> = missing.map(Path::to_owned).collect();
        made.reverse();
        fs::create_dir_all(dir).map_err(|cause| failed("create directory", dir, cause))?;
        made.iter().for_each(|dir| effects::note(|| Effect::MakeDir(dir.clone())));
        Ok(made)
    }

    /// Begins a temporary file in the directory of `path`.
    pub(super) fn temporary(&self, path: &Path) -> Result<Temporary> {
        self.make_dir(parent(path))?;
        let temporary = path.with_file_name(temporary_name(path));
        let file = self.create_empty(&temporary, path)?;
        // Where there are no locks, no one takes the file for a dead writer's either.
        drop(file.try_lock());
        Ok(Temporary { path: temporary, file: Locked(file) })
    }

    /// Writes a durable temporary file in the directory of `path`.
    fn write_beside(&self, path: &Path, bytes: &[u8]) -> Result<Temporary> {
        let temporary = self.temporary(path)?;
        self.count();
        let mut file = &temporary.file.0;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // The first failure is the one to report; without space there may be no second name.
            drop(fs::remove_file(&temporary.path));
        }
        written.map_err(|cause| failed("write", path, cause))?;
        effects::note(|| Effect::Sync(temporary.path.clone()));
        Ok(temporary)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count();
        if self.without_links {
            return Err(ErrorKind::Unsupported.into());
        }
        fs::hard_link(from, to)?;
        effects::note(|| Effect::Link(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn claim(&self, temporary: &Path, path: &Path) -> Result<bool> {
        let mut name = path.as_os_str().to_owned();
        name.push(".claim");
        let claim = PathBuf::from(name);
        self.count();
        match OpenOptions::new().write(true).create_new(true).open(&claim) {
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                let message = format!(
                    "'{}' is held by another writer: try again, or run pleiad unlock if there is \
                     none",
                    claim.display()
                );
                return Err(Error::new(Kind::Retry, message));
            }
            Err(cause) => return Err(failed("create", &claim, cause)),
        }
        let created = match path.try_exists() {
            Ok(true) => Ok(false),
            Ok(false) => self.rename(temporary, path).map(|()| true),
            Err(cause) => Err(failed("look at", path, cause)),
        };
        self.remove(&claim)?;
        created
    }
}

/// Runs calls of the file system on a thread that may block.
///
/// # Errors
/// Those of `work`.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = SpawnedTask::spawn_blocking(work).await;
    done.map_err(|cause| Error::internal("a file system call did not finish").caused_by(cause))?
}

/// A name for a time: that of the file, as far as it leaves room, `#` and the number of a UUIDv7.
fn temporary_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{}#{}", short_name(&name), uuid::Uuid::now_v7().as_u128())
}

/// As much of a name as a temporary one begins with: a file system takes 255 bytes, and a listing
/// leaves out a name with one `#` only.
fn short_name(name: &str) -> String {
    name.chars().filter(|c| *c != '#').take(50).collect()
}

/// Whether a file has a name that [`LocalFiles`] gives for a time: `#` and the number of a UUIDv7.
fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('#')?.1.parse().ok());
    number.is_some_and(|number| uuid::Uuid::from_u128(number).get_version_num() == 7)
}

/// Whether no living process has the lock of a file, and locks work there.
fn is_free(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Whether the file system has no hard links; Linux says EPERM for those.
fn no_links(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied)
}

/// Makes "it was not there" an answer.
fn gone(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

pub(super) fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    Error::io(format!("cannot {doing} '{}'", path.display()), cause)
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
