//! Asking now and then whether to stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// Units of work between two looks at the flag. A unit is a cell, or what costs about as much.
const PATIENCE: u32 = 4096;

/// The flag that stops a block, read every few thousand units of work.
pub(super) struct Watch<'a> {
    stop: &'a AtomicBool,
    left: u32,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stop: &'a AtomicBool) -> Self {
        // The first unit looks: a block that is told to stop before it begins does not begin.
        Self { stop, left: 0 }
    }

    /// A unit is about to be done; `None` once the flag is up.
    #[inline]
    pub(super) fn tick(&mut self) -> Option<()> {
        if self.left > 0 {
            self.left -= 1;
            return Some(());
        }
        self.left = PATIENCE;
        (!self.stop.load(Ordering::Relaxed)).then_some(())
    }
}
