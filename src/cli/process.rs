//! The life of the process around a command: its threads, and the signals that end it early.
//!
//! The first SIGINT or SIGTERM drops the command's future, and a run that is dropped before it has
//! committed leaves a task behind that cleans up. So does a command that fails. These tasks have ten
//! seconds; a signal in that time leaves at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal::Terminal;
use crate::error::{Error, Result};

/// The exit code after SIGINT.
pub const INTERRUPTED: u8 = 130;
/// The exit code after SIGTERM.
pub const TERMINATED: u8 = 143;

/// How long clean-up may take after a signal.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// How long a thread of blocking calls waits for the next one. Spilled runs and files bring dozens of
/// these threads, and an allocator holds back what each has freed for as long as it lives.
const IDLE: Duration = Duration::from_millis(50);

/// How a command came to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    /// By itself, with this result.
    Done(T),
    /// By a signal, which has this exit code.
    Signalled(u8),
}

/// What SIGINT means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupts {
    /// The end of the command.
    End,
    /// What the command makes of it: a prompt goes on.
    Stay,
}

/// Runs `work` on `threads` worker threads until it is done or a signal comes.
///
/// `work` owns what the command holds open: as long as an HTTP client lives, so do the tasks of its
/// idle connections, and clean-up waits for every task.
///
/// # Errors
/// Threads or signal handlers that the system refuses.
pub fn run<T, E>(
    threads: NonZeroUsize,
    terminal: &Terminal,
    interrupts: Interrupts,
    work: impl Future<Output = Result<T, E>>,
) -> Result<End<Result<T, E>>> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads.get())
        .thread_keep_alive(IDLE)
        .enable_all()
        .build()
        .map_err(|cause| Error::io(format!("start {threads} threads"), cause))?;
    let stopped = listen(interrupts)?;
    let end = runtime.block_on(async {
        // The loser of the race is dropped here, and with it the command when a signal came.
        match select(stopped, std::pin::pin!(work)).await {
            Either::Left((Ok(code), _)) => End::Signalled(code),
            Either::Left((Err(oneshot::Canceled), work)) => End::Done(work.await),
            Either::Right((result, _)) => End::Done(result),
        }
    });
    if !matches!(end, End::Done(Ok(_))) {
        clean_up(&runtime, terminal);
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(end)
}

/// The number of worker threads when none is given: one a core.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Lets the tasks that the command left behind finish.
fn clean_up(runtime: &Runtime, terminal: &Terminal) {
    let wait = async {
        let mut polls = 0_u32;
        while runtime.metrics().num_alive_tasks() > 0 {
            if polls == 10 {
                terminal.note("cleaning up; Ctrl-C leaves at once");
            }
            polls += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Running out of time is no error: what is left is cleaned up by the next run.
    runtime.block_on(async { tokio::time::timeout(CLEAN_UP, wait).await.ok() });
}

/// The exit code of the first signal. The second one ends the process from here: signals have a
/// thread of their own, which no busy worker can keep from listening.
fn listen(interrupts: Interrupts) -> Result<oneshot::Receiver<u8>> {
    let failed = |cause| Error::io("listen to signals", cause);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    drop(entered);
    let (first, stopped) = oneshot::channel();
    let thread = move || {
        let mut wait =
            |interrupts| runtime.block_on(next(&mut interrupt, &mut terminate, interrupts));
        let code = wait(interrupts);
        if first.send(code).is_ok() {
            leave(wait(Interrupts::End));
        }
        leave(code); // the command is over, but the process still is not
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(thread).map_err(failed)?;
    Ok(stopped)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal, interrupts: Interrupts) -> u8 {
    loop {
        tokio::select! {
            _ = interrupt.recv() => if interrupts == Interrupts::End { return INTERRUPTED },
            _ = terminate.recv() => return TERMINATED,
        }
    }
}

#[expect(clippy::exit, reason = "a second signal asks to leave whatever is still going on")]
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
