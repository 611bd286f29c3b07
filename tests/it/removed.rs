//! Objects that someone removes, in every state that a killed run leaves: whatever is gone, the output can
//! be read and written again, by the next writer or by the one command that `check` names.
//!
//! The short form tries every third removal of every third point; `PLEIAD_TEST_EVERY=1` (in `just soak`) each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::commit::{self, Checkup, Settle};
use pleiad::table::{
    Begin, Manifest, Mode, Run, RunOptions, Source, SourceOptions, TableSpec, current_manifest,
};
use rstest::rstest;

use crate::support::fault_store::Bucket;
use crate::support::faults::Fault;
use crate::support::scratch::{On, Scratch, session};
use crate::support::seeded::{CreateOnly, Moment};
use crate::support::simulation::simulate;
use crate::table::stopped_after;

/// Writes `rows` rows under two keys, so that two files get their names one after the other.
async fn write(stores: Arc<Stores>, out: &Location, mode: Mode, rows: u64) -> Result<Manifest> {
    let session = session(&stores, 1, 8192);
    let options = RunOptions { mode, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(&stores, out, options).await? else { panic!("mode ignore") };
    let sql = format!("SELECT value AS id, value % 2 AS k FROM generate_series(1, {rows})");
    let plan = session.sql(&sql).await?.into_optimized_plan()?;
    let spec = TableSpec { keys: vec!["k".to_owned()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await?;
    run.commit(BTreeMap::new()).await
}

/// The same by a process of its own that is killed after so many polls: nothing that it began goes on
/// when this returns. Says whether it had ended before.
async fn is_ended_or_killed(
    polls: usize,
    stores: Arc<Stores>,
    out: Location,
    mode: Mode,
    rows: u64,
) -> bool {
    let process = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let work = async move { write(stores, &out, mode, rows).await };
        runtime.block_on(stopped_after(polls, Box::pin(work))).is_some()
    };
    tokio::task::spawn_blocking(process).await.unwrap()
}

/// Reads every row of the current version.
async fn read(stores: &Arc<Stores>, out: &Location) -> Result<u64> {
    let source = Source::open(stores, &out.to_string(), &SourceOptions::default()).await?;
    let session = session(stores, 1, 8192);
    session.register_table("t", source.tables[0].provider())?;
    let rows = session.sql("SELECT id FROM t").await?.collect().await?;
    Ok(rows.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// The paths below the output, sorted.
async fn paths(stores: &Arc<Stores>, out: &Location) -> Vec<String> {
    use futures::TryStreamExt;
    let store = stores.open(out).unwrap();
    let listed: Vec<_> =
        store.objects().list(Some(out.path())).try_collect().await.unwrap_or_default();
    let prefix = format!("{}/", out.path());
    let path = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
    let mut paths: Vec<_> = listed.iter().filter_map(|meta| path(meta.location.as_ref())).collect();
    paths.sort();
    paths
}

/// A path without what differs from run to run.
fn kind_of(path: &str) -> String {
    let is_id = |part: &str| part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = path.split(['/', '-', '.']);
    let parts = parts.filter(|part| !is_id(part) && part.len() != 8 || part.starts_with("00000"));
    parts.collect::<Vec<_>>().join("/")
}

/// Removes an object, or ends the upload that a journal entry is about.
async fn remove(stores: &Arc<Stores>, out: &Location, path: &str, ends_upload: bool) {
    let store = stores.open(out).unwrap();
    let at = out.join(path);
    if !ends_upload {
        store.objects().delete(at.path()).await.unwrap();
        return;
    }
    let entry = store.objects().get(at.path()).await.unwrap().bytes().await.unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
    let (path, id) = (entry["path"].as_str().unwrap(), entry["id"].as_str().unwrap());
    // It may be completed, or gone already.
    drop(store.uploads().unwrap().abort_multipart(out.join(path).path(), &id.to_owned()).await);
}

async fn check(stores: &Arc<Stores>, out: &Location) -> Checkup {
    commit::check(stores, out, true, &Silent).await.unwrap()
}

/// What was removed of which state.
struct Case {
    mode: Mode,
    removed: String,
    create_only: bool,
    /// No time passes after the death of a run on an object store.
    goes_on: bool,
}

impl Case {
    /// The output is put right from here on, as its users would.
    async fn is_left(&self, stores: &Arc<Stores>, out: &Location, data: &[u64]) {
        let what = format!("{:?} without '{}'", self.mode, self.removed);
        match read(stores, out).await {
            Ok(rows) => assert!(data.contains(&rows), "{what}: {rows} rows"),
            Err(error) => {
                let expected = [Kind::Data, Kind::InputMissing];
                assert!(expected.contains(&error.kind()), "{what}: {error}");
            }
        }
        let before = commit::check(stores, out, true, &Silent).await.ok();
        if !self.create_only {
            commit::unlock(stores, out).await.unwrap();
        }
        // Of two users one knows the command, the other just goes on.
        if let Some(before) = &before {
            self.is_mended(stores, out, before).await;
        }
        let appended = write(Arc::clone(stores), out, Mode::Append, 4).await;
        let manifest = appended.unwrap_or_else(|error| panic!("{what}: {error}"));
        if check(stores, out).await.damages() > 0 {
            // A data file of a version is gone: no command brings it back.
            assert!(self.removed.ends_with(".parquet"), "{what}: {:?}", check(stores, out).await);
            write(Arc::clone(stores), out, Mode::Overwrite, 4).await.unwrap();
        } else {
            assert!(data.contains(&(manifest.rows() - 4)), "{what}: {} rows", manifest.rows());
        }
        let manifest = current_manifest(stores, out).await.unwrap();
        assert_eq!(read(stores, out).await.unwrap(), manifest.rows(), "{what}");
        commit::gc(stores, out, false, None).await.unwrap();
        let listed = paths(stores, out).await;
        let visible: BTreeSet<_> =
            listed.iter().filter(|path| path.ends_with(".parquet")).cloned().collect();
        let named: BTreeSet<_> = manifest.files.iter().map(|file| file.path.clone()).collect();
        // A run that lost its decision a moment ago may live, where no lock says that it does not.
        let may_live = self.removed.ends_with("/prepared.json") && self.goes_on;
        assert!(visible.is_superset(&named), "{what}: {visible:?}");
        assert!(visible == named || may_live, "{what}: who lists sees the version: {visible:?}");
        assert!(listed.contains(&"_SUCCESS".to_owned()), "{what}");
        assert_eq!(check(stores, out).await.damages(), 0, "{what}");
    }

    /// What is damaged has a command, which mends it; but for a data file that is gone.
    async fn is_mended(&self, stores: &Arc<Stores>, out: &Location, found: &Checkup) {
        if found.damages() == 0 || self.removed.ends_with(".parquet") {
            return;
        }
        let what = format!("{:?} without '{}': {found:?}", self.mode, self.removed);
        let remedies = found.findings.iter().filter_map(|finding| finding.remedy.as_ref());
        let remedy = remedies.into_iter().find(|remedy| remedy.starts_with("pleiad recover "));
        let remedy = remedy.unwrap_or_else(|| panic!("{what}"));
        let run = remedy.split_once(" --revoke ").map(|(_, run)| run);
        let settle = run.map_or(Settle::Nothing, Settle::Revoke);
        commit::recover(stores, out, settle)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(check(stores, out).await.damages(), 0, "{what}");
    }
}

/// The rows that a reader may find, by mode: those of before, and those of after.
fn rows_of(mode: Mode) -> Vec<u64> {
    match mode {
        Mode::Append => vec![100, 110],
        Mode::Overwrite => vec![100, 10],
        Mode::Error | Mode::Ignore => vec![0, 10],
    }
}

/// Each state once, with each thing that can be removed from it.
async fn every_removal<S>(
    mode: Mode,
    create_only: bool,
    // Kills a writer at a point; the stores of the others, the output, and whether it has ended by itself.
    state: impl AsyncFn(u64) -> (S, Arc<Stores>, Location, bool),
) -> (usize, usize) {
    let every = if variable("PLEIAD_TEST_EVERY").is_some() { 1 } else { 3 };
    let (mut seen, mut removals) = (BTreeSet::new(), 0);
    for at in (1..).step_by(every) {
        let (_held, stores, out, has_ended) = state(at).await;
        let names = paths(&stores, &out).await;
        let kinds: Vec<_> = names.iter().map(|path| kind_of(path)).collect();
        drop((_held, stores));
        if seen.insert(kinds.clone()) {
            let ended = kinds.iter().enumerate().filter(|(_, kind)| kind.contains("uploads"));
            let ended: Vec<_> = ended.map(|(place, _)| (place, true)).collect();
            for (place, ends_upload) in (0..kinds.len()).map(|place| (place, false)).chain(ended) {
                let (_held, stores, out, _) = state(at).await;
                let names = paths(&stores, &out).await;
                let Some(path) = names.get(place).filter(|path| kind_of(path) == kinds[place])
                else {
                    continue;
                };
                removals += 1;
                if removals % every != 0 {
                    continue;
                }
                remove(&stores, &out, path, ends_upload).await;
                if paths(&stores, &out).await.is_empty() {
                    continue; // nothing is left to be put right
                }
                let removed =
                    if ends_upload { format!("the upload of {path}") } else { path.clone() };
                let case = Case {
                    mode,
                    removed,
                    create_only,
                    goes_on: out.to_string().starts_with("s3:"),
                };
                Box::pin(case.is_left(&stores, &out, &rows_of(mode))).await;
            }
        }
        if has_ended {
            break;
        }
    }
    (seen.len(), removals)
}

#[rstest]
#[tokio::test]
async fn an_output_on_files_can_always_be_left(
    #[values(Mode::Append, Mode::Overwrite, Mode::Error)] mode: Mode,
) {
    let state = async |at| {
        let place = Scratch::new(On::Files);
        let (stores, out) = (Arc::clone(&place.stores), place.out.clone());
        if mode != Mode::Error {
            write(Arc::clone(&stores), &out, Mode::Error, 100).await.unwrap();
        }
        let other = place.other_process();
        let polls = usize::try_from(at).unwrap();
        let has_ended = is_ended_or_killed(polls, other, out.clone(), mode, 10).await;
        (place, stores, out, has_ended)
    };
    let (states, removals) = every_removal(mode, true, state).await;
    println!("{mode:?}: {removals} removals in {states} states");
    assert!(states > 3 && removals > 10, "{removals} removals in {states} states");
}

#[rstest]
#[tokio::test]
async fn an_output_on_s3_can_always_be_left(
    #[values(Mode::Append, Mode::Overwrite, Mode::Error)] mode: Mode,
) {
    let state = async |at| {
        let place = Scratch::new(On::S3);
        let (stores, out) = (Arc::clone(&place.stores), place.out.clone());
        if mode != Mode::Error {
            write(Arc::clone(&stores), &out, Mode::Error, 100).await.unwrap();
        }
        let dying = place.under(Fault::DiesBefore(usize::try_from(at).unwrap()));
        let ended = write(dying, &out, mode, 10).await.is_ok();
        (place, stores, out, ended)
    };
    let (states, removals) = every_removal(mode, true, state).await;
    println!("{mode:?}: {removals} removals in {states} states");
    assert!(states > 3 && removals > 10, "{removals} removals in {states} states");
}

/// The same on a bucket in memory, in each way a server can treat create-only puts.
#[rstest]
fn an_output_on_any_server_can_always_be_left(
    #[values(CreateOnly::Enforced, CreateOnly::Ignored, CreateOnly::Refused)]
    create_only: CreateOnly,
    #[values(Mode::Append, Mode::Overwrite, Mode::Error)] mode: Mode,
) {
    simulate(1, async |simulation| {
        let state = async |at| {
            let bucket = Bucket::new(create_only);
            let out = Location::parse("memory://bucket/out").unwrap();
            let others = simulation.actor("others");
            let stores = bucket.stores(&others);
            if mode != Mode::Error {
                write(Arc::clone(&stores), &out, Mode::Error, 100).await.unwrap();
            }
            let victim = simulation.actor("victim");
            victim.crash(usize::try_from(at).unwrap(), Moment::Before);
            let ended = victim.run(write(bucket.stores(&victim), &out, mode, 10)).await;
            simulation.advance(std::time::Duration::from_secs(3600));
            (others, stores, out, ended.is_some())
        };
        let is_enforced = create_only == CreateOnly::Enforced;
        let (states, removals) = every_removal(mode, is_enforced, state).await;
        println!("{mode:?}: {removals} removals in {states} states");
        assert!(states > 3 && removals > 10, "{removals} removals in {states} states");
    });
}

/// A run that loses a file while it writes is told; what was there stays.
#[tokio::test]
async fn a_run_whose_staged_file_is_removed_is_revoked() {
    let place = Scratch::new(On::Files);
    let out = &place.out;
    write(Arc::clone(&place.stores), out, Mode::Error, 100).await.unwrap();
    let session = place.session(1);
    let options = RunOptions { mode: Mode::Append, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(&place.stores, out, options).await.unwrap() else { panic!() };
    let sql = "SELECT value AS id, value % 2 AS k FROM generate_series(1, 10)";
    let plan = session.sql(sql).await.unwrap().into_optimized_plan().unwrap();
    let spec = TableSpec { keys: vec!["k".to_owned()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await.unwrap();
    let part = place.objects().await.into_iter().find(|path| path.ends_with(".part")).unwrap();
    remove(&place.stores, out, &part, false).await;
    let id = run.id().to_owned();
    let error = run.commit(BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(error.to_string().contains("nothing of this run was published"), "{error}");
    let manifest = current_manifest(&place.stores, out).await.unwrap();
    assert_eq!((manifest.version, manifest.rows(), manifest.restores), (2, 100, Some(1)));
    assert_eq!(manifest.revokes, Some(id));
    assert_eq!(read(&place.stores, out).await.unwrap(), 100);
    assert_eq!(check(&place.stores, out).await.damages(), 0);
}

/// What check says of a run that cannot be finished, and the command that ends it.
#[tokio::test]
async fn check_names_what_is_lost_and_what_to_do() {
    let mut polls = 0;
    let place = loop {
        let place = Scratch::new(On::Files);
        let (stores, out) = (&place.stores, &place.out);
        write(Arc::clone(stores), out, Mode::Error, 100).await.unwrap();
        let other = place.other_process();
        let has_ended = is_ended_or_killed(polls, other, out.clone(), Mode::Append, 10).await;
        let paths = place.objects().await;
        let decisions = paths.iter().filter(|path| path.ends_with("/prepared.json")).count();
        if let Some(part) = paths.iter().find(|path| path.ends_with(".part") && decisions == 2) {
            remove(stores, out, part, false).await;
            break place;
        }
        assert!(!has_ended, "no run was killed between its decision and its last name");
        polls += 1;
    };
    let out = &place.out;
    let found = check(&place.stores, out).await;
    let damage: Vec<_> = found.findings.iter().filter(|finding| finding.is_damage).collect();
    let [damage] = damage.as_slice() else { panic!("{found:?}") };
    assert!(damage.what.contains("has decided to publish 10 rows and cannot be finished: 'k="));
    assert!(damage.what.ends_with("is lost"), "{}", damage.what);
    let remedy = damage.remedy.as_deref().unwrap();
    let expected = format!("pleiad recover '{out}' --revoke ");
    let run = remedy.strip_prefix(&expected).unwrap_or_else(|| panic!("{remedy}"));
    let unknown = commit::recover(&place.stores, out, Settle::Revoke("x")).await.unwrap_err();
    assert_eq!(unknown.kind(), Kind::Usage, "{unknown}");
    let done = commit::recover(&place.stores, out, Settle::Revoke(run)).await.unwrap();
    assert_eq!(done[0], format!("revoked run {run}"));
    assert_eq!(read(&place.stores, out).await.unwrap(), 100);
    assert_eq!(check(&place.stores, out).await.damages(), 0);
}
