//! A file that is locked while it is open.

use std::fs::File;

/// It is unlocked by name: a process that another thread begins has a copy of every open file for a
/// moment, and the lock would last as long as the last copy.
#[derive(Debug)]
pub(super) struct Locked(pub(super) File);

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.unlock()); // where there are no locks there is none to give back
    }
}
