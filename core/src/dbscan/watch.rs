//! Looking whether to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The flag that stops a piece of work. Looking at it is one plain load, so that loops look at every
/// turn whose length is not known to be short.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a>(&'a AtomicBool);

impl<'a> Watch<'a> {
    /// Watches `stop`.
    pub fn new(stop: &'a AtomicBool) -> Self {
        Self(stop)
    }

    /// Whether the flag is up.
    #[inline]
    pub fn is_stopped(self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `None` once the flag is up.
    #[inline]
    pub fn tick(self) -> Option<()> {
        (!self.is_stopped()).then_some(())
    }

    /// Goes on while the flag is down, for work that answers with errors.
    ///
    /// # Errors
    /// Once the flag is up.
    #[inline]
    pub fn check(self) -> Result<()> {
        self.tick().ok_or_else(stopped)
    }
}

/// The error of work that was stopped: no one waits for its answer.
#[cold]
pub fn stopped() -> Error {
    Error::internal("work of dbscan was stopped")
}
