//! The scripts in `sql/stream/`, over lines that `pleiad feed` makes.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use crate::cli::{outcome, pleiad};
use crate::support::stream::{rows, script_of_threads};

/// What is run.
const SCRIPTS: [&str; 22] = [
    "sql/stream/01_raw_lines.sql",
    "sql/stream/02_typed_rows.sql",
    "sql/stream/03_view.sql",
    "sql/stream/04_count_errors.sql",
    "sql/stream/05_drop_nulls.sql",
    "sql/stream/06_activity_view.sql",
    "sql/stream/07_activity_update.sql",
    "sql/stream/08_stairs.sql",
    "sql/stream/09_cube.sql",
    "sql/stream/10_event_time.sql",
    "sql/stream/11_tumbling.sql",
    "sql/stream/12_sliding.sql",
    "sql/stream/13_join_users.sql",
    "sql/stream/14_join_then_count.sql",
    "sql/stream/15_count_then_join.sql",
    "sql/stream/16_wiki_changes.sql",
    "sql/stream/17_wiki_counts.sql",
    "sql/stream/18_wiki_frwiki.sql",
    "sql/stream/19_wiki_sensitive.sql",
    "sql/stream/20_join_streams.sql",
    "sql/stream/21_words.sql",
    "sql/stream/22_append_windows.sql",
];

/// Rows of a table in CSV without their header.
type Rows = Vec<Vec<String>>;

/// What each script answers with `--batch`, by its number.
fn answers(lab: &Path) -> BTreeMap<&'static str, Rows> {
    let answer = |script: &str| {
        let mut command = pleiad(&["run", script, "--batch"]);
        for place in ["iot", "bpm", "changes", "quotes", "out"] {
            command.args(["--set", &format!("{place}={}", lab.join(place).display())]);
        }
        let (code, stdout, stderr) = outcome(command.current_dir(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(code, 0, "{script}: {stderr}");
        let rows = stdout.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect());
        rows.collect()
    };
    let number = |script: &'static str| &script["sql/stream/".len()..][..2];
    SCRIPTS.into_iter().map(|script| (number(script), answer(script))).collect()
}

/// Lines of a feed, in a file.
fn feed(lab: &Path, name: &str, words: &[&str]) {
    let (code, lines, stderr) = outcome(pleiad(&["feed"]).args(words).arg("--print"));
    assert_eq!(code, 0, "{stderr}");
    std::fs::write(lab.join(name), lines).expect("a file");
}

/// The sum of a column.
fn sum(rows: &Rows, column: usize) -> usize {
    rows.iter().map(|row| row[column].parse::<usize>().expect("a count")).sum()
}

/// How many valid rows of a feed each user has.
fn of_users(lab: &Path, feed: &str) -> BTreeMap<String, usize> {
    let lines = std::fs::read_to_string(lab.join(feed)).expect("lines");
    let mut of_users = BTreeMap::new();
    for line in lines.lines() {
        let user = line.split_once("\"User\": \"").map(|(_, user)| user.split('"').next());
        if let Some(Some(user)) = user {
            *of_users.entry(user.to_owned()).or_default() += 1;
        }
    }
    of_users
}

#[test]
fn the_scripts_of_the_lab_agree_with_each_other() {
    let lab = tempfile::tempdir().expect("a folder");
    let start = ["--seed", "7", "--start", "2026-01-01T00:00:00Z"];
    feed(lab.path(), "iot", &[&["iot_1", "--count", "1000", "--rate", "500"], &start[..]].concat());
    feed(lab.path(), "bpm", &[&["iot_2", "--count", "100", "--rate", "50"], &start[..]].concat());
    feed(
        lab.path(),
        "changes",
        &[&["recentchange", "--count", "1500", "--rate", "1000"], &start[..]].concat(),
    );
    feed(lab.path(), "quotes", &["quotes", "--count", "40", "--rate", "max"]);
    let answers = answers(lab.path());
    let rows = |number: &str| &answers[number];

    // Errors are counted and left out.
    assert_eq!(rows("02").len(), 1000);
    assert_eq!(rows("03")[0][0], "1000");
    let valid = sum(rows("05"), 0);
    assert!((900..1000).contains(&valid), "{valid} rows are valid");
    let errors: BTreeMap<_, _> = rows("04").iter().map(|row| (row[0].as_str(), &row[1])).collect();
    assert_eq!(errors["false"], &valid.to_string());
    assert_eq!(errors["true"], &(1000 - valid).to_string());
    assert_eq!(rows("03")[0][1], valid.to_string(), "errors have no number of their own");

    // A view and a console answer the same, and each valid row is counted once.
    let of_console: BTreeMap<_, _> = rows("07").iter().map(|row| (&row[0], &row[1])).collect();
    let of_view: BTreeMap<_, _> = rows("06").iter().map(|row| (&row[0], &row[1])).collect();
    assert_eq!(of_console, of_view);
    assert_eq!(sum(rows("06"), 1), valid);
    assert_eq!(sum(rows("09"), 2), 4 * valid, "by both, by each, and of all");
    assert_eq!(sum(rows("11"), 1), valid);
    assert_eq!(sum(rows("12"), 1), 2 * valid, "a row is in two windows");
    let on_stairs = rows("06").iter().filter(|row| row[0].starts_with("stairs"));
    assert_eq!(rows("08").len(), sum(&on_stairs.cloned().collect(), 1));
    assert_eq!(rows("10").len(), 1000);

    // Every user is known, and the order of join and count is free.
    assert_eq!(rows("13").len(), valid);
    assert_eq!(rows("14"), rows("15"));
    let bpm = of_users(lab.path(), "bpm");
    let pairs = of_users(lab.path(), "iot")
        .into_iter()
        .map(|(user, rows)| rows * bpm.get(&user).unwrap_or(&0));
    assert_eq!(rows("20").len(), pairs.sum::<usize>());
    // Behind what INSERT wrote, and the header of the answer.
    assert_eq!(&rows("22")[2..], rows("11"), "what was kept is what was shown");
    assert_eq!(sum(rows("14"), 3), valid);

    assert_eq!(sum(rows("17"), 1), 1500);
    assert!(
        sum(rows("18"), 1).is_multiple_of(12) && !rows("18").is_empty(),
        "an edit is in twelve windows"
    );
    let sensitive = sum(rows("19"), 0);
    assert!((1..1500).contains(&sensitive), "{sensitive} changes of pages on the list");
    let words = std::fs::read_to_string(lab.path().join("quotes")).expect("quotes");
    let quotes = words.lines().map(|line| line.split_once("\"quote\": ").expect(line).1);
    assert_eq!(sum(rows("21"), 1), quotes.map(|quote| quote.split(' ').count()).sum::<usize>());
}

/// What a script is asked for in the end, if not for what its console shows.
const VIEWS: [(&str, &str); 2] = [("03", "FROM iot_data"), ("06", "FROM activity")];

/// A script whose queries end when they have read all there is, a file a batch, and end instead of waiting.
fn ending(script: &str) -> String {
    let mut text = std::fs::read_to_string(script).expect(script);
    for time in ["2", "3", "5", "10"] {
        text = text.replace(&format!("'trigger' '{time} seconds'"), "'trigger' 'available now'");
        text = text.replace(&format!("trigger = '{time} seconds'"), "trigger = 'available now'");
    }
    for seconds in ["10", "20"] {
        let wait = format!("CALL wait('${{seconds:-{seconds}}} seconds')");
        text = text.replace(&wait, "CALL wait(drained => true)");
    }
    for port in ["9999", "10000", "10001", "10003"] {
        let more = "'max_files' '1'";
        text = text.replace(&format!("{port}}}';"), &format!("{port}}}' OPTIONS ({more});"));
        text = text
            .replace(&format!("{port}}}'\nOPTIONS ("), &format!("{port}}}'\nOPTIONS ({more}, "));
    }
    assert!(text.contains("max_files") && !text.contains("seconds:-"), "{text}");
    text
}

/// What the text of a script comes to in the end, over what is in `lab`; with so many threads, or in a batch.
async fn answer(number: &str, text: &str, lab: &Path, threads: Option<usize>) -> Vec<String> {
    let places = ["iot", "bpm", "changes", "quotes", "out"];
    let places = places.map(|place| (place, lab.join(place).to_str().expect("UTF-8").to_owned()));
    let set = places.each_ref().map(|(place, path)| (*place, path.as_str()));
    let (standing, shown) = script_of_threads(threads.is_none(), threads.unwrap_or(2));
    if let Some((_, query)) = VIEWS.iter().find(|(view, _)| *view == number) {
        let text = text.split("CALL watch(").next().expect("a query");
        let text = format!("{text} CALL wait(drained => true); {query}");
        return rows(&standing, &text, &set).await.expect(number);
    }
    let mut last = rows(&standing, text, &set).await.expect(number);
    if number != "22" {
        let shown = shown.0.lock().expect("no panic");
        let mut batches = shown.iter().map(|(_, _, rows)| rows.clone());
        last = if text.contains("'mode' 'complete'") {
            batches.next_back().unwrap_or_default()
        } else if text.contains("'mode' 'update'") {
            let groups =
                batches.flatten().map(|row| (row.split(' ').next().map(str::to_owned), row));
            groups.collect::<BTreeMap<_, _>>().into_values().collect()
        } else {
            batches.flatten().collect()
        };
    }
    last.sort();
    last
}

/// Writes the lines of each feed once in one file, and once in files of so many lines.
fn cut(lines: &Path, whole: &Path, cut: &Path, sizes: &[usize]) {
    for name in ["iot", "bpm", "changes", "quotes"] {
        let text = std::fs::read_to_string(lines.join(name)).expect("lines");
        std::fs::write(whole.join(name), &text).expect("a file");
        std::fs::create_dir(cut.join(name)).expect("a folder");
        let mut rest: Vec<&str> = text.split_inclusive('\n').collect();
        let mut number = 0;
        while !rest.is_empty() {
            let size = sizes[number % sizes.len()].min(rest.len());
            let lines: String = rest.drain(..size).collect();
            std::fs::write(cut.join(name).join(format!("{number:04}")), lines).expect("a file");
            number += 1;
        }
    }
}

/// Law 6 of the lab's own scripts: each, over lines in files of any size, comes to its `--batch` answer.
#[test]
fn each_script_comes_to_its_batch_answer_however_lines_are_cut() {
    let lines = tempfile::tempdir().expect("a folder");
    let start = ["--seed", "3", "--start", "2026-01-01T00:00:00Z"];
    for (name, words) in [
        ("iot", ["iot_1", "--count", "400", "--rate", "50"]), // eight seconds of windows
        ("bpm", ["iot_2", "--count", "60", "--rate", "100"]),
        ("changes", ["recentchange", "--count", "600", "--rate", "1000"]),
    ] {
        feed(lines.path(), name, &[&words[..], &start[..]].concat());
    }
    feed(lines.path(), "quotes", &["quotes", "--count", "40", "--rate", "max"]);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let config =
        ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() };
    let sizes = prop::collection::vec(20..250_usize, 1..6);
    proptest!(config, |(sizes in sizes, threads in prop::sample::select(vec![1, 4]))| {
        let (whole, parts) = (tempfile::tempdir()?, tempfile::tempdir()?);
        cut(lines.path(), whole.path(), parts.path(), &sizes);
        for script in SCRIPTS {
            let number = &script["sql/stream/".len()..][..2];
            let text = ending(script);
            let expected = runtime.block_on(answer(number, &text, whole.path(), None));
            let found = runtime.block_on(answer(number, &text, parts.path(), Some(threads)));
            prop_assert!(!expected.is_empty(), "{}", script);
            prop_assert_eq!(found, expected, "{}", script);
        }
    });
}

#[test]
fn lines_that_cannot_be_read_are_warned_of_once() {
    let lab = tempfile::tempdir().expect("a folder");
    let lines = lab.path().join("iot");
    std::fs::write(&lines, "{\"gt\": \"walk\"}\n{\"gt\": \n{\"gt\": \n").expect("a file");
    let mut command = pleiad(&["run", "sql/stream/04_count_errors.sql", "--batch", "--set"]);
    command.arg(format!("iot={}", lines.display())).current_dir(env!("CARGO_MANIFEST_DIR"));
    let (code, stdout, stderr) = outcome(&mut command);
    assert_eq!((code, stdout.as_str()), (0, "error,n\nfalse,1\ntrue,2\n"), "{stderr}");
    assert_eq!(stderr.matches("line 2 of a stream cannot be read").count(), 1, "{stderr}");
}

/// The folder has the name of the table, and is not it.
#[test]
fn the_last_script_reads_the_windows_that_it_has_kept() {
    let lab = tempfile::tempdir().expect("a folder");
    feed(lab.path(), "iot", &["iot_1", "--count", "200", "--rate", "20"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/stream/22_append_windows.sql");
    let mut command = pleiad(&["run"]);
    command.arg(script).args(["--set", "iot=iot", "--set", "seconds=7"]).current_dir(lab.path());
    let (code, stdout, stderr) = outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("window_start,n"), "{stdout}");
    assert!(lines.next().is_some(), "{stdout}");
    assert!(lab.path().join("windows/_manifest").is_dir());
}
