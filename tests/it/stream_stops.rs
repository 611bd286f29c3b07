//! A signal while a standing query runs: the batch that it is at is finished and published, a second signal
//! ends the program at once.
//!
//! The batch is larger than a pipe holds, and no one reads the pipe until the signal has been sent: so the
//! program is in the middle of it then.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Rows of the batch, each of a thousand bytes: some times what a pipe holds.
const ROWS: usize = 1000;

/// A script that shows all rows of a file as one batch, as a process that has begun to do so.
struct Running {
    process: Child,
    /// Its first line has been read.
    stdout: BufReader<std::process::ChildStdout>,
    stderr: BufReader<std::process::ChildStderr>,
}

fn start(folder: &Path, then: &str, more: &[&str]) -> Running {
    let lines: String = (0..ROWS).map(|i| format!("{{\"i\": {i}}}\n")).collect();
    let input = folder.join("in");
    std::fs::create_dir(&input).unwrap();
    std::fs::write(input.join("a.json"), lines).unwrap();
    let script = folder.join("x.sql");
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '{}';
         CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout';
         INSERT INTO console SELECT i, repeat('x', 1000) AS x FROM s; {then}",
        input.display()
    );
    std::fs::write(&script, text).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
    command.arg("run").arg(&script).args(more);
    command.env("XDG_CONFIG_HOME", "/nonexistent").current_dir(folder);
    let mut process =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
    let stderr = BufReader::new(process.stderr.take().expect("a pipe"));
    let mut running = Running { process, stdout, stderr };
    let mut line = String::new();
    running.stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "i,x\n");
    running
}

impl Running {
    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits until it says something that holds `what`.
    fn says(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).expect("a line") > 0, "it says '{what}'");
        }
    }

    /// Reads all that it still writes, and waits for its end: the exit code and the lines.
    fn end(mut self) -> (Option<i32>, usize) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        (self.process.wait().expect("its end").code(), rest.lines().count())
    }
}

#[test]
fn a_signal_ends_a_query_behind_its_batch() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(folder.path(), "", &[]);
        running.signal(signal);
        running.says("cleaning up; press Ctrl-C to leave at once");
        assert_eq!(running.end(), (Some(code), ROWS));
    }
}

/// Whoever stops a query and does not wait for its end leaves it to it.
#[test]
fn a_signal_while_a_query_is_stopped_ends_it_behind_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), "CALL wait('1 second'); CALL stop(console)", &[]);
    std::thread::park_timeout(std::time::Duration::from_millis(1_500)); // it waits for the end of the batch
    running.signal("INT");
    running.says("cleaning up; press Ctrl-C to leave at once");
    assert_eq!(running.end(), (Some(130), ROWS));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), "", &[]);
    running.signal("INT");
    running.says("cleaning up; press Ctrl-C to leave at once");
    running.signal("INT");
    assert_eq!(running.process.wait().expect("its end").code(), Some(130));
    let (_, lines) = running.end();
    assert!(lines < ROWS, "{lines} lines");
}

#[test]
fn a_limit_of_time_ends_a_query_whose_source_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let running =
        start(folder.path(), "CALL wait(drained => true)", &["--run-for", "1 millisecond"]);
    assert_eq!(running.end(), (Some(0), ROWS));
}
