//! Stores that answer badly, and files that were changed: the same bytes in the end, or an error
//! that says which file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use pleiad::cli::terminal::variable;
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::{Begin, Manifest, Run, RunOptions, TableSpec, commit};
use rstest::rstest;

use crate::support::children::{self, Kill, Output};
use crate::support::endpoint::{Endpoint, endpoints};
use crate::support::fault_http::Fault;
use crate::support::scratch::session;
use crate::support::seeded::CreateOnly;

/// One stream, so that the files of two runs are the same.
async fn write(stores: &Arc<Stores>, out: &Location) -> pleiad::error::Result<Manifest> {
    staged(stores, out).await?.commit(BTreeMap::new()).await
}

/// A run that has written its rows.
async fn staged(stores: &Arc<Stores>, out: &Location) -> pleiad::error::Result<Box<Run>> {
    let session = session(stores, 1, 8192);
    let Begin::Run(run) = Run::begin(stores, out, RunOptions::default()).await? else { panic!() };
    let sql = "SELECT value AS id, CAST(value % 5 AS INT) AS k FROM generate_series(1, 5000)";
    let plan = session.sql(sql).await?.into_optimized_plan()?;
    let spec = TableSpec { name: "t".into(), keys: vec!["k".into()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await?;
    Ok(run)
}

/// The requests that were sent again, by the report of the run.
async fn retries(stores: &Arc<Stores>, out: &Location, manifest: &Manifest) -> u64 {
    let report = out.join(&format!("_runs/{}/report.json", manifest.run));
    let got = stores.open(out).unwrap().objects().get(report.path()).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&got.bytes().await.unwrap()).unwrap();
    report["retries"].as_u64().unwrap()
}

/// What the files of a version hold, whatever their names.
fn contents(manifest: &Manifest) -> BTreeSet<(Vec<String>, u64, String)> {
    let files = manifest.files.iter();
    files.map(|file| (file.partition.clone(), file.rows, file.sha256.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_trouble_publishes_the_same_bytes() {
    let endpoint = Endpoint::in_process();
    let out = |name: &str| endpoint.base.join(name);
    let calm = write(&endpoint.stores(), &out("calm")).await.unwrap();
    assert_eq!(retries(&endpoint.stores(), &out("calm"), &calm).await, 0);
    let expected = contents(&calm);
    for seed in 0..10 {
        let faults = endpoint
            .faults()
            .seed(seed)
            .rate(20., Fault::Status(503, "SlowDown"))
            .rate(1., Fault::LostBefore)
            .rate(1., Fault::ServerErrorAfter);
        let stores = endpoint.stores_through(&faults);
        let at = out(&format!("troubled-{seed}"));
        let manifest = write(&stores, &at).await.unwrap();
        assert_eq!(contents(&manifest), expected, "seed {seed}");
        // A put may be sent again after the report was written.
        let faults = faults.calls().iter().filter(|call| call.fault.is_some()).count() as u64;
        let told = retries(&endpoint.stores(), &at, &manifest).await;
        assert!(told > 0 && told <= faults, "seed {seed}: {told} of {faults}");
        let checkup = commit::check(&endpoint.stores(), &at, true, &Silent).await.unwrap();
        assert_eq!(checkup.damages(), 0, "seed {seed}: {checkup:?}");
    }
}

/// The suite of one dataset's life, on every server there is, in each way a server can treat
/// create-only puts.
#[rstest]
#[case::as_it_is(None)]
#[case::ignored(Some(CreateOnly::Ignored))]
#[case::refused(Some(CreateOnly::Refused))]
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_lives_on_every_server(#[case] create_only: Option<CreateOnly>) {
    for endpoint in endpoints() {
        let stores = match create_only {
            None => endpoint.stores(),
            Some(mode) => {
                let secret = &endpoint.secret;
                endpoint.stores_through(&endpoint.faults().create_only(mode, secret))
            }
        };
        let at = endpoint.base.join("life");
        let manifest = write(&stores, &at).await.unwrap();
        assert_eq!((manifest.version, manifest.rows()), (1, 5000), "{}", endpoint.name);
        let second = write(&stores, &at).await.unwrap_err();
        assert_eq!(second.kind(), pleiad::error::Kind::OutputExists, "{}", endpoint.name);
        let options = RunOptions { mode: pleiad::table::Mode::Append, ..RunOptions::default() };
        let Begin::Run(run) = Run::begin(&stores, &at, options).await.unwrap() else { panic!() };
        let appended = run.commit(BTreeMap::new()).await.unwrap();
        assert_eq!((appended.version, appended.rows()), (2, 5000), "{}", endpoint.name);
        commit::recover(&stores, &at, commit::Settle::Nothing).await.unwrap();
        commit::gc(&stores, &at, false, None).await.unwrap();
        let checkup = commit::check(&stores, &at, true, &Silent).await.unwrap();
        assert_eq!(checkup.damages(), 0, "{}: {checkup:?}", endpoint.name);
        let says = |text: &str| checkup.findings.iter().any(|finding| finding.what.contains(text));
        let needs_claims =
            create_only.is_some() || endpoint.create_only().await != CreateOnly::Enforced;
        assert_eq!(says("claims"), needs_claims, "{}: {checkup:?}", endpoint.name);
    }
}

/// Every byte of a file, turned one at a time: `check --verify` finds it and names the file.
#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let out = Location::parse(dir.path().to_str().unwrap()).unwrap().join("out");
    let stores = Stores::new(pleiad::storage::StorageOptions::default());
    let manifest = write(&stores, &out).await.unwrap();
    let file = &manifest.files[0];
    let path = out.join(&file.path).local_path().unwrap().to_owned();
    let whole = std::fs::read(&path).unwrap();
    let step = if variable("PLEIAD_TEST_EVERY").is_some() { 1 } else { 61 };
    for at in (0..whole.len()).step_by(step) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        let checkup = commit::check(&stores, &out, true, &Silent).await.unwrap();
        assert_eq!(checkup.damages(), 1, "byte {at}");
        assert!(checkup.findings.iter().any(|f| f.is_damage && f.what.contains(&file.path)));
    }
    for cut in (0..whole.len()).step_by(step * 5) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let checkup = commit::check(&stores, &out, false, &Silent).await.unwrap();
        assert_eq!(checkup.damages(), 1, "cut at {cut}");
    }
}

/// What a user types, and what they are told.
#[test]
fn check_says_what_is_there_and_what_to_do() {
    let output = Output::files();
    let tell = |line: &str| {
        let words: Vec<&str> = line.split(' ').chain([output.out.as_str()]).collect();
        let ended = children::run(output.pleiad(&words), &Kill::Never);
        (ended.status.code().unwrap(), ended.stdout + &ended.stderr)
    };
    assert_eq!(tell("check").0, 66);
    assert_eq!(tell("generate people --rows 100").0, 0);
    let (code, said) = tell("check --verify");
    assert!(
        code == 0 && said.contains("version 1 of") && said.contains("are as they were written"),
        "{said}"
    );
    let file = output.data().remove(0);
    std::fs::write(std::path::Path::new(&output.out).join(&file), b"short").unwrap();
    let (code, said) = tell("check --json");
    assert!(code == 65 && said.contains(&file) && said.contains("5 bytes, expected"), "{said}");
    assert_eq!(tell("generate people --rows 100 --mode overwrite").0, 0);
    assert_eq!(tell("check").0, 0);
    std::fs::write(std::path::Path::new(&output.out).join("properties"), "rows=1\n").unwrap();
    let (code, said) = tell("check --verify");
    assert!(code == 0 && said.contains("'properties' differs from what version 2 says"), "{said}");
    std::fs::remove_file(std::path::Path::new(&output.out).join("_SUCCESS")).unwrap();
    assert!(tell("check").1.contains("pleiad recover"));
    assert!(tell("recover").1.contains("version 2"));
    assert!(output.names().contains(&"_SUCCESS".to_owned()));
    assert!(!tell("check --verify").1.contains("differs from what version"));
    assert!(tell("gc --dry-run").1.contains("nothing to remove"));
    // What a writer leaves that dies between a small file and its name.
    let left = format!("_manifest/00000003.json#{}", uuid::Uuid::now_v7().as_u128());
    std::fs::write(std::path::Path::new(&output.out).join(&left), b"{").unwrap();
    let (code, said) = tell("check");
    assert!(code == 0 && said.contains("was left by a writer that died"), "{said}");
    assert!(tell("gc --dry-run").1.contains(&format!("would remove '{left}'")));
    assert!(output.names().contains(&left));
    assert!(tell("gc").1.contains(&format!("removed '{left}'")));
    assert!(!output.names().contains(&left));
    assert!(tell("unlock").1.contains("is not claimed"));
}

/// A small file system of memory, where the user may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &options, "none", dir.path().to_str().unwrap()];
        let mounted = std::process::Command::new("mount").args(arguments).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(dir));
        }
        println!("skipped: this user cannot mount a file system");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0.path()).output());
    }
}

#[test]
fn a_full_disk_is_74_and_leaves_nothing() {
    let Some(disk) = SmallDisk::new("1m") else { return };
    let output = Output::files();
    let out = disk.0.path().join("out");
    let line = ["generate", "people", out.to_str().unwrap(), "--rows", "200000"];
    let ended = children::run(output.pleiad(&line), &Kill::Never);
    assert_eq!(ended.status.code(), Some(74), "{ended:?}");
    assert!(ended.stderr.contains("No space left"), "{}", ended.stderr);
    assert!(!out.exists(), "what was staged is removed");
}

/// Another program takes all but so much of the disk between the last row and the decision.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_the_decision_leaves_a_whole_version_or_nothing() {
    let Some(disk) = SmallDisk::new("8m") else { return };
    let stores = Stores::new(pleiad::storage::StorageOptions::default());
    let (mut published, mut undone) = (0, 0);
    for free_kib in (0..=240).step_by(8) {
        let folder = disk.0.path().join(format!("out-{free_kib}"));
        let out = Location::parse(folder.to_str().unwrap()).unwrap();
        let run = staged(&stores, &out).await.unwrap();
        let others = disk.0.path().join("others");
        let mut file = std::fs::File::create(&others).unwrap();
        std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        file.set_len(file.metadata().unwrap().len() - (free_kib << 10)).unwrap();
        match run.commit(BTreeMap::new()).await {
            Ok(manifest) => {
                published += 1;
                assert_eq!(manifest.rows(), 5000);
                assert!(folder.join("_SUCCESS").exists(), "{free_kib} KiB");
                let checkup = commit::check(&stores, &out, true, &Silent).await.unwrap();
                assert_eq!(checkup.damages(), 0, "{free_kib} KiB: {checkup:?}");
            }
            Err(error) => {
                undone += 1;
                assert_eq!(error.kind(), pleiad::error::Kind::Io, "{free_kib} KiB: {error}");
                assert!(error.to_string().contains("No space left"), "{error}");
                crate::commands::until("the end of the run", || !folder.exists());
            }
        }
        std::fs::remove_file(others).unwrap();
        crate::commands::until("the room of the run is free again", || {
            std::fs::remove_dir_all(&folder).ok(); // the run may have removed it
            !folder.exists()
        });
    }
    assert!(published > 5 && undone > 5, "{published} published, {undone} undone");
}

/// `ulimit -f`: the system has a signal for it that ends a process which does not listen.
#[test]
fn a_file_larger_than_allowed_is_74_and_leaves_nothing() {
    let output = Output::files();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -f 64 && exec \"$@\"", "sh"]);
    command.arg(assert_cmd::cargo::cargo_bin!("pleiad"));
    command.args(["generate", "people", &output.out, "--rows", "60000"]);
    output.lead(&mut command);
    let ended = children::run(command, &Kill::Never);
    assert_eq!(ended.status.code(), Some(74), "{ended:?}");
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
    assert!(output.names().is_empty(), "{:?}", output.names());
}

/// A process that may open 64 files writes to hundreds at once, and reads them.
#[test]
fn sixty_four_open_files_are_enough() {
    let output = Output::files();
    let at = |name: &str| format!("{}/{name}", output.out);
    for line in [
        format!("generate people {} --rows 3000", at("people")),
        format!("generate sky {} --rows 6000", at("sky")),
        format!("kmeans {} {} --columns age,weight --k 3 --starts 1", at("people"), at("model")),
        format!("partition {} {} --bounds sky --grid 16x10", at("sky"), at("blocks")),
        format!("check {} --verify", at("blocks")),
    ] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"]);
        command.arg(assert_cmd::cargo::cargo_bin!("pleiad")).args(line.split(' '));
        output.lead(&mut command);
        let ended = children::run(command, &Kill::Never);
        assert!(ended.status.success(), "{line}: {}", ended.stderr);
    }
}

/// A link inside a dataset could lead what is written, or removed, anywhere.
#[test]
fn a_symbolic_link_inside_a_dataset_is_refused() {
    let output = Output::files();
    let elsewhere = tempfile::tempdir().unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let run = |line: &str| {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        children::run(output.pleiad(&words), &Kill::Never)
    };
    let generate = format!("generate people {} --rows 90", output.out);
    assert!(run(&generate).status.success());
    let table = std::path::Path::new(&output.out).join("table1");
    let moved = elsewhere.path().join("table1");
    std::fs::rename(&table, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &table).unwrap();
    let before = std::fs::read_dir(moved.join("id_pref=0")).unwrap().count();
    let ended = run(&format!("{generate} --mode overwrite"));
    assert_eq!(ended.status.code(), Some(65), "{ended:?}");
    assert!(ended.stderr.contains("is a symbolic link inside a dataset"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(moved.join("id_pref=0")).unwrap().count(), before);
}
