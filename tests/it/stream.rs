//! Law 6: a standing query, after all its input, equals the same SQL over the stored input.

use std::fmt::Write;
use std::fs;

use datafusion::common::runtime::SpawnedTask;
use proptest::prelude::*;
use rstest::rstest;
use tokio::io::AsyncWriteExt;

use crate::support::stream::{rows, script, serve};

/// Standing queries that equal themselves in a batch, however the input is cut.
const QUERIES: &[&str] = &[
    "SELECT * FROM s",
    "SELECT k, x * 2 AS y FROM s WHERE x > 0.5 AND k LIKE '%a%'",
    "SELECT w, count(*) AS n FROM (SELECT unnest(string_to_array(k, ' ')) AS w FROM s) GROUP BY w",
    "SELECT count(*) AS n FROM s",
    "SELECT k IS NULL AND i IS NULL AS error, count(*) AS n FROM s GROUP BY 1",
    "SELECT k, count(*) AS n FROM ok GROUP BY k",
    "SELECT k, count(*), sum(i), avg(x), min(x), max(t), stddev(x), corr(x, i) FROM s GROUP BY k",
    "SELECT k, count(DISTINCT i), sum(DISTINCT i), median(x), approx_distinct(i) FROM s GROUP BY k",
    "SELECT count(DISTINCT k), count(DISTINCT i), median(x) FROM s",
    "SELECT k, count(*) FILTER (WHERE x > 0.5) AS n, bool_or(x > 0.9) AS b FROM s GROUP BY k",
    "SELECT k, array_agg(i ORDER BY i) AS a, first_value(i ORDER BY t, i) AS f FROM s GROUP BY k",
    "SELECT k, i, count(*), avg(x), grouping(k) FROM ok GROUP BY CUBE (k, i)",
    "SELECT k, i, count(*) FROM ok GROUP BY ROLLUP (k, i)",
    "SELECT DISTINCT k, i FROM s",
    "SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > 2 ORDER BY n DESC, k LIMIT 3",
    "SELECT k, n, rank() OVER (ORDER BY n DESC, k) AS r FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT max(n) AS m FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT window_start, count(*) FROM TUMBLE(ok, t, INTERVAL '5 seconds') GROUP BY 1",
    "SELECT window_start, window_end, count(*), count(DISTINCT k) \
     FROM HOP(ok, t, INTERVAL '3 seconds', INTERVAL '7 seconds') GROUP BY 1, 2",
    "SELECT date_bin(INTERVAL '2 seconds', t) AS b, sum(i) AS s FROM s GROUP BY 1",
    "SELECT s.*, names.name FROM s JOIN names USING (i)",
    "SELECT s.k, names.name FROM s LEFT JOIN names ON s.i = names.i",
    "SELECT name, count(*) AS n FROM s JOIN names USING (i) GROUP BY name",
    "SELECT * FROM (SELECT i, count(*) AS n FROM s GROUP BY i) JOIN names USING (i)",
    "SELECT count(*) AS n FROM s WHERE i IN (SELECT i FROM names)",
    "SELECT count(*) AS n FROM s WHERE i NOT IN (SELECT i FROM names)",
    "SELECT k, count(*) AS n FROM s WHERE x > (SELECT avg(i) / 4 FROM names) GROUP BY k",
    "SELECT k AS a, count(*) AS n FROM s GROUP BY k UNION ALL SELECT 'all', count(*) FROM s",
    "SELECT k FROM s WHERE x < 0.1 UNION ALL SELECT 'x' FROM s WHERE x > 0.9",
    "SELECT count(*) AS n FROM s WHERE false",
];

const TABLES: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE s (k VARCHAR, i BIGINT, x DOUBLE, t TIMESTAMP)
    STORED AS JSON LOCATION '${in}' OPTIONS ('max_files' '1', 'on_close' 'end');
    CREATE VIEW ok AS SELECT * FROM drop_nulls(s);
    CREATE TABLE names AS SELECT * FROM (VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (7, 'none')) AS n(i, name);
";

fn line(row: usize) -> String {
    let keys = ["a", "b c", "c a", "été", "z"];
    if row % 11 == 3 {
        return format!("{{\"t\": {row}}}\n");
    }
    if row % 23 == 5 {
        return "{\"k\": broken\n".to_owned();
    }
    let (key, i, x) = (keys[row * 7 % keys.len()], row * 5 % 4, (row * 37 % 100) as f64 / 100.0);
    let t = (row * 613 % 20_000) as i64 * 1_000_000 - 5_000_000_000;
    format!("{{\"k\": \"{key}\", \"i\": {i}, \"x\": {x}, \"t\": {t}}}\n")
}

/// The views of all queries over `location`.
fn views() -> String {
    let mut text = TABLES.to_owned();
    for (number, query) in QUERIES.iter().enumerate() {
        writeln!(text, "CREATE MATERIALIZED VIEW q{number} AS {query};").unwrap();
    }
    text
}

/// What each query answers in the end.
async fn answers(location: &str, is_batch: bool) -> Vec<Vec<String>> {
    let (script, _) = script(is_batch);
    rows(&script, &views(), &[("in", location)]).await.unwrap();
    rows(&script, "CALL wait(drained => true)", &[]).await.unwrap();
    let mut answers = Vec::new();
    for number in 0..QUERIES.len() {
        let sql = format!("SELECT * FROM q{number}");
        answers.push(rows(&script, &sql, &[]).await.unwrap());
    }
    answers
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn compare(found: &[Vec<String>], expected: &[Vec<String>]) {
    for ((query, found), expected) in QUERIES.iter().zip(found).zip(expected) {
        assert_eq!(found, expected, "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    /// Each file is a batch.
    #[test]
    fn a_standing_query_equals_the_batch_however_rows_are_cut(
        sizes in prop::collection::vec(0..40_usize, 1..8)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut row, whole) = (0, folder.path().join("whole.json"));
        let cut = folder.path().join("cut");
        fs::create_dir(&cut).unwrap();
        for (number, size) in sizes.iter().enumerate() {
            let lines: String = (row..row + size).map(line).collect();
            row += size;
            fs::write(cut.join(format!("{number:03}.json")), lines).unwrap();
        }
        fs::write(&whole, (0..row).map(line).collect::<String>()).unwrap();
        runtime().block_on(async {
            let expected = answers(whole.to_str().unwrap(), true).await;
            compare(&answers(cut.to_str().unwrap(), false).await, &expected);
        });
    }
}

#[rstest]
#[case(1)]
#[case(7)]
#[case(1000)]
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_gives_what_the_file_gives(#[case] lines_at_once: usize) {
    let text: String = (0..200).map(line).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.json");
    fs::write(&file, &text).unwrap();
    let location = serve(text.trim_end().as_bytes().to_vec(), lines_at_once);
    let (script, _) = script(false);
    // One query, so that it is there before the first row: later ones begin at what comes next.
    let query = QUERIES[6];
    let text = format!(
        "{TABLES} CREATE MATERIALIZED VIEW q AS {query}; CALL wait(drained => true); FROM q"
    );
    let found = rows(&script, &text, &[("in", &location)]).await.unwrap();
    let (batch, _) = crate::support::stream::script(true);
    let text = format!("{TABLES} {query}");
    let expected = rows(&batch, &text, &[("in", file.to_str().unwrap())]).await.unwrap();
    assert_eq!(found, expected);
    let (batch, _) = crate::support::stream::script(true);
    let over_the_line = rows(&batch, &text, &[("in", &location)]).await.unwrap();
    assert_eq!(over_the_line, expected);
}

/// Files of one row each, so that batches are known.
fn files(folder: &std::path::Path, lines: &[&str]) {
    for (number, line) in lines.iter().enumerate() {
        fs::write(folder.join(format!("{number}.json")), format!("{line}\n")).unwrap();
    }
}

#[rstest]
#[case("append", "SELECT i FROM s WHERE i > 0", "1 | 2 | 1")]
#[case("update", "SELECT i, count(*) FROM s GROUP BY i", "1 1 | 0 1 | 2 1 | 1 2")]
#[case(
    "complete",
    "SELECT i, count(*) FROM s GROUP BY i ORDER BY i",
    "1 1 | 0 1, 1 1 | 0 1, 1 1, 2 1 | 0 1, 1 2, 2 1"
)]
#[case("complete", "SELECT i FROM s WHERE i = 1", "1 | 1 | 1 | 1, 1")]
#[tokio::test(flavor = "multi_thread")]
async fn a_console_shows_what_its_mode_says(
    #[case] mode: &str,
    #[case] query: &str,
    #[case] expected: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &["{\"i\": 1}", "{\"i\": 0}", "{\"i\": 2}", "{\"i\": 1}"]);
    let (script, shown) = script(false);
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout' OPTIONS ('mode' '{mode}'); \
         INSERT INTO console {query}; CALL wait(drained => true); CALL stop(console); \
         FROM standing_queries()"
    );
    let left = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let shown = shown.0.lock().unwrap();
    let found: Vec<_> = shown.iter().map(|(_, _, rows)| rows.join(", ")).collect();
    assert_eq!(found.join(" | "), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_follows_files_that_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    files(folder.path(), &["{\"i\": 1}"]);
    let (script, _) = script(false);
    let text = format!("{TABLES} CREATE MATERIALIZED VIEW v AS SELECT sum(i) AS n FROM s");
    rows(&script, &text, &[("in", location)]).await.unwrap();
    let drained = "CALL wait(drained => true); FROM v";
    assert_eq!(rows(&script, drained, &[]).await.unwrap(), ["1"]);
    fs::write(folder.path().join("more.json"), "{\"i\": 5}\n").unwrap();
    let mut found = Vec::new();
    while found != ["6"] {
        found = rows(&script, "CALL wait('100 milliseconds'); FROM v", &[]).await.unwrap();
    }
    let state = "SELECT name, state, batches, rows FROM standing_queries()";
    assert_eq!(rows(&script, state, &[]).await.unwrap(), ["v running 2 2"]);
    rows(&script, "DROP MATERIALIZED VIEW v", &[]).await.unwrap();
    assert!(rows(&script, state, &[]).await.unwrap().is_empty());
    assert!(rows(&script, "FROM v", &[]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_stream_joins_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, words) = (folder.path().join("lines"), folder.path().join("words.csv"));
    fs::create_dir(&lines).unwrap();
    fs::write(&words, "i,word\n1,one\n5,five\n").unwrap();
    files(&lines, &["{\"i\": 1}"]);
    let (script, _) = script(false);
    let text = format!(
        "{TABLES} CREATE MATERIALIZED VIEW v AS SELECT word FROM s JOIN '{}' USING (i)",
        words.display()
    );
    rows(&script, &text, &[("in", lines.to_str().unwrap())]).await.unwrap();
    let drained = "CALL wait(drained => true); FROM v";
    assert_eq!(rows(&script, drained, &[]).await.unwrap(), ["one"]);
    fs::remove_file(words).unwrap();
    fs::write(lines.join("more.json"), "{\"i\": 5}\n").unwrap();
    let mut found = Vec::new();
    while found != ["five", "one"] {
        found =
            rows(&script, "CALL wait('100 milliseconds'); FROM v ORDER BY 1", &[]).await.unwrap();
    }
}

/// Rows that come later are joined with the table as it is then, and an answer above an aggregate is of all rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_looked_at_again_if_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, words) = (folder.path().join("lines"), folder.path().join("words.csv"));
    fs::create_dir(&lines).unwrap();
    fs::write(&words, "i,word\n1,one\n").unwrap();
    files(&lines, &["{\"i\": 1}"]);
    let (script, _) = script(false);
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE words STORED AS CSV LOCATION '{}' OPTIONS ('refresh' '1 millisecond'); \
         CREATE MATERIALIZED VIEW v AS SELECT word FROM s JOIN words USING (i); \
         CREATE MATERIALIZED VIEW n AS SELECT word, n FROM (SELECT i, count(*) AS n FROM s GROUP BY i) \
         JOIN words USING (i)",
        words.display()
    );
    rows(&script, &text, &[("in", lines.to_str().unwrap())]).await.unwrap();
    let drained = "CALL wait(drained => true); FROM v";
    assert_eq!(rows(&script, drained, &[]).await.unwrap(), ["one"]);
    assert_eq!(rows(&script, "FROM n", &[]).await.unwrap(), ["one 1"]);
    fs::write(&words, "i,word\n1,uno\n5,cinque\n").unwrap();
    fs::write(lines.join("more.json"), "{\"i\": 5}\n{\"i\": 1}\n").unwrap();
    let mut found = Vec::new();
    while found != ["cinque", "one", "uno"] {
        found = rows(&script, "CALL wait('100 milliseconds'); FROM v", &[]).await.unwrap();
    }
    let mut found = Vec::new();
    while found != ["cinque 1", "uno 2"] {
        found = rows(&script, "CALL wait('100 milliseconds'); FROM n", &[]).await.unwrap();
    }
}

#[rstest]
#[case("SELECT * FROM s", "has no end, so no answer to this query is the last")]
#[case("CREATE MATERIALIZED VIEW v AS SELECT * FROM names", "reads no table without an end")]
#[case("CREATE MATERIALIZED VIEW v AS SELECT * FROM s ORDER BY i", "ORDER BY needs all rows")]
#[case("CREATE MATERIALIZED VIEW v AS SELECT * FROM s LIMIT 3", "LIMIT has no end to count from")]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM (SELECT * FROM s LIMIT 3)",
    "LIMIT has no end"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT i, rank() OVER (ORDER BY i) FROM s",
    "OVER (…) needs rows"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT i FROM s UNION ALL SELECT i FROM names",
    "would show the rows of the table in each batch"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM (SELECT i FROM s UNION ALL SELECT i FROM names)",
    "would show the rows of the table in each batch"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT a.i FROM s a LEFT JOIN s b ON a.i = b.i",
    "an outer JOIN of two streams"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT * FROM names n LEFT JOIN s ON n.i = s.i",
    "put the stream on the side"
)]
#[case("CREATE MATERIALIZED VIEW v AS SELECT now(), i FROM s", "now() in a standing query")]
#[case(
    "CREATE MATERIALIZED VIEW v WITH (every = '1 second') AS SELECT * FROM s",
    "option 'every' of a materialized view is not known"
)]
#[case(
    "CREATE MATERIALIZED VIEW v WITH (trigger = 'soon') AS SELECT * FROM s",
    "option 'trigger' is 'soon'"
)]
#[case(
    "CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS SELECT count(*) FROM s",
    "mode append shows a row once"
)]
#[case("INSERT INTO console SELECT count(*) FROM s", "mode append shows a row once")]
#[case(
    "INSERT INTO updates SELECT i, count(*) AS n FROM s GROUP BY i ORDER BY n",
    "mode update shows the groups"
)]
#[case(
    "INSERT INTO updates SELECT max(n) FROM (SELECT i, count(*) AS n FROM s GROUP BY i)",
    "mode update shows the groups"
)]
#[case(
    "CREATE MATERIALIZED VIEW v AS SELECT * FROM s; CREATE MATERIALIZED VIEW w AS SELECT * FROM v",
    "is a materialized view, and a standing query over one"
)]
#[case(
    "CREATE EXTERNAL TABLE w STORED AS CSV LOCATION 'w.csv' OPTIONS ('refresh' 'daily')",
    "option 'refresh' is 'daily', expected a time such as '1 minute'"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE r STORED AS RATE LOCATION 'rate://' OPTIONS ('start' '9999-01-01T00:00:00Z')",
    "expected a time such as '2026-01-01T00:00:00Z', up to the year 2262"
)]
#[case("CREATE MATERIALIZED VIEW names AS SELECT * FROM s", "table 'names' already exists")]
#[case("DROP MATERIALIZED VIEW names", "'names' is not a materialized view")]
#[case("CALL stop(nothing)", "no standing query has the name 'nothing'")]
#[case("CALL wait(soon)", "write CALL wait('10 seconds')")]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u STORED AS JSON LOCATION 'x'",
    "a stream needs its columns"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u (a INT) STORED AS PARQUET LOCATION 'x'",
    "format 'PARQUET' is not one of a stream"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u (a INT) STORED AS JSON LOCATION 'ftp://x'",
    "a stream is not read from 'ftp://' locations"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u (a INT) STORED AS JSON LOCATION 'tcp://x'",
    "has no port"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u (a INT) STORED AS JSON LOCATION 'x' OPTIONS ('event_time' 'a')",
    "which is Int32, expected a timestamp"
)]
#[case(
    "CREATE UNBOUNDED EXTERNAL TABLE u (a INT) STORED AS JSON LOCATION 'x' OPTIONS ('delimiter' ';')",
    "option 'delimiter' of a stream of JSON is not known"
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_is_refused_before_the_first_batch(
    #[case] sql: &str,
    #[case] message: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let (script, _) = script(false);
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'; \
         CREATE EXTERNAL TABLE updates STORED AS CONSOLE LOCATION 'stdout' OPTIONS ('mode' 'update'); {sql}"
    );
    let error = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await;
    let error = error.unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(cause.contains(message), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_says_why_and_what_it_had_stays() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &["{\"i\": 1}", "{\"i\": broken"]);
    let text = "CREATE UNBOUNDED EXTERNAL TABLE f (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('on_error' 'fail', 'max_files' '1'); CREATE MATERIALIZED VIEW v AS SELECT * FROM f";
    let (script, _) = script(false);
    rows(&script, text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
    let error = script.standing().finish(None).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 65);
    assert_eq!(error.to_string(), "standing query 'v' has ended");
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), ["1"]);
}

/// What came before a connection broke is not all that there was.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_not_one_that_ends() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("tcp://{}", listener.local_addr().unwrap());
    let _server = SpawnedTask::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            client.write_all(b"{\"i\": 1}\n").await.unwrap();
            client.set_zero_linger().unwrap(); // it is reset, not closed
        }
    });
    let text = "CREATE UNBOUNDED EXTERNAL TABLE b (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('on_close' 'end'); CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM b; \
                CALL wait(drained => true)";
    let (script, _) = script(false);
    let error = rows(&script, text, &[("in", &location)]).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 69, "{error}");
}

/// An expression adds a column; a column that is named stays what it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_expression_is_the_time_of_a_row() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &["{\"i\": 1500000000}"]);
    let text = "CREATE UNBOUNDED EXTERNAL TABLE e (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('event_time' 'to_timestamp_nanos(i)'); \
                CREATE MATERIALIZED VIEW v AS SELECT window_start, event_time FROM \
                TUMBLE(e, event_time, INTERVAL '1 second'); CALL wait(drained => true); FROM v";
    for is_batch in [false, true] {
        let (script, _) = script(is_batch);
        let found = rows(&script, text, &[("in", folder.path().to_str().unwrap())]).await;
        assert_eq!(found.unwrap(), ["1970-01-01T00:00:01 1970-01-01T00:00:01.500"]);
    }
}
