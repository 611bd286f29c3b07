//! The time of rows: watermarks, windows that close, rows that come late.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::support::stream::{rows, script, script_with, silent};

/// A row: its number, the group, the value, nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Row {
    number: usize,
    time: i64,
}

impl Row {
    fn key(self) -> &'static str {
        ["a", "b", "c"][self.number * 7 % 3]
    }

    fn line(self) -> String {
        let (number, time, i) = (self.number, self.time, self.number * 5 % 4);
        format!("{{\"r\": {number}, \"k\": \"{}\", \"i\": {i}, \"t\": {time}}}\n", self.key())
    }
}

const SECOND: i64 = 1_000_000_000;

const TABLES: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE s (r BIGINT, k VARCHAR, i BIGINT, t TIMESTAMP)
    STORED AS JSON LOCATION '${in}' OPTIONS ('max_files' '1', 'event_time' 't', 'watermark' '${delay}');
    CREATE TABLE names AS SELECT * FROM (VALUES (0, 'zero'), (1, 'one'), (2, 'two')) AS n(i, name);
";

/// Files of so many rows each, so that each is a batch.
fn files(folder: &Path, batches: &[Vec<Row>]) {
    for (number, batch) in batches.iter().enumerate() {
        let lines: String = batch.iter().map(|row| row.line()).collect();
        fs::write(folder.join(format!("{number:03}.json")), lines).unwrap();
    }
}

/// Queries of which a group is complete some time, of each row for one group or for one of each set.
const CLOSING: &[&str] = &[
    "SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1",
    "SELECT window_start, window_end, k, count(*), sum(i), median(i), count(DISTINCT i) \
     FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1, 2, 3",
    "SELECT window_end AS e, array_agg(r ORDER BY r) AS a FROM TUMBLE(s, t, INTERVAL '3 seconds') GROUP BY e",
    "SELECT date_bin(INTERVAL '2 seconds', t) AS b, k, min(i) AS m FROM s GROUP BY 1, 2",
    "SELECT date_bin(INTERVAL '7 seconds', t, TIMESTAMP '2000-01-01T00:00:03') AS b, count(*) AS n FROM s GROUP BY 1",
    "SELECT date_trunc('second', t) AS b, count(*) AS n FROM s GROUP BY b",
    "SELECT date_trunc('minute', t) AS b, count(*) AS n FROM s GROUP BY b",
    "SELECT CAST(t AS TIMESTAMP(0)) AS b, count(*) AS n FROM s GROUP BY b",
    "SELECT t, count(*) AS n FROM s GROUP BY t",
    "SELECT window_start + INTERVAL '1 second' AS b, count(*) AS n FROM TUMBLE(s, t, INTERVAL '4 seconds') GROUP BY b",
    "SELECT date_bin(INTERVAL '9 seconds', window_start) AS b, count(*) AS n \
     FROM TUMBLE(s, t, INTERVAL '2 seconds') GROUP BY b",
    "SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') WHERE i > 0 GROUP BY 1 \
     HAVING count(*) > 1",
    "SELECT window_start, name, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') JOIN names USING (i) \
     GROUP BY 1, 2",
    "SELECT window_start, name, count(*) AS n FROM TUMBLE((SELECT s.*, name FROM s LEFT JOIN names ON s.i = names.i), \
     t, INTERVAL '5 seconds') GROUP BY 1, 2",
    "SELECT window_start, k, i, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY window_start, CUBE (k, i)",
    "SELECT window_start, k, count(*) AS n, grouping(k) AS g FROM TUMBLE(s, t, INTERVAL '5 seconds') \
     GROUP BY GROUPING SETS ((window_start, k), (window_start))",
    "SELECT t, k FROM s GROUP BY t, k",
    "SELECT k, window_start FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1, 2",
];

/// The same, but their late rows have no numbers.
const UNNUMBERED: &[&str] = &[
    "SELECT DISTINCT t, k FROM s",
    "SELECT DISTINCT window_start, k FROM TUMBLE(s, t, INTERVAL '5 seconds')",
];

/// Queries that show all rows, late or not.
const OPEN: &[&str] = &[
    "SELECT * FROM s",
    "SELECT window_start, r FROM HOP(s, t, INTERVAL '2 seconds', INTERVAL '5 seconds') WHERE i = 1",
    "SELECT DISTINCT k, i FROM s",
    "SELECT k FROM s GROUP BY k",
    "SELECT s.r, name FROM s JOIN names USING (i)",
];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The answers of views over the files in `folder`, each with the numbers of its late rows.
async fn stood(
    folder: &Path,
    delay: &str,
    mode: &str,
    queries: &[&str],
) -> Vec<(Vec<String>, BTreeSet<usize>)> {
    let (script, _) = script(false);
    let mut text = TABLES.to_owned();
    for (number, query) in queries.iter().enumerate() {
        writeln!(
            text,
            "CREATE MATERIALIZED VIEW q{number} WITH (mode = '{mode}', trigger = 'available now') AS {query};"
        )
        .unwrap();
    }
    rows(&script, &text, &[("in", folder.to_str().unwrap()), ("delay", delay)]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let mut answers = Vec::new();
    for number in 0..queries.len() {
        let answer = rows(&script, &format!("FROM q{number}"), &[]).await.unwrap();
        let late = rows(&script, &format!("SELECT r FROM q{number}$late"), &[]).await;
        let late = late.unwrap_or_default().iter().map(|number| number.parse().unwrap()).collect();
        answers.push((answer, late));
    }
    answers
}

/// The answer of a batch over the file or folder at `location`.
async fn batch(location: &Path, query: &str) -> Vec<String> {
    let (script, _) = script(true);
    let set = [("in", location.to_str().unwrap()), ("delay", "1 second")];
    rows(&script, &format!("{TABLES} {query}"), &set).await.unwrap()
}

/// Times that go on and come out of order, cut into batches.
fn batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let size = 0..8_usize;
    let steps = prop::collection::vec((size, prop::collection::vec(-9_000..4_000_i64, 8)), 1..8);
    steps.prop_map(|steps| {
        let (mut number, mut now) = (0, -20 * SECOND);
        let batch = |(size, jitter): (usize, Vec<i64>)| {
            let row = |jitter: &i64| {
                number += 1;
                now += SECOND;
                Row { number, time: now + jitter * 1_000_000 + number as i64 % 3 }
            };
            jitter[..size].iter().map(row).collect()
        };
        steps.into_iter().map(batch).collect()
    })
}

/// The watermark before each batch.
fn watermarks(batches: &[Vec<Row>], delay: i64) -> Vec<i64> {
    let mut watermark = i64::MIN;
    let before = |batch: &Vec<Row>| {
        let before = watermark;
        let newest = batch.iter().map(|row| row.time - delay).max();
        watermark = watermark.max(newest.unwrap_or(i64::MIN));
        before
    };
    batches.iter().map(before).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// Law 6: in append the answer is that of a batch over the rows that were not late.
    #[test]
    fn an_answer_that_is_appended_is_that_of_a_batch_without_the_late_rows(
        batches in batches(),
        delay in prop::sample::select(vec![0, 1, 4, 1_000]),
        mode in prop::sample::select(vec!["append", "update"]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut");
        fs::create_dir(&cut).unwrap();
        files(&cut, &batches);
        let all: Vec<Row> = batches.concat();
        let without_late = if delay == 1_000 { UNNUMBERED } else { &[] };
        let queries = [CLOSING, OPEN, without_late].concat();
        runtime().block_on(async {
            let found = stood(&cut, &format!("{delay} seconds"), mode, &queries).await;
            for (query, (answer, late)) in queries.iter().zip(found) {
                let kept = folder.path().join("kept.json");
                let lines = all.iter().filter(|row| !late.contains(&row.number));
                fs::write(&kept, lines.map(|row| row.line()).collect::<String>()).unwrap();
                assert_eq!(answer, batch(&kept, query).await, "{query}, late {late:?}");
                assert!(late.is_empty() || (delay < 1_000 && !OPEN.contains(query)), "{query}");
            }
        });
    }

    /// Windows of any size and slide, against brute force: which rows are late for which, and the counts of the others.
    #[test]
    fn windows_close_and_rows_are_late_as_counted_by_hand(
        batches in batches(),
        slide in 1..9_000_i64,
        size in 1..20_000_i64,
        delay in 0..6_000_i64,
    ) {
        const MILLI: i64 = 1_000_000;
        let folder = tempfile::tempdir().unwrap();
        files(folder.path(), &batches);
        let (mut counts, mut late) = (BTreeMap::new(), Vec::new());
        for (batch, watermark) in batches.iter().zip(watermarks(&batches, delay * MILLI)) {
            for row in batch {
                let last = row.time.div_euclid(slide * MILLI) * slide * MILLI;
                let starts = (0..).map(|before| last - before * slide * MILLI);
                for start in starts.take_while(|start| row.time < start + size * MILLI) {
                    match start + size * MILLI <= watermark {
                        true => late.push(format!("{} {start}", row.number)),
                        false => *counts.entry(start).or_insert(0) += 1,
                    }
                }
            }
        }
        late.sort();
        let mut expected: Vec<_> = counts.iter().map(|(start, count)| format!("{start} {count}")).collect();
        expected.sort();
        let query = format!(
            "SELECT CAST(window_start AS BIGINT) AS w, n FROM (SELECT window_start, count(*) AS n FROM \
             HOP(s, t, INTERVAL '{slide} milliseconds', INTERVAL '{size} milliseconds') GROUP BY 1)"
        );
        runtime().block_on(async {
            let (script, _) = script(false);
            let text = format!(
                "{TABLES} CREATE MATERIALIZED VIEW v WITH (mode = 'append', trigger = 'available now') AS {query}"
            );
            let delay = format!("{delay} milliseconds");
            rows(&script, &text, &[("in", folder.path().to_str().unwrap()), ("delay", &delay)]).await.unwrap();
            script.standing().finish(None).await.unwrap();
            assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), expected);
            let found = "SELECT r, CAST(window_start AS BIGINT) FROM v$late";
            assert_eq!(rows(&script, found, &[]).await.unwrap(), late);
            let counted = rows(&script, "SELECT late_rows FROM standing_queries()", &[]).await;
            assert_eq!(counted.unwrap(), [late.len().to_string()]);
        });
    }
}

/// Runs a text over files of these lines, each a batch; what the last statement gives.
async fn over(lines: &[&str], delay: &str, text: &str) -> pleiad::error::Result<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (number, lines) in lines.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.json")), format!("{lines}\n")).unwrap();
    }
    let (script, _) = script(false);
    let set = [("in", folder.path().to_str().unwrap()), ("delay", delay)];
    rows(&script, &format!("{TABLES} {text}"), &set).await
}

const FOUR: [&str; 4] = [
    "{\"r\": 1, \"k\": \"a\", \"t\": \"1970-01-01T00:00:01\"}",
    "{\"r\": 2, \"k\": \"a\", \"t\": \"1970-01-01T00:00:07\"}",
    "{\"r\": 3, \"k\": \"b\", \"t\": \"1970-01-01T00:00:14\"}",
    "{\"r\": 4, \"k\": \"a\", \"t\": \"1970-01-01T00:00:03\"}",
];

const WINDOW: &str =
    "SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1";

/// A window comes once, when it is complete; the last ones when the input has ended, and not when a query is stopped.
#[rstest]
#[case::append(
    "append",
    "available now",
    "1970-01-01T00:00:00 1 | 1970-01-01T00:00:05 1 | 1970-01-01T00:00:10 1"
)]
#[case::update(
    "update",
    "available now",
    "1970-01-01T00:00:00 1 | 1970-01-01T00:00:05 1 | 1970-01-01T00:00:10 1"
)]
#[case::complete(
    "complete",
    "available now",
    "1970-01-01T00:00:00 1 | 1970-01-01T00:00:00 1, 1970-01-01T00:00:05 1 | \
     1970-01-01T00:00:00 1, 1970-01-01T00:00:05 1, 1970-01-01T00:00:10 1 | \
     1970-01-01T00:00:00 2, 1970-01-01T00:00:05 1, 1970-01-01T00:00:10 1"
)]
#[case::stopped("append", "1 millisecond", "1970-01-01T00:00:00 1 | 1970-01-01T00:00:05 1")]
#[tokio::test(flavor = "multi_thread")]
async fn a_console_shows_windows_as_its_mode_says(
    #[case] mode: &str,
    #[case] trigger: &str,
    #[case] expected: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    for (number, line) in FOUR.iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.json")), format!("{line}\n")).unwrap();
    }
    let (script, shown) = script(false);
    let text = format!(
        "{TABLES} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout' \
         OPTIONS ('mode' '{mode}', 'trigger' '{trigger}'); INSERT INTO console {WINDOW} ORDER BY 1; \
         CALL wait(drained => true)"
    );
    let text = if mode == "complete" { text } else { text.replace(" ORDER BY 1", "") };
    let set = [("in", folder.path().to_str().unwrap()), ("delay", "2 seconds")];
    rows(&script, &text, &set).await.unwrap();
    rows(&script, "CALL stop(console)", &[]).await.unwrap();
    let late = rows(&script, "SELECT r, watermark, batch FROM console$late", &[]).await;
    match mode {
        "complete" => assert!(late.is_err()),
        _ => assert_eq!(late.unwrap(), ["4 1970-01-01T00:00:12 3"]),
    }
    let shown = shown.0.lock().unwrap();
    let found: Vec<_> = shown.iter().map(|(_, _, rows)| rows.join(", ")).collect();
    assert_eq!(found.join(" | "), expected);
}

/// A window ends before the row at its end, before 1970 too.
#[tokio::test(flavor = "multi_thread")]
async fn rows_on_edges_are_in_the_window_that_begins_there() {
    let lines = [
        "{\"r\": 1, \"t\": -1}",
        "{\"r\": 2, \"t\": 0}",
        "{\"r\": 3, \"t\": -5000000000}",
        "{\"r\": 4, \"t\": 4999999999}",
        "{\"r\": 5, \"t\": 5000000000}",
        "{\"r\": 6, \"t\": -5000000001}",
        "{\"r\": 7}",
    ];
    let text = format!(
        "CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS {WINDOW}; CALL wait(drained => true); FROM v"
    );
    // The newest row is at 5 s: with no delay the window of 0 s is complete with it, not before.
    let found = over(&lines, "0 seconds", &text).await.unwrap();
    assert_eq!(found, ["1969-12-31T23:59:55 1", "1970-01-01T00:00:00 2"]);
    let late = text.replace("FROM v", "SELECT r, window_start FROM v$late");
    let found = over(&lines, "0 seconds", &late).await.unwrap();
    assert_eq!(found, ["3 1969-12-31T23:59:55", "6 1969-12-31T23:59:50"]);
    let found = over(&lines, "20 seconds", &text).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// Times are instants: where clocks go back an hour, an hour of UTC is a window as any.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_go_back_in_autumn_change_nothing() {
    let lines = [
        "{\"r\": 1, \"t\": \"2020-10-25T02:30:00+02:00\"}",
        "{\"r\": 2, \"t\": \"2020-10-25T02:30:00+01:00\"}",
        "{\"r\": 3, \"t\": \"2020-10-25T03:30:00+01:00\"}",
    ];
    let text = "CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS SELECT window_start, count(*) AS n FROM \
                TUMBLE(s, t, INTERVAL '1 hour') GROUP BY 1; CALL wait(drained => true); FROM v";
    let found = over(&lines, "0 seconds", text).await.unwrap();
    assert_eq!(found, ["2020-10-25T00:00:00 1", "2020-10-25T01:00:00 1"]);
}

/// Where the program runs is not where the times are from: local clocks that skip or repeat an hour change nothing.
#[test]
fn the_time_zone_of_the_machine_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "2026-03-08T01:30:00", // New York skips the hour after the next
        "2026-03-08T02:30:00",
        "2026-03-08T03:30:00Z",
        "2026-03-08T02:30:00-04:00",
        "2026-11-01T01:30:00", // and repeats this one
        "2026-11-01T01:30:00-04:00",
        "2026-11-01T01:30:00-05:00",
        "1969-12-31T23:59:59.999999999Z",
    ];
    let lines: String = lines.map(|time| format!("{{\"t\": \"{time}\"}}\n")).concat();
    let (input, path) = (folder.path().join("s.json"), folder.path().join("x.sql"));
    fs::write(&input, lines).unwrap();
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (t TIMESTAMP) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('event_time' 't', 'watermark' '1 hour'); \
                CREATE MATERIALIZED VIEW hours AS SELECT window_start, window_end, count(*) AS n \
                FROM TUMBLE(s, t, INTERVAL '1 hour') GROUP BY 1, 2; \
                CREATE MATERIALIZED VIEW days AS SELECT date_trunc('day', t) AS day, count(*) AS n FROM s GROUP BY 1; \
                CALL wait(drained => true); SELECT * FROM hours ORDER BY 1; SELECT * FROM days ORDER BY 1";
    fs::write(&path, text).unwrap();
    let expected = "window_start,window_end,n\n\
        1969-12-31T23:00:00,1970-01-01T00:00:00,1\n\
        2026-03-08T01:00:00,2026-03-08T02:00:00,1\n\
        2026-03-08T02:00:00,2026-03-08T03:00:00,1\n\
        2026-03-08T03:00:00,2026-03-08T04:00:00,1\n\
        2026-03-08T06:00:00,2026-03-08T07:00:00,1\n\
        2026-11-01T01:00:00,2026-11-01T02:00:00,1\n\
        2026-11-01T05:00:00,2026-11-01T06:00:00,1\n\
        2026-11-01T06:00:00,2026-11-01T07:00:00,1\n\
        day,n\n1969-12-31T00:00:00,1\n2026-03-08T00:00:00,4\n2026-11-01T00:00:00,3\n";
    for zone in ["UTC", "America/New_York", "Asia/Kathmandu"] {
        for batch in [&[][..], &["--batch"]] {
            let mut command = pleiad(&["run", path.to_str().unwrap()]);
            command.args(batch).args(["--set", &format!("in={}", input.display())]).env("TZ", zone);
            let (code, stdout, stderr) = outcome(&mut command);
            assert_eq!((code, stdout.as_str()), (0, expected), "{zone}: {stderr}");
        }
    }
}

/// A row from the far future does not close all windows.
#[tokio::test(flavor = "multi_thread")]
async fn times_that_are_far_ahead_and_rows_without_a_time_are_counted() {
    let lines = [
        FOUR[0],
        "{\"r\": 2, \"t\": \"2261-01-01T00:00:00\"}\n{\"r\": 3}\n{\"r\": 4, \"t\": \"no time\"}",
        FOUR[3],
    ];
    let text = format!(
        "CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS {WINDOW}; CALL wait(drained => true); \
         SELECT watermark, late_rows, null_event_times, times_ahead FROM standing_queries()"
    );
    let found = over(&lines, "0 seconds", &text).await.unwrap();
    assert_eq!(found, ["1970-01-01T00:00:03 0 2 1"]);
}

/// Lines that cannot be read are rows of a table.
#[tokio::test(flavor = "multi_thread")]
async fn broken_lines_are_kept_once_with_what_is_wrong() {
    let lines = ["{\"r\": 1}\n{\"r\": ", "{\"r\": 2}\n[3]\n{\"r\": 4}"];
    let text = "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM s; \
                CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n FROM s; CALL wait(drained => true); \
                SELECT right(file, 6), position, line, length(reason) > 5, received_at > '2020-01-01' FROM s$bad";
    let found = over(&lines, "0 seconds", text).await.unwrap();
    assert_eq!(found, ["0.json 2 {\"r\":  true true", "1.json 2 [3] true true"]);
}

/// What is kept of windows does not grow with the rows, nor do the bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_windows_that_close_is_flat() {
    let mut sizes = Vec::new();
    for files in [5_usize, 40] {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..files {
            let line = |row: usize| {
                let time = (file * 100 + row) as i64 * 100_000_000;
                format!(
                    "{{\"r\": {row}, \"k\": \"a user with a long name, number {}\", \"t\": {time}}}\n",
                    row % 10
                )
            };
            let lines: String = (0..100).map(line).collect();
            fs::write(folder.path().join(format!("{file:03}.json")), lines).unwrap();
        }
        let (script, _) = script(false);
        let text = format!(
            "{TABLES} CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS \
             SELECT window_start, k, count(*), count(DISTINCT r), array_agg(r) FROM \
             TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1, 2; CALL wait(drained => true); \
             SELECT late_rows, state_rows, state_bytes FROM standing_queries()"
        );
        let set = [("in", folder.path().to_str().unwrap()), ("delay", "0 seconds")];
        let found = rows(&script, &text, &set).await.unwrap();
        sizes.push(found[0].clone());
    }
    assert_eq!(sizes[0], sizes[1]);
    assert!(sizes[0].starts_with("0 10 "), "{sizes:?}");
}

/// Groups that only grow end a query that has no memory for them, windows that close do not.
#[rstest]
#[case::groups(
    "complete",
    "SELECT k, count(*) AS n FROM s GROUP BY k",
    Some("groups, and there is no memory for more: group by fewer keys")
)]
#[case::values(
    "complete",
    "SELECT array_agg(k) AS a FROM s",
    Some(" of 1 groups, and there is no memory for more: group by")
)]
#[case::windows(
    "append",
    "SELECT window_start, k, count(*) AS n FROM TUMBLE(s, t, INTERVAL '1 second') GROUP BY 1, 2 HAVING count(*) > 9",
    None
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_too_large_ends_the_query(
    #[case] mode: &str,
    #[case] query: &str,
    #[case] message: Option<&str>,
) {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..60 {
        let line = |row: usize| {
            let (number, time) = (file * 50 + row, file as i64 * SECOND);
            format!("{{\"k\": \"{}{number}\", \"t\": {time}}}\n", "k".repeat(1_000))
        };
        let lines: String = (0..50).map(line).collect();
        fs::write(folder.path().join(format!("{file:03}.json")), lines).unwrap();
    }
    let (script, _) = script_with(false, Some(1_500_000));
    let text = format!(
        "{TABLES} CREATE MATERIALIZED VIEW v WITH (mode = '{mode}', trigger = 'available now') AS {query}"
    );
    let set = [("in", folder.path().to_str().unwrap()), ("delay", "0 seconds")];
    rows(&script, &text, &set).await.unwrap();
    let ended = script.standing().finish(None).await;
    let Some(message) = message else {
        ended.unwrap();
        return;
    };
    let error = ended.unwrap_err();
    assert_eq!(error.kind().exit_code(), 71, "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("'v' keeps ") && cause.contains(message), "{cause}");
    assert!(cause.ends_with("or raise --memory-limit"), "{cause}");
}

/// The rows of a view, as soon as there are so many.
async fn awaited(script: &pleiad::script::Script, sql: &str, count: usize) -> Vec<String> {
    loop {
        let found =
            rows(script, &format!("CALL wait('20 milliseconds'); {sql}"), &[]).await.unwrap();
        if found.len() >= count {
            return found;
        }
    }
}

/// A source that is silent for long closes its windows if it may.
#[tokio::test(flavor = "multi_thread")]
async fn silence_closes_windows_if_the_table_says_so() {
    let location = silent("{\"t\": 1000000000}\n{\"t\": 7000000000}\n");
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (t TIMESTAMP) STORED AS JSON LOCATION '{location}' \
         OPTIONS ('event_time' 't', 'watermark' '1 minute', 'idle_close' '50 milliseconds'); \
         CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS {WINDOW}"
    );
    let (script, _) = script(false);
    rows(&script, &text, &[]).await.unwrap();
    let found = awaited(&script, "FROM v", 2).await;
    assert_eq!(found, ["1970-01-01T00:00:00 1", "1970-01-01T00:00:05 1"]);
    let passed = "SELECT 1 FROM standing_queries() WHERE state_rows = 0 AND watermark = TIMESTAMP '1970-01-01T00:00:10'";
    awaited(&script, passed, 1).await;
}

/// Of two sources the slower one says how far the time has come, unless it is idle.
#[rstest]
#[case("1 hour", "1970-01-01T00:00:02")]
#[case("50 milliseconds", "1970-01-01T00:01:40")]
#[tokio::test(flavor = "multi_thread")]
async fn the_slower_of_two_sources_counts_until_it_is_idle(
    #[case] idle: &str,
    #[case] expected: &str,
) {
    let (fast, slow) = (silent("{\"t\": 100000000000}\n"), silent("{\"t\": 2000000000}\n"));
    let table = |name: &str, location: &str, idle: &str| {
        format!(
            "CREATE UNBOUNDED EXTERNAL TABLE {name} (t TIMESTAMP) STORED AS JSON LOCATION '{location}' \
             OPTIONS ('event_time' 't', 'watermark' '0 seconds', 'idle_timeout' '{idle}');"
        )
    };
    let text = format!(
        "{} {} CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS SELECT window_start, count(*) AS n FROM \
         TUMBLE((SELECT t FROM fast UNION ALL SELECT t FROM slow), t, INTERVAL '5 seconds') GROUP BY 1",
        table("fast", &fast, "1 hour"),
        table("slow", &slow, idle)
    );
    let (script, _) = script(false);
    rows(&script, &text, &[]).await.unwrap();
    let query =
        format!("SELECT 1 FROM standing_queries() WHERE watermark = TIMESTAMP '{expected}'");
    awaited(&script, &query, 1).await;
}
