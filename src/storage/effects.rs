//! What this process changes on local disks, noted for a test that lets the power fail: with the feature
//! `test-hooks` and `PLEIAD_TEST_EFFECTS=DIR` each change is a line of `DIR/effects` when it is done. Without
//! the feature there is nothing.
//!
//! The bytes of the file that line `n` creates, counted from 1, have a second name `DIR/n`, so they are there
//! when the file is not.

use std::path::PathBuf;

/// A change, or that changes are on the disk.
#[cfg_attr(not(feature = "test-hooks"), expect(dead_code, reason = "read by the test hooks"))]
pub(super) enum Effect {
    /// A new file.
    Create(PathBuf),
    /// A new directory.
    MakeDir(PathBuf),
    /// The bytes of a file are on the disk.
    Sync(PathBuf),
    /// The names in a directory are on the disk.
    SyncDir(PathBuf),
    /// A file has another name.
    Rename(PathBuf, PathBuf),
    /// A file has a second name.
    Link(PathBuf, PathBuf),
    /// A file or a directory is gone, with all in it.
    Remove(PathBuf),
}

/// Notes a change that was made.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(super) fn note(_: impl FnOnce() -> Effect) {}

#[cfg(feature = "test-hooks")]
pub(super) use hooks::note;

#[cfg(feature = "test-hooks")]
mod hooks {
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use super::Effect;
    use crate::storage::Environment;

    struct Log {
        dir: PathBuf,
        lines: u64,
        file: File,
    }

    static LOG: LazyLock<Option<Mutex<Log>>> = LazyLock::new(|| {
        let dir = PathBuf::from(Environment::default().get("PLEIAD_TEST_EFFECTS")?);
        let file = File::create(dir.join("effects")).expect("PLEIAD_TEST_EFFECTS is a directory");
        Some(Mutex::new(Log { dir, lines: 0, file }))
    });

    /// Notes a change that was made.
    pub(in crate::storage) fn note(effect: impl FnOnce() -> Effect) {
        let Some(log) = &*LOG else { return };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.lines += 1;
        let (word, paths) = match effect() {
            Effect::Create(path) => {
                fs::hard_link(&path, log.dir.join(log.lines.to_string())).expect("a second name");
                ("create", vec![path])
            }
            Effect::MakeDir(path) => ("make-dir", vec![path]),
            Effect::Sync(path) => ("sync", vec![path]),
            Effect::SyncDir(path) => ("sync-dir", vec![path]),
            Effect::Rename(from, to) => ("rename", vec![from, to]),
            Effect::Link(from, to) => ("link", vec![from, to]),
            Effect::Remove(path) => ("remove", vec![path]),
        };
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        writeln!(log.file, "{word}\t{}", paths.join("\t")).expect("the log can be written");
    }
}
