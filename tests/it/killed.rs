//! The program killed at its calls of a store or of local files, one after the other: what is read
//! is a whole version, nothing is visible before the decision, and the next command puts it right.
//!
//! The short form kills at every 29th call; `PLEIAD_TEST_EVERY=1` (in `just soak`) at each.

use std::collections::BTreeSet;
use std::path::Path;

use pleiad::cli::terminal::variable;
use pleiad::error::Kind as ErrorKind;
use pleiad::event::Silent;
use pleiad::table::{Manifest, Source, SourceOptions, commit};
use rstest::rstest;

use crate::support::children::{self, Kill, Output};

/// A command that reads a table of 200 people, replaces OUT, and how many rows its version has.
struct Job {
    line: fn(out: &str, people: &str) -> String,
    rows: fn(u64) -> bool,
}

const GENERATE: Job = Job {
    line: |out, _| format!("generate people {out} --rows 300"),
    rows: |rows| rows == 3 * 300,
};

const KMEANS: Job = Job {
    line: |out, people| {
        let columns = "age,weight,shoulder_circumference";
        format!("kmeans {people} {out} --columns {columns} --k 2 --starts 1 --max-iterations 2")
    },
    // Those of model, figures, history, partitions and partition_clusters.
    rows: |rows| rows > 0 && rows != 3 * 200,
};

const PARTITION: Job = Job {
    line: |out, people| {
        format!("partition {people} {out} --ra age --dec weight --blocks 4 --max-rows 60")
    },
    // The margins are less than the rows.
    rows: |rows| rows > 200 && rows < 2 * 200,
};

const DBSCAN: Job = Job {
    line: |out, people| {
        format!("dbscan {people} {out} --x age --y weight --eps 4 --min-points 5 --max-rows 60")
    },
    // Those of labels and clusters.
    rows: |rows| rows > 200 && rows < 2 * 200,
};

impl Job {
    fn arguments(&self, output: &Output, people: &Path) -> Vec<String> {
        let line = (self.line)(&output.out, people.to_str().expect("a folder of ASCII"));
        words(&format!("{line} --mode overwrite --threads 2"))
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn run(output: &Output, arguments: &[String], kill: &Kill) -> children::Ended {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    children::run(output.pleiad(&arguments), kill)
}

/// The data files of the version that is current, and its rows; nothing if there is none.
async fn current(output: &Output) -> (BTreeSet<String>, u64) {
    let (stores, text) = (output.stores(), output.out.clone());
    match Source::open(&stores, &text, &SourceOptions::default()).await {
        Ok(source) => {
            let manifest: &Manifest = source.manifest.as_ref().expect("a dataset");
            for file in &manifest.files {
                let bytes = output.read(&file.path).expect("a file of the version is there");
                assert_eq!(bytes.len() as u64, file.size, "{}", file.path);
            }
            (manifest.files.iter().map(|file| file.path.clone()).collect(), manifest.rows())
        }
        Err(error) => {
            let expected = [ErrorKind::InputMissing, ErrorKind::Data];
            assert!(expected.contains(&error.kind()), "{error}");
            (BTreeSet::new(), 0)
        }
    }
}

/// Whether a run at OUT has decided to publish. A record that is over may be gone.
fn is_decided(output: &Output) -> bool {
    let names = output.names();
    names.iter().any(|name| name.starts_with("_runs/") && name.ends_with("/prepared.json"))
}

#[rstest]
#[case::generate_on_files(GENERATE, Output::files, false)]
#[case::generate_over_a_version_on_files(GENERATE, Output::files, true)]
#[case::generate_over_a_version_on_s3(GENERATE, Output::s3, true)]
#[case::kmeans_on_files(KMEANS, Output::files, false)]
#[case::kmeans_over_a_version_on_s3(KMEANS, Output::s3, true)]
#[case::partition_on_files(PARTITION, Output::files, false)]
#[case::partition_over_a_version_on_s3(PARTITION, Output::s3, true)]
#[case::dbscan_on_files(DBSCAN, Output::files, false)]
#[case::dbscan_over_a_version_on_s3(DBSCAN, Output::s3, true)]
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
async fn a_run_killed_at_a_call_leaves_a_whole_version_or_none(
    #[case] job: Job,
    #[case] output: fn() -> Output,
    #[case] over: bool,
) {
    let every: u64 = variable("PLEIAD_TEST_EVERY").map_or(29, |every| every.parse().unwrap());
    let people = Output::files();
    let made = run(
        &people,
        &words(&format!("generate people {} --rows 200 --threads 1", people.out)),
        &Kill::Never,
    );
    assert!(made.status.success(), "{made:?}");
    let people = Path::new(&people.out).join("table3");
    let (mut points, mut finished) = (0, 0);
    for call in (1..).step_by(usize::try_from(every).unwrap()) {
        let output = output();
        if over {
            let first = format!("generate people {} --rows 200 --threads 1", output.out);
            let first = run(&output, &words(&first), &Kill::Never);
            assert!(first.status.success(), "{first:?}");
        }
        let before = current(&output).await;
        let ended = run(&output, &job.arguments(&output, &people), &Kill::AtCall(call));
        if !ended.is_killed() {
            assert!(ended.status.success(), "call {call}: {ended:?}");
            assert!((job.rows)(current(&output).await.1));
            break;
        }
        points += 1;
        let (files, rows) = current(&output).await;
        let is_new = (job.rows)(rows);
        assert!(is_new || (files.clone(), rows) == before, "call {call}: {rows} rows");
        if !is_new && !is_decided(&output) {
            assert_eq!(BTreeSet::from_iter(output.data()), files, "call {call}: too early");
        }
        let stores = output.stores();
        commit::recover(&stores, &output.location(), commit::Settle::Nothing).await.unwrap();
        let (files, rows) = current(&output).await;
        finished += u64::from((job.rows)(rows));
        assert!((job.rows)(rows) || (files.clone(), rows) == before, "call {call}: {rows} rows");
        assert_eq!(BTreeSet::from_iter(output.data()), files, "call {call}: who lists sees it");
        if !files.is_empty() {
            assert!(output.names().contains(&"_SUCCESS".to_owned()), "call {call}");
            let checkup = commit::check(&stores, &output.location(), true, &Silent).await.unwrap();
            assert_eq!(checkup.damages(), 0, "call {call}: {checkup:?}");
        }
        let again = run(&output, &job.arguments(&output, &people), &Kill::Never);
        assert!(again.status.success(), "call {call}: {again:?}");
        let (files, rows) = current(&output).await;
        assert!((job.rows)(rows), "call {call}: {rows} rows");
        assert_eq!(BTreeSet::from_iter(output.data()), files, "call {call}: nothing is left over");
    }
    println!("killed at {points} calls, {finished} of them were finished by the next command");
    assert!(points >= 3 && finished > 0);
}

/// A query over three files, a row, two and four, beside a row that is there: each file is a batch, and a batch
/// is a version.
#[rstest]
#[case::on_files(Output::files)]
#[case::on_s3(Output::s3)]
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
async fn a_standing_query_killed_at_a_call_leaves_whole_batches(#[case] output: fn() -> Output) {
    const BATCHES: [u64; 4] = [1, 2, 4, 8];
    let every: u64 = variable("PLEIAD_TEST_EVERY").map_or(29, |every| every.parse().unwrap());
    let lab = tempfile::tempdir().unwrap();
    for (file, rows) in [1, 2, 4].into_iter().enumerate() {
        std::fs::write(lab.path().join(format!("{file}.json")), "{\"i\": 7}\n".repeat(rows))
            .unwrap();
    }
    let script = lab.path().join("_x.sql");
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('max_files' '1'); \
                CREATE EXTERNAL TABLE out STORED AS PARQUET LOCATION '${out}' OPTIONS ('trigger' 'once'); \
                INSERT INTO out SELECT * FROM s";
    std::fs::write(&script, text).unwrap();
    let mut seen = BTreeSet::new();
    for call in (1..).step_by(usize::try_from(every).unwrap()) {
        let output = output();
        let copy = format!("COPY (SELECT nullif(1, 2) AS i) TO '{}'", output.out);
        let first = run(&output, &["sql".to_owned(), "-c".to_owned(), copy], &Kill::Never);
        assert!(first.status.success(), "{first:?}");
        let (script, input) = (script.display(), lab.path().display());
        let line = format!("run {script} --set in={input} --set out={} --threads 2", output.out);
        let ended = run(&output, &words(&line), &Kill::AtCall(call));
        let (_, rows) = current(&output).await;
        assert!(BATCHES.contains(&rows), "call {call}: {rows} rows");
        if !ended.is_killed() {
            assert!(ended.status.success() && rows == 8, "call {call}: {rows} rows, {ended:?}");
            break;
        }
        seen.insert(rows);
        // The next run finishes the batch that was decided, and adds its own.
        let again = run(&output, &words(&line), &Kill::Never);
        assert!(again.status.success(), "call {call}: {again:?}");
        let (_, after) = current(&output).await;
        let finished = BATCHES.iter().any(|batches| *batches >= rows && after == batches + 7);
        assert!(finished, "call {call}: {rows} rows, then {after}");
    }
    assert!(seen.len() > 2, "killed after {seen:?} rows");
}
