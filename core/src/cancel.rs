//! Ending work that no one waits for: a guard lives in the future of a run, and the loops of the run
//! look at its flag. When the future is dropped, they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};

/// Sets its flag when it is dropped.
#[derive(Debug, Default)]
pub struct CancelOnDrop(CancelFlag);

impl CancelOnDrop {
    /// The flag that it sets.
    pub fn flag(&self) -> CancelFlag {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// What loops look at.
#[derive(Debug, Default, Clone)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Whether no one waits any more. Costs as much as reading a variable.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Goes on while somebody waits.
    ///
    /// # Errors
    /// Once no one waits; no one will see the error.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_set() {
            return Err(Error::new(Kind::Other, "the work was cancelled"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_guard_ends_the_loops() {
        let guard = CancelOnDrop::default();
        let flag = guard.flag();
        assert!(flag.check().is_ok());
        drop(guard);
        assert!(flag.is_set() && flag.check().is_err());
    }
}
