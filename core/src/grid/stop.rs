//! Looking at a flag now and then: a long computation ends when no one waits for it.

use crate::cancel::CancelFlag;
use crate::error::Result;

/// Steps between two looks at the flag.
const PATIENCE: usize = 1 << 12;

/// Looks at the flag every few thousand steps.
///
/// # Errors
/// The flag is set.
#[inline]
pub(super) fn check(stop: &CancelFlag, step: usize) -> Result<()> {
    if step.is_multiple_of(PATIENCE) { stop.check() } else { Ok(()) }
}
