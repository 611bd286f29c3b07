//! Locks on local files that end with their process, and whom they keep out.
//!
//! A file system of one machine shows a lock to everyone who can write there, containers included. One
//! that several machines share may show it to all, to those of one machine, or have none at all (NFS and
//! Lustre can be mounted in each of these ways), and there is no way to ask. There a lock that is free says
//! nothing of processes on other machines.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::local::{LocalFiles, failed, parent};
use super::locked::Locked;
use crate::error::Result;

/// File systems that one machine has for itself, as Linux calls them.
const OF_ONE_MACHINE: [&str; 11] = [
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs",
];

/// Where Linux lists what is mounted: proc(5).
const MOUNTS: &str = "/proc/self/mountinfo";

/// A lock on a file, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: Locked,
    keeps_out: bool,
}

impl Lock {
    /// Whether it keeps anyone out: some file systems have no locks.
    pub fn keeps_out(&self) -> bool {
        self.keeps_out
    }
}

impl LocalFiles {
    /// Takes the lock of a file, which is made if need be. `None` means that a living process has
    /// it; the kernel frees it when that one dies.
    ///
    /// # Errors
    /// If a call fails.
    pub fn lock(&self, path: &Path) -> Result<Option<Lock>> {
        self.make_dir(parent(path))?;
        self.count();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|cause| failed("lock", path, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: Locked(file), keeps_out: true })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) if has_no_locks(&cause) => {
                Ok(Some(Lock { _file: Locked(file), keeps_out: false }))
            }
            Err(TryLockError::Error(cause)) => Err(failed("lock", path, cause)),
        }
    }

    /// Whether all who can write below `dir` are on this machine, so that its locks are seen by all of
    /// them. Where the system does not say, it is `false`.
    pub fn is_of_one_machine(&self, dir: &Path) -> bool {
        let there = || dir.ancestors().find_map(|around| around.canonicalize().ok());
        let mounts = || Some((fs::read_to_string(MOUNTS).ok()?, there()?));
        !self.are_shared()
            && mounts().is_some_and(|(mounts, dir)| {
                file_system(&mounts, &dir).is_some_and(|kind| OF_ONE_MACHINE.contains(&kind))
            })
    }
}

/// Whether the file system knows no locks: `ENOSYS`, `EOPNOTSUPP`, or `ENOLCK` of NFS without its daemon.
fn has_no_locks(cause: &io::Error) -> bool {
    const ENOLCK: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };
    cause.kind() == ErrorKind::Unsupported || cause.raw_os_error() == Some(ENOLCK)
}

/// The kind of file system that `path` is in, of these mounts.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let around = mounts.lines().filter_map(|line| {
        // 36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        let (left, right) = line.split_once(" - ")?;
        let point = unescaped(left.split(' ').nth(4)?);
        let is_around = path.starts_with(&point);
        is_around.then_some((Path::new(&point).components().count(), right.split(' ').next()?))
    });
    // Of two at one place the later one is on top.
    around.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// A path of the list, where `\040` is a blank.
fn unescaped(text: &str) -> String {
    let marks = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    marks.iter().fold(text.to_owned(), |text, (mark, sign)| text.replace(mark, sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:27 / /data rw shared:2 - nfs4 server:/data rw,vers=4.2
31 30 0:28 / /data/scratch\\040disk rw - xfs /dev/vdb rw
32 22 0:29 / /mnt rw - ext4 /dev/vdc rw
33 22 0:30 / /mnt rw - fuse.s3fs s3fs rw
";

    #[test]
    fn the_innermost_mount_on_top_counts() {
        let kind = |path: &str| file_system(MOUNTED, Path::new(path)).unwrap();
        assert_eq!(kind("/home/u"), "ext4");
        assert_eq!(kind("/data/out"), "nfs4");
        assert_eq!(kind("/database"), "ext4");
        assert_eq!(kind("/data/scratch disk/out"), "xfs");
        assert_eq!(kind("/mnt/x"), "fuse.s3fs");
        assert_eq!(file_system("", Path::new("/")), None);
    }

    #[test]
    fn a_lock_ends_although_a_child_has_a_copy_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (files, path) = (LocalFiles::default(), dir.path().join("lock"));
        let lock = files.lock(&path).unwrap().unwrap();
        let _copy = lock._file.0.try_clone().unwrap();
        assert!(files.lock(&path).unwrap().is_none());
        drop(lock);
        assert!(files.lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_temporary_folder_is_of_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LocalFiles::default().is_of_one_machine(dir.path()), cfg!(target_os = "linux"));
        let none = dir.path().join("not/there");
        assert_eq!(LocalFiles::default().is_of_one_machine(&none), cfg!(target_os = "linux"));
        assert!(!LocalFiles::default().shared().is_of_one_machine(dir.path()));
    }
}
