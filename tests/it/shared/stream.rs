//! The lab's recorded data: the golden answers out of its queries, over connections, from files and in a batch.

use std::fs;

use rstest::rstest;

use crate::support::shared::shared;
use crate::support::stream::{rows, script, serve};

const IOT: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE iot (\"Arrival_Time\" TIMESTAMP, \"Creation_Time\" TIMESTAMP, \"Device\" VARCHAR,
      \"Index\" BIGINT, \"Model\" VARCHAR, \"User\" VARCHAR, gt VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
    STORED AS JSON LOCATION '${in}' OPTIONS ('event_time' '\"Creation_Time\"', 'on_close' 'end');
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
#[case::batch(None, true)]
#[case::file(None, false)]
#[case::a_line_at_once(Some(1), false)]
#[case::seven(Some(7), false)]
#[case::a_thousand(Some(1000), false)]
#[case::all(Some(10_000), false)]
#[tokio::test(flavor = "multi_thread")]
async fn the_lab_has_its_golden_answers(#[case] lines: Option<usize>, #[case] is_batch: bool) {
    let Some(file) = shared("streaming/iot20210427-222504.jsonl") else { return };
    let Some(users) = shared("streaming/données utilisateurs.csv") else { return };
    let Some(golden) = shared("golden") else { return };
    let text = fs::read(&file).unwrap();
    for (query, expected) in GOLDEN {
        let location = match lines {
            Some(lines) => serve(text.clone(), lines),
            None => file.to_str().unwrap().to_owned(),
        };
        let set = [
            ("in", location.as_str()),
            ("users", users.to_str().unwrap()),
            ("golden", golden.to_str().unwrap()),
        ];
        let (script, _) = script(is_batch);
        let statements = format!(
            "{IOT} CREATE EXTERNAL TABLE users STORED AS CSV LOCATION '${{users}}'; \
             CREATE MATERIALIZED VIEW v AS {query}; CALL wait(drained => true); FROM v"
        );
        let found = rows(&script, &statements, &set).await.unwrap();
        assert_eq!(found, rows(&script, expected, &set).await.unwrap(), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wikipedia_has_its_golden_answers() {
    let Some(file) = shared("streaming/recentchange_from_wikiticker.jsonl.gz") else { return };
    let Some(golden) = shared("golden") else { return };
    let set = [("in", file.to_str().unwrap()), ("golden", golden.to_str().unwrap())];
    let table = "CREATE UNBOUNDED EXTERNAL TABLE changes (type VARCHAR, title VARCHAR, \"timestamp\" TIMESTAMP(0), \
                 \"user\" VARCHAR, bot BOOLEAN, wiki VARCHAR) STORED AS JSON LOCATION '${in}'";
    let (script, _) = script(false);
    let text = format!(
        "{table}; CREATE MATERIALIZED VIEW v AS SELECT wiki, count(*) AS n FROM changes GROUP BY wiki; \
         CALL wait(drained => true); FROM v"
    );
    let found = rows(&script, &text, &set).await.unwrap();
    assert_eq!(found.len(), 51);
    let expected = rows(&script, "SELECT * FROM '${golden}/wiki_counts.csv'", &set).await.unwrap();
    assert_eq!(found, expected);
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
    let tables =
        IOT.replace("'on_close' 'end'", &format!("'max_files' '1', 'watermark' '{delay}'"));
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
