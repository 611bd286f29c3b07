//! Errors of the libraries below, as ours.
//!
//! A query returns an error wrapped by each layer it passed: `External`, `Context`, `Shared`,
//! `ArrowError::ExternalError`, `io::Error`. The first of ours on the way down wins, with its kind
//! and sentence; then a store's error, memory or disk that ran out, the file system, and only then
//! the outermost text. What crossed a network is text and keeps no kind.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;

use crate::error::{Error, Kind};

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        known(&error).unwrap_or_else(|| of_store(&error))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        known(&error).unwrap_or_else(|| of_arrow(&error))
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        known(&error).unwrap_or_else(|| of_parquet(&error))
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        known(&error).unwrap_or_else(|| of_query(&error))
    }
}

/// So that `?` carries our errors through an operator or a function of the engine.
impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

/// The error as one of ours, if some cause of it says more than its text does.
fn known(error: &(dyn StdError + 'static)) -> Option<Error> {
    let ours = causes(error).find_map(|cause| cause.downcast_ref::<Error>().cloned());
    ours.or_else(|| {
        causes(error).find_map(|cause| match cause.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ResourcesExhausted(text)) => Some(limit(text)),
            _ => None,
        })
    })
    .or_else(|| causes(error).find_map(|cause| cause.downcast_ref().map(of_store)))
    .or_else(|| causes(error).find_map(|cause| cause.downcast_ref().map(of_io)))
}

/// An error and its causes. `io::Error` and `Arc` stand before what they hold: an `io::Error`
/// names as its source the source of what it holds, so that one would be skipped.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        if let Some(held) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            return Some(held as &(dyn StdError + 'static));
        }
        if let Some(shared) = cause.downcast_ref::<Arc<DataFusionError>>() {
            return Some(shared.as_ref());
        }
        cause.source()
    })
}

/// A limit of ours that the engine reached. It names the largest consumers itself, on many lines.
fn limit(text: &str) -> Error {
    let (what, remedy) = match text.contains("disk") {
        true => ("disk", "raise --disk-limit or free space for temporary files"),
        false => ("memory", "raise --memory-limit or lower --threads"),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.');
    Error::new(Kind::Limit, format!("the {what} limit is reached: {text}: {remedy}"))
}

fn of_io(error: &io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("disk full: {error}"),
        _ => error.to_string(),
    };
    Error::new(Kind::Io, message)
}

/// A store's error that did not come through [`Stores`](super::Stores).
fn of_store(error: &object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => Kind::InputMissing,
        object_store::Error::AlreadyExists { .. } => Kind::OutputExists,
        object_store::Error::Precondition { .. } => Kind::Retry,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => Kind::Denied,
        object_store::Error::InvalidPath { .. } => Kind::Data,
        object_store::Error::JoinError { .. } => Kind::Internal,
        _ => Kind::Other,
    };
    Error::new(kind, error.to_string())
}

/// A function that does not take its arguments: a mistake of the user that the engine takes for its own.
fn unmatched(text: &str) -> Option<Error> {
    let (before, _) = text.split_once("' failed to match any signature")?;
    let (_, name) = before.rsplit_once('\'')?;
    Some(Error::usage(match text.contains("received String") {
        true => format!(
            "function '{name}' takes numbers and its argument is text: CAST it; if its values look like \
             48,86, read the file with OPTIONS ('decimal' ',')"
        ),
        false => format!("function '{name}' does not take arguments of these types"),
    }))
}

fn of_arrow(error: &ArrowError) -> Error {
    let (kind, text) = match error {
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::SchemaError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::CsvError(text)
        | ArrowError::JsonError(text)
        | ArrowError::AvroError(text)
        | ArrowError::IpcError(text)
        | ArrowError::ParquetError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ArithmeticOverflow(text) => (Kind::Data, text.clone()),
        ArrowError::DivideByZero => (Kind::Data, "division by zero".to_owned()),
        ArrowError::MemoryError(text) => (Kind::Limit, text.clone()),
        ArrowError::IoError(text, _) => (Kind::Io, text.clone()),
        other => (Kind::Other, other.to_string()),
    };
    Error::new(kind, text)
}

fn of_parquet(error: &ParquetError) -> Error {
    let text = match error {
        ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::ArrowError(text) => {
            text.clone()
        }
        other => other.to_string(),
    };
    Error::data(format!("not a readable Parquet file: {text}"))
}

/// What the engine itself says. Its wrappers add nothing that a user could act on; hints such as
/// "did you mean" are part of the innermost text.
fn of_query(error: &DataFusionError) -> Error {
    let root = error.find_root();
    let text = without_backtrace(&root.message());
    if let Some(error) = unmatched(&text) {
        return error;
    }
    let kind = match root {
        DataFusionError::ArrowError(cause, _) => return of_arrow(cause),
        DataFusionError::ParquetError(cause) => return of_parquet(cause),
        DataFusionError::SQL(cause, _) => {
            return Error::usage(without_backtrace(&cause.to_string()));
        }
        DataFusionError::Internal(text) => return Error::internal(without_backtrace(text)),
        DataFusionError::ExecutionJoin(_) => Kind::Internal,
        DataFusionError::Plan(_) => Kind::Usage,
        DataFusionError::SchemaError(..) => Kind::Data,
        DataFusionError::Configuration(_) => Kind::Configuration,
        _ => Kind::Other,
    };
    Error::new(kind, text)
}

fn without_backtrace(text: &str) -> String {
    text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
