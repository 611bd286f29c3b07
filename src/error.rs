//! The one error type of the library: a kind, which decides the exit code, and one sentence.
//!
//! A sentence is lower case, has no full stop, names the thing in quotes, says what was found and
//! what was expected, and ends with the remedy where there is one:
//! `output 's3://b/out' already holds version 3: pass --mode overwrite to replace it`.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

pub use pleiad_core::error::Kind;

/// The result of everything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its kind, its sentence and, where there is one, its cause.
///
/// Cheap to clone: one failure can reach several waiting streams.
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

thread_local! {
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work`, a reader of files known to panic on some broken ones; `None` if it did.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    GUARDED.set(before);
    done.ok()
}

/// Whether a panic of this thread is [`guarded`] and need not be reported.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Input that cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// An option or argument that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// A broken promise of this program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// An input that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Kind::InputMissing, message)
    }

    /// A failed operation of the file system: `doing` says which, on what.
    pub fn io(doing: impl fmt::Display, cause: std::io::Error) -> Self {
        Self::new(Kind::Io, format!("{doing}: {cause}")).caused_by(cause)
    }

    /// Keeps `cause` for the error chain; the sentence should not repeat it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the same call can succeed later with nothing changed: a race was lost, a store throttled,
    /// or storage could not be reached.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Retry | Kind::Unreachable)
    }

    /// The first error of this type among `error` and its causes: a query returns ours wrapped.
    pub fn find_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref() {
                return Some(found);
            }
            next = cause.source();
        }
        None
    }
}

impl From<pleiad_core::error::Error> for Error {
    fn from(error: pleiad_core::error::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.kind).field("message", &self.message).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
