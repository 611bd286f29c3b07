//! The real program as a child process that dies: where it writes, when it is killed, and what
//! others see of its output then.
//!
//! [`Kill::AtCall`] needs a program built with the feature `test-hooks` ([`HOOKS`]):
//! `cargo test --features test-hooks killed`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pleiad::storage::{Environment, Location, StorageOptions, Stores};

use super::s3::{self, Served, TestS3};

/// Whether this build has kill points.
pub(crate) const HOOKS: bool = cfg!(feature = "test-hooks");

/// A place for a child to write to, gone when dropped.
pub(crate) struct Output {
    /// The argument OUT.
    pub(crate) out: String,
    /// The directory behind it.
    dir: PathBuf,
    variables: Vec<(String, String)>,
    held: Held,
}

enum Held {
    Files(#[expect(dead_code, reason = "held until the end")] tempfile::TempDir),
    S3(#[expect(dead_code, reason = "held until the end")] Served, TestS3),
}

impl Output {
    /// A directory that is not there yet.
    pub(crate) fn files() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("out");
        let variables = s3::variables("http://127.0.0.1:9"); // keys of nowhere: files need none
        let out = dir.to_str().unwrap().to_owned();
        Self { out, dir, variables, held: Held::Files(temporary) }
    }

    /// A prefix of a bucket of an S3 server on a port.
    pub(crate) fn s3() -> Self {
        let server = TestS3::new(&["bucket"]);
        let served = server.serve();
        let (dir, variables) = (server.bucket("bucket").join("out"), served.variables());
        let out = "s3://bucket/out".to_owned();
        Self { out, dir, variables, held: Held::S3(served, server) }
    }

    /// The real program, with nothing but this output's variables in its environment.
    pub(crate) fn pleiad(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
        command.args(arguments);
        self.lead(&mut command);
        command
    }

    /// Gives `command` the variables that lead to this output, and no others but PATH and TMPDIR.
    pub(crate) fn lead(&self, command: &mut Command) {
        command.env_clear().envs(self.variables.clone());
        for name in ["PATH", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
    }

    /// Stores that reach this output from here, for our own readers.
    pub(crate) fn stores(&self) -> Arc<Stores> {
        let environment = Environment::of(self.variables.clone());
        Stores::new(StorageOptions::default().with_environment(environment))
    }

    /// OUT as a location.
    pub(crate) fn location(&self) -> Location {
        Location::parse(&self.out).unwrap()
    }

    /// The directory behind OUT.
    pub(crate) fn folder(&self) -> &Path {
        &self.dir
    }

    /// The names under OUT, sorted: of files, or of objects as any listing shows them. They are read
    /// from the disk, since a child may be at work.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut open = vec![self.dir.clone()];
        while let Some(path) = open.pop() {
            if let Ok(entries) = fs::read_dir(&path) {
                open.extend(entries.flatten().map(|entry| entry.path()));
            } else if path.is_file() {
                let name = path.strip_prefix(&self.dir).unwrap();
                names.push(name.to_str().unwrap().to_owned());
            }
        }
        names.sort_unstable();
        names
    }

    /// What a reader that only lists takes for data: names of Parquet files in directories that do
    /// not begin with `_` or a dot.
    pub(crate) fn data(&self) -> Vec<String> {
        let hidden = |segment: &str| segment.starts_with(['_', '.']);
        let is_data = |name: &String| name.ends_with(".parquet") && !name.split('/').any(hidden);
        self.names().into_iter().filter(is_data).collect()
    }

    /// The bytes of a name.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.join(name)).ok()
    }

    /// How many uploads are open on the server; files have none.
    pub(crate) fn open_uploads(&self) -> usize {
        match &self.held {
            Held::Files(_) => 0,
            Held::S3(_, server) => server.open_uploads(),
        }
    }
}

/// When a child is killed with SIGKILL, if it has not ended by then.
pub(crate) enum Kill<'a> {
    /// Not at all.
    Never,
    /// At its k-th call of a store or a local file, counted from 1, by itself. Needs [`HOOKS`].
    AtCall(u64),
    /// So long after its start.
    After(Duration),
    /// As soon as this is true; it is asked every millisecond.
    When(&'a dyn Fn() -> bool),
}

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The source lines of its calls, with [`HOOKS`].
    pub(crate) calls: Vec<String>,
}

impl Ended {
    /// It ended by a signal: it was killed, or killed itself.
    pub(crate) fn is_killed(&self) -> bool {
        self.status.code().is_none()
    }
}

/// Runs a child to its end, or to its death.
pub(crate) fn run(mut command: Command, kill: &Kill) -> Ended {
    let log = tempfile::NamedTempFile::new().unwrap();
    command.env("PLEIAD_TEST_CALLS", log.path());
    if let Kill::AtCall(call) = kill {
        if !HOOKS {
            panic!("kill points need --features test-hooks");
        }
        command.env("PLEIAD_TEST_CRASH_AT", call.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = reader(child.stdout.take().unwrap());
    let stderr = reader(child.stderr.take().unwrap());
    let status = wait(&mut child, kill);
    let calls = fs::read_to_string(log.path()).unwrap();
    Ended {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        calls: calls.lines().map(str::to_owned).collect(),
    }
}

/// Runs `command` anew for each of its kill points, first to last, until it lives to its end.
/// `check` sees each death. The answer is the number of points.
pub(crate) fn run_to_every_kill_point(
    mut command: impl FnMut() -> Command,
    mut check: impl FnMut(u64, &Ended),
) -> u64 {
    for call in 1.. {
        let ended = run(command(), &Kill::AtCall(call));
        if !ended.is_killed() {
            assert!(ended.status.success(), "call {call}: {ended:?}");
            return call - 1;
        }
        check(call, &ended);
    }
    unreachable!("a child makes a finite number of calls")
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[expect(clippy::disallowed_methods, reason = "a process that is watched from outside")]
fn wait(child: &mut Child, kill: &Kill) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        let is_time = match kill {
            Kill::Never | Kill::AtCall(_) => started.elapsed() > Duration::from_secs(300),
            Kill::After(time) => started.elapsed() >= *time,
            Kill::When(ready) => ready(),
        };
        if is_time {
            child.kill().unwrap();
            return child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
