//! What Ctrl-C leaves to go on from, said when it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::terminal::Terminal;
use crate::table::Run;

/// Says, if it is dropped before the work is over, that the same command can go on.
pub(super) struct ResumeOffer {
    /// Whether there is anything to go on from.
    keeps: Option<Arc<AtomicBool>>,
    terminal: Terminal,
}

impl ResumeOffer {
    /// An offer of `run`, if there is one.
    pub(super) fn of(run: Option<&Run>, terminal: &Terminal) -> Self {
        Self { keeps: run.map(Run::keeper), terminal: terminal.clone() }
    }

    /// The work has come to its own end, well or not.
    pub(super) fn withdraw(mut self) {
        self.keeps = None;
    }
}

impl Drop for ResumeOffer {
    fn drop(&mut self) {
        if self.keeps.take().is_some_and(|keeps| keeps.load(Ordering::Relaxed)) {
            self.terminal.note("stopped; the same command with --resume goes on from here");
        }
    }
}
