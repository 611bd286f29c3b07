//! Kill points: with the feature `test-hooks` a test can end this process just before any of its
//! calls of a store or of local files, as a power cut would. Without the feature there is nothing.
//!
//! - `PLEIAD_TEST_CRASH_AT=k` ends the process at its k-th call, counted from 1. Nothing is dropped,
//!   flushed or said.
//! - `PLEIAD_TEST_CALLS=FILE` adds a line to FILE for each call, naming the line of the source that
//!   makes it. So a test learns how many points there are.
//!
//! A call that the client repeats is one point. A listing or a bulk delete has one point at its
//! beginning and one after each item.

/// Passes a kill point.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(super) fn point() {}

#[cfg(feature = "test-hooks")]
pub(super) use hooks::point;

#[cfg(feature = "test-hooks")]
mod hooks {
    use std::fs::File;
    use std::io::Write;
    use std::panic::Location;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use crate::storage::Environment;

    struct Hooks {
        calls: u64,
        crash_at: Option<u64>,
        log: Option<File>,
    }

    static HOOKS: LazyLock<Mutex<Hooks>> = LazyLock::new(|| {
        let environment = Environment::default();
        let crash_at = environment.get("PLEIAD_TEST_CRASH_AT");
        let log = environment.get("PLEIAD_TEST_CALLS");
        let open = |path| File::options().append(true).create(true).open(path);
        Mutex::new(Hooks {
            calls: 0,
            crash_at: crash_at.map(|k| k.parse().expect("PLEIAD_TEST_CRASH_AT is a number")),
            log: log.map(|path| open(path).expect("PLEIAD_TEST_CALLS can be written")),
        })
    });

    /// Passes a kill point.
    #[track_caller]
    pub(in crate::storage) fn point() {
        let caller = Location::caller();
        let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.calls += 1;
        if let Some(log) = &mut hooks.log {
            writeln!(log, "{}:{}", caller.file(), caller.line()).expect("the log can be written");
        }
        if hooks.crash_at == Some(hooks.calls) {
            std::process::abort();
        }
    }
}
