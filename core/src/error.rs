//! The one error type of the pure core: a kind, which decides the exit code, and one sentence.
//!
//! A sentence is lower case, has no full stop, names the thing in quotes, says what was found and
//! what was expected, and ends with the remedy where there is one:
//! `output 's3://b/out' already holds version 3: pass --mode overwrite to replace it`.

use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller has to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Anything that no other kind describes.
    Other,
    /// An option, an argument or a combination of them that makes no sense.
    Usage,
    /// Input that cannot be used: corrupt, of another type, a NULL key, a missing column.
    Data,
    /// An input object, table or bucket that is not there.
    InputMissing,
    /// Storage that cannot be reached: DNS, refused, TLS, timeout.
    Unreachable,
    /// A broken promise of this program.
    Internal,
    /// A memory or disk limit that was given and reached.
    Limit,
    /// The output exists and the mode forbids touching it.
    OutputExists,
    /// An operation of the file system failed: disk full, read-only directory.
    Io,
    /// A lost race, an input replaced while it was read, throttling: trying again is safe.
    Retry,
    /// Wrong or expired credentials, or a missing right.
    Denied,
    /// Wrong configuration: region, scheme of the endpoint, unknown setting.
    Configuration,
}

impl Kind {
    /// The exit code of the process, after `sysexits.h`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::Data => 65,
            Self::InputMissing => 66,
            Self::Unreachable => 69,
            Self::Internal => 70,
            Self::Limit => 71,
            Self::OutputExists => 73,
            Self::Io => 74,
            Self::Retry => 75,
            Self::Denied => 77,
            Self::Configuration => 78,
        }
    }
}

/// An error with its kind and its sentence. `pleiad::error::Error` is made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
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

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
