//! How a process ends that does not come to its own end: signals, panics, a reader who leaves.
//!
//! The process is this test binary again, which runs the one ignored test below: a command of a
//! few lines inside the frame that `pleiad` itself runs its commands in. It says on standard output
//! how far it is, so that nobody has to sleep.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::Int64Array;
use datafusion::common::runtime::SpawnedTask;
use pleiad::cleanup;
use pleiad::cli::answer::Answer;
use pleiad::cli::exit;
use pleiad::cli::output::{AnswerKind, Output, OutputFlags};
use pleiad::cli::process::{self, Interrupts, cores};
use pleiad::cli::progress::Progress;
use pleiad::cli::results::Results;
use pleiad::cli::terminal::{Terminal, TerminalEnv, TerminalFlags, variable};
use pleiad::event::{Event, Observer, Unit};

const ACT: &str = "PLEIAD_TEST_ACT";

#[test]
#[ignore = "the process that the other tests start"]
#[expect(clippy::exit, reason = "the exit code is what the other tests look at")]
fn act() {
    let Some(act) = variable(ACT) else { return };
    let around = TerminalEnv::look();
    let terminal = Terminal::new(&TerminalFlags::default(), around);
    let command = run(&act, around, &terminal);
    let code =
        exit::code_of(&terminal, || process::run(cores(), &terminal, Interrupts::End, command));
    std::process::exit(i32::from(code));
}

async fn run(act: &str, around: TerminalEnv, terminal: &Terminal) -> anyhow::Result<()> {
    match act {
        "panic" => panic!("cannot open s3://key:secret@bucket"),
        "panic in a task" => SpawnedTask::spawn(async { panic!("odd") }).join().await?,
        "wait" => {
            let _run = CleansUp { millis: 100 };
            say("ready");
            std::future::pending().await
        }
        "wait and clean up for ever" => {
            let _run = CleansUp { millis: 1_000_000 };
            say("ready");
            std::future::pending().await
        }
        "fail" => {
            let _run = CleansUp { millis: 100 };
            anyhow::bail!("odd")
        }
        "flood" => {
            let values = Answer::build("n").column("n", Int64Array::from_iter_values(0..1_000_000));
            let output =
                Output::new(&OutputFlags::default(), around, terminal, AnswerKind::Tables)?;
            Results::print(&output, &[values.done()])
        }
        "draw" => {
            let watch = Arc::new(Progress::new(terminal.clone()));
            let name = "writing people".to_owned();
            watch.report(Event::Stage { name, total: Some(8), unit: Unit::Rows });
            watch.report(Event::Progress { done: 4 });
            watch.report(Event::Warning("half of it".to_owned()));
            tokio::time::sleep(Duration::from_millis(300)).await; // a few ticks of the bar
            watch.report(Event::Done);
            Ok(())
        }
        other => anyhow::bail!("no act '{other}'"),
    }
}

/// A run that is dropped before it commits: it leaves a task behind that cleans up.
struct CleansUp {
    millis: u64,
}

impl Drop for CleansUp {
    fn drop(&mut self) {
        let time = Duration::from_millis(self.millis);
        cleanup::spawn(async move {
            say("cleaning");
            tokio::time::sleep(time).await;
            say("cleaned");
        });
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").and_then(|()| out.flush()).expect("somebody listens");
}

/// The command line of this test binary that acts.
fn acting(act: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "process::act", "--ignored", "--nocapture"]).env(ACT, act);
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CI", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm");
    command
}

struct Acting {
    child: Child,
    words: BufReader<std::process::ChildStdout>,
}

impl Acting {
    fn start(act: &str) -> Self {
        let mut command = acting(act);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let words = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, words }
    }

    /// Reads until the process says `word`.
    fn until(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim() != word {
            line.clear();
            let read = self.words.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended before it said '{word}'");
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// The exit code, the rest of standard output, standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        self.words.read_to_string(&mut stdout).expect("text");
        let output = self.child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), stdout, stderr)
    }
}

#[test]
fn the_first_signal_cancels_the_command_and_lets_it_clean_up() {
    for (name, expected) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut acting = Acting::start("wait");
        acting.until("ready");
        acting.signal(name);
        let (code, stdout, stderr) = acting.end();
        assert_eq!((code, stdout.as_str()), (Some(expected), "cleaning\ncleaned\n"), "{stderr}");
    }
}

#[test]
fn a_command_that_fails_cleans_up_too() {
    let mut acting = Acting::start("fail");
    acting.until("cleaning");
    let (code, stdout, stderr) = acting.end();
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(1), "cleaned\n", "error: odd\n"));
}

#[test]
fn the_second_signal_leaves_at_once() {
    let mut acting = Acting::start("wait and clean up for ever");
    acting.until("ready");
    acting.signal("INT");
    acting.until("cleaning");
    acting.signal("INT");
    let (code, stdout, _) = acting.end();
    assert_eq!((code, stdout.as_str()), (Some(130), ""));
}

#[test]
fn a_panic_is_70_and_tells_no_secret() {
    let (code, _, stderr) = Acting::start("panic").end();
    assert_eq!(code, Some(70));
    assert!(stderr.starts_with("error: this is a bug in pleiad "), "{stderr}");
    assert!(stderr.contains("cannot open s3://***@bucket (at tests/it/process.rs:"), "{stderr}");
    assert_eq!(stderr.lines().count(), 3, "{stderr}");

    let (code, _, stderr) = Acting::start("panic in a task").end();
    assert_eq!(code, Some(70));
    assert_eq!(stderr.matches("error:").count(), 1, "the echo of a panic is not told: {stderr}");
}

#[test]
fn a_reader_who_leaves_ends_the_command_quietly() {
    let mut acting = Acting::start("flood");
    acting.until("7");
    let Acting { child, words } = acting;
    drop(words);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_pipe_shows_no_bar_and_a_terminal_does() {
    let (code, stdout, stderr) = Acting::start("draw").end();
    assert_eq!((code, stderr.as_str()), (Some(0), "warning: half of it\n"));
    assert!(!stdout.contains("writing"), "{stdout}");

    // `script` of util-linux gives the process a terminal, and us what it draws there.
    let command = acting("draw");
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]).env_remove("CI").env_remove("NO_COLOR");
    let Ok(output) = script.env("TERM", "xterm").env(ACT, "draw").output() else {
        println!("skipped: no program 'script' to open a terminal with");
        return;
    };
    let drawn = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{drawn}");
    assert!(drawn.contains("writing people [============>            ] 4/8 rows"), "{drawn:?}");
    assert!(drawn.contains("warning:\u{1b}[0m half of it"), "{drawn:?}");
}
