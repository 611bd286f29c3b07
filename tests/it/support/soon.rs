//! What has to end within a second, on a machine that may have other work.

use std::time::Duration;

/// From the order to the end.
const SOON: Duration = Duration::from_secs(1);

/// Runs `measured`, which says how long an end took, until one came soon, three times at most: other
/// work can only make it later.
#[track_caller]
pub(crate) fn ends_within_a_second(what: &str, mut measured: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    while took.last().is_none_or(|last| *last >= SOON) {
        assert!(took.len() < 3, "'{what}' ended after {took:?}");
        took.push(measured());
    }
}
