//! Standing queries whose sink is a folder of files: each batch is a version, whole or not at all, and all
//! of them together are the batch answer, on files and on S3.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pleiad::storage::{StorageOptions, Stores};
use rstest::rstest;

use crate::support::s3::TestS3;
use crate::support::stream::{rows, script_on};

const TABLE: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE s (k VARCHAR, i BIGINT, x DOUBLE, t TIMESTAMP)
    STORED AS JSON LOCATION '${in}' OPTIONS ('max_files' '1');
    CREATE TABLE names AS SELECT * FROM (VALUES (0, 'zero'), (1, 'one'), (2, 'two')) AS n(i, name);
";

/// Queries whose rows are final when they come.
const APPENDS: [&str; 4] = [
    "SELECT * FROM s",
    "SELECT k, x * 2 AS y FROM s WHERE x > 0.2",
    "SELECT s.i, t, name FROM s JOIN names USING (i)",
    "SELECT window_start, window_end, i FROM HOP(s, t, INTERVAL '1 second', INTERVAL '2 seconds')",
];

/// Where a test writes.
enum Out {
    Files(tempfile::TempDir),
    S3(TestS3),
}

impl Out {
    fn new(on_s3: bool) -> Self {
        match on_s3 {
            true => Self::S3(TestS3::new(&["bucket"])),
            false => Self::Files(tempfile::tempdir().unwrap()),
        }
    }

    fn stores(&self) -> Arc<Stores> {
        match self {
            Self::Files(_) => Stores::new(StorageOptions::default()),
            Self::S3(server) => server.stores(),
        }
    }

    fn location(&self, name: &str) -> String {
        match self {
            Self::Files(folder) => folder.path().join(name).to_str().unwrap().to_owned(),
            Self::S3(_) => format!("s3://bucket/{name}"),
        }
    }

    /// How many versions there are at `name`.
    fn versions(&self, name: &str) -> usize {
        let folder = match self {
            Self::Files(folder) => folder.path().join(name),
            Self::S3(server) => server.bucket("bucket").join(name),
        };
        fs::read_dir(folder.join("_manifest")).map_or(0, Iterator::count)
    }
}

/// Files of one to four rows.
fn input(folder: &Path, files: usize) -> String {
    let mut row = 0;
    for file in 0..files {
        let mut lines = String::new();
        for _ in 0..1 + file % 4 {
            let (i, x, t) = (row % 3, f64::from(row % 10) / 10.0, i64::from(row) * 700_000_000);
            lines += &format!("{{\"k\": \"a {row}\", \"i\": {i}, \"x\": {x}, \"t\": {t}}}\n");
            row += 1;
        }
        fs::write(folder.join(format!("{file:03}.json")), lines).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

fn sink(kind: &str, location: &str, options: &str) -> String {
    format!(
        "CREATE EXTERNAL TABLE out STORED AS {kind} LOCATION '{location}' OPTIONS ('trigger' 'available now' {options})"
    )
}

#[rstest]
#[case::parquet("PARQUET", "", false)]
#[case::parquet_on_s3("PARQUET", "", true)]
#[case::csv("CSV", "", false)]
#[case::csv_on_s3("CSV", ", 'delimiter' ';'", true)]
#[case::json("JSON", "", false)]
#[case::json_on_s3("JSON", "", true)]
#[tokio::test(flavor = "multi_thread")]
async fn files_have_the_rows_of_the_batch_answer(
    #[case] kind: &str,
    #[case] options: &str,
    #[case] on_s3: bool,
) {
    let folder = tempfile::tempdir().unwrap();
    let (out, location) = (Out::new(on_s3), input(folder.path(), 5));
    let set = [("in", location.as_str())];
    for (number, query) in APPENDS.iter().enumerate() {
        let (streamed, stored) = (format!("streamed{number}"), format!("stored{number}"));
        for (name, is_batch) in [(&streamed, false), (&stored, true)] {
            let (script, _) = script_on(out.stores(), is_batch);
            let sink = sink(kind, &out.location(name), options);
            rows(&script, &format!("{TABLE} {sink}; INSERT INTO out {query}"), &set).await.unwrap();
            script.standing().finish(None).await.unwrap();
        }
        let (script, _) = script_on(out.stores(), true);
        let read = |name: &str| format!("SELECT * FROM '{}'", out.location(name));
        let expected = rows(&script, &format!("{TABLE} {query}"), &set).await.unwrap();
        assert!(!expected.is_empty());
        // Text has types of its own: times come back with a zone, or as text.
        let stored = rows(&script, &read(&stored), &[]).await.unwrap();
        assert_eq!(rows(&script, &read(&streamed), &[]).await.unwrap(), stored, "{query}");
        match kind {
            "PARQUET" => assert_eq!(stored, expected, "{query}"),
            _ => assert_eq!(stored.len(), expected.len(), "{query}"),
        }
        // A file of the input is a batch, and a batch with rows is a version.
        let versions = out.versions(&streamed);
        assert!((2..=5).contains(&versions), "{versions} versions of {query}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn columns_can_be_directories(#[values(false, true)] is_batch: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (out, location) = (Out::new(false), input(folder.path(), 4));
    let (script, _) = script_on(out.stores(), is_batch);
    let text = format!(
        "{TABLE} CREATE EXTERNAL TABLE out STORED AS PARQUET PARTITIONED BY (i) LOCATION '{}' \
         OPTIONS ('mode' 'append', 'trigger' 'once'); INSERT INTO out SELECT k, i FROM s",
        out.location("out")
    );
    rows(&script, &text, &[("in", &location)]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let text = format!("SELECT i, count(*) FROM '{}' GROUP BY i", out.location("out"));
    assert_eq!(rows(&script, &text, &[]).await.unwrap(), ["0 4", "1 3", "2 3"]);
    assert!(Path::new(&out.location("out/i=2")).is_dir());
}

/// Another writer comes between the batches, and rows go to what was there before.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn several_writers_lose_nothing(#[values(false, true)] on_s3: bool) {
    let folder = tempfile::tempdir().unwrap();
    let (out, location) = (Out::new(on_s3), input(folder.path(), 6));
    let (set, place) = ([("in", location.as_str())], out.location("out"));
    let (script, _) = script_on(out.stores(), false);
    let text = format!(
        "{TABLE} COPY (SELECT 100 AS i) TO '{place}'; CREATE EXTERNAL TABLE out STORED AS PARQUET LOCATION '{place}'; \
         CREATE EXTERNAL TABLE other STORED AS PARQUET LOCATION '{place}' OPTIONS ('trigger' '1 millisecond'); \
         CREATE EXTERNAL TABLE third STORED AS PARQUET LOCATION '{place}' OPTIONS ('trigger' '1 millisecond'); \
         INSERT INTO other SELECT CAST(i AS BIGINT) AS i FROM s; INSERT INTO third SELECT i FROM s; \
         INSERT INTO '{place}' SELECT 7 AS i; CALL wait(drained => true)"
    );
    rows(&script, &text, &set).await.unwrap();
    let text = format!("SELECT i, count(*) FROM '{place}' GROUP BY i");
    let expected = ["0 10", "1 8", "100 1", "2 8", "7 1"];
    assert_eq!(rows(&script, &text, &[]).await.unwrap(), expected);
}

/// A table of a dataset takes rows of a stream as a table that was created for them does.
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_is_there_takes_the_rows_of_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (out, location) = (Out::new(false), input(folder.path(), 4));
    let place = out.location("out");
    let (script, _) = script_on(out.stores(), false);
    let text = format!(
        "{TABLE} COPY (SELECT nullif(1, 2) AS i, nullif('x', 'y') AS k) TO '{place}'; CREATE EXTERNAL TABLE out STORED AS PARQUET LOCATION '{place}'; \
         INSERT INTO out SELECT i, k FROM s; SELECT name, sink FROM standing_queries()"
    );
    assert_eq!(rows(&script, &text, &[("in", &location)]).await.unwrap(), ["out files"]);
    rows(&script, "CALL wait(drained => true); CALL stop(out)", &[]).await.unwrap();
    assert_eq!(rows(&script, "SELECT count(*) FROM out", &[]).await.unwrap(), ["11"]);
}

#[rstest]
#[case(
    "INSERT INTO complete SELECT i FROM s",
    "mode complete shows all rows again with each batch, but rows of files stay as they are"
)]
#[case(
    "INSERT INTO updates SELECT i, count(*) FROM s GROUP BY i",
    "mode update shows a group again when it changes, but rows of files stay"
)]
#[case("INSERT INTO out SELECT i, count(*) FROM s GROUP BY i", "mode append shows a row once")]
#[case("INSERT INTO text SELECT i FROM s", "no one would read it beside files of CSV")]
#[case("INSERT INTO other SELECT i FROM s", "cannot append to table ''")]
#[case("INSERT INTO out (i) SELECT i FROM s", "has the columns of the query")]
#[case("SELECT * FROM out", "select them from its location, as in FROM '")]
#[case(
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '${out}/x.csv' OPTIONS ('mode' 'append')",
    "has the name of a file, and each batch is a file of its own"
)]
#[case(
    "CREATE EXTERNAL TABLE x STORED AS CSV PARTITIONED BY (i) LOCATION '${out}/x' OPTIONS ('mode' 'append')",
    "a folder of text cannot be PARTITIONED BY (i)"
)]
#[case(
    "CREATE EXTERNAL TABLE x (i INT) STORED AS CSV LOCATION '${out}/x' OPTIONS ('mode' 'append')",
    "has the columns of the query: leave out those of the table"
)]
#[case(
    "CREATE EXTERNAL TABLE x STORED AS JSON LOCATION '${out}/x' OPTIONS ('mode' 'append', 'delimiter' ',')",
    "option 'delimiter' of a folder of files is not known"
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_files_cannot_take_is_refused_before_the_first_batch(
    #[case] sql: &str,
    #[case] message: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (out, location) = (Out::new(false), input(folder.path(), 2));
    let root = out.location("x");
    let root = root.strip_suffix("/x").unwrap();
    let set = [("in", location.as_str()), ("out", root)];
    let (script, _) = script_on(out.stores(), false);
    let sinks =
        [("out", "out", "append"), ("complete", "c", "complete"), ("updates", "u", "update")];
    let sinks = sinks.map(|(name, place, mode)| {
        format!(
            "CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '${{out}}/{place}' OPTIONS ('mode' '{mode}');"
        )
    });
    let text = format!(
        "{TABLE} {} COPY (SELECT 'x' AS k) TO '${{out}}/other';
         CREATE EXTERNAL TABLE text STORED AS CSV LOCATION '${{out}}/other' OPTIONS ('mode' 'append');
         CREATE EXTERNAL TABLE other STORED AS PARQUET LOCATION '${{out}}/other' OPTIONS ('mode' 'append');",
        sinks.concat()
    );
    rows(&script, &text, &set).await.unwrap();
    let error = rows(&script, sql, &set).await.unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(cause.contains(message), "{cause}");
    assert!([2, 65].contains(&error.kind().exit_code()), "{error}");
    assert_eq!((out.versions("out"), out.versions("other")), (0, 1));
    assert!(!Path::new(&out.location("out")).exists());
}

#[rstest]
#[case::parquet("PARQUET", "", "")]
#[case::directories("PARQUET", "PARTITIONED BY (i)", "")]
#[case::csv("CSV", "", ", 'delimiter' ';'")]
#[case::json("JSON", "", "")]
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_compares_what_is_published_with_the_batch(
    #[case] kind: &str,
    #[case] keys: &str,
    #[case] options: &str,
) {
    let (folder, out) = (tempfile::tempdir().unwrap(), Out::new(false));
    let (location, input) = (out.location("out"), input(folder.path(), 6));
    let table = sink(kind, &location, options).replace("LOCATION", &format!("{keys} LOCATION"));
    let text = format!("{TABLE} {table}; INSERT INTO out SELECT k, x, t, i FROM s WHERE x > 0.2");
    let set = [("in", input.as_str())];
    let (standing, _) = script_on(out.stores(), false);
    rows(&standing, &text, &set).await.unwrap();
    standing.standing().finish(None).await.unwrap();
    let versions = out.versions("out");
    let replay = async || {
        let (script, _) = script_on(out.stores(), true);
        rows(&script.in_replay(true), &text, &set).await
    };
    replay().await.unwrap();
    assert_eq!(out.versions("out"), versions, "a replay writes nothing");
    fs::write(
        folder.path().join("more.json"),
        "{\"k\": \"a 1\", \"i\": 1, \"x\": 0.9, \"t\": 7}\n",
    )
    .unwrap();
    let error = replay().await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 65, "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let expected = "it has 7 rows, 0 of them are not in the answer, and 1 of the 8 rows of the answer are not in it";
    assert!(cause.ends_with(expected), "{cause}");
}

/// Else it would go on for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_does_not_read_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (script, _) = script_on(Out::new(false).stores(), false);
    let location = input(folder.path(), 2);
    let table = sink("JSON", &format!("{location}/"), "");
    let text = format!("{TABLE} {table}; INSERT INTO out SELECT * FROM s");
    let error = rows(&script, &text, &[("in", &location)]).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("the query would read what it writes to '"), "{cause}");
}

/// What is beside the files of a dataset has no rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_of_text_is_a_stream_too() {
    let (folder, out) = (tempfile::tempdir().unwrap(), Out::new(false));
    let (location, input) = (out.location("out"), input(folder.path(), 3));
    let set = [("in", input.as_str())];
    let (first, _) = script_on(out.stores(), false);
    let text = format!("{TABLE} {}; INSERT INTO out SELECT * FROM s", sink("JSON", &location, ""));
    rows(&first, &text, &set).await.unwrap();
    first.standing().finish(None).await.unwrap();
    assert!(Path::new(&location).join("properties").exists());
    let (second, _) = script_on(out.stores(), false);
    let text = format!(
        "{TABLE} CREATE MATERIALIZED VIEW v AS SELECT * FROM s; CALL wait(drained => true)"
    );
    rows(&second, &text, &[("in", location.as_str())]).await.unwrap();
    let found = "SELECT rows, bad_lines FROM standing_queries()";
    assert_eq!(rows(&second, found, &[]).await.unwrap(), ["6 0"]);
}
