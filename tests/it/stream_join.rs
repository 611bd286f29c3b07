//! Joins of two streams: the rows of a batch over all rows, however both sides are cut.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rstest::rstest;

use crate::support::stream::{rows, script, script_with};

/// Two streams of files, each of which is a batch, and a table that has an end.
const TABLES: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE a (i BIGINT, k VARCHAR, t TIMESTAMP)
    STORED AS JSON LOCATION '${in}/a' OPTIONS ('max_files' '1', 'event_time' 't', 'watermark' '1 second');
    CREATE UNBOUNDED EXTERNAL TABLE b (j BIGINT, k VARCHAR, x DOUBLE, t TIMESTAMP)
    STORED AS JSON LOCATION '${in}/b' OPTIONS ('max_files' '1', 'event_time' 't', 'watermark' '1 second');
    CREATE TABLE names AS SELECT * FROM (VALUES (0, 'zero'), (1, 'one'), (2, 'two')) AS n(i, name);
";

const QUERIES: &[&str] = &[
    "SELECT i, j, a.k, x FROM a JOIN b ON a.k = b.k",
    "SELECT * FROM drop_nulls(a) JOIN (SELECT j, k, x FROM drop_nulls(b)) USING (k)",
    "SELECT i, j FROM a JOIN b ON a.k = b.k AND a.i < b.j WHERE x > 0.3",
    "SELECT i, j FROM a, b WHERE a.i < b.j",
    "SELECT i, j FROM a CROSS JOIN b WHERE i = 1",
    "SELECT one.i, two.i AS other FROM a one JOIN a two ON one.k = two.k",
    "SELECT name, j FROM a JOIN names USING (i) JOIN b USING (k)",
    "SELECT name, j FROM a JOIN b USING (k) JOIN names USING (i)",
    "SELECT a.i, b.j, c.i AS other FROM a JOIN b ON a.k = b.k JOIN a c ON b.k = c.k WHERE b.x < 0.5",
    "SELECT k, count(*) AS n, sum(j) FROM a JOIN b USING (k) GROUP BY k",
    "SELECT name, count(DISTINCT j) AS n FROM a JOIN b USING (k) JOIN names USING (i) GROUP BY name",
    "SELECT k, count(*) AS n FROM a JOIN b USING (k) GROUP BY k HAVING count(*) > 3 ORDER BY n DESC, k LIMIT 2",
    "SELECT count(*) AS n FROM a JOIN b ON a.k = b.k AND b.t BETWEEN a.t AND a.t + INTERVAL '5 seconds'",
    "SELECT DISTINCT k FROM a JOIN b USING (k)",
    "SELECT i FROM a JOIN b USING (k) UNION ALL SELECT i FROM a",
    "SELECT DISTINCT word FROM (SELECT unnest(string_to_array(k, ' ')) AS word, i FROM a) JOIN b ON word = b.k",
];

fn line(column: &str, row: usize) -> String {
    if row % 13 == 4 {
        return format!("{{\"t\": {row}}}\n");
    }
    let (key, value) = (["a", "b c", "c a", "été", "c"][row * 7 % 5], row * 5 % 4);
    let (x, t) = ((row * 37 % 100) as f64 / 100.0, row * 613_000_000 % 20_000_000_000);
    format!("{{\"{column}\": {value}, \"k\": \"{key}\", \"x\": {x}, \"t\": {t}}}\n")
}

/// Writes the rows of both streams, in files of so many.
fn write(folder: &Path, sizes: [&[usize]; 2]) {
    for (name, column, sizes) in [("a", "i", sizes[0]), ("b", "j", sizes[1])] {
        let (folder, mut row) = (folder.join(name), 0);
        fs::create_dir_all(&folder).unwrap();
        for (number, size) in sizes.iter().enumerate() {
            let lines: String = (row..row + size).map(|row| line(column, row)).collect();
            row += size;
            fs::write(folder.join(format!("{number:03}.json")), lines).unwrap();
        }
    }
}

/// What each query answers in the end.
async fn answers(folder: &Path, is_batch: bool) -> Vec<Vec<String>> {
    let (script, _) = script(is_batch);
    let set = [("in", folder.to_str().unwrap())];
    let views = QUERIES.iter().enumerate();
    let views =
        views.map(|(number, query)| format!("CREATE MATERIALIZED VIEW q{number} AS {query};"));
    let views: String = views.collect();
    rows(&script, &format!("{TABLES} {views} CALL wait(drained => true)"), &set).await.unwrap();
    let mut answers = Vec::new();
    for number in 0..QUERIES.len() {
        answers.push(rows(&script, &format!("FROM q{number}"), &[]).await.unwrap());
    }
    answers
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn a_join_of_two_streams_equals_the_batch_however_both_are_cut(
        one in prop::collection::vec(0..12_usize, 1..6),
        other in prop::collection::vec(0..12_usize, 1..6),
    ) {
        let (cut, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(cut.path(), [&one, &other]);
        write(whole.path(), [&[one.iter().sum()], &[other.iter().sum()]]);
        runtime().block_on(async {
            let found = answers(cut.path(), false).await;
            let expected = answers(whole.path(), true).await;
            for ((query, found), expected) in QUERIES.iter().zip(&found).zip(&expected) {
                assert_eq!(found, expected, "{query}");
            }
        });
    }
}

/// A row is shown with the batch that has the later one of a pair.
#[tokio::test(flavor = "multi_thread")]
async fn a_console_shows_each_pair_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [&[2, 3, 1], &[1, 0, 4]]);
    let set = [("in", folder.path().to_str().unwrap())];
    let (standing, shown) = script(false);
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'; \
         INSERT INTO console SELECT i, j, k FROM a JOIN b USING (k); CALL wait(drained => true); \
         SELECT state_rows FROM standing_queries()"
    );
    let kept = rows(&standing, &text, &set).await.unwrap();
    assert_eq!(kept, ["9"], "rows without a key match nothing");
    rows(&standing, "CALL stop(console)", &[]).await.unwrap();
    let mut found: Vec<String> =
        shown.0.lock().unwrap().iter().flat_map(|(_, _, rows)| rows.clone()).collect();
    found.sort();
    let (batch, _) = script(true);
    let text = format!("{TABLES} SELECT i, j, k FROM a JOIN b USING (k)");
    let expected = rows(&batch, &text, &set).await.unwrap();
    assert!(expected.len() > 3, "{expected:?}");
    assert_eq!(found, expected);
}

#[rstest]
#[case("SELECT i, j FROM a LEFT JOIN b USING (k)", "an outer JOIN of two streams is not supported")]
#[case(
    "SELECT i, j FROM a RIGHT JOIN b USING (k)",
    "an outer JOIN of two streams is not supported"
)]
#[case("SELECT i, j FROM a FULL JOIN b USING (k)", "an outer JOIN of two streams is not supported")]
#[case(
    "SELECT i FROM a WHERE k IN (SELECT k FROM b)",
    "IN or EXISTS of two streams is not supported"
)]
#[case(
    "SELECT i FROM a WHERE k NOT IN (SELECT k FROM b)",
    "IN or EXISTS of two streams is not supported"
)]
#[case("SELECT i, j FROM a JOIN (SELECT * FROM b LIMIT 3) USING (k)", "LIMIT has no end")]
#[case(
    "SELECT i, n FROM a JOIN (SELECT k, count(*) AS n FROM b GROUP BY k) USING (k)",
    "both through an aggregate"
)]
#[tokio::test(flavor = "multi_thread")]
async fn other_joins_are_refused_before_the_first_batch(
    #[case] query: &str,
    #[case] message: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [&[2], &[2]]);
    let (script, _) = script(false);
    let text = format!("{TABLES} CREATE MATERIALIZED VIEW v AS {query}");
    let error = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await;
    let error = error.unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(cause.contains(message), "{cause}");
}

/// A pair may be of any window.
#[tokio::test(flavor = "multi_thread")]
async fn windows_over_a_join_are_not_shown_once_and_for_good() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [&[2], &[2]]);
    let (script, _) = script(false);
    let text = format!(
        "{TABLES} CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS SELECT window_start, count(*) AS n FROM \
         TUMBLE((SELECT a.t, j FROM a JOIN b USING (k)), t, INTERVAL '5 seconds') GROUP BY 1"
    );
    let error = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await.unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(cause.contains("may match rows of any window"), "{cause}");
}

/// What a join keeps has a limit, and the error names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_has_no_memory_left_says_what_it_keeps() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [&[40_000], &[1]]);
    let (script, _) = script_with(false, Some(1_500_000));
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'; \
         INSERT INTO console SELECT i, j FROM a JOIN b ON a.k = b.k AND i + j > 100; CALL wait(drained => true)"
    );
    let error = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 71, "{error}");
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    let causes = causes.join(": ");
    assert!(causes.contains("bytes of the rows of two streams that it joins"), "{causes}");
}
