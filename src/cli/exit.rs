//! How a command ends: its exit code, and what is said about an error.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};

use datafusion::error::DataFusionError;

use super::process::{End, HUNG_UP, INTERRUPTED, TERMINATED};
use super::terminal::{Terminal, variable};
use crate::error::{Error, Kind, is_guarded};

/// Every exit code with its meaning, as `--help` prints them.
pub const CODES: &[(u8, &str)] = &[
    (0, "success"),
    (Kind::Other.exit_code(), "any failure without a code of its own"),
    (Kind::Usage.exit_code(), "wrong usage"),
    (Kind::Data.exit_code(), "bad data: a parse error, a corrupt file, a NULL key"),
    (Kind::InputMissing.exit_code(), "an input or its bucket is missing"),
    (Kind::Unreachable.exit_code(), "storage cannot be reached: name, connection, TLS, timeout"),
    (Kind::Internal.exit_code(), "a bug of pleiad"),
    (Kind::Limit.exit_code(), "the memory or disk limit is reached"),
    (Kind::OutputExists.exit_code(), "the output exists already (see --mode)"),
    (Kind::Io.exit_code(), "the file system failed: disk full, read-only directory"),
    (Kind::Retry.exit_code(), "another writer was faster, or storage throttles: try again"),
    (
        Kind::Denied.exit_code(),
        "access denied: wrong key, expired token, missing right, wrong clock",
    ),
    (Kind::Configuration.exit_code(), "wrong configuration: region, endpoint, unknown setting"),
    (HUNG_UP, "the terminal is gone (SIGHUP)"),
    (INTERRUPTED, "interrupted (SIGINT)"),
    (TERMINATED, "terminated (SIGTERM)"),
];

/// The table of exit codes, for the end of `--help`.
pub fn help() -> String {
    let lines = CODES.iter().map(|(code, meaning)| format!("\n  {code:>3}  {meaning}"));
    format!("Exit codes:{}", lines.collect::<String>())
}

/// The reader of standard output has left (`pleiad … | head`): a quiet success.
#[derive(Debug, Clone, Copy)]
pub struct StdoutClosed;

impl fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output is closed")
    }
}

impl StdError for StdoutClosed {}

/// The error has been reported already; this is the exit code that it means.
#[derive(Debug, Clone, Copy)]
pub struct AlreadyReported(pub u8);

impl fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed with exit code {}", self.0)
    }
}

impl StdError for AlreadyReported {}

/// An error of printing what was `done`, which stays done.
pub(super) fn after(done: &str, error: anyhow::Error) -> anyhow::Error {
    if error.is::<StdoutClosed>() {
        return error;
    }
    error.context(format!("{done}, but this cannot be shown"))
}

/// Runs `work` to its end, says on the terminal what went wrong, and gives the exit code.
pub fn code_of<E: Into<anyhow::Error>>(
    terminal: &Terminal,
    work: impl FnOnce() -> Result<End<anyhow::Result<()>>, E>,
) -> u8 {
    explain_panics(terminal.clone());
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(End::Done(result))) => finish(result, terminal),
        Ok(Ok(End::Signalled(code))) => code,
        Ok(Err(error)) => finish(Err(error.into()), terminal),
        Err(_reported_by_the_hook) => PANICKED.load(Ordering::Acquire),
    }
}

fn finish(result: anyhow::Result<()>, terminal: &Terminal) -> u8 {
    let Err(error) = result else { return 0 };
    if error.is::<StdoutClosed>() {
        return 0;
    }
    let panicked = PANICKED.load(Ordering::Acquire);
    if panicked != 0 {
        return panicked; // said by the hook; the error is its echo
    }
    match error.downcast_ref() {
        Some(AlreadyReported(code)) => *code,
        None => report(error, terminal),
    }
}

/// Says what went wrong, and gives the exit code that it means.
pub(super) fn report(error: anyhow::Error, terminal: &Terminal) -> u8 {
    let error = translated(error);
    terminal.error(&sentences(&error));
    code(&error)
}

/// An error that a command took from the engine itself, as ours.
fn translated(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<DataFusionError>() {
        Ok(engines) => Error::from(engines).into(),
        Err(error) => error,
    }
}

fn code(error: &anyhow::Error) -> u8 {
    if let Some(ours) = Error::find_in(error.as_ref()) {
        return ours.kind().exit_code();
    }
    let is_io = error.chain().any(|cause| cause.is::<std::io::Error>());
    let kind = if is_io { Kind::Io } else { Kind::Other };
    kind.exit_code()
}

/// The error and its causes, each text once, without secrets: the first is what went wrong, the
/// others begin with `caused by: `.
///
/// A wrapper that only repeats one of our sentences (`External error: …`) is left out.
fn sentences(error: &anyhow::Error) -> Vec<String> {
    let chain: Vec<(bool, String)> =
        error.chain().map(|cause| (cause.is::<Error>(), cause.to_string())).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (index, (ours, text)) in chain.iter().enumerate() {
        let wraps_ours = !ours
            && chain[index + 1..]
                .iter()
                .any(|(ours, inner)| *ours && text.contains(inner.as_str()));
        let repeats = kept.iter().any(|earlier| earlier.contains(text.as_str()));
        if !wraps_ours && !repeats {
            kept.push(text);
        }
    }
    let prefixes = std::iter::once("").chain(std::iter::repeat("caused by: "));
    prefixes.zip(kept).map(|(prefix, text)| format!("{prefix}{}", redacted(text))).collect()
}

/// `text` without the secrets that URLs carry: `user:password@`, and the keys, tokens and
/// signatures of a signed query.
pub fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        clean.push_str(before);
        let end = after.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(after.len());
        // A secret may itself hold a slash: look up to the next blank or quote for `:…@`.
        let word = after.find([' ', '"', '\'', '\n']).unwrap_or(after.len());
        rest = match after[..word].rfind('@') {
            Some(host) if host < end || after[..end].contains(':') => {
                clean.push_str("***");
                &after[host..]
            }
            _ => after,
        };
    }
    clean.push_str(rest);
    SIGNED.iter().fold(clean, |text, name| without_value(&text, name))
}

/// Parameters of a signed URL that let their reader in.
const SIGNED: &[&str] = &[
    "X-Amz-Signature=",
    "X-Amz-Credential=",
    "X-Amz-Security-Token=",
    "token=",
    "api_key=",
    "apikey=",
    "password=",
    "secret=",
    "sig=",
];

fn without_value(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['&', ' ', '"', '\'', ')']).unwrap_or(part.len());
        clean.push_str(name);
        clean.push_str("***");
        clean.push_str(&part[end..]);
    }
    clean
}

/// The exit code of the first panic; 0 if there was none.
static PANICKED: AtomicU8 = AtomicU8::new(0);

/// Makes a panic, in whatever thread, a sentence for people and an exit code: [`Kind::Data`] where a
/// reader of files panics, as some do on damaged pages, else [`Kind::Internal`].
fn explain_panics(terminal: Terminal) {
    std::panic::set_hook(Box::new(move |panic| {
        if is_guarded() {
            return;
        }
        let is_reader = panic.location().is_some_and(|at| is_of_a_reader(at.file()));
        let (kind, lines) = match is_reader {
            true => (Kind::Data, damage_sentences(panic)),
            false => (Kind::Internal, panic_sentences(panic)),
        };
        let first =
            PANICKED.compare_exchange(0, kind.exit_code(), Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            terminal.error(&lines);
        }
    }));
}

/// Whether a source file is of the crates that decode Parquet, CSV and Arrow.
fn is_of_a_reader(file: &str) -> bool {
    file.split('/').filter_map(|part| part.rsplit_once('-')).any(|(name, version)| {
        let is_reader = ["parquet", "arrow", "bytes"].contains(&name) || name.starts_with("arrow-");
        is_reader && version.starts_with(|first: char| first.is_ascii_digit())
    })
}

fn damage_sentences(panic: &PanicHookInfo<'_>) -> Vec<String> {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), |at| at.to_string());
    vec![
        "a file of the input is damaged: its pages cannot be decoded".to_owned(),
        format!("the reader of the file said: {} (at {place})", redacted(message)),
        "find it with pleiad check --verify, or with the tool that wrote it".to_owned(),
    ]
}

fn panic_sentences(panic: &PanicHookInfo<'_>) -> Vec<String> {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), |at| at.to_string());
    let mut lines = vec![
        format!("this is a bug in pleiad {}, not in your input", env!("CARGO_PKG_VERSION")),
        format!("what happened: {} (at {place})", redacted(message)),
        "please report these lines together with the command you ran".to_owned(),
    ];
    if variable("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        lines.push(std::backtrace::Backtrace::force_capture().to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn of(error: impl StdError + Send + Sync + 'static) -> (u8, Vec<String>) {
        let error = anyhow::Error::new(error);
        (code(&error), sentences(&error))
    }

    #[test]
    fn our_sentence_comes_first_however_deep_it_is_wrapped() {
        let exists = "output 's3://b/out' already holds version 3: pass --mode overwrite";
        let ours = || Error::new(Kind::OutputExists, exists);
        let external = DataFusionError::External(Box::new(ours()));
        assert_eq!(of(external), (73, vec![exists.to_owned()]));
        let deep = DataFusionError::Context(
            "writing".to_owned(),
            Box::new(DataFusionError::External(Box::new(ours()))),
        );
        assert_eq!(of(deep), (73, vec![exists.to_owned()]));
    }

    #[test]
    fn a_cause_is_named_below_and_never_repeated() {
        let full = || std::io::Error::other("no space left on device");
        let io = Error::io("write '/data/x'", full());
        assert_eq!(of(io), (74, vec!["write '/data/x': no space left on device".to_owned()]));
        let data = Error::data("file 'x.csv' cannot be read").caused_by(full());
        let error = anyhow::Error::new(data).context("reading the input");
        let expected = [
            "reading the input",
            "caused by: file 'x.csv' cannot be read",
            "caused by: no space left on device",
        ];
        assert_eq!(sentences(&error), expected);
        assert_eq!(code(&error), 65);
    }

    #[test]
    fn a_foreign_error_is_one_and_a_foreign_io_error_74() {
        let foreign = anyhow::anyhow!("odd");
        assert_eq!((code(&foreign), sentences(&foreign)), (1, vec!["odd".to_owned()]));
        let io = Err::<(), _>(std::io::Error::other("gone")).context("reading 'x'");
        assert_eq!(code(&io.expect_err("an error")), 74);
    }

    #[test]
    fn an_error_of_the_engine_has_a_kind_too() {
        let full = DataFusionError::ResourcesExhausted("cannot allocate 7 MB".to_owned());
        assert_eq!(code(&translated(full.into())), 71);
        assert_eq!(code(&translated(anyhow::anyhow!("odd"))), 1);
    }

    #[test]
    fn a_panic_of_a_decoder_means_damaged_input() {
        let home = "/home/u/.cargo/registry/src/index-1/";
        for krate in ["parquet-59.3.2", "arrow-ipc-59.3.2", "bytes-1.12.1"] {
            assert!(is_of_a_reader(&format!("{home}{krate}/src/lib.rs")), "{krate}");
        }
        assert!(!is_of_a_reader(&format!("{home}tokio-1.54.1/src/lib.rs")));
        assert!(!is_of_a_reader("src/table/bytes-of.rs"));
    }

    #[test]
    fn every_kind_has_a_line_in_help() {
        let kinds = [
            Kind::Other,
            Kind::Usage,
            Kind::Data,
            Kind::InputMissing,
            Kind::Unreachable,
            Kind::Internal,
            Kind::Limit,
            Kind::OutputExists,
            Kind::Io,
            Kind::Retry,
            Kind::Denied,
            Kind::Configuration,
        ];
        for kind in kinds {
            assert!(CODES.iter().any(|(code, _)| *code == kind.exit_code()), "{kind:?}");
        }
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0), "one line a code, in order");
    }

    #[test]
    fn secrets_in_urls_are_masked() {
        let cases = [
            ("cannot open 's3://AKIA:se/cr+et@bucket/key'", "cannot open 's3://***@bucket/key'"),
            ("http://user:pass@host:9000/x and s3://b/k", "http://***@host:9000/x and s3://b/k"),
            ("http://host:9000/path is fine", "http://host:9000/path is fine"),
            (
                "GET https://h/k?X-Amz-Signature=abc&X-Amz-Date=1 failed",
                "GET https://h/k?X-Amz-Signature=***&X-Amz-Date=1 failed",
            ),
            ("mail a@b", "mail a@b"),
        ];
        for (text, expected) in cases {
            assert_eq!(redacted(text), expected);
        }
    }
}
