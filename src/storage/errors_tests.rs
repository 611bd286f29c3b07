//! Every kind survives the wrappers of the engine; what the engine itself says gets its kind.

use datafusion::common::{Diagnostic, SchemaError};

use super::*;

const KINDS: [Kind; 12] = [
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

/// Every way an error of ours comes back from below.
fn wrapped(error: &Error) -> Vec<DataFusionError> {
    let external = || DataFusionError::from(error.clone());
    let store = || object_store::Error::NotFound { path: "x".into(), source: error.clone().into() };
    vec![
        external(),
        external().context("while sorting"),
        DataFusionError::Shared(Arc::new(external())),
        DataFusionError::External(Box::new(Arc::new(external()))),
        DataFusionError::Collection(vec![external()]),
        DataFusionError::Diagnostic(
            Box::new(Diagnostic::new_error("here", None)),
            external().into(),
        ),
        DataFusionError::IoError(io::Error::other(external())),
        DataFusionError::ArrowError(ArrowError::ExternalError(Box::new(external())).into(), None),
        DataFusionError::ArrowError(ArrowError::from_external_error(store().into()).into(), None),
        DataFusionError::ParquetError(ParquetError::External(Box::new(store())).into()),
        DataFusionError::ObjectStore(store().into()),
    ]
}

#[test]
fn every_kind_comes_back_through_every_wrapper() {
    for kind in KINDS {
        let ours = Error::new(kind, "the sentence");
        for wrapped in wrapped(&ours) {
            let shown = format!("{wrapped:?}");
            let back = Error::from(wrapped);
            assert_eq!((back.kind(), back.to_string()), (kind, ours.to_string()), "{shown}");
        }
    }
}

#[track_caller]
fn check(error: impl Into<Error>, kind: Kind, message: &str) {
    let error = error.into();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

#[test]
fn a_limit_is_named_with_its_remedy() {
    let exhausted = |text: &str| DataFusionError::ResourcesExhausted(text.to_owned());
    let memory =
        exhausted("Additional allocation failed for Sort with top consumers as:\n  a,\n  b.");
    check(
        memory.context("sorting"),
        Kind::Limit,
        "the memory limit is reached: Additional allocation failed for Sort with top consumers as: \
         a, b: raise --memory-limit or lower --threads",
    );
    let disk = exhausted("The used disk space during the spilling process has exceeded 1 GB.");
    check(
        disk,
        Kind::Limit,
        "the disk limit is reached: The used disk space during the spilling process has exceeded 1 \
         GB: raise --disk-limit or free space for temporary files",
    );
}

#[test]
fn a_full_disk_is_an_io_error_wherever_it_happens() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    check(DataFusionError::IoError(full()), Kind::Io, "disk full: no storage space");
    check(ArrowError::from(full()), Kind::Io, "disk full: no storage space");
    check(ParquetError::from(full()), Kind::Io, "disk full: no storage space");
}

#[test]
fn what_the_engine_says_keeps_its_text() {
    check(DataFusionError::Plan("no table 't'".into()), Kind::Usage, "no table 't'");
    check(
        DataFusionError::Plan("no table 't'".into()).context("type_coercion"),
        Kind::Usage,
        "no table 't'",
    );
    check(DataFusionError::Internal("oops".into()), Kind::Internal, "oops");
    check(DataFusionError::Execution("too late".into()), Kind::Other, "too late");
    check(DataFusionError::Configuration("no key 'x'".into()), Kind::Configuration, "no key 'x'");
    let missing = SchemaError::FieldNotFound {
        field: Box::new("Num_Acc".into()),
        valid_fields: vec!["num_acc".into()],
    };
    let missing = DataFusionError::SchemaError(missing.into(), Box::new(None));
    let error = Error::from(missing);
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("num_acc"), "{error}");
}

#[test]
fn bad_values_and_files_are_bad_data() {
    check(ArrowError::CastError("'x' is not an Int32".into()), Kind::Data, "'x' is not an Int32");
    check(ArrowError::DivideByZero, Kind::Data, "division by zero");
    let cut = ParquetError::EOF("EOF: file is 3 bytes".into());
    check(cut, Kind::Data, "not a readable Parquet file: EOF: file is 3 bytes");
}
