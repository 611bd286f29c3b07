//! What standing queries tell of their batches: `--progress-file`, and the picture of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::{outcome, pleiad};

/// Three batches: the second has a line that cannot be read, the third a row that comes too late.
fn run(folder: &Path, more: &[&str]) -> (i32, String) {
    let input = folder.join("in");
    fs::create_dir_all(&input).unwrap();
    let second = |seconds: u64| format!("{{\"t\": {}}}\n", seconds * 1_000_000_000);
    let batches =
        [second(1) + &second(2), second(20) + "{\"t\": broken\n", second(3) + &second(30)];
    for (number, lines) in batches.iter().enumerate() {
        fs::write(input.join(format!("{number}.json")), lines).unwrap();
    }
    let script = folder.join("x.sql");
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (t TIMESTAMP) STORED AS JSON LOCATION '{}'
         OPTIONS ('max_files' '1', 'event_time' 't', 'watermark' '1 second');
         CREATE MATERIALIZED VIEW v WITH (mode = 'append') AS SELECT window_start, count(*) AS n
         FROM TUMBLE(s, t, INTERVAL '5 seconds') GROUP BY 1;
         CALL wait(drained => true); CALL stop(v)",
        input.display()
    );
    fs::write(&script, text).unwrap();
    let (code, _, stderr) = outcome(pleiad(&["run"]).arg(script).args(more).current_dir(folder));
    (code, stderr)
}

#[test]
fn each_batch_is_a_line_in_the_words_of_spark() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stderr) = run(folder.path(), &["--progress-file", "batches.jsonl"]);
    assert_eq!(code, 0, "{stderr}");
    let text = fs::read_to_string(folder.path().join("batches.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<&str> = text.lines().next().unwrap().split("\":").collect();
    let keys: Vec<&str> = keys.iter().filter_map(|part| part.rsplit('"').next()).collect();
    assert_eq!(
        keys[..9],
        [
            "runId",
            "name",
            "timestamp",
            "batchId",
            "batchDuration",
            "numInputRows",
            "inputRowsPerSecond",
            "processedRowsPerSecond",
            "durationMs"
        ]
    );
    let numbers = |pointer: &str| -> Vec<f64> {
        lines.iter().map(|line| line.pointer(pointer).unwrap().as_f64().unwrap()).collect()
    };
    assert_eq!(numbers("/batchId"), [0.0, 1.0, 2.0]);
    assert_eq!(numbers("/numInputRows"), [2.0, 2.0, 2.0]);
    assert_eq!(numbers("/sources/0/numInputRows"), [2.0, 2.0, 2.0]);
    assert_eq!(numbers("/badRows"), [0.0, 1.0, 0.0]);
    assert_eq!(numbers("/nullEventTime"), [0.0, 1.0, 0.0]);
    assert_eq!(numbers("/stateOperators/0/numRowsDroppedByWatermark"), [0.0, 0.0, 1.0]);
    let parts = numbers("/durationMs/getBatch").into_iter().zip(numbers("/durationMs/addBatch"));
    for ((get, add), all) in parts.zip(numbers("/batchDuration")) {
        assert!((get + add - all).abs() < 0.01, "{get} + {add} is not {all}");
    }
    for (line, watermark) in lines.iter().zip(["1", "19", "29"]) {
        assert_eq!(line["name"], "v");
        assert_eq!(line["sink"]["description"], "view");
        assert_eq!(line["sources"][0]["description"], "s");
        assert_eq!(line["runId"], lines[0]["runId"]);
        let expected = format!("1970-01-01T00:00:{watermark:0>2}Z");
        assert_eq!(line["eventTime"]["watermark"], expected);
    }

    // A second run adds its lines; the picture has both.
    let (code, stderr) = run(folder.path(), &["--progress-file", "batches.jsonl"]);
    assert_eq!(code, 0, "{stderr}");
    let mut plot = pleiad(&["plot", "stream", "batches.jsonl", "-o", "batches.svg"]);
    let (code, _, stderr) = outcome(plot.current_dir(folder.path()));
    assert_eq!(code, 0, "{stderr}");
    let picture = fs::read_to_string(folder.path().join("batches.svg")).unwrap();
    for expected in [
        "batches.jsonl: 6 batches",
        "rows a second",
        "milliseconds a batch",
        "bytes of state",
        "seconds behind the clock",
    ] {
        assert!(picture.contains(expected), "{expected}: {picture}");
    }
    // A place a batch in each of the four fields, from the left to the right.
    let lines = picture
        .split("<path ")
        .filter(|path| path.contains("#3b6ea5") && path.contains("fill=\"none\""));
    let lines: Vec<Vec<f64>> = lines.map(left).collect();
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [6; 4], "{picture}");
    assert!(lines.iter().all(|line| line.is_sorted()), "{lines:?}");
}

/// How far right each place of a path is.
fn left(path: &str) -> Vec<f64> {
    let (_, places) = path.split_once("d=\"").expect("places");
    let places = places.split_once('"').expect("an end").0.split(['M', 'L']);
    let places = places.filter_map(|place| place.split_once(' '));
    places.map(|(x, _)| x.parse().expect("a number")).collect()
}

#[test]
fn a_file_that_cannot_be_written_ends_the_run_before_the_first_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stderr) = run(folder.path(), &["--progress-file", "nowhere/batches.jsonl"]);
    assert_eq!(code, 74, "{stderr}");
    assert!(stderr.contains("cannot write 'nowhere/batches.jsonl'"), "{stderr}");
}

#[test]
fn what_is_no_batch_is_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for (text, message) in [
        ("", "'b.jsonl' has no batches"),
        ("{\"name\": 1}\n", "line 1 of 'b.jsonl' is not a batch of a standing query"),
    ] {
        fs::write(folder.path().join("b.jsonl"), text).unwrap();
        let mut plot = pleiad(&["plot", "stream", "b.jsonl", "-o", "b.svg"]);
        let (code, _, stderr) = outcome(plot.current_dir(folder.path()));
        assert_eq!(code, 65, "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
        assert!(!folder.path().join("b.svg").exists());
    }
}
