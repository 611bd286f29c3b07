//! SQL logic tests: `tests/slt/*.slt`, run by the library as a script runs, in an empty folder each.
//!
//! The format is that of sqllogictest, as far as it is needed; records are blocks between empty lines:
//!
//! ```text
//! statement ok            statement error <a part of the message>        query [rowsort]
//! CREATE VIEW …           SELECT nope                                    SELECT 1, NULL
//!                                                                        ----
//!                                                                        1 NULL
//! ```
//!
//! `${dir}` is the folder. Cells are parted by a blank; an empty text is `(empty)`.
//! `PLEIAD_BLESS=1` writes the rows that were found; read the diff.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt;
use pleiad::error::{Error, Result};
use pleiad::event::Silent;
use pleiad::script::{self, Call, CallResult, Procedures, Script, StatementResult, Variables};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::Mode;
use rstest::rstest;

use crate::support::golden;

/// The tests of SQL alone call no commands.
struct Nothing;

#[async_trait(?Send)]
impl Procedures for Nothing {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn call(&self, call: Call) -> Result<CallResult> {
        Err(Error::internal(format!("'{}' is not called here", call.name)))
    }
}

/// Runs the statements of `sql`; the rows of the last as lines.
async fn lines(script: &Script, sql: &str, variables: &Variables) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for statement in script::split("slt", sql, variables)? {
        lines.clear();
        match script.run(&statement).await.map_err(cause)? {
            StatementResult::Nothing | StatementResult::Watch(_) => {}
            StatementResult::Tables(tables) => {
                lines.extend(tables.iter().map(|table| format!("{} rows", table.rows.num_rows())));
            }
            StatementResult::Rows(rows) => {
                let batches: Vec<_> =
                    rows.try_collect().await.map_err(|error| cause(statement.failed(error)))?;
                for batch in batches {
                    let options = FormatOptions::new().with_null("NULL");
                    let columns: Vec<_> = batch.columns().iter().collect();
                    let texts =
                        columns.iter().map(|column| ArrayFormatter::try_new(column, &options));
                    let texts = texts.collect::<Result<Vec<_>, _>>()?;
                    for row in 0..batch.num_rows() {
                        let cells = texts.iter().map(|text| text.value(row).to_string());
                        let shown =
                            |cell: String| if cell.is_empty() { "(empty)".into() } else { cell };
                        lines.push(cells.map(shown).collect::<Vec<_>>().join(" "));
                    }
                }
            }
        }
    }
    Ok(lines)
}

/// What is wrong, without the place.
fn cause(error: Error) -> Error {
    let inner = std::error::Error::source(&error).and_then(|inner| inner.downcast_ref::<Error>());
    inner.cloned().unwrap_or(error)
}

/// One record as it is, with the rows found in place of those expected.
async fn found(script: &Script, record: &str, variables: &Variables) -> String {
    let comments = |line: &&str| line.starts_with('#');
    let head: Vec<_> = record.lines().take_while(comments).collect();
    let Some(kind) = record.lines().nth(head.len()) else { return record.to_owned() };
    let body: Vec<_> = record.lines().skip(head.len() + 1).collect();
    let sql: Vec<_> = body.iter().copied().take_while(|line| *line != "----").collect();
    let answer = lines(script, &sql.join("\n"), variables).await;
    let mut out = head;
    match (kind.split_once(' ').unwrap_or((kind, "")), answer) {
        (("statement", "ok"), Ok(_)) => record.to_owned(),
        (("statement", expected), Err(error)) if expected.starts_with("error ") => {
            let message = error.to_string();
            let part = &expected["error ".len()..];
            assert!(
                message.contains(part),
                "{record}\nexpected an error with: {part}\n  found: {message}"
            );
            record.to_owned()
        }
        (("statement", expected), Ok(_)) => panic!("{record}\nexpected: {expected}\n  found: done"),
        (("query", how), Ok(mut lines)) => {
            if how == "rowsort" {
                lines.sort();
            }
            out.push(kind);
            out.extend(sql);
            out.push("----");
            out.extend(lines.iter().map(String::as_str));
            out.join("\n")
        }
        (_, Err(error)) => panic!("{record}\n  found: {error}"),
        ((other, _), Ok(_)) => panic!("'{other}' is no kind of record: {record}"),
    }
}

fn script() -> Script {
    let stores = Stores::new(StorageOptions::default());
    let options = SessionOptions { threads: std::num::NonZeroUsize::new(3), ..Default::default() };
    let session = Session::new(stores, &options).unwrap();
    let (mode, watch) = (Mode::Error, Arc::new(Silent));
    Script::new(&session, Arc::new(Nothing), mode, Vec::new(), watch)
}

/// Each function that SHOW FUNCTIONS lists is run once, by a line `name TYPE: SELECT …` of the file.
#[tokio::test(flavor = "multi_thread")]
async fn every_function_runs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/every_function.txt");
    let text = fs::read_to_string(file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap().to_owned();
    let variables: Variables = [("dir".to_owned(), dir)].into();
    let script = script();
    let rows = "(1.0, 2.0, 1, 'a'), (2.0, 4.5, 3, 'b'), (4.0, 1.0, 2, 'c')";
    let tables = format!(
        "CREATE TABLE t AS SELECT * FROM (VALUES {rows}) t(x, y, i, s); \
         COPY (SELECT 1 AS a) TO '${{dir}}/x.parquet'"
    );
    lines(&script, &tables, &variables).await.unwrap();
    let listed = "SELECT DISTINCT routine_name, function_type FROM information_schema.routines";
    let mut listed = lines(&script, listed, &variables).await.unwrap();
    listed.sort();
    let mut run = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("--")) {
        let (function, sql) = line.split_once(": ").unwrap();
        match lines(&script, sql, &variables).await {
            Ok(rows) => assert!(!rows.is_empty(), "{line}"),
            Err(error) => panic!("{line}\n  found: {error}"),
        }
        run.push(function.to_owned());
    }
    run.sort();
    assert_eq!(run, listed);
}

#[rstest]
#[case("copy")]
#[case("csv")]
#[case("dialect")]
#[case("kmeans")]
#[case("sky")]
#[case("tables")]
#[case("windows")]
#[tokio::test(flavor = "multi_thread")]
async fn logic(#[case] name: &str) {
    let file = format!("tests/slt/{name}.slt");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap().to_owned();
    let variables: Variables = [("dir".to_owned(), dir)].into();
    let script = script();
    let mut records = Vec::new();
    for record in text.trim_end().split("\n\n") {
        records.push(found(&script, record, &variables).await);
    }
    golden::check(&file, &format!("{}\n", records.join("\n\n")));
}

#[test]
fn every_file_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/slt.rs"));
    let own = own.unwrap();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(own.contains(&format!("#[case(\"{name}\")]")), "{name}.slt is not run");
    }
}
