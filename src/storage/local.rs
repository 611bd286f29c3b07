//! The calls on local files that publishing a dataset needs and an object store does not offer:
//! create-only writes that are durable, renames, and locks that end with their process.
//!
//! Every call of the commit protocol passes through here, and each is counted, so that a test can
//! stop a process before and after any of them. All of them block: call them where blocking is
//! allowed. A name below that ends in `#<digits>` is a temporary file; listings of the object store
//! leave such names out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crash;
use crate::error::{Error, Kind, Result};

/// Files of this machine. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct LocalFiles {
    calls: Arc<AtomicU64>,
    /// Behaves as a file system without hard links, for tests.
    without_links: bool,
}

/// A lock on a file, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl LocalFiles {
    /// Files whose calls are added to `calls`.
    pub(super) fn counted_by(calls: Arc<AtomicU64>) -> Self {
        Self { calls, without_links: false }
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
        let created = match self.link(&temporary, path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(cause) if no_links(&cause) => self.claim(&temporary, path),
            Err(cause) => Err(failed("create", path, cause)),
        };
        self.remove(&temporary)?;
        if created.as_ref().is_ok_and(|created| *created) {
            self.sync_dir(parent(path))?;
        }
        created
    }

    /// Writes a file in place of one that may be there: readers see the old bytes or the new.
    ///
    /// # Errors
    /// If a call fails.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.write_beside(path, bytes)?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }

    /// Opens a new, empty file for writing. Missing directories are made. The caller writes and
    /// then calls [`LocalFiles::sync`].
    ///
    /// # Errors
    /// If the file exists or a call fails.
    pub fn create_empty(&self, path: &Path) -> Result<File> {
        self.make_dir(parent(path))?;
        self.count();
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        opened.map_err(|cause| failed("create", path, cause))
    }

    /// Waits until the bytes of `file`, opened under `path`, are on the disk.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn sync(&self, file: &File, path: &Path) -> Result<()> {
        self.count();
        file.sync_all().map_err(|cause| failed("write", path, cause))
    }

    /// Gives a file another name on the same file system. Missing directories are made; the new
    /// name is durable after [`LocalFiles::sync_dir`] of its directory.
    ///
    /// # Errors
    /// If a call fails, for instance because the names are on two file systems.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.make_dir(parent(to))?;
        self.count();
        fs::rename(from, to).map_err(|cause| {
            Error::io(format!("cannot rename '{}' to '{}'", from.display(), to.display()), cause)
        })
    }

    /// Waits until the names in a directory are on the disk.
    ///
    /// # Errors
    /// If a call fails.
    pub fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.count();
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| failed("write", dir, cause))
    }

    /// Removes a file; `false` means that there was none.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove(&self, path: &Path) -> Result<bool> {
        self.count();
        gone(fs::remove_file(path)).map_err(|cause| failed("remove", path, cause))
    }

    /// Removes a directory that is empty; `false` means that it is not there or not empty.
    ///
    /// # Errors
    /// If a call fails.
    pub fn remove_empty_dir(&self, dir: &Path) -> Result<bool> {
        self.count();
        match gone(fs::remove_dir(dir)) {
            Err(cause) if cause.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.map_err(|cause| failed("remove", dir, cause)),
        }
    }

    /// Takes the lock of a file, which is made if need be. `None` means that a living process has
    /// it; the kernel frees it when that one dies.
    ///
    /// # Errors
    /// If a call fails, for instance because the file system knows no locks.
    pub fn lock(&self, path: &Path) -> Result<Option<Lock>> {
        self.make_dir(parent(path))?;
        self.count();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|cause| failed("lock", path, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(failed("lock", path, cause)),
        }
    }

    /// The one place every call passes: a test that stops the process stops it here.
    #[cfg_attr(feature = "test-hooks", track_caller)]
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        crash::point();
    }

    fn make_dir(&self, dir: &Path) -> Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        self.count();
        fs::create_dir_all(dir).map_err(|cause| failed("create directory", dir, cause))
    }

    /// Writes a durable temporary file in the directory of `path`.
    fn write_beside(&self, path: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}", uuid::Uuid::now_v7().as_u128()));
        let temporary = PathBuf::from(name);
        let mut file = self.create_empty(&temporary)?;
        self.count();
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|cause| {
            // The first failure is the one to report; without space there may be no second name.
            drop(fs::remove_file(&temporary));
            failed("write", path, cause)
        })?;
        Ok(temporary)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count();
        match self.without_links {
            true => Err(ErrorKind::Unsupported.into()),
            false => fs::hard_link(from, to),
        }
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

fn parent(path: &Path) -> &Path {
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

fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    Error::io(format!("cannot {doing} '{}'", path.display()), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Law: of two writers of a name one wins, its bytes stay, and nothing else is left behind.
    #[track_caller]
    fn check_create(files: &LocalFiles) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/00000001.json");
        assert!(files.create(&path, b"first").unwrap());
        assert!(!files.create(&path, b"second").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(path.parent().unwrap()), ["00000001.json"]);
    }

    #[test]
    fn a_name_is_created_once() {
        check_create(&LocalFiles::default());
    }

    #[test]
    fn a_name_is_created_once_without_hard_links() {
        check_create(&LocalFiles { without_links: true, ..LocalFiles::default() });
    }

    #[test]
    fn of_many_writers_one_creates_the_name() {
        for without_links in [false, true] {
            let files = LocalFiles { without_links, ..LocalFiles::default() };
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("name");
            let winners: usize = std::thread::scope(|scope| {
                let write = |i: u8| files.create(&path, &[i; 64]).is_ok_and(|won| won);
                let writers: Vec<_> =
                    (0..8).map(|i| scope.spawn(move || usize::from(write(i)))).collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).sum()
            });
            assert_eq!(winners, 1, "without_links: {without_links}");
            assert_eq!(fs::read(&path).unwrap().len(), 64);
        }
    }

    #[test]
    fn a_claim_of_a_dead_writer_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("name");
        fs::write(dir.path().join("name.claim"), "").unwrap();
        let files = LocalFiles { without_links: true, ..LocalFiles::default() };
        let error = files.create(&path, b"x").unwrap_err();
        assert_eq!(error.kind(), Kind::Retry);
        assert!(error.to_string().ends_with("or run pleiad unlock if there is none"), "{error}");
    }

    #[test]
    fn replacing_and_removing_say_what_was_there() {
        let files = LocalFiles::default();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("_SUCCESS");
        files.replace(&path, b"1").unwrap();
        files.replace(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert!(!files.remove_empty_dir(dir.path()).unwrap());
        assert!(files.remove(&path).unwrap());
        assert!(!files.remove(&path).unwrap());
        assert!(files.remove_empty_dir(dir.path()).unwrap());
        assert!(files.calls.load(Ordering::Relaxed) > 8);
    }

    #[test]
    fn a_lock_is_free_when_its_holder_is_gone() {
        let files = LocalFiles::default();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = files.lock(&path).unwrap();
        assert!(held.is_some());
        assert!(files.lock(&path).unwrap().is_none());
        drop(held);
        assert!(files.lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_rename_that_fails_names_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        let error = LocalFiles::default().rename(&from, &to).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        for path in [from, to] {
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }
}
