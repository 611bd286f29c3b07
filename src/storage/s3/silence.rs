//! A server that falls silent: it takes requests and does not answer, or an answer stops on its way.
//!
//! - A request that reads is sent again after half of the time that may pass without progress. One that
//!   writes has all of it, and what sending its bytes may take.
//! - When nothing was heard from the server for all of the time, requests fail for good, new ones at once
//!   for a moment: a command that has waited so long shall not wait again for each of its requests.
//! - The first seconds of silence are said in a line of the log.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long nothing may happen if no one says otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long silence is not worth a word.
const UNSAID: Duration = Duration::from_secs(5);

/// Bytes that the slowest line sends in a second, and one that is not worth a word.
const SLOWEST: u64 = 64 << 10;
const SLOW: u64 = 1 << 20;

/// Shares of the time: for one try of a request that reads; for requests to a server that is silent.
const TRIES: u32 = 2;
const MOMENTS: u32 = 12;

/// What a request may wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    /// An answer, or more of it, that can be asked for again.
    Read,
    /// The answer to so many bytes.
    Written(u64),
}

/// What is known of the silence of a server.
#[derive(Debug)]
pub(super) struct Silence {
    /// The server, for the line.
    server: String,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When something came last.
    heard: Option<Instant>,
    /// The beginning of the first request since then that was given up.
    since: Option<Instant>,
    /// Until when requests fail at once.
    gone_until: Option<Instant>,
    is_said: bool,
}

impl Silence {
    /// Nothing is known of this server, from which nothing may come for `timeout`.
    pub(super) fn of(server: String, timeout: Duration) -> Arc<Self> {
        Arc::new(Self { server, timeout, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came.
    pub(super) fn heard(&self) {
        *self.state() = State { heard: Some(Instant::now()), ..State::default() };
    }

    /// Begins to wait; the answer ends with the error of a silent server.
    ///
    /// # Errors
    /// If the server was given up a moment ago.
    pub(super) fn watch(self: &Arc<Self>, waiting: Waiting) -> Result<Watch, HttpError> {
        let begun = Instant::now();
        let state = self.state();
        if state.gone_until.is_some_and(|until| begun < until) {
            return Err(self.error(HttpErrorKind::Unknown));
        }
        let (bytes, most) = match waiting {
            Waiting::Read => (0, self.timeout / TRIES),
            Waiting::Written(bytes) => (bytes, self.timeout + seconds_to_send(bytes, SLOWEST)),
        };
        // What others have waited for in vain counts.
        let waited = state.since.map_or(Duration::ZERO, |since| begun - since);
        let left = self.timeout.saturating_sub(waited).max(self.timeout / MOMENTS);
        let most = if state.since.is_some() { most.min(left) } else { most };
        let unsaid = UNSAID + seconds_to_send(bytes, SLOW);
        let next = Box::pin(sleep_until(begun + most.min(unsaid)));
        Ok(Watch { silence: Arc::clone(self), begun, most, next })
    }

    /// Gives up a request that began then.
    fn give_up(&self, begun: Instant) -> HttpError {
        let now = Instant::now();
        let mut state = self.state();
        if state.heard.is_some_and(|heard| heard > begun) {
            return self.error(HttpErrorKind::Timeout); // others were answered
        }
        let since = *state.since.get_or_insert(begun);
        if now - since < self.timeout {
            return self.error(HttpErrorKind::Timeout);
        }
        state.gone_until = Some(now + self.timeout / MOMENTS);
        self.error(HttpErrorKind::Unknown)
    }

    /// Says once that nothing comes.
    fn say(&self, begun: Instant) {
        let mut state = self.state();
        if state.heard.is_none_or(|heard| heard < begun) && !state.is_said {
            state.is_said = true;
            tracing::warn!(
                "no answer from {} for {}: waiting for up to {} (--timeout)",
                self.server,
                shown(begun.elapsed()),
                shown(self.timeout)
            );
        }
    }

    /// The client tries again after [`HttpErrorKind::Timeout`], if that does no harm.
    fn error(&self, kind: HttpErrorKind) -> HttpError {
        let text =
            format!("no answer for {}: --timeout says how long to wait", shown(self.timeout));
        HttpError::new(kind, io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

fn seconds_to_send(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_secs(bytes.div_ceil(bytes_per_second))
}

/// A time in seconds, to a tenth.
fn shown(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 10.).round() / 10.)
}

/// A wait for a server: it ends when the server is given up.
#[derive(Debug)]
pub(super) struct Watch {
    silence: Arc<Silence>,
    begun: Instant,
    most: Duration,
    next: Pin<Box<Sleep>>,
}

impl Future for Watch {
    type Output = HttpError;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<HttpError> {
        loop {
            ready!(self.next.as_mut().poll(context));
            let end = self.begun + self.most;
            if Instant::now() >= end {
                return Poll::Ready(self.silence.give_up(self.begun));
            }
            self.silence.say(self.begun);
            self.next.as_mut().reset(end);
        }
    }
}

/// The body of an answer that may stop.
#[derive(Debug)]
pub(super) struct WatchedBody {
    inner: HttpResponseBody,
    silence: Arc<Silence>,
    /// While its reader waits.
    watch: Option<Watch>,
}

impl WatchedBody {
    pub(super) fn over(inner: HttpResponseBody, silence: Arc<Silence>) -> Self {
        Self { inner, silence, watch: None }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.watch = None;
            if matches!(frame, Some(Ok(_)) | None) {
                self.silence.heard();
            }
            return Poll::Ready(frame);
        }
        let mut watch = match self.watch.take() {
            Some(watch) => watch,
            None => match self.silence.watch(Waiting::Read) {
                Ok(watch) => watch,
                Err(gone) => return Poll::Ready(Some(Err(gone))),
            },
        };
        let given_up = Pin::new(&mut watch).poll(context);
        self.watch = Some(watch);
        given_up.map(|error| Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
