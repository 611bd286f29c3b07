//! Processes that are killed, from outside or at a call of their own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use pleiad::cli::terminal::variable;
use pleiad::storage::{Location, StorageOptions, Stores};
use rstest::rstest;

use super::{create, list};
use crate::support::children::{self, HOOKS, Kill, Output};

const ACT: &str = "PLEIAD_TEST_WRITES_TO";

/// A writer of a few calls: three objects or files with a name each, then `done`, create-only.
#[tokio::test]
#[ignore = "the process that the tests below start"]
async fn act() {
    let Some(out) = variable(ACT) else { return };
    let stores = Stores::new(StorageOptions::default());
    let out = Location::parse(&out).unwrap();
    let store = stores.open(&out).unwrap();
    for name in ["1", "2", "3", "done"] {
        let at = out.join(name);
        match store.files() {
            Some(files) => assert!(files.create(at.local_path().unwrap(), b"whole").unwrap()),
            None => create(&stores, &at, "whole").await.unwrap(),
        }
    }
    if variable("PLEIAD_TEST_STAYS").is_some() {
        std::future::pending::<()>().await;
    }
}

fn acting(output: &Output) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "faults::children::act", "--ignored"]);
    output.lead(&mut command);
    command.env(ACT, &output.out);
    command
}

/// The names under OUT without the temporary ones, whose bytes must be whole.
fn whole(output: &Output) -> Vec<String> {
    let mut names = output.names();
    names.retain(|name| !name.contains('#'));
    for name in &names {
        assert_eq!(output.read(name).as_deref(), Some(&b"whole"[..]), "{name}");
    }
    names
}

#[rstest]
#[case::files(Output::files())]
#[case::s3(Output::s3())]
#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_killed_when_its_output_says_so(#[case] output: Output) {
    let mut command = acting(&output);
    command.env("PLEIAD_TEST_STAYS", "1");
    let is_done = || output.names().contains(&"done".to_owned());
    let ended = children::run(command, &Kill::When(&is_done));
    assert!(ended.is_killed(), "{ended:?}");
    assert_eq!(whole(&output), ["1", "2", "3", "done"]);
    let listed = list(&output.stores(), &output.location()).await.unwrap();
    // the kill may come between the name of the last file and the removal of its temporary one
    assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(whole(&output)));
    assert!(output.data().is_empty() && output.open_uploads() == 0);
    assert!(HOOKS || ended.calls.is_empty());
}

#[test]
fn a_child_is_killed_after_a_time() {
    let output = Output::files();
    let mut command = acting(&output);
    command.env("PLEIAD_TEST_STAYS", "1");
    let ended = children::run(command, &Kill::After(Duration::from_millis(100)));
    assert!(ended.is_killed(), "{ended:?}");
}

#[test]
fn the_program_itself_runs_as_a_child() {
    let output = Output::files();
    let ended = children::run(output.pleiad(&["--version"]), &Kill::Never);
    assert!(ended.status.success() && ended.stdout.starts_with("pleiad "), "{ended:?}");
    assert_eq!((ended.stderr.as_str(), output.names().len()), ("", 0));
}

#[rstest]
// a directory is made and synced in its parent; a file is made, written, linked, removed, synced
#[case::files(Output::files, 2 + 4 * 5)]
#[case::s3(Output::s3, 4)] // a put each
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
fn a_child_is_killed_at_each_of_its_calls(#[case] output: fn() -> Output, #[case] calls: u64) {
    let current = RefCell::new(output());
    let mut seen = BTreeSet::new();
    let start = || {
        *current.borrow_mut() = output();
        acting(&current.borrow())
    };
    let points = children::run_to_every_kill_point(start, |call, ended| {
        assert_eq!(ended.calls.len() as u64, call, "the log ends where the child did");
        let names = whole(&current.borrow());
        let expected = ["1", "2", "3", "done"];
        assert_eq!(names, expected[..names.len()], "in order");
        seen.insert(names.len());
    });
    assert_eq!(points, calls);
    assert_eq!(whole(&current.borrow()).len(), 4, "the last one lives");
    assert!(seen.contains(&0) && seen.contains(&3), "{seen:?}");
}
