//! The power fails. A run notes each change that it makes to files and names; then disks are made as the power
//! may leave them after each of the changes: what was not synced is there or not, in any order. Each such disk
//! holds a whole version, the one before or the new one, and can be written again; once the run has answered,
//! it holds the new one.
//!
//! The short form looks at every 9th change and at the last; `PLEIAD_TEST_EVERY=1` (in `just soak`) at each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pleiad::cli::terminal::variable;
use pleiad::error::Kind as ErrorKind;
use pleiad::event::Silent;
use pleiad::storage::{Location, StorageOptions, Stores};
use pleiad::table::{Source, SourceOptions, commit};
use rstest::rstest;

use crate::support::children::{self, Kill, Output};
use crate::support::seeded::Chance;
use crate::support::sql;

/// Disks that are made after a change: one without anything that was not synced, others by chance.
const DISKS: u64 = 3;

/// A change, as the program notes it.
#[derive(Debug)]
enum Change {
    Create(PathBuf, Bytes),
    MakeDir(PathBuf),
    Sync(PathBuf),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Where the bytes of a file are.
type Bytes = PathBuf;

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(Bytes),
    Dir,
}

type Names = BTreeMap<PathBuf, Node>;

/// The changes in the notes of a run.
fn noted(dir: &Path) -> Vec<Change> {
    let text = fs::read_to_string(dir.join("effects")).unwrap();
    let change = |(number, line): (usize, &str)| {
        let words: Vec<_> = line.split('\t').collect();
        let path = |at: usize| PathBuf::from(words[at]);
        match words[0] {
            "create" => Change::Create(path(1), dir.join(number.to_string())),
            "make-dir" => Change::MakeDir(path(1)),
            "sync" => Change::Sync(path(1)),
            "sync-dir" => Change::SyncDir(path(1)),
            "rename" => Change::Rename(path(1), path(2)),
            "link" => Change::Link(path(1), path(2)),
            "remove" => Change::Remove(path(1)),
            other => panic!("an unknown change '{other}'"),
        }
    };
    (1..).zip(text.lines()).map(change).collect()
}

/// All that is under a directory, itself included.
fn names_under(dir: &Path, bytes: &Path) -> Names {
    let mut names = Names::from([(dir.to_owned(), Node::Dir)]);
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
                names.insert(path, Node::Dir);
            } else {
                let copy = bytes.join(format!("before-{}", names.len()));
                fs::copy(&path, &copy).unwrap();
                names.insert(path, Node::File(copy));
            }
        }
    }
    names
}

/// A change of names, and whether it is on the disk.
struct Pending {
    /// Removed from here.
    from: Option<(PathBuf, Node)>,
    /// Put here.
    to: Option<(PathBuf, Node)>,
    is_synced: bool,
}

impl Pending {
    fn is_in(&self, dir: &Path) -> bool {
        let is_there = |end: &Option<(PathBuf, Node)>| {
            end.as_ref().is_some_and(|(path, _)| path.parent() == Some(dir))
        };
        is_there(&self.from) || is_there(&self.to)
    }
}

/// The names on the disk, and which of its files have their bytes.
struct Disk {
    names: Names,
    whole: BTreeSet<Bytes>,
}

/// A disk on which the power fails after `changes` to what it held `before`. Of what is not synced it has what
/// `keeps` says.
fn disk(before: &Names, changes: &[Change], mut keeps: impl FnMut() -> bool) -> Disk {
    let mut live = before.clone();
    let mut pending: Vec<Pending> = Vec::new();
    let old = before.values().filter_map(|node| match node {
        Node::File(bytes) => Some(bytes.clone()),
        Node::Dir => None,
    });
    let mut whole: BTreeSet<Bytes> = old.collect();
    let mut created = BTreeSet::new();
    for change in changes {
        let (from, to) = match change {
            Change::Create(path, bytes) => {
                created.insert(bytes.clone());
                (None, Some((path.clone(), Node::File(bytes.clone()))))
            }
            Change::MakeDir(path) => (None, Some((path.clone(), Node::Dir))),
            Change::Link(from, to) => (None, live.get(from).map(|node| (to.clone(), node.clone()))),
            Change::Rename(from, to) => {
                let Some(node) = live.remove(from) else { continue };
                (Some((from.clone(), node.clone())), Some((to.clone(), node)))
            }
            Change::Remove(path) => {
                let Some(node) = live.remove(path) else { continue };
                (Some((path.clone(), node)), None)
            }
            Change::Sync(path) => {
                if let Some(Node::File(bytes)) = live.get(path) {
                    whole.insert(bytes.clone());
                }
                continue;
            }
            Change::SyncDir(dir) => {
                let here = pending.iter_mut().filter(|change| change.is_in(dir));
                here.for_each(|change| change.is_synced = true);
                continue;
            }
        };
        if let Some((path, node)) = &to {
            live.insert(path.clone(), node.clone());
        }
        pending.push(Pending { from, to, is_synced: false });
    }
    let mut names = before.clone();
    for Pending { from, to, is_synced } in pending {
        if !is_synced && !keeps() {
            continue;
        }
        if let Some((path, node)) = from
            && names.get(&path) == Some(&node)
        {
            names.remove(&path);
        }
        names.extend(to);
    }
    whole.extend(created.into_iter().filter(|_| keeps()));
    Disk { names, whole }
}

impl Disk {
    /// Makes it in `to`, where `root` was before. What is in a directory that is not there is not there.
    fn make(&self, root: &Path, to: &Path) {
        // A directory sorts before what is in it.
        for (path, node) in &self.names {
            let Ok(inside) = path.strip_prefix(root) else { continue };
            let made = to.join(inside);
            if !made.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Dir => drop(fs::create_dir(&made)),
                Node::File(bytes) if self.whole.contains(bytes) => {
                    fs::copy(bytes, &made).unwrap();
                }
                Node::File(_) => fs::write(&made, "").unwrap(),
            }
        }
    }
}

/// The rows of the current version, of which every byte is as it was published; `None` if there is none.
async fn rows(stores: &std::sync::Arc<Stores>, out: &Location) -> Option<u64> {
    match Source::open(stores, &out.to_string(), &SourceOptions::default()).await {
        Ok(source) => {
            let manifest = source.manifest.expect("a dataset");
            let checkup = commit::check(stores, out, true, &Silent).await.unwrap();
            assert_eq!(checkup.damages(), 0, "{checkup:?}");
            Some(manifest.rows())
        }
        Err(error) => {
            let expected = [ErrorKind::InputMissing, ErrorKind::Data];
            assert!(expected.contains(&error.kind()), "{error}");
            None
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    before: Option<&'static str>,
    line: &'static str,
    /// Rows of the version before, and of the new one.
    rows: (Option<u64>, u64),
}

const OLD: Option<&str> = Some("generate people OUT --rows 200 --threads 1");

#[rstest]
#[case::the_first(Job { before: None, line: "generate people OUT --rows 300", rows: (None, 900) })]
#[case::an_overwrite(Job {
    before: OLD,
    line: "generate people OUT --rows 300 --mode overwrite",
    rows: (Some(600), 900),
})]
#[case::an_overwrite_that_keeps_nothing(Job {
    before: OLD,
    line: "generate people OUT --rows 300 --mode overwrite --keep-old 0",
    rows: (Some(600), 900),
})]
#[case::an_append(Job {
    before: OLD,
    line: "generate people OUT --rows 300 --mode append",
    rows: (Some(600), 1500),
})]
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
async fn a_run_killed_by_a_power_cut_leaves_a_whole_version(#[case] job: Job) {
    let every: usize = variable("PLEIAD_TEST_EVERY").map_or(9, |every| every.parse().unwrap());
    let output = Output::files();
    let words = |line: &str| -> Vec<String> {
        let line = format!("{} --threads 2", line.replace("OUT", &output.out));
        line.split(' ').map(str::to_owned).collect()
    };
    let run = |line: &str, notes: Option<&Path>| {
        let words = words(line);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut command = output.pleiad(&words);
        command.envs(notes.map(|notes| ("PLEIAD_TEST_EFFECTS", notes)));
        let ended = children::run(command, &Kill::Never);
        assert!(ended.status.success(), "{ended:?}");
    };
    let root = output.folder().parent().unwrap().to_owned();
    if let Some(before) = job.before {
        run(before.trim_end_matches(" --threads 1"), None);
    }
    // On the same disk, for the second names of files.
    let notes = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    let before = names_under(&root, notes.path());
    run(job.line, Some(notes.path()));
    let changes = noted(notes.path());
    let mut seen = BTreeMap::new();
    for after in (0..changes.len()).rev().step_by(every).map(|last| last + 1) {
        for seed in 0..DISKS {
            let mut chance = Chance::of(seed ^ (after as u64) << 8);
            let percent = [0., 50., 90.][usize::try_from(seed).unwrap()];
            let disk = disk(&before, &changes[..after], || chance.hits(percent));
            let made = tempfile::tempdir().unwrap();
            disk.make(&root, made.path());
            let out = made.path().join("out").to_str().unwrap().to_owned();
            let (stores, out) =
                (Stores::new(StorageOptions::default()), Location::parse(&out).unwrap());
            let shown = format!("after {after} of {} changes, seed {seed}", changes.len());
            let recovered = commit::recover(&stores, &out, commit::Settle::Nothing).await;
            recovered.unwrap_or_else(|error| panic!("{shown}: {error}"));
            let found = rows(&stores, &out).await;
            let is_new = found == Some(job.rows.1);
            assert!(is_new || found == job.rows.0, "{shown}: {found:?} rows");
            assert!(is_new || after < changes.len(), "{shown}: what was answered is there");
            *seen.entry(is_new).or_insert(0) += 1;
            let again = format!("COPY (SELECT 1 AS id) TO '{out}' OPTIONS ('mode' 'overwrite')");
            let again = sql::run(&sql::script(&stores, "again"), &again).await;
            again.unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(rows(&stores, &out).await, Some(1), "{shown}");
        }
    }
    println!("{} changes: {seen:?} of the disks hold the new version", changes.len());
    assert!(seen.len() == 2, "{seen:?}");
}
