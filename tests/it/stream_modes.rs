//! Every cell of the table of modes: what a query shows in each mode on a console, in a view and in files,
//! batch by batch, or the sentence that refuses it before the first batch.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pleiad::error::Result;
use rstest::rstest;

use crate::support::stream::{rows, script};

/// Two streams of the same files, of which one has a watermark, and a table that has an end.
const TABLES: &str = "
    CREATE UNBOUNDED EXTERNAL TABLE s (r BIGINT, k VARCHAR, i BIGINT, t TIMESTAMP, other TIMESTAMP)
    STORED AS JSON LOCATION '${in}' OPTIONS ('max_files' '1', 'event_time' 't', 'watermark' '2 seconds');
    CREATE UNBOUNDED EXTERNAL TABLE u (r BIGINT, k VARCHAR, i BIGINT, t TIMESTAMP, other TIMESTAMP)
    STORED AS JSON LOCATION '${in}' OPTIONS ('max_files' '1', 'event_time' 't');
    CREATE TABLE names AS SELECT * FROM (VALUES (1, 'one'), (2, 'two')) AS n(i, name);
";

/// The rows, each of which is a file and so a batch; the last comes after its window of 5 seconds is complete.
const LINES: [&str; 4] = [
    "{\"r\": 1, \"k\": \"a b\", \"i\": 1, \"t\": 1000000000, \"other\": 1000000000}",
    "{\"r\": 2, \"k\": \"a b\", \"i\": 2, \"t\": 7000000000, \"other\": 7000000000}",
    "{\"r\": 3, \"k\": \"c\", \"i\": 3, \"t\": 14000000000, \"other\": 14000000000}",
    "{\"r\": 4, \"k\": \"a b\", \"i\": 1, \"t\": 3000000000, \"other\": 3000000000}",
];

const WINDOW: &str = "SELECT substr(CAST(window_start AS VARCHAR), 15, 5) AS w, n FROM \
    (SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1)";

/// What a mode gives.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// The batches of a console, separated by ` | `, and the rows of a view in the end.
    Shows(&'static str, &'static str),
    /// The rows in the end, where the batches depend on which of two streams is faster.
    Ends(&'static str),
    /// Why it does not work.
    Refused(&'static str),
}

use Cell::{Ends, Refused, Shows};

const MODES: [&str; 3] = ["append", "update", "complete"];

const CHANGES: Cell = Refused(
    "mode append shows a row once and for good, but a group changes with each row that comes: group by a window of \
     the event time of a stream with 'watermark', or use 'mode' 'complete', or 'update' for the groups that a batch \
     touched",
);
const UNMARKED: Cell = Refused(
    "mode append shows a row once and for good, but nothing says when the last row of a window has come: give the \
     table 'u' the option 'watermark', or use 'mode' 'complete', or 'update' for the groups that a batch touched",
);
const PAIRS: Cell = Refused(
    "mode append shows a row once and for good, but a row that comes may match rows of any window that came before: \
     use 'mode' 'complete', or 'update' for the groups that a batch touched",
);
const APPEND_ABOVE: Cell = Refused(
    "mode append shows a row once and for good, but ORDER BY, LIMIT, OVER (…), a join or a second aggregate above \
     them can change others: use 'mode' 'complete'",
);
const UPDATE_ABOVE: Cell = Refused(
    "mode update shows the groups that a batch touched, but ORDER BY, LIMIT, OVER (…), a join or a second aggregate \
     above them can change others: use 'mode' 'complete'",
);
const ORDER: Cell = Refused(
    "ORDER BY needs all rows, which a stream never has: use it above an aggregate, or select from a materialized view",
);
const LIMIT: Cell = Refused(
    "LIMIT has no end to count from on a stream: use it above an aggregate, or select from a materialized view",
);
const OVER: Cell = Refused(
    "OVER (…) needs rows of other batches: use it above an aggregate, or select from a materialized view",
);
const FILES_UPDATE: &str = "mode update shows a group again when it changes, but rows of files stay as they are: use \
    'mode' 'append', or create a materialized view and COPY from it";
const FILES_COMPLETE: &str = "mode complete shows all rows again with each batch, but rows of files stay as they are: \
    use 'mode' 'append', or create a materialized view and COPY from it";

/// A folder with the rows, the place of files, and both as variables.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        for (number, line) in LINES.iter().enumerate() {
            let file = folder.path().join(format!("in/{number}.json"));
            fs::write(file, format!("{line}\n")).unwrap();
        }
        Self { folder }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs a statement that begins a query over all rows, to its end: what a console has shown, and what is
    /// read afterwards.
    async fn run(&self, statement: &str, after: &str) -> Result<(Vec<Vec<String>>, Vec<String>)> {
        let (input, out) = (self.at("in"), self.at("out"));
        let set = [("in", input.as_str()), ("out", out.as_str())];
        let (script, shown) = script(false);
        rows(&script, TABLES, &set).await?;
        let begun = rows(&script, statement, &set).await;
        if begun.is_err() {
            let left = rows(&script, "FROM standing_queries()", &[]).await?;
            assert!(left.is_empty() && shown.0.lock().unwrap().is_empty(), "{left:?}");
            assert!(!Path::new(&out).exists(), "nothing is written");
        }
        begun?;
        script.standing().finish(None).await?;
        let after = if after.is_empty() { Vec::new() } else { rows(&script, after, &set).await? };
        let shown = shown.0.lock().unwrap();
        Ok((shown.iter().map(|(_, _, rows)| rows.clone()).collect(), after))
    }
}

/// The sentence of an error.
fn sentence<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string)
}

/// Batches as a cell has them; rows of a batch have an order only if the query gives them one.
fn written(batches: &[Vec<String>], is_ordered: bool) -> String {
    let batch = |rows: &Vec<String>| {
        let mut rows = rows.clone();
        if !is_ordered {
            rows.sort();
        }
        rows.join(", ")
    };
    batches.iter().map(batch).collect::<Vec<_>>().join(" | ")
}

/// What the batches of a console come to in the end.
fn in_the_end(batches: &[Vec<String>], mode: &str) -> Vec<String> {
    let mut rows = match mode {
        "append" => batches.concat(),
        "update" => {
            let rows = batches.concat().into_iter();
            let of_groups = rows.map(|row| (row.split(' ').next().unwrap().to_owned(), row));
            of_groups.collect::<BTreeMap<_, _>>().into_values().collect()
        }
        _ => batches.last().cloned().unwrap_or_default(),
    };
    rows.sort();
    rows
}

async fn on_a_console(query: &str, mode: &str, cell: Cell) {
    let statement = format!(
        "CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout' \
         OPTIONS ('mode' '{mode}', 'trigger' 'available now'); INSERT INTO console {query}"
    );
    let found = Place::new().run(&statement, "").await;
    let label = format!("console, {mode}: {query}");
    match cell {
        Refused(expected) => assert_eq!(sentence(found), expected, "{label}"),
        Shows(batches, _) => {
            let found = written(&found.unwrap().0, query.contains("ORDER BY 1"));
            assert_eq!(found, batches, "{label}");
        }
        Ends(rows) => {
            let has_groups = query.contains("GROUP BY");
            let mode = if mode == "update" && !has_groups { "append" } else { mode };
            assert_eq!(in_the_end(&found.unwrap().0, mode).join(", "), rows, "{label}");
        }
    }
}

async fn in_a_view(query: &str, mode: &str, cell: Cell) {
    let statement = format!(
        "CREATE MATERIALIZED VIEW v WITH (mode = '{mode}', trigger = 'available now') AS {query}"
    );
    let found = Place::new().run(&statement, "FROM v").await;
    let label = format!("view, {mode}: {query}");
    match cell {
        Refused(expected) => assert_eq!(sentence(found), expected, "{label}"),
        Shows(_, rows) | Ends(rows) => assert_eq!(found.unwrap().1.join(", "), rows, "{label}"),
    }
}

async fn in_files(query: &str, mode: &str, cell: Cell) {
    let place = Place::new();
    let statement = format!(
        "CREATE EXTERNAL TABLE out STORED AS PARQUET LOCATION '${{out}}' \
         OPTIONS ('mode' '{mode}', 'trigger' 'available now'); INSERT INTO out {query}"
    );
    let found = place.run(&statement, "FROM '${out}'").await;
    let label = format!("files, {mode}: {query}");
    match (mode, cell) {
        ("append", Shows(_, rows) | Ends(rows)) => {
            assert_eq!(found.unwrap().1.join(", "), rows, "{label}");
        }
        ("append", Refused(expected)) => assert_eq!(sentence(found), expected, "{label}"),
        ("update", _) => assert_eq!(sentence(found), FILES_UPDATE, "{label}"),
        _ => assert_eq!(sentence(found), FILES_COMPLETE, "{label}"),
    }
}

#[rstest]
#[case::filter("SELECT r FROM s WHERE i = 1", [
    Shows("1 | 4", "1, 4"), Shows("1 | 4", "1, 4"), Shows("1 | 1 | 1 | 1, 4", "1, 4"),
])]
#[case::unnest("SELECT unnest(string_to_array(k, ' ')) AS w FROM s", [
    Shows("a, b | a, b | c | a, b", "a, a, a, b, b, b, c"),
    Shows("a, b | a, b | c | a, b", "a, a, a, b, b, b, c"),
    Shows("a, b | a, a, b, b | a, a, b, b, c | a, a, a, b, b, b, c", "a, a, a, b, b, b, c"),
])]
#[case::static_join("SELECT r, name FROM s JOIN names USING (i)", [
    Shows("1 one | 2 two | 4 one", "1 one, 2 two, 4 one"),
    Shows("1 one | 2 two | 4 one", "1 one, 2 two, 4 one"),
    Shows("1 one | 1 one, 2 two | 1 one, 2 two | 1 one, 2 two, 4 one", "1 one, 2 two, 4 one"),
])]
#[case::static_left_join("SELECT r, name FROM s LEFT JOIN names ON s.i = names.i", [
    Shows("1 one | 2 two | 3 NULL | 4 one", "1 one, 2 two, 3 NULL, 4 one"),
    Shows("1 one | 2 two | 3 NULL | 4 one", "1 one, 2 two, 3 NULL, 4 one"),
    Shows(
        "1 one | 1 one, 2 two | 1 one, 2 two, 3 NULL | 1 one, 2 two, 3 NULL, 4 one",
        "1 one, 2 two, 3 NULL, 4 one"
    ),
])]
#[case::windowed_rows("SELECT r, second FROM (SELECT r, substr(CAST(window_start AS VARCHAR), 18, 2) AS second \
    FROM TUMBLE(s, t, INTERVAL '5 seconds'))", [
    Shows("1 00 | 2 05 | 3 10 | 4 00", "1 00, 2 05, 3 10, 4 00"),
    Shows("1 00 | 2 05 | 3 10 | 4 00", "1 00, 2 05, 3 10, 4 00"),
    Shows("1 00 | 1 00, 2 05 | 1 00, 2 05, 3 10 | 1 00, 2 05, 3 10, 4 00", "1 00, 2 05, 3 10, 4 00"),
])]
#[case::groups("SELECT k, count(*) AS n FROM s GROUP BY k", [
    CHANGES,
    Shows("a b 1 | a b 2 | c 1 | a b 3", "a b 3, c 1"),
    Shows("a b 1 | a b 2 | a b 2, c 1 | a b 3, c 1", "a b 3, c 1"),
])]
#[case::having("SELECT k, count(*) AS n FROM s GROUP BY k HAVING count(*) > 1", [
    CHANGES,
    Shows("a b 2 | a b 3", "a b 3"),
    Shows(" | a b 2 | a b 2 | a b 3", "a b 3"),
])]
#[case::all("SELECT count(*) AS n FROM s", [
    CHANGES, Shows("1 | 2 | 3 | 4", "4"), Shows("1 | 2 | 3 | 4", "4"),
])]
#[case::window(WINDOW, [
    Shows("00:00 1 | 00:05 1 | 00:10 1", "00:00 1, 00:05 1, 00:10 1"),
    Shows("00:00 1 | 00:05 1 | 00:10 1", "00:00 1, 00:05 1, 00:10 1"),
    Shows(
        "00:00 1 | 00:00 1, 00:05 1 | 00:00 1, 00:05 1, 00:10 1 | 00:00 2, 00:05 1, 00:10 1",
        "00:00 2, 00:05 1, 00:10 1"
    ),
])]
#[case::overlapping("SELECT substr(CAST(window_start AS VARCHAR), 15, 5) AS w, n FROM (SELECT window_start, \
    count(*) AS n FROM HOP(s, t, INTERVAL '5 seconds', INTERVAL '10 seconds') GROUP BY 1)", [
    Shows("59:55 1 | 00:00 2 | 00:05 2, 00:10 1", "00:00 2, 00:05 2, 00:10 1, 59:55 1"),
    Shows("00:00 1, 59:55 1 | 00:00 2, 00:05 1 | 00:05 2, 00:10 1", "00:00 2, 00:05 2, 00:10 1, 59:55 1"),
    Shows(
        "00:00 1, 59:55 1 | 00:00 2, 00:05 1, 59:55 1 | 00:00 2, 00:05 2, 00:10 1, 59:55 1 | \
         00:00 3, 00:05 2, 00:10 1, 59:55 2",
        "00:00 3, 00:05 2, 00:10 1, 59:55 2"
    ),
])]
#[case::window_without_watermark("SELECT substr(CAST(window_start AS VARCHAR), 15, 5) AS w, n FROM \
    (SELECT window_start, count(*) AS n FROM TUMBLE(u, t, INTERVAL '5 seconds') GROUP BY 1)", [
    UNMARKED,
    Shows("00:00 1 | 00:05 1 | 00:10 1 | 00:00 2", "00:00 2, 00:05 1, 00:10 1"),
    Shows(
        "00:00 1 | 00:00 1, 00:05 1 | 00:00 1, 00:05 1, 00:10 1 | 00:00 2, 00:05 1, 00:10 1",
        "00:00 2, 00:05 1, 00:10 1"
    ),
])]
#[case::window_of_another_column("SELECT substr(CAST(window_start AS VARCHAR), 15, 5) AS w, n FROM \
    (SELECT window_start, count(*) AS n FROM TUMBLE(s, other, INTERVAL '5 seconds') GROUP BY 1)", [
    CHANGES,
    Shows("00:00 1 | 00:05 1 | 00:10 1 | 00:00 2", "00:00 2, 00:05 1, 00:10 1"),
    Shows(
        "00:00 1 | 00:00 1, 00:05 1 | 00:00 1, 00:05 1, 00:10 1 | 00:00 2, 00:05 1, 00:10 1",
        "00:00 2, 00:05 1, 00:10 1"
    ),
])]
#[case::a_set_without_the_window("SELECT k, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') \
    GROUP BY CUBE (window_start, k) HAVING count(*) = 4", [
    CHANGES, Shows("NULL 4", "NULL 4"), Shows(" |  |  | NULL 4", "NULL 4"),
])]
#[case::event_time("SELECT substr(CAST(t AS VARCHAR), 18, 2) AS at, n FROM (SELECT t, count(*) AS n FROM s GROUP BY t)", [
    Shows("01 1 | 07 1 | 14 1", "01 1, 07 1, 14 1"),
    Shows("01 1 | 07 1 | 14 1", "01 1, 07 1, 14 1"),
    Shows(
        "01 1 | 01 1, 07 1 | 01 1, 07 1, 14 1 | 01 1, 03 1, 07 1, 14 1",
        "01 1, 03 1, 07 1, 14 1"
    ),
])]
#[case::distinct("SELECT DISTINCT k FROM s", [
    Shows("a b | c", "a b, c"),
    Shows("a b | a b | c | a b", "a b, c"),
    Shows("a b | a b | a b, c | a b, c", "a b, c"),
])]
#[case::distinct_groups("SELECT k FROM s GROUP BY k", [
    Shows("a b | c", "a b, c"),
    Shows("a b | a b | c | a b", "a b, c"),
    Shows("a b | a b | a b, c | a b, c", "a b, c"),
])]
#[case::streams("SELECT s.r, u.r AS other FROM s JOIN u ON s.i = u.i",
    [Ends("1 1, 1 4, 2 2, 3 3, 4 1, 4 4"); 3]
)]
#[case::groups_of_streams("SELECT s.i, count(*) AS n FROM s JOIN u ON s.i = u.i GROUP BY s.i", [
    PAIRS, Ends("1 4, 2 1, 3 1"), Ends("1 4, 2 1, 3 1"),
])]
#[case::windows_of_streams("SELECT substr(CAST(window_start AS VARCHAR), 15, 5) AS w, n FROM (SELECT window_start, \
    count(*) AS n FROM TUMBLE((SELECT s.t FROM s JOIN u ON s.i = u.i), t, INTERVAL '5 seconds') GROUP BY 1)", [
    PAIRS, Ends("00:00 4, 00:05 1, 00:10 1"), Ends("00:00 4, 00:05 1, 00:10 1"),
])]
#[case::sorted_rows("SELECT r FROM s ORDER BY r", [ORDER; 3])]
#[case::limited_rows("SELECT r FROM s LIMIT 3", [LIMIT; 3])]
#[case::ranked_rows("SELECT r, rank() OVER (ORDER BY r) AS p FROM s", [OVER; 3])]
#[case::sorted("SELECT * FROM (SELECT k, count(*) AS n FROM s GROUP BY k) ORDER BY 1 DESC", [
    CHANGES, UPDATE_ABOVE, Shows("a b 1 | a b 2 | c 1, a b 2 | c 1, a b 3", "a b 3, c 1"),
])]
#[case::sorted_windows("SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '10 seconds') \
    GROUP BY 1 ORDER BY 1 DESC", [
    APPEND_ABOVE, UPDATE_ABOVE,
    Shows(
        "1970-01-01T00:00:00 1 | 1970-01-01T00:00:00 2 | 1970-01-01T00:00:10 1, 1970-01-01T00:00:00 2 | \
         1970-01-01T00:00:10 1, 1970-01-01T00:00:00 3",
        "1970-01-01T00:00:00 3, 1970-01-01T00:00:10 1"
    ),
])]
#[case::limited("SELECT DISTINCT i FROM s ORDER BY 1 DESC LIMIT 1", [
    APPEND_ABOVE, UPDATE_ABOVE, Shows("1 | 2 | 3 | 3", "3"),
])]
#[case::limited_alone("SELECT DISTINCT i FROM s LIMIT 5", [
    APPEND_ABOVE, UPDATE_ABOVE, Shows("1 | 1, 2 | 1, 2, 3 | 1, 2, 3", "1, 2, 3"),
])]
#[case::ranked_groups("SELECT k, rank() OVER (ORDER BY n) AS p FROM (SELECT k, count(*) AS n FROM s GROUP BY k)", [
    CHANGES, UPDATE_ABOVE, Shows("a b 1 | a b 1 | a b 2, c 1 | a b 2, c 1", "a b 2, c 1"),
])]
#[case::ranked("SELECT i, rank() OVER (ORDER BY i DESC) AS p FROM (SELECT DISTINCT i FROM s)", [
    APPEND_ABOVE, UPDATE_ABOVE, Shows("1 1 | 1 2, 2 1 | 1 3, 2 2, 3 1 | 1 3, 2 2, 3 1", "1 3, 2 2, 3 1"),
])]
#[case::twice("SELECT max(n) AS m FROM (SELECT window_start, count(*) AS n FROM TUMBLE(s, t, INTERVAL '5 seconds') \
    GROUP BY 1)", [
    APPEND_ABOVE, UPDATE_ABOVE, Shows("1 | 1 | 1 | 2", "2"),
])]
#[case::joined("SELECT d.i, name FROM (SELECT DISTINCT i FROM s) AS d JOIN names ON d.i = names.i", [
    APPEND_ABOVE, UPDATE_ABOVE, Shows("1 one | 1 one, 2 two | 1 one, 2 two | 1 one, 2 two", "1 one, 2 two"),
])]
#[case::two("SELECT k, count(*) AS n FROM s GROUP BY k UNION ALL SELECT 'all', count(*) FROM s", [
    Refused("mode append is for one aggregate, and this query has several: use 'mode' 'complete'"),
    Refused("mode update is for one aggregate, and this query has several: use 'mode' 'complete'"),
    Ends("a b 3, all 4, c 1"),
])]
#[tokio::test(flavor = "multi_thread")]
async fn every_cell_shows_its_batches_or_says_why_not(
    #[case] query: &str,
    #[case] cells: [Cell; 3],
) {
    for (mode, cell) in MODES.into_iter().zip(cells) {
        on_a_console(query, mode, cell).await;
        in_a_view(query, mode, cell).await;
        in_files(query, mode, cell).await;
    }
}
