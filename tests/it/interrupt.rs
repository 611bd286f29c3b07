//! Ctrl-C in each stage of each driver, and at moments spread over its run: the program ends with exit
//! code 130 within a second and leaves nothing staged, unless it has decided to publish: then the next
//! command on the output does that, and finds it whole.
//!
//! The stages are those that the program reports. It is interrupted when its first stage begins, in the
//! next run when its second does, and so on, until a run gets through.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use tempfile::TempDir;

use crate::cli::words_of;

/// The time from the signal to the end of the process.
const WITHIN: Duration = Duration::from_secs(1);

/// Moments of a run at which it is interrupted, whatever it does then.
const MOMENTS: u32 = 6;

/// A command that writes to `out`, if to anything.
struct Job {
    /// Commands that make what it reads.
    before: &'static [&'static str],
    line: &'static str,
    /// It goes on where a killed run stopped.
    resumes: bool,
}

const fn job(before: &'static [&'static str], line: &'static str) -> Job {
    Job { before, line, resumes: false }
}

const PEOPLE: &[&str] = &["generate people people --rows 20000"];
const SKY: &[&str] = &["generate sky sky --rows 40000"];
const POINTS: &[&str] = &["generate shapes points --shape varden --rows 20000"];

const MEMORY: Job = job(
    PEOPLE,
    "kmeans people out --columns age,weight,shoulder_circumference --k 8 --tolerance 0 \
     --max-steps 12 --cache auto --diagnose --silhouette --assign",
);
const STREAMING: Job = job(
    PEOPLE,
    "kmeans people out --columns age,weight,shoulder_circumference --k 8 --tolerance 0 \
     --max-steps 12 --cache never --diagnose --silhouette --assign",
);
const RESUMED: Job = Job { resumes: true, ..STREAMING };
const BLOCKS: &[&str] = &[SKY[0], "partition sky blocks --max-rows 2000 --margin-arcsec 7200"];
const STORED_DBSCAN: Job =
    job(BLOCKS, "dbscan blocks out --ra ra --dec decl --eps-deg 0.4 --min-points 5");
const PLANNED_DBSCAN: Job =
    job(POINTS, "dbscan points out --x x --y y --eps 200 --min-points 10 --max-rows 2000");
const SPILLING_DBSCAN: Job =
    job(POINTS, "dbscan points out --x x --y y --eps 200 --min-points 10 --max-rows 2000 -m 24MiB");

#[rstest]
#[case::generate_people(job(&[], "generate people out --rows 60000"))]
#[case::generate_sky(job(&[], "generate sky out --rows 60000"))]
#[case::generate_sky_as_text(job(&[], "generate sky out --rows 40000 --files csv"))]
#[case::generate_shapes(job(&[], "generate shapes out --shape varden --rows 100000"))]
#[case::kmeans_in_memory(MEMORY)]
#[case::kmeans_streaming(STREAMING)]
#[case::kmeans_resumed(RESUMED)]
#[case::partition_v1(job(SKY, "partition sky out --preset v1 --blocks 40"))]
#[case::partition_v4(job(SKY, "partition sky out --preset v4 --max-rows 3000"))]
#[case::partition_as_text(job(SKY, "partition sky out --preset v2 --blocks 40 --layout parts"))]
#[case::dbscan_in_planned_blocks(PLANNED_DBSCAN)]
#[case::dbscan_in_stored_blocks(STORED_DBSCAN)]
#[case::dbscan_spilling(SPILLING_DBSCAN)]
#[case::kdistance(job(POINTS, "kdistance points --x x --y y --rows 20000"))]
#[case::a_long_join(job(
    PEOPLE,
    "sql -c \"SELECT count(*) FROM 'people/table1' a JOIN 'people/table2' b ON a.id_pref = b.id_pref \
     WHERE a.weight < b.weight\""
))]
#[case::copy_to_a_dataset(job(
    PEOPLE,
    "sql -c \"COPY (SELECT * FROM 'people/table3' ORDER BY weight) TO 'out'\""
))]
#[case::copy_to_a_file(job(
    PEOPLE,
    "sql -c \"COPY (SELECT * FROM 'people/table3' ORDER BY weight) TO 'out.csv'\""
))]
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
fn ctrl_c_ends_every_stage_within_a_second(#[case] job: Job) {
    let lab = Lab::new(&job);
    let mut stages = Vec::new();
    let lasted = loop {
        let number = stages.len() + 1;
        let mut ended = lab.run(&job, &When::AtStage(number));
        if ended.is_slow() {
            ended = lab.run(&job, &When::AtStage(number)); // the machine may have been busy
        }
        let Some(after) = ended.after else {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            break ended.lasted;
        };
        let stage = ended.stages.get(number - 1).cloned().expect("the stage that began");
        assert_eq!(ended.code, Some(130), "in '{stage}': {}", ended.stderr);
        assert!(after <= WITHIN, "in '{stage}' it took {after:?}");
        lab.check_what_is_left(&stage, &ended);
        stages.push(stage);
    };
    assert!(!stages.is_empty(), "it reports no stage");
    println!("stages: {}; the whole in {lasted:?}", stages.join(", "));
    for moment in 1..MOMENTS {
        let at = lasted * moment / MOMENTS;
        let mut ended = lab.run(&job, &When::After(at));
        if ended.is_slow() {
            ended = lab.run(&job, &When::After(at));
        }
        let Some(after) = ended.after.filter(|_| ended.code != Some(0)) else { continue };
        let stage = ended.stages.last().map_or("the beginning", String::as_str);
        assert_eq!(ended.code, Some(130), "{at:?} after its start, in '{stage}': {}", ended.stderr);
        assert!(after <= WITHIN, "{at:?} after its start, in '{stage}', it took {after:?}");
        lab.check_what_is_left(stage, &ended);
    }
}

/// When a run is interrupted.
enum When {
    /// When its k-th stage begins, counted from 1.
    AtStage(usize),
    /// This long after its start.
    After(Duration),
}

/// How a run ended.
struct Ended {
    code: Option<i32>,
    stderr: String,
    /// The stages that had begun.
    stages: Vec<String>,
    /// The time from the signal to the end, if there was a signal.
    after: Option<Duration>,
    /// The time from the start to the end.
    lasted: Duration,
}

impl Ended {
    /// The signal was not obeyed in time.
    fn is_slow(&self) -> bool {
        let gave_up = self.stderr.contains("stopped without cleaning up");
        gave_up || self.after.is_some_and(|after| after > WITHIN)
    }
}

/// A folder with what a job reads.
struct Lab {
    folder: TempDir,
    /// Files for the engine to spill to.
    spills: TempDir,
    inputs: BTreeSet<PathBuf>,
}

impl Lab {
    fn new(job: &Job) -> Self {
        let temporary = || tempfile::tempdir().expect("a folder");
        let (folder, spills, inputs) = (temporary(), temporary(), BTreeSet::new());
        let mut lab = Self { folder, spills, inputs };
        for line in job.before {
            let mut command = lab.command(line);
            let made = command.output().expect("the binary starts");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        lab.inputs = files(lab.folder.path());
        lab
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
        command.args(words_of(line)).args(["--threads", "2"]).current_dir(self.folder.path());
        command.env("TMPDIR", self.spills.path()).env("XDG_CONFIG_HOME", "/nonexistent");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Runs a job from a clean start, and interrupts it.
    fn run(&self, job: &Job, when: &When) -> Ended {
        self.clear();
        if job.resumes {
            self.leave_a_killed_run(job);
        }
        let log = tempfile::NamedTempFile::new().expect("a file");
        let resume: &[&str] = if job.resumes { &["--resume"] } else { &[] };
        let mut command = self.command(job.line);
        command.args(resume).env("PLEIAD_TEST_STAGES", log.path());
        if let When::AtStage(number) = when {
            command.env("PLEIAD_TEST_INTERRUPT_AT", number.to_string());
        }
        let mut child = command.spawn().expect("the binary starts");
        let started = Instant::now();
        let mut signalled = None;
        let code = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status.code();
            }
            match when {
                When::AtStage(_) if signalled.is_none() => {
                    let begun = fs::read_to_string(log.path()).expect("a log");
                    signalled = begun.ends_with("interrupted\n").then(Instant::now);
                }
                When::After(time) if signalled.is_none() && started.elapsed() >= *time => {
                    signalled = Some(Instant::now());
                    signal(&child, "INT");
                }
                _ => {}
            }
            assert!(started.elapsed() < Duration::from_secs(300), "it never ends");
            pause();
        };
        let ended = Instant::now();
        let log = fs::read_to_string(log.path()).expect("a log");
        let was_interrupted = log.ends_with("interrupted\n");
        let stages = log.lines().filter(|line| *line != "interrupted").map(str::to_owned).collect();
        let mut stderr = String::new();
        let mut pipe = child.stderr.take().expect("a pipe");
        std::io::Read::read_to_string(&mut pipe, &mut stderr).expect("text");
        let after = match was_interrupted {
            // It may have ended before its log was read.
            true => Some(signalled.map_or(Duration::ZERO, |at| ended.duration_since(at))),
            false => signalled.map(|at| ended.duration_since(at)),
        };
        Ended { code, stderr, stages, after, lasted: ended.duration_since(started) }
    }

    /// A run of the job that is killed after its second step.
    fn leave_a_killed_run(&self, job: &Job) {
        let mut child = self.command(job.line).spawn().expect("the binary starts");
        let kept = |path: &PathBuf| path.ends_with("kept/steps/00002.json");
        while !files(&self.folder.path().join("out")).iter().any(kept) {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended before its second step");
            pause();
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Removes what runs wrote.
    fn clear(&self) {
        for path in files(self.folder.path()).difference(&self.inputs) {
            fs::remove_file(path).expect("a file");
        }
        fs::remove_dir_all(self.folder.path().join("out")).ok(); // not there before the first run
    }

    fn is_published(&self) -> bool {
        self.folder.path().join("out/_manifest").exists()
            || self.folder.path().join("out.csv").exists()
    }

    /// What is published is whole; what was decided before the signal is published by the next command;
    /// of all else nothing is left.
    #[track_caller]
    fn check_what_is_left(&self, stage: &str, ended: &Ended) {
        let is_decision = |path: &PathBuf| path.ends_with("prepared.json");
        if self.is_published() || files(&self.folder.path().join("out")).iter().any(is_decision) {
            if self.folder.path().join("out").exists() {
                for line in ["recover out", "check out"] {
                    let done = self.command(line).output().expect("the binary starts");
                    assert!(done.status.success(), "in '{stage}': {line}: {done:?}");
                }
            }
            assert!(self.is_published(), "in '{stage}': {}", ended.stderr);
            return;
        }
        self.check_nothing_is_left(stage, ended);
    }

    /// Checkpoints may stay, with the record of their run; nothing else.
    #[track_caller]
    fn check_nothing_is_left(&self, stage: &str, ended: &Ended) {
        let said = &ended.stderr;
        let found = files(self.folder.path());
        let left: Vec<_> = found.difference(&self.inputs).collect();
        let keeps = left.iter().any(|path| path.to_string_lossy().contains("/kept/"));
        let is_record = |path: &&&PathBuf| {
            let text = path.to_string_lossy();
            text.contains("/out/_runs/") && !text.contains("/stage/")
        };
        let other: Vec<_> = left.iter().filter(|path| !(keeps && is_record(path))).collect();
        assert!(other.is_empty(), "in '{stage}': {other:?} stay: {said}");
        let spilled = files(self.spills.path());
        assert!(spilled.is_empty(), "in '{stage}': {spilled:?} stay: {said}");
        assert!(self.inputs.is_subset(&found), "in '{stage}': its input is gone");
    }
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path())),
            Err(_no_folder) if path.is_file() => drop(found.insert(path)),
            Err(_gone) => {}
        }
    }
    found
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    sent.expect("kill runs"); // a child that has just ended cannot be signalled
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
