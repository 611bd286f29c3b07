//! The lab's recorded data: the golden answers out of its queries, over connections, from files and in a batch.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use flate2::read::GzDecoder;
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::support::shared::shared;
use crate::support::stream::{rows, script, serve};

/// How lines come to a query.
#[derive(Clone, Copy)]
enum Way {
    /// As one file, of which a query reads all it gets.
    File,
    /// The same with `--batch`.
    Batch,
    /// As files of so many lines, each a batch.
    Folder(usize),
    /// Over a connection, so many lines at once.
    Lines(usize),
}

impl Way {
    /// The location of these lines, in or beside `folder`.
    fn location(self, folder: &Path, text: &[u8]) -> String {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        match self {
            Self::File | Self::Batch => {
                fs::write(path("lines"), text).unwrap();
                path("lines")
            }
            Self::Folder(size) => {
                fs::remove_dir_all(path("cut")).ok();
                fs::create_dir(path("cut")).unwrap();
                let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
                for (number, lines) in lines.chunks(size).enumerate() {
                    fs::write(path(&format!("cut/{number:04}")), lines.concat()).unwrap();
                }
                path("cut")
            }
            Self::Lines(at_once) => serve(text.to_vec(), at_once),
        }
    }

    fn is_batch(self) -> bool {
        matches!(self, Self::Batch)
    }
}

const IOT: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE iot (\"Arrival_Time\" TIMESTAMP, \"Creation_Time\" TIMESTAMP, \"Device\" VARCHAR,
      \"Index\" BIGINT, \"Model\" VARCHAR, \"User\" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
    STORED AS JSON LOCATION '${in}' OPTIONS ('event_time' '\"Creation_Time\"', 'max_files' '1', 'on_close' 'end');
    CREATE VIEW iot_ok AS SELECT * FROM drop_nulls(iot);
";

/// A query, the file with its answer, and the types that the file's values are read as.
const GOLDEN: &[(&str, &str)] = &[
    (
        "SELECT \"Device\" IS NULL AND \"Index\" IS NULL AND \"Model\" IS NULL AND \"User\" IS NULL AND gt IS NULL \
         AS error, count(*) AS n FROM iot GROUP BY 1",
        "SELECT error, n FROM '${golden}/iot_error_counts.csv'",
    ),
    (
        "SELECT gt, count(*) AS n FROM iot_ok GROUP BY gt",
        "SELECT gt, n FROM '${golden}/iot_gt_counts.csv'",
    ),
    (
        "SELECT gt, \"Model\", count(*) AS n, avg(x), avg(y), avg(z) FROM iot_ok GROUP BY CUBE (gt, \"Model\")",
        "SELECT * FROM '${golden}/iot_cube_gt_model_avg.csv'",
    ),
    (
        "SELECT window_start, count(*) FROM TUMBLE(iot_ok, \"Creation_Time\", INTERVAL '5 seconds') GROUP BY 1",
        "SELECT CAST(start_utc AS TIMESTAMP), n FROM '${golden}/iot_windows_5s.csv'",
    ),
    (
        "SELECT window_start, count(*) FROM HOP(iot_ok, \"Creation_Time\", INTERVAL '5 seconds', \
         INTERVAL '10 seconds') GROUP BY 1",
        "SELECT CAST(start_utc AS TIMESTAMP), n FROM '${golden}/iot_windows_10s_slide5s.csv'",
    ),
    (
        "SELECT \"User\", \"FirstName\", \"LastName\", count(*) AS n FROM iot_ok JOIN users USING (\"User\") \
         GROUP BY 1, 2, 3",
        "SELECT * FROM '${golden}/iot_user_join_counts.csv'",
    ),
    ("SELECT count(*) AS n FROM (SELECT gt FROM iot_ok WHERE gt LIKE '%stairs%')", "SELECT 2465"),
];

#[rstest]
#[case::batch(Way::Batch)]
#[case::file(Way::File)]
#[case::files(Way::Folder(777))]
#[case::a_line_at_once(Way::Lines(1))]
#[case::seven(Way::Lines(7))]
#[case::a_thousand(Way::Lines(1000))]
#[case::all(Way::Lines(10_000))]
#[tokio::test(flavor = "multi_thread")]
async fn the_lab_has_its_golden_answers(#[case] way: Way) {
    let Some(file) = shared("streaming/iot20210427-222504.jsonl") else { return };
    let Some(users) = shared("streaming/données utilisateurs.csv") else { return };
    let Some(golden) = shared("golden") else { return };
    let (text, folder) = (fs::read(&file).unwrap(), tempfile::tempdir().unwrap());
    for (query, expected) in GOLDEN {
        let location = way.location(folder.path(), &text);
        let set = [
            ("in", location.as_str()),
            ("users", users.to_str().unwrap()),
            ("golden", golden.to_str().unwrap()),
        ];
        let (script, _) = script(way.is_batch());
        let statements = format!(
            "{IOT} CREATE EXTERNAL TABLE users STORED AS CSV LOCATION '${{users}}'; \
             CREATE MATERIALIZED VIEW v AS {query}; CALL wait(drained => true); FROM v"
        );
        let found = rows(&script, &statements, &set).await.unwrap();
        assert_eq!(found, rows(&script, expected, &set).await.unwrap(), "{query}");
    }
}

/// Lines that another program writes into the standard input.
#[tokio::test(flavor = "multi_thread")]
async fn the_lab_has_its_golden_answers_from_standard_input() {
    let Some(file) = shared("streaming/iot20210427-222504.jsonl") else { return };
    let Some(users) = shared("streaming/données utilisateurs.csv") else { return };
    let Some(golden) = shared("golden") else { return };
    let (text, folder) = (fs::read(&file).unwrap(), tempfile::tempdir().unwrap());
    for (number, (query, expected)) in GOLDEN.iter().enumerate() {
        let out = folder.path().join(format!("{number}.parquet"));
        let statements = format!(
            "{IOT} CREATE EXTERNAL TABLE users STORED AS CSV LOCATION '${{users}}'; \
             CREATE MATERIALIZED VIEW v AS {query}; CALL wait(drained => true); COPY (FROM v) TO '${{out}}'"
        );
        let path = folder.path().join("x.sql");
        fs::write(&path, statements).unwrap();
        let mut command = pleiad(&["run", path.to_str().unwrap(), "--set", "in=stdin"]);
        command.args(["--set", &format!("users={}", users.display())]);
        command.args(["--set", &format!("out={}", out.display())]).write_stdin(text.clone());
        let (code, _, stderr) = outcome(&mut command);
        assert_eq!(code, 0, "{query}: {stderr}");
        let set = [("golden", golden.to_str().unwrap()), ("out", out.to_str().unwrap())];
        let (script, _) = script(false);
        let found = rows(&script, "FROM '${out}'", &set).await.unwrap();
        assert_eq!(found, rows(&script, expected, &set).await.unwrap(), "{query}");
    }
}

/// The two scripts of the lab that count the rows of users with names, as a new user would run them.
#[rstest]
#[case("sql/stream/14_join_then_count.sql")]
#[case("sql/stream/15_count_then_join.sql")]
fn the_scripts_of_users_have_their_golden_answer(#[case] script: &str) {
    let Some(file) = shared("streaming/iot20210427-222504.jsonl") else { return };
    let Some(users) = shared("streaming/données utilisateurs.csv") else { return };
    let Some(golden) = shared("golden/iot_user_join_counts.csv") else { return };
    let expected = fs::read_to_string(golden).unwrap();
    let expected: Vec<_> = expected.lines().collect();
    for batch in [&["--batch"][..], &["--set", "seconds=8"]] {
        let mut command = pleiad(&["run", script]);
        command.args(batch).args(["--set", &format!("iot={}", file.display())]);
        command.args(["--set", &format!("users={}", users.display())]);
        let (code, stdout, stderr) = outcome(command.current_dir(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(code, 0, "{stderr}");
        let mut found: Vec<_> = stdout.lines().collect();
        if batch.len() == 2 {
            found = found.split_off(found.len().saturating_sub(expected.len() - 1));
            assert_eq!(found, expected[1..], "the last answer that is shown");
        } else {
            assert_eq!(found, expected);
        }
    }
}

/// A file of CSV without a header, as the phones have written it.
#[rstest]
#[case::batch(Way::Batch)]
#[case::file(Way::File)]
#[case::files(Way::Folder(777))]
#[case::seven(Way::Lines(7))]
#[case::a_thousand(Way::Lines(1000))]
#[tokio::test(flavor = "multi_thread")]
async fn the_phones_have_their_golden_windows(#[case] way: Way) {
    let Some(file) = shared("streaming/hhar_phones_accelerometer_10k_noheader.csv") else { return };
    let Some(golden) = shared("golden/hhar_phones_windows_5s.csv") else { return };
    let folder = tempfile::tempdir().unwrap();
    let location = way.location(folder.path(), &fs::read(file).unwrap());
    let set = [("in", location.as_str()), ("golden", golden.to_str().unwrap())];
    let (script, _) = script(way.is_batch());
    let text = "CREATE UNBOUNDED EXTERNAL TABLE phones (\"Index\" BIGINT, arrival BIGINT, creation BIGINT, x DOUBLE, \
                y DOUBLE, z DOUBLE, \"User\" VARCHAR, \"Model\" VARCHAR, \"Device\" VARCHAR, gt VARCHAR) \
                STORED AS CSV LOCATION '${in}' OPTIONS ('has_header' 'false', 'max_files' '1', 'on_close' 'end', \
                'event_time' 'to_timestamp_nanos(creation)'); \
                CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) AS n FROM \
                TUMBLE(phones, event_time, INTERVAL '5 seconds') GROUP BY 1; CALL wait(drained => true); FROM v";
    let found = rows(&script, text, &set).await.unwrap();
    let expected = "SELECT CAST(start_utc AS TIMESTAMP), n FROM '${golden}'";
    assert_eq!(found, rows(&script, expected, &set).await.unwrap());
    let all = rows(&script, "SELECT count(*), sum(n) FROM v", &[]).await.unwrap();
    assert_eq!(all, ["14 10000"]);
}

const CHANGES: &str = "CREATE UNBOUNDED EXTERNAL TABLE changes (type VARCHAR, title VARCHAR, \"timestamp\" TIMESTAMP(0), \
    \"user\" VARCHAR, bot BOOLEAN, wiki VARCHAR) STORED AS JSON LOCATION '${in}' \
    OPTIONS ('max_files' '1', 'on_close' 'end')";

/// Questions about changes: the file with the answer, its rows, and the sum of their counts.
const WIKI: &[(&str, &str, &str)] = &[
    (
        "SELECT wiki, count(*) AS n FROM changes GROUP BY wiki",
        "SELECT wiki, n FROM '${golden}/wiki_counts.csv'",
        "51 39244",
    ),
    (
        "SELECT window_start, count(*) AS n FROM HOP(changes, \"timestamp\", INTERVAL '5 minutes', INTERVAL '1 hour') \
         WHERE wiki = 'frwiki' AND type = 'edit' GROUP BY 1",
        "SELECT CAST(start_utc AS TIMESTAMP(0)), n FROM '${golden}/frwiki_edits_1h_slide5min.csv'",
        "289 22872",
    ),
    (
        "SELECT count(*) AS n FROM changes WHERE title IN (SELECT \"articleName\" FROM pages)",
        "SELECT 1 AS n",
        "1 1",
    ),
];

#[rstest]
#[case::batch(Way::Batch)]
#[case::file(Way::File)]
#[case::files(Way::Folder(5_000))]
#[case::a_thousand(Way::Lines(1_000))]
#[tokio::test(flavor = "multi_thread")]
async fn wikipedia_has_its_golden_answers(#[case] way: Way) {
    let Some(file) = shared("streaming/recentchange_from_wikiticker.jsonl.gz") else { return };
    let Some(pages) = shared("streaming/hte-garonne.csv") else { return };
    let Some(golden) = shared("golden") else { return };
    let (folder, mut text) = (tempfile::tempdir().unwrap(), Vec::new());
    GzDecoder::new(fs::File::open(&file).unwrap()).read_to_end(&mut text).unwrap();
    for (query, expected, sums) in WIKI {
        let location = match way {
            Way::File => file.to_str().unwrap().to_owned(),
            _ => way.location(folder.path(), &text),
        };
        let set = [
            ("in", location.as_str()),
            ("golden", golden.to_str().unwrap()),
            ("pages", pages.to_str().unwrap()),
        ];
        let (script, _) = script(way.is_batch());
        let statements = format!(
            "{CHANGES}; CREATE EXTERNAL TABLE pages STORED AS CSV LOCATION '${{pages}}'; \
             CREATE MATERIALIZED VIEW v AS {query}; CALL wait(drained => true); FROM v"
        );
        let found = rows(&script, &statements, &set).await.unwrap();
        assert_eq!(found, rows(&script, expected, &set).await.unwrap(), "{query}");
        let found = rows(&script, "SELECT count(*), sum(n) FROM v", &[]).await.unwrap();
        assert_eq!(found, [*sums], "{query}");
    }
}

/// What the service of Wikimedia has sent, from a server that closes behind it. The record stops in the blank
/// lines behind its last event: an event without them may have been cut and is none.
#[rstest]
#[case::whole("\n\n", &["commonswiki", "enwiktionary", "wikidatawiki"])]
#[case::cut("", &["commonswiki", "enwiktionary"])]
#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_wikimedia_are_rows(#[case] end: &str, #[case] expected: &[&str]) {
    let Some(file) = shared("streaming/recentchange_example.events") else { return };
    let body = [fs::read(file).unwrap(), end.into()].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/v2/stream/recentchange", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
        assert!(head.take_while(|line| !line.is_empty()).count() > 0);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        client.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    });
    let (script, _) = script(false);
    let text = format!(
        "{CHANGES}; CREATE MATERIALIZED VIEW v AS SELECT wiki FROM changes; CALL wait(drained => true); FROM v"
    );
    let text = text.replace("'max_files' '1', ", "");
    let found = rows(&script, &text, &[("in", &location)]).await.unwrap();
    assert_eq!(found, expected);
    let bad = rows(&script, "SELECT bad_lines FROM standing_queries()", &[]).await.unwrap();
    assert_eq!(bad, ["0"]);
}

/// In batches of 1,000 lines: late rows, the windows that come before the end and their rows, those at the end.
#[rstest]
#[case("10 seconds", 7_814, (18, 959), (3, 1_012))]
#[case("30 seconds", 6_072, (14, 777), (7, 2_936))]
#[case("60 seconds", 3_428, (8, 468), (13, 5_889))]
#[case("100 seconds", 0, (0, 0), (21, 9_785))]
#[tokio::test(flavor = "multi_thread")]
async fn windows_of_the_lab_close_as_their_watermark_says(
    #[case] delay: &str,
    #[case] late: usize,
    #[case] before: (usize, usize),
    #[case] at_the_end: (usize, usize),
) {
    let Some(file) = shared("streaming/iot20210427-222504.jsonl") else { return };
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let folder = tempfile::tempdir().unwrap();
    for (number, batch) in lines.chunks(1_000).enumerate() {
        fs::write(folder.path().join(format!("{number:02}.jsonl")), batch.concat()).unwrap();
    }
    let tables = IOT.replace("'on_close' 'end'", &format!("'watermark' '{delay}'"));
    let mut found = Vec::new();
    for trigger in ["1 millisecond", "available now"] {
        let (script, shown) = script(false);
        let text = format!(
            "{tables} CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout' \
             OPTIONS ('trigger' '{trigger}'); INSERT INTO console SELECT window_start, count(*) AS n \
             FROM TUMBLE(iot_ok, \"Creation_Time\", INTERVAL '5 seconds') GROUP BY 1; CALL wait(drained => true)"
        );
        rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
        let counted = rows(&script, "SELECT late_rows FROM standing_queries()", &[]).await;
        assert_eq!(counted.unwrap(), [late.to_string()]);
        rows(&script, "CALL stop(console)", &[]).await.unwrap();
        let shown = shown.0.lock().unwrap();
        let windows = shown.iter().flat_map(|(_, _, rows)| rows);
        let counts: Vec<usize> =
            windows.map(|row| row.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        found.push((counts.len(), counts.iter().sum::<usize>()));
    }
    let all = (before.0 + at_the_end.0, before.1 + at_the_end.1);
    assert_eq!(found, [before, all]);
}
