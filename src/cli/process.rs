//! The life of the process around a command: its threads, and the signals that end it early.
//!
//! Signals have a thread of their own, which no work keeps from listening. The first SIGINT, SIGTERM or
//! SIGHUP drops the command's future; a run or an upload that is dropped before it has committed
//! leaves its [`cleanup`] behind, which has ten seconds; a standing query ends behind the batch that it
//! is at, however long that takes. A command that fails cleans up too. Other
//! threads have 300 ms to leave, and a command that cannot be dropped within
//! half a second is left as it is: the next run on the same output cleans up. A second signal ends
//! the process at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::terminal::Terminal;
use crate::cleanup;
use crate::error::{Error, Result};

/// The exit code after SIGINT.
pub const INTERRUPTED: u8 = 130;
/// The exit code after SIGTERM.
pub const TERMINATED: u8 = 143;
/// The exit code after SIGHUP: the terminal is gone.
pub const HUNG_UP: u8 = 129;

/// How long clean-up may take.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// How long clean-up goes on without a word.
const SILENT: Duration = Duration::from_secs(1);

/// How long a command may take to be dropped after a signal.
const DROP: Duration = Duration::from_millis(500);

/// How long threads may take to leave after a signal: one that writes a file removes it.
const LEAVE: Duration = Duration::from_millis(300);

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
    let Signals { stopped, dropped } = listen(interrupts, terminal.clone())?;
    let end = runtime.block_on(async {
        // The loser of the race is dropped here, and with it the command when a signal came.
        match select(stopped, std::pin::pin!(work)).await {
            Either::Left((Ok(code), _)) => End::Signalled(code),
            Either::Left((Err(oneshot::Canceled), work)) => End::Done(work.await),
            Either::Right((result, _)) => End::Done(result),
        }
    });
    dropped.send(()).ok(); // the thread of signals may have seen none
    if !matches!(end, End::Done(Ok(_))) {
        clean_up(&runtime, terminal);
    }
    match end {
        End::Done(_) => runtime.shutdown_timeout(Duration::from_secs(1)),
        End::Signalled(_) => runtime.shutdown_timeout(LEAVE),
    }
    Ok(end)
}

/// The number of worker threads when none is given: one per core.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Finishes what the command left to be done.
fn clean_up(runtime: &Runtime, terminal: &Terminal) {
    let wait = async {
        let mut work = std::pin::pin!(async {
            cleanup::finish_wanted().await;
            // Running out of time is no error: what is left is cleaned up by the next run.
            timeout(CLEAN_UP, cleanup::finish()).await.ok();
        });
        if timeout(SILENT, work.as_mut()).await.is_err() {
            terminal.note("cleaning up; press Ctrl-C to leave at once");
            work.await;
        }
    };
    runtime.block_on(wait);
}

/// What the thread of signals says and asks.
struct Signals {
    /// The exit code of the first signal.
    stopped: oneshot::Receiver<u8>,
    /// Takes the news that the command has been dropped.
    dropped: oneshot::Sender<()>,
}

/// Starts the thread of signals.
fn listen(interrupts: Interrupts, terminal: Terminal) -> Result<Signals> {
    let failed = |cause| Error::io("listen to signals", cause);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let entered = runtime.enter();
    let mut signals = Listened {
        interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        terminate: signal(SignalKind::terminate()).map_err(failed)?,
        hangup: match is_hangup_ignored() {
            true => None,
            false => Some(signal(SignalKind::hangup()).map_err(failed)?),
        },
    };
    fail_at_the_largest_file().map_err(failed)?;
    drop(entered);
    let (first, stopped) = oneshot::channel();
    let (dropped, is_dropped) = oneshot::channel();
    let work = async move {
        let code = signals.next(interrupts).await;
        if first.send(code).is_err() {
            return code; // the command is over, but the process still is not
        }
        let mut second = std::pin::pin!(signals.next(Interrupts::End));
        tokio::select! {
            code = &mut second => return code,
            _ = is_dropped => {}
            () = sleep(DROP) => {
                terminal.note("stopped without cleaning up: the next run on this output does it");
                return code;
            }
        }
        second.await
    };
    let thread = move || leave(runtime.block_on(work));
    std::thread::Builder::new().name("signals".to_owned()).spawn(thread).map_err(failed)?;
    Ok(Signals { stopped, dropped })
}

/// The signals that end a command.
struct Listened {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if it is ignored.
    hangup: Option<Signal>,
}

impl Listened {
    /// Waits for one; the exit code that it means.
    async fn next(&mut self, interrupts: Interrupts) -> u8 {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupt.recv() => {
                    if interrupts == Interrupts::End {
                        return INTERRUPTED;
                    }
                }
                _ = self.terminate.recv() => return TERMINATED,
                _ = hangup => return HUNG_UP,
            }
        }
    }
}

/// Whether who started this process wants it to outlive its terminal, as `nohup` does. Where the system
/// does not say, it is left as it is.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    let ignored = status.ok().and_then(|status| {
        let (_, mask) = status.split_once("\nSigIgn:")?;
        u64::from_str_radix(mask.lines().next()?.trim(), 16).ok()
    });
    ignored.is_none_or(|mask| mask & 1 == 1) // SIGHUP is 1, the first bit
}

/// Makes a write beyond `ulimit -f` an error of that write; without a handler its signal would end the
/// process at once.
#[cfg(target_os = "linux")]
fn fail_at_the_largest_file() -> std::io::Result<()> {
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn fail_at_the_largest_file() -> std::io::Result<()> {
    Ok(())
}

#[expect(clippy::exit, reason = "a signal asks to leave whatever is still going on")]
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
