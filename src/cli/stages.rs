//! Stages as tests see them: with the feature `test-hooks` a test learns of each stage that begins, and
//! can interrupt the process there as Ctrl-C would. Without the feature there is nothing.
//!
//! - `PLEIAD_TEST_STAGES=FILE` adds a line to FILE for each stage that begins, with its name.
//! - `PLEIAD_TEST_INTERRUPT_AT=k` sends SIGINT to this process when its k-th stage begins, counted from
//!   1, and then adds the line `interrupted`.

/// A stage begins.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(super) fn begun(_name: &str) {}

#[cfg(feature = "test-hooks")]
pub(super) use hooks::begun;

#[cfg(feature = "test-hooks")]
mod hooks {
    use std::fs::File;
    use std::io::Write;
    use std::process::Command;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use crate::cli::terminal::variable;

    struct Hooks {
        stages: u64,
        interrupt_at: Option<u64>,
        log: Option<File>,
    }

    static HOOKS: LazyLock<Mutex<Hooks>> = LazyLock::new(|| {
        let log = variable("PLEIAD_TEST_STAGES");
        let open = |path| File::options().append(true).create(true).open(path);
        let at = variable("PLEIAD_TEST_INTERRUPT_AT");
        Mutex::new(Hooks {
            stages: 0,
            interrupt_at: at.map(|k| k.parse().expect("PLEIAD_TEST_INTERRUPT_AT is a number")),
            log: log.map(|path| open(path).expect("PLEIAD_TEST_STAGES can be written")),
        })
    });

    /// A stage begins.
    pub(in crate::cli) fn begun(name: &str) {
        let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.stages += 1;
        let Some(mut log) = hooks.log.as_ref() else { return };
        writeln!(log, "{name}").expect("the log can be written");
        if hooks.interrupt_at == Some(hooks.stages) {
            let pid = std::process::id().to_string();
            let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
            assert!(sent.expect("kill runs").success());
            writeln!(log, "interrupted").expect("the log can be written");
        }
    }
}
