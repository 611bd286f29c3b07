//! What a store answers, as a sentence that names the place, the setting it came from, and the way
//! out. Never the body of an answer: a server that refuses a signature repeats the whole request,
//! session token included. Of an answer only `Code`, `Message`, `Region` and the status are read.

use std::fmt;

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};

use super::errors::causes;
use super::s3::http::WEB_PAGE;
use super::s3::keys::Sourced;
use super::s3::odd_keys;
use super::schemes::Scheme;
use crate::error::{Error, Kind};

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Read,
    Write,
    List,
    Delete,
    Copy,
    Make,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Make => "make",
        })
    }
}

/// The store that answers.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// The files of this machine.
    Files,
    /// `memory://name`.
    Memory(String),
    /// A bucket.
    Bucket(Box<Bucket>),
}

/// A bucket and the settings it is reached with.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// What comes before the key in a location: `s3://bucket`, `alias/bucket`.
    pub(crate) shown: String,
    pub(crate) name: String,
    pub(crate) endpoint: Sourced<String>,
    pub(crate) region: Sourced<String>,
    /// As much of the key as may be shown; `None` if requests are not signed.
    pub(crate) key: Option<Sourced<String>>,
}

impl Backend {
    /// Puts our sentence into `error`. The variants that callers tell apart stay: `NotFound`,
    /// `AlreadyExists`, `Precondition`, `NotModified`, `PermissionDenied`, `Unauthenticated`, and
    /// `NotSupported` for what this server cannot do.
    pub(crate) fn explain(&self, verb: Verb, path: &str, error: StoreError) -> StoreError {
        if Error::find_in(&error).is_some() {
            return error;
        }
        let ours = match self {
            Self::Bucket(bucket) => bucket.sentence(verb, &self.show(path), &error),
            Self::Files | Self::Memory(_) => self.plain_sentence(verb, path, &error),
        };
        let unsupported = Answer::of(&error).code == "NotImplemented";
        let source = Box::new(ours);
        match error {
            StoreError::NotFound { path, .. } => StoreError::NotFound { path, source },
            StoreError::AlreadyExists { path, .. } => StoreError::AlreadyExists { path, source },
            StoreError::Precondition { path, .. } => StoreError::Precondition { path, source },
            StoreError::NotModified { path, .. } => StoreError::NotModified { path, source },
            StoreError::PermissionDenied { path, .. } => {
                StoreError::PermissionDenied { path, source }
            }
            StoreError::Unauthenticated { path, .. } => {
                StoreError::Unauthenticated { path, source }
            }
            StoreError::NotSupported { .. } => StoreError::NotSupported { source },
            _ if unsupported => StoreError::NotSupported { source },
            _ => StoreError::Generic { store: self.store(), source },
        }
    }

    fn store(&self) -> &'static str {
        match self {
            Self::Files => Scheme::File.name(),
            Self::Memory(_) => Scheme::Memory.name(),
            Self::Bucket(_) => "S3",
        }
    }

    /// What comes before a key in a location.
    pub(crate) fn shown(&self) -> String {
        self.show("").trim_end_matches('/').to_owned()
    }

    /// The object as a location.
    fn show(&self, path: &str) -> String {
        match self {
            Self::Files => format!("/{path}"),
            Self::Memory(name) => format!("{}://{name}/{path}", Scheme::Memory),
            Self::Bucket(bucket) => format!("{}/{}", bucket.shown, odd_keys::real(path)),
        }
    }

    fn plain_sentence(&self, verb: Verb, path: &str, error: &StoreError) -> Error {
        let place = self.show(path);
        let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
        match (error, io) {
            (StoreError::NotFound { .. }, _) => Error::missing(format!("no file '{place}'")),
            (StoreError::AlreadyExists { .. }, _) => exists(&place),
            (StoreError::Precondition { .. }, _) => changed(&place),
            (_, Some(io)) => Error::new(Kind::Io, format!("cannot {verb} '{place}': {io}")),
            (_, None) => Error::new(Kind::Io, format!("cannot {verb} '{place}': {}", last(error))),
        }
    }
}

fn exists(place: &str) -> Error {
    Error::new(Kind::OutputExists, format!("'{place}' already exists"))
}

fn changed(place: &str) -> Error {
    Error::new(Kind::Retry, format!("'{place}' changed while it was used: try again"))
}

impl Bucket {
    fn sentence(&self, verb: Verb, object: &str, error: &StoreError) -> Error {
        if let Some(http) = causes(error).find_map(|cause| cause.downcast_ref::<HttpError>()) {
            return self.transport(verb, object, http);
        }
        if let StoreError::InvalidPath { source } = error {
            return Error::data(format!(
                "'{}' contains a key that pleiad cannot read, so it cannot be listed: {source}",
                self.shown
            ));
        }
        let answer = Answer::of(error);
        self.by_code(verb, object, &answer)
            .or_else(|| self.by_variant(verb, object, error, &answer))
            .unwrap_or_else(|| self.by_status(verb, object, error, &answer))
    }

    /// Errors that S3 names; codes as in "Amazon S3 API Reference, Error responses".
    fn by_code(&self, verb: Verb, object: &str, answer: &Answer) -> Option<Error> {
        let Self { name, endpoint, region, .. } = self;
        let key = match &self.key {
            Some(key) => format!("the key {key}"),
            None => "requests without a key".to_owned(),
        };
        let origin = self.key.as_ref().map_or("nowhere", |key| key.origin.as_str());
        let denied = |message| Some(Error::new(Kind::Denied, message));
        match answer.code.as_str() {
            "InvalidAccessKeyId" | "NotSignedUp" => {
                denied(format!("the server {endpoint} does not know {key}"))
            }
            "SignatureDoesNotMatch" => denied(format!(
                "wrong secret key for {key}, or the clock or region {region} differs from the \
                 server's at {endpoint}"
            )),
            "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired" => {
                denied(format!(
                    "session token expired (keys from {origin}): restart the service or copy fresh \
                     keys from the data-lab page"
                ))
            }
            "RequestTimeTooSkewed" => denied(format!(
                "this clock and the server's at {endpoint} differ by more than 15 minutes"
            )),
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => Some(self.other_region(answer)),
            "NoSuchBucket" => Some(Error::missing(format!("no bucket '{name}' at {endpoint}"))),
            "NoSuchKey" => Some(Error::missing(format!("no object '{object}'"))),
            "NoSuchUpload" => Some(Error::new(
                Kind::Retry,
                format!("the unfinished upload of '{object}' is gone from the server: try again"),
            )),
            "AccessDenied" if verb == Verb::List => denied(format!(
                "{key} may not list '{object}': name files directly if it may read them"
            )),
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => {
                denied(format!("{key} may not {verb} '{object}' at {endpoint}"))
            }
            "ConditionalRequestConflict" | "OperationAborted" => Some(Error::new(
                Kind::Retry,
                format!("'{object}' is being changed by another writer: try again"),
            )),
            "NotImplemented" => Some(Error::new(
                Kind::Configuration,
                format!("the server {endpoint} cannot do this: {verb} '{object}'"),
            )),
            WEB_PAGE => Some(Error::new(
                Kind::Configuration,
                format!(
                    "{endpoint} answers with a web page, not as an S3 server: is it the address of \
                     its console?"
                ),
            )),
            "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => Some(Error::new(
                Kind::Io,
                format!("cannot {verb} '{object}': no space left at {endpoint}"),
            )),
            _ => None,
        }
    }

    fn other_region(&self, answer: &Answer) -> Error {
        let remedy = match &answer.region {
            Some(region) => format!("pass --region {region}"),
            None => {
                "pass --region with the server's (a Garage server often calls it 'garage')".into()
            }
        };
        Error::new(
            Kind::Configuration,
            format!(
                "bucket '{}' at {} is not in region {}: {remedy}",
                self.name, self.endpoint, self.region
            ),
        )
    }

    /// Errors known from the status alone: an answer to HEAD has no body.
    fn by_variant(
        &self,
        verb: Verb,
        object: &str,
        error: &StoreError,
        answer: &Answer,
    ) -> Option<Error> {
        let as_code = |code: &str| {
            let answer = Answer { code: code.to_owned(), ..Answer::default() };
            self.by_code(verb, object, &answer)
        };
        match error {
            StoreError::NotFound { .. } if verb == Verb::List => as_code("NoSuchBucket"),
            StoreError::NotFound { .. } => as_code("NoSuchKey"),
            StoreError::AlreadyExists { .. } => Some(exists(object)),
            StoreError::Precondition { .. } | StoreError::NotModified { .. } => {
                Some(changed(object))
            }
            // The listing's errors come without a variant.
            _ => match answer.status {
                Some(400 | 401 | 403) if answer.says_nothing() => Some(self.refusal(verb, object)),
                Some(401 | 403) => as_code("AccessDenied"),
                Some(404) if verb == Verb::List => as_code("NoSuchBucket"),
                Some(501) => as_code("NotImplemented"),
                _ => None,
            },
        }
    }

    /// A refusal without a reason, as to HEAD.
    fn refusal(&self, verb: Verb, object: &str) -> Error {
        let cause = match &self.key {
            Some(key) => format!(
                "the key {key} is wrong, expired or has no right, or the region is not {}",
                self.region
            ),
            None => "it may want a key, and --no-sign-request sends none".to_owned(),
        };
        let endpoint = &self.endpoint;
        Error::new(Kind::Denied, format!("{endpoint} refused to {verb} '{object}': {cause}"))
    }

    fn by_status(&self, verb: Verb, object: &str, error: &StoreError, answer: &Answer) -> Error {
        let endpoint = &self.endpoint;
        let said = match (&answer.message, answer.code.as_str()) {
            (Some(message), code) => format!(" {code}: {message}"),
            (None, code) if !code.is_empty() => format!(" {code}"),
            _ => String::new(),
        };
        match answer.status {
            Some(400) if answer.wants_tls => self.wrong_scheme("speaks TLS only"),
            Some(status @ (408 | 429 | 500..=599)) => Error::new(
                Kind::Retry,
                format!(
                    "cannot {verb} '{object}': {endpoint} answered {status}{said}, after all \
                     retries; trying again later is safe"
                ),
            ),
            Some(status) => Error::new(
                Kind::Other,
                format!("cannot {verb} '{object}': {endpoint} answered {status}{said}"),
            ),
            None => Error::new(Kind::Other, format!("cannot {verb} '{object}': {}", last(error))),
        }
    }

    fn transport(&self, verb: Verb, object: &str, http: &HttpError) -> Error {
        let said: Vec<String> = causes(http).map(|cause| cause.to_string()).collect();
        let said_any = |words: &[&str]| said.iter().any(|s| words.iter().any(|w| s.contains(w)));
        let reason = said.last().map_or("", String::as_str);
        let endpoint = &self.endpoint;
        if said_any(&["InvalidContentType", "corrupt message"]) {
            return self.wrong_scheme("does not speak TLS");
        }
        if said_any(&["invalid HTTP version", "invalid HTTP status-code"]) {
            return self.wrong_scheme("does not speak plain HTTP");
        }
        let unreachable = |message| Error::new(Kind::Unreachable, message);
        if said_any(&["certificate"]) {
            return unreachable(format!(
                "the certificate of {endpoint} is not trusted ({reason}): set AWS_CA_BUNDLE to the \
                 file of the authority that signed it"
            ));
        }
        match http.kind() {
            HttpErrorKind::Interrupted | HttpErrorKind::Decode | HttpErrorKind::Request => {
                unreachable(format!(
                    "the connection to {endpoint} broke, cannot {verb} '{object}': {reason}"
                ))
            }
            _ => unreachable(format!("cannot reach {endpoint}: {reason}")),
        }
    }

    fn wrong_scheme(&self, what: &str) -> Error {
        let endpoint = &self.endpoint.value;
        let other = match endpoint.strip_prefix("https://") {
            Some(host) => format!("http://{host}"),
            None => endpoint.replacen("http://", "https://", 1),
        };
        let message = format!("the endpoint {} {what}: try '{other}'", self.endpoint);
        Error::new(Kind::Configuration, message)
    }
}

/// What can be read from an error answer.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    code: String,
    message: Option<String>,
    region: Option<String>,
    /// A server that expects TLS complained in plain text.
    wants_tls: bool,
}

impl Answer {
    /// Whether there is nothing but a status.
    fn says_nothing(&self) -> bool {
        self.code.is_empty() && self.message.is_none() && !self.wants_tls
    }

    /// Reads the text of an error: the client keeps status and body in a type of its own.
    fn of(error: &StoreError) -> Self {
        let text = error.to_string();
        let between = |from: &str, to: &str| {
            let rest = &text[text.find(from)? + from.len()..];
            Some(short(&rest[..rest.find(to)?]))
        };
        let status = between("status code: ", " ").and_then(|status| status.parse().ok());
        let code = between("<Code>", "</Code>").or_else(|| between("(code: ", ")"));
        Self {
            status,
            code: code.unwrap_or_default(),
            message: between("<Message>", "</Message>").filter(|message| !message.is_empty()),
            region: between("<Region>", "</Region>").filter(|region| !region.is_empty()),
            wants_tls: text.contains("HTTP request") && text.contains("HTTPS"),
        }
    }
}

/// At most 200 characters of what a server said, without control characters.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The text of the innermost cause, cut where a body may begin.
fn last(error: &StoreError) -> String {
    let text = causes(error).last().map(ToString::to_string).unwrap_or_default();
    short(text.split('<').next().unwrap_or_default())
}
