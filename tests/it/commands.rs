//! Whole jobs with the real binary, on local files and on the in-process S3 server: what they
//! print, how they fail, and that a failed or killed one leaves nothing to see.

use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::Location;
use pleiad::table::{Begin, Run, RunOptions, Source, SourceOptions, TableSpec};
use rstest::rstest;
use serde_json::Value;

use crate::cli::{outcome, pleiad};
use crate::support::s3::Served;
use crate::support::scratch::{On, Scratch};

/// The columns that all jobs here cluster.
const COLUMNS: &str = "age,weight,shoulder_circumference";

/// A place for some datasets, and what a process needs to reach it.
pub(crate) struct Lab {
    pub(crate) place: Scratch,
    pub(crate) served: Option<Served>,
}

impl Lab {
    pub(crate) fn new(on: On) -> Self {
        let place = Scratch::new(on);
        let served = (on == On::S3).then(|| place.server().serve());
        Self { place, served }
    }

    /// The location `name` here, as a user writes it.
    pub(crate) fn at(&self, name: &str) -> String {
        self.location(name).to_string()
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        self.place.out.join(name)
    }

    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        self.served.as_ref().map(Served::variables).unwrap_or_default()
    }

    /// Runs `line`, in which `@name` is a location here, or a pattern.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        self.run_with(line, &[])
    }

    /// The same with other variables.
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = pleiad(&[]);
        outcome(
            command.args(self.words(line)).envs(self.variables()).envs(variables.iter().copied()),
        )
    }

    /// Runs `line`, which has to succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn done(&self, line: &str) -> String {
        let (code, stdout, stderr) = self.run(line);
        assert_eq!(code, 0, "{line}: {stderr}");
        stdout
    }

    /// Starts `line` in the background.
    pub(crate) fn start(&self, line: &str) -> Child {
        self.spawn(line, Stdio::null())
    }

    /// Starts `line` with a standard output of the caller's.
    pub(crate) fn spawn(&self, line: &str, stdout: Stdio) -> Child {
        let mut command = Process::new(assert_cmd::cargo::cargo_bin!("pleiad"));
        command.args(self.words(line)).envs(self.variables());
        command.env("XDG_CONFIG_HOME", "/nonexistent");
        command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn words(&self, line: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) if name.contains('*') => {
                let fixed = name.split('*').next().and_then(|fixed| fixed.rfind('/'));
                let (folder, pattern) = name.split_at(fixed.map_or(0, |end| end + 1));
                format!("{}/{pattern}", self.at(folder))
            }
            Some(name) => self.at(name),
            None => word.to_owned(),
        };
        line.split(' ').map(word).collect()
    }

    /// A dataset of people.
    #[track_caller]
    pub(crate) fn people(&self, rows: u64) {
        self.done(&format!("generate people @people --rows {rows}"));
    }

    /// The files of dataset `name`, sorted.
    pub(crate) async fn files(&self, name: &str) -> Vec<String> {
        let files = self.place.objects().await;
        files
            .iter()
            .filter_map(|file| file.strip_prefix(&format!("{name}/")))
            .map(str::to_owned)
            .collect()
    }

    /// The files of dataset `name` that some reader could take for data or for a finished job.
    async fn visible(&self, name: &str) -> Vec<String> {
        let mut files = self.files(name).await;
        files.retain(|file| !file.starts_with("_runs/"));
        files
    }

    /// The rows of `name`, read by the library.
    async fn rows(&self, name: &str) -> Result<Vec<RecordBatch>> {
        let stores = &self.place.stores;
        let source = Source::open(stores, &self.at(name), &SourceOptions::default()).await?;
        let mut rows = Vec::new();
        for table in &source.tables {
            let session = self.place.session(1);
            rows.extend(session.read_table(table.provider())?.collect().await?);
        }
        Ok(rows)
    }

    /// Publishes the rows of `sql` as dataset `name`.
    pub(crate) async fn publish(&self, name: &str, sql: &str, keys: &[&str]) -> Result<()> {
        let session = self.place.session(1);
        let plan = session.sql(sql).await?.into_optimized_plan()?;
        let out = self.location(name);
        let begun = Run::begin(&self.place.stores, &out, RunOptions::default()).await?;
        let Begin::Run(run) = begun else { panic!("there was no dataset '{out}'") };
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let spec = TableSpec { name: "t".to_owned(), keys, ..TableSpec::default() };
        let written = run.write(&session.state(), plan, spec, &Silent).await;
        match written {
            Ok(_) => run.commit([].into()).await.map(drop),
            Err(error) => run.abort().await.and(Err(error)),
        }
    }

    /// Runs `line`, which ends with `code`, says `message` and nothing else, and leaves no `@out`.
    #[track_caller]
    fn refused(&self, line: &str, code: i32, message: &str) {
        check_refused(line, self.run(line), code, message);
        let left = wait(self.visible("out"));
        assert_eq!(left, Vec::<String>::new(), "{line}");
    }
}

#[track_caller]
pub(crate) fn check_refused(line: &str, found: (i32, String, String), code: i32, message: &str) {
    let (found, stdout, stderr) = found;
    assert_eq!((found, stdout.as_str()), (code, ""), "{line}: {stderr}");
    // What a slow machine says before it ends.
    let stderr = stderr.trim_start_matches("cleaning up; press Ctrl-C to leave at once\n");
    assert!(stderr.starts_with("error: ") && stderr.contains(message), "{line}: {stderr}");
}

/// Waits until `happens`, and fails after a minute.
pub(crate) fn until(what: &str, mut happens: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happens() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        pause(Duration::from_millis(5));
    }
}

/// `kill -9`; true if the process still ran.
fn kill(child: &mut Child) -> bool {
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

// ---- jobs that succeed

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_gives_the_same_on_files_and_on_s3() {
    let mut found = Vec::new();
    for on in [On::Files, On::S3] {
        let lab = Lab::new(on);
        lab.people(300);
        let line = format!("kmeans @people @out --columns {COLUMNS} --k 3 --starts 1 --json -v");
        let printed = lab.done(&line);
        let lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        assert_eq!((&lines[0]["table"], &lines[0]["k"]), (&"models".into(), &3.into()));
        // Three tables of three prefectures, 300 rows each.
        let parts: Vec<_> = lines.iter().filter(|line| line["table"] == "partitions").collect();
        assert_eq!(parts.len(), 9);
        assert_eq!(parts.iter().map(|part| part["rows"].as_u64().unwrap()).sum::<u64>(), 900);
        let model = lab.rows("out/model").await.unwrap();
        assert_eq!(model.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
        found.push((printed, model));
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_result_feeds_the_next_run_and_csv_is_csv() {
    let lab = Lab::new(On::Files);
    lab.people(200);
    let start = lab.location("start.csv");
    let start = start.local_path().unwrap();
    std::fs::write(start, format!("{COLUMNS}\n20,50,80\n40,70,100\n")).unwrap();
    let given = format!("kmeans @people --columns {COLUMNS} --start given --format csv -v");
    let first = lab.done(&format!("{given} --centroids @start.csv --max-steps 3 @out"));
    let table: Vec<Vec<&str>> = first.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(table[0][..2], ["model", "k"]);
    assert!(table.len() == 2 && table[1].len() == table[0].len(), "{first}");
    let cost = table[0].iter().position(|name| *name == "cost").unwrap();
    let second = lab.done(&format!("{given} --centroids @out --max-steps 3"));
    let better = second.lines().nth(1).unwrap().split(',').nth(cost).unwrap();
    let cost: f64 = table[1][cost].parse().unwrap();
    assert!(better.parse::<f64>().unwrap() <= cost, "{better} after {cost}");
}

#[test]
fn the_demo_agrees_with_itself_and_runs_again() {
    let lab = Lab::new(On::Files);
    for _ in 0..2 {
        let printed = lab.done("demo @demo --rows 200 --json");
        let runs = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let runs: Vec<Value> = runs.filter(|line| line["table"] == "runs").collect();
        assert_eq!((runs.len(), &runs[0]["rows"]), (2, &600.into()));
        assert!(runs.iter().all(|run| run["same_bits"] == true), "{printed}");
        assert_eq!(runs[0]["cost"], runs[1]["cost"]);
        for preset in ["v1", "v2", "v3", "v4"] {
            let picture = lab.location(&format!("demo/sky-{preset}.svg"));
            let picture = std::fs::read_to_string(picture.local_path().unwrap()).unwrap();
            let title = format!("sky-{preset}: preset {preset}");
            assert!(picture.starts_with("<svg") && picture.contains(&title), "{preset}");
        }
    }
}

// ---- jobs that are refused

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_and_nothing_is_published() {
    let lab = Lab::new(On::Files);
    for (name, sql) in [
        ("null", "SELECT * FROM (VALUES (1.5), (NULL), (2.0)) AS t(a)"),
        ("nan", "SELECT * FROM (VALUES (1.5), (CAST('NaN' AS DOUBLE))) AS t(a)"),
        ("inf", "SELECT * FROM (VALUES (1.5), (CAST('-inf' AS DOUBLE))) AS t(a)"),
        ("none", "SELECT 1.5 AS a WHERE false"),
        ("text", "SELECT 'x' AS a"),
    ] {
        lab.publish(name, sql, &[]).await.unwrap();
        let kmeans = format!("kmeans @{name} @out --k 1");
        match name {
            "null" => lab.refused(&format!("{kmeans} --columns a,b"), 65, "'b' not found in 't'"),
            "nan" => {
                let skipped = lab.done("kmeans @nan --k 1 --columns a --nulls skip --format csv");
                assert!(skipped.starts_with("model,k,"), "{skipped}");
            }
            _ => {}
        }
        let said = match name {
            "none" => "no row",
            "text" => "'a' of 't' is Utf8, expected a number",
            _ => "--nulls skip",
        };
        lab.refused(&format!("{kmeans} --columns a"), 65, said);
    }
    let corrupt = lab.location("corrupt/part-0.parquet");
    let corrupt = corrupt.local_path().unwrap();
    std::fs::create_dir(corrupt.parent().unwrap()).unwrap();
    std::fs::write(corrupt, "PAR1 and no more").unwrap();
    let kmeans = |input: &str| format!("kmeans {input} @out --columns a");
    lab.refused(&kmeans("@corrupt"), 65, "part-0.parquet' is not a complete Parquet file");
    lab.refused(
        &kmeans("@nowhere"),
        66,
        "not found: it is not a file, nor a directory with files that end in .parquet",
    );
    lab.refused(&kmeans("@nowhere*"), 66, "no file or directory matches");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_null_key_is_65_and_nothing_is_published(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    let sql = "SELECT * FROM (VALUES (1, 0), (2, NULL), (3, 1)) AS t(a, id_pref)";
    let error = lab.publish("out", sql, &["id_pref"]).await.unwrap_err();
    let said = "key 'id_pref' is null in 1 rows: filter them or use coalesce";
    assert_eq!((error.kind().exit_code(), error.to_string().as_str()), (65, said));
    assert_eq!(lab.files("out").await, Vec::<String>::new());
}

#[test]
fn wrong_words_are_2_and_nothing_is_published() {
    let lab = Lab::new(On::Files);
    lab.people(20);
    for (options, said) in [
        ("--start given", "start 'given' needs --centroids"),
        ("--centroids @people", "pass --start given"),
        ("--k 5..2", "expected the smaller number first"),
        ("--k 0", "expected 1 to 65535"),
        ("--k 2,3 --assign", "assign needs one k"),
        ("--starts 0", "starts is 0, expected 1 or more"),
        ("--tolerance -1", "-1"),
        ("--weight age", "weight 'age' is one of the columns too"),
        ("--clusters 3", "unexpected argument '--clusters'"),
    ] {
        lab.refused(&format!("kmeans @people @out --columns {COLUMNS} {options}"), 2, said);
    }
    for option in ["resume", "assign"] {
        let line = format!("kmeans @people --columns age --{option}");
        lab.refused(&line, 2, &format!("--{option} needs OUT: add a location to write to"));
    }
    lab.refused("kmeans @people @out", 2, "--columns");
}

#[test]
fn an_output_that_exists_is_73_unless_the_mode_says_more() {
    let lab = Lab::new(On::Files);
    lab.people(50);
    let line = format!("kmeans @people @out --columns {COLUMNS} --k 2 --starts 1 --max-steps 2");
    lab.done(&line);
    check_refused(&line, lab.run(&line), 73, "already holds version 1: pass --mode overwrite");
    let (code, _, stderr) = lab.run(&format!("{line} --mode ignore"));
    assert!(code == 0 && stderr.contains("version 1 (--mode ignore)"), "{stderr}");
    lab.done(&format!("{line} --mode overwrite"));
    check_refused(&line, lab.run(&line), 73, "already holds version 2");
    let line = "generate people @start.csv";
    std::fs::write(lab.location("start.csv").local_path().unwrap(), "a").unwrap();
    check_refused(line, lab.run(line), 73, "start.csv' is a file, expected a directory");
}

#[test]
fn a_result_is_not_appended_to_another() {
    let lab = Lab::new(On::Files);
    lab.people(20);
    let line = "kmeans @people @out --columns age --k 2 --mode append";
    lab.refused(line, 2, "mode 'append' would give two models the same number");
}

#[rstest]
fn a_memory_limit_that_is_too_small_is_71(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(20);
    // One open Parquet file takes more than 65 % of this.
    for job in ["kmeans @people @out --columns age --assign", "generate people @out --rows 20"] {
        let found = lab.run(&format!("{job} --memory-limit 500kB"));
        assert_eq!(found.2.lines().count(), 1, "{}", found.2);
        assert!(found.2.ends_with(": raise --memory-limit or lower --threads\n"), "{}", found.2);
        check_refused(job, found, 71, "the memory limit is reached: ");
        // k-means keeps its steps, to go on with more memory.
        assert_eq!(wait(lab.visible("out")), Vec::<String>::new(), "{job}");
    }
}

#[test]
fn refusals_of_a_store_have_their_codes() {
    let lab = Lab::new(On::S3);
    lab.people(20);
    for job in ["generate people @out", "kmeans @people @out --columns age"] {
        for (variable, value, code, said) in [
            ("AWS_SECRET_ACCESS_KEY", "canary", 77, "wrong secret key for the key '…4F2A'"),
            ("AWS_ACCESS_KEY_ID", "canary-BCDE", 77, "does not know the key '…BCDE'"),
            ("AWS_ACCESS_KEY_ID", "", 78, "is set, but AWS_ACCESS_KEY_ID is not"),
            ("AWS_S3_ENDPOINT", "http://127.0.0.1:1", 69, "cannot reach 'http://127.0.0.1:1'"),
        ] {
            let begun = Instant::now();
            let found = lab.run_with(job, &[(variable, value)]);
            assert!(!found.2.contains("canary"), "{}", found.2);
            check_refused(job, found, code, said);
            assert!(begun.elapsed() < Duration::from_secs(20), "{variable} took too long");
        }
        let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        check_refused(job, lab.run_with(job, &none), 78, "no keys for S3: set AWS_ACCESS_KEY_ID");
    }
    for job in ["generate people s3://nowhere/x", "kmeans s3://nowhere/x @out --columns age"] {
        lab.refused(job, 66, "bucket 'nowhere'");
    }
    assert_eq!(wait(lab.files("out")), Vec::<String>::new());
}

#[test]
fn a_directory_that_cannot_be_written_is_74() {
    let lab = Lab::new(On::Files);
    let file = lab.location("file");
    let file = file.local_path().unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "a").unwrap();
    let line = "generate people @file/out --rows 20";
    check_refused(line, lab.run(line), 74, "file/out");

    let closed = lab.location("closed");
    let closed = closed.local_path().unwrap();
    std::fs::create_dir(closed).unwrap();
    let mut rights = std::fs::metadata(closed).unwrap().permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(closed, rights).unwrap();
    if std::fs::write(closed.join("probe"), "").is_ok() {
        println!("skipped: nothing is forbidden to this user");
        return;
    }
    let line = "generate people @closed/out --rows 20";
    check_refused(line, lab.run(line), 74, "closed");
}

// ---- two at once, and the killed

/// The names in the records of runs on `@out`, such as `intent.json`.
fn records(lab: &Lab) -> Vec<String> {
    let files = wait(lab.files("out"));
    let records = files.iter().filter_map(|file| file.strip_prefix("_runs/"));
    records.filter_map(|file| file.split_once('/')).map(|(_, name)| name.to_owned()).collect()
}

fn has_intent(lab: &Lab) -> bool {
    records(lab).iter().any(|name| name == "intent.json")
}

/// Sends a signal by its name to a process that has not been waited for.
fn signal(child: &Child, name: &str) {
    let sent = Process::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// `@out` holds these rows, and for those who only list no file more than its manifest names.
async fn holds(lab: &Lab, rows: usize) {
    let found = lab.rows("out").await.unwrap();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
    let left = lab.visible("out").await;
    let data = left.iter().filter(|file| file.ends_with(".parquet")).count();
    let source = Source::open(&lab.place.stores, &lab.at("out"), &SourceOptions::default()).await;
    let listed: usize = source.unwrap().tables.iter().map(|table| table.files.len()).sum();
    assert_eq!(data, listed, "{left:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_overtaken_loses_with_75(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    let slow = lab.start("generate people @out --rows 60000");
    until("an intent", || has_intent(&lab));
    signal(&slow, "STOP");
    let quick = lab.publish("out", "SELECT 1 AS a", &[]).await;
    signal(&slow, "CONT");
    let slow = slow.wait_with_output().unwrap();
    let said = String::from_utf8(slow.stderr).unwrap();
    match (quick.map_err(|error| error.kind()), slow.status.code()) {
        (Ok(()), Some(75)) => {
            assert!(said.contains("nothing of it was published, run it again"), "{said}");
            holds(&lab, 1).await;
        }
        // It was stopped after its decision: then it is the first, and the other finishes it.
        (Err(Kind::OutputExists | Kind::Retry), Some(0)) => holds(&lab, 180_000).await,
        other => panic!("expected one winner, found {other:?}: {said}"),
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_overtakes_wins(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    let begun = Run::begin(&lab.place.stores, &lab.location("out"), RunOptions::default()).await;
    let Begin::Run(slow) = begun.unwrap() else { panic!("there was no dataset") };
    lab.done("generate people @out --rows 20");
    let error = slow.commit([].into()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    holds(&lab, 60).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_generator_left_nothing_and_the_next_one_succeeds(
    #[values(On::Files, On::S3)] on: On,
) {
    // What it writes before the first byte of a file: a part, or the journal of an upload.
    let staged = if on == On::S3 { "uploads-" } else { "stage/" };
    let mut killed = 0;
    for (sign, millis) in [("intent.json", 0), (staged, 0), (staged, 50), (staged, 300)] {
        let lab = Lab::new(on);
        let mut child = lab.start("generate people @out --rows 60000");
        let is_sign = |name: &String| name.starts_with(sign) || name == "report.json";
        until(sign, || records(&lab).iter().any(is_sign));
        pause(Duration::from_millis(millis));
        let was_killed = kill(&mut child);
        let is_decided = records(&lab).iter().any(|name| name == "prepared.json");
        let next = "generate people @out --rows 20";
        if was_killed && !is_decided {
            killed += 1;
            assert_eq!(lab.visible("out").await, Vec::<String>::new());
            if on == On::Files {
                // s3s-fs answers 500 when asked for an object where it has a directory.
                let error = lab.rows("out").await.unwrap_err();
                assert!(matches!(error.kind(), Kind::InputMissing | Kind::Data), "{error}");
            }
            lab.done(next);
            holds(&lab, 60).await;
        } else {
            // After its decision a run counts: whoever comes next finishes it.
            check_refused(next, lab.run(next), 73, "already holds version 1");
            holds(&lab, 180_000).await;
        }
        let intents = records(&lab).iter().filter(|name| *name == "intent.json").count();
        // On an object store nobody can tell that the process is dead.
        let told = on == On::Files || intents == 1;
        assert!(told || (on == On::S3 && intents == 2), "{intents} records");
    }
    assert!(killed > 0, "none was killed in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_kmeans_goes_on_to_the_same_bytes() {
    let lab = Lab::new(On::Files);
    lab.people(300);
    let options = format!("--columns {COLUMNS} --k 5 --starts 1 --tolerance 0 --max-steps 9");
    let whole = lab.done(&format!("kmeans @people @whole {options} --json"));
    let line = format!("kmeans @people @out {options}");
    let step = |step: &str| {
        let kept = format!("kept/steps/{step}.json");
        records(&lab).contains(&kept)
    };
    for resume in [false, true] {
        let mut child = lab.start(&line);
        until("the second step", || step("00002"));
        assert!(kill(&mut child), "it ended before it was killed");
        assert_eq!(lab.visible("out").await, Vec::<String>::new());
        let (code, printed, stderr) = match resume {
            true => lab.run(&format!("{line} --json --resume")),
            false => lab.run(&format!("{line} --json")),
        };
        assert_eq!((code, printed.as_str()), (0, whole.as_str()), "{stderr}");
        assert_eq!(stderr.contains("resuming after step"), resume, "{stderr}");
        assert_eq!(lab.model_bytes("out").await, lab.model_bytes("whole").await);
        std::fs::remove_dir_all(lab.location("out").local_path().unwrap()).unwrap();
    }
}

/// Ctrl-C says that the same command with --resume goes on, and it does. What is over makes no offer.
#[test]
fn a_kmeans_that_is_stopped_offers_to_go_on() {
    let lab = Lab::new(On::Files);
    lab.people(3000);
    let options = format!("--columns {COLUMNS} --k 8 --starts 1 --tolerance 0 --max-steps 60");
    let whole = lab.done(&format!("kmeans @people @whole {options} --json"));
    let line = format!("kmeans @people @out {options}");
    let mut tries = 0..5;
    let stderr = loop {
        tries.next().expect("one of five runs is stopped before its end");
        let child = lab.start(&line);
        until("the second step", || records(&lab).contains(&"kept/steps/00002.json".to_owned()));
        signal(&child, "INT");
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.code() == Some(130) {
            break stderr;
        }
        assert!(ended.status.success() && !stderr.contains("--resume"), "{stderr}");
        std::fs::remove_dir_all(lab.location("out").local_path().unwrap()).unwrap();
    };
    assert!(stderr.contains("the same command with --resume goes on from here"), "{stderr}");
    let (code, printed, stderr) = lab.run(&format!("{line} --json --resume"));
    assert_eq!((code, printed.as_str()), (0, whole.as_str()), "{stderr}");
    assert!(stderr.contains("resuming after step"), "{stderr}");
}

impl Lab {
    /// The bytes of the files of table `model` of dataset `name`.
    async fn model_bytes(&self, name: &str) -> Vec<Vec<u8>> {
        let files = self.files(&format!("{name}/model")).await;
        assert!(!files.is_empty());
        let read = |file: &String| {
            let location = self.location(&format!("{name}/model/{file}"));
            std::fs::read(location.local_path().unwrap()).unwrap()
        };
        files.iter().map(read).collect()
    }
}

/// Waits on a thread of its own: a test may already be in a runtime.
pub(crate) fn wait<T: Send>(answer: impl Future<Output = T> + Send) -> T {
    let work = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(answer)
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
