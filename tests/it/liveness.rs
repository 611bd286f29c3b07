//! Runs that died on another machine are found: by their lock where all see it, else by their silence.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pleiad::error::Kind;
use pleiad::event::Silent;
use pleiad::storage::{Location, StorageOptions, Stores};
use pleiad::table::{Begin, Mode, Run, RunOptions, commit};

/// A dataset on files, as one machine has them for itself or as several share them.
struct Place {
    dir: tempfile::TempDir,
    stores: Arc<Stores>,
    out: Location,
}

impl Place {
    fn new(stores: Arc<Stores>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let out = Location::parse(dir.path().to_str().unwrap()).unwrap().join("out");
        Self { dir, stores, out }
    }

    fn own() -> Self {
        Self::new(Stores::new(StorageOptions::default()))
    }

    fn shared() -> Self {
        Self::new(Stores::with_shared_files(StorageOptions::default()))
    }

    async fn begin(&self) -> Run {
        let options = RunOptions { mode: Mode::Append, ..RunOptions::default() };
        let Begin::Run(run) = Run::begin(&self.stores, &self.out, options).await.unwrap() else {
            panic!("an append begins")
        };
        *run
    }

    fn record(&self, run: &str) -> PathBuf {
        self.dir.path().join("out/_runs").join(run)
    }

    /// What is left of a run that died on another machine and had kept a file.
    async fn dead(&self) -> String {
        let run = self.begin().await;
        let intent = fs::read_to_string(self.record(run.id()).join("intent.json")).unwrap();
        let mut intent: serde_json::Value = serde_json::from_str(&intent).unwrap();
        run.abort().await.unwrap();
        let id = uuid::Uuid::now_v7().simple().to_string();
        intent["host"] = "elsewhere".into();
        intent["run"] = id.as_str().into();
        fs::create_dir_all(self.record(&id).join("stage")).unwrap();
        fs::write(self.record(&id).join("intent.json"), intent.to_string()).unwrap();
        fs::write(self.record(&id).join("stage/x.part"), "bytes").unwrap();
        fs::write(self.record(&id).join("lock"), "").unwrap();
        id
    }

    async fn said_by_check(&self) -> String {
        let checkup = commit::check(&self.stores, &self.out, false, &Silent).await.unwrap();
        let said: Vec<_> = checkup.findings.into_iter().map(|finding| finding.what).collect();
        said.join("\n")
    }

    async fn said_by_gc(&self, dry_run: bool) -> String {
        commit::gc(&self.stores, &self.out, dry_run, None).await.unwrap().join("\n")
    }
}

/// Puts the time of a file back.
fn age(path: &Path, minutes: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.set_modified(time - Duration::from_secs(60 * minutes)).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_of_this_machine_a_free_lock_means_dead_whatever_the_host_was_called() {
    let place = Place::own();
    let run = place.dead().await;
    assert!(!place.record(&run).join("alive").exists(), "no one has to say that it lives");
    assert!(place.said_by_check().await.contains("died before it decided to publish"));
    assert!(place.said_by_gc(true).await.contains(&format!("dead run {run}")));
    place.begin().await.commit(BTreeMap::new()).await.unwrap();
    assert!(!place.record(&run).exists(), "the next writer removes it");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_of_another_host_can_be_resumed() {
    let place = Place::own();
    let run = place.dead().await;
    fs::create_dir(place.record(&run).join("kept")).unwrap();
    fs::write(place.record(&run).join("kept/step-1"), "state").unwrap();
    let dead = Run::resumable(&place.stores, &place.out).await.unwrap();
    assert_eq!(dead.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [run.as_str()]);
    assert!(place.said_by_check().await.contains("its checkpoints are kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_shared_files_a_run_of_another_host_is_dead_when_it_is_silent() {
    let place = Place::shared();
    let run = place.dead().await;
    let is_alive = "is running, or was a short time ago";
    age(&place.record(&run).join("intent.json"), 60);
    assert!(place.said_by_check().await.contains(is_alive), "this one promised no sign of life");
    let alive = place.record(&run).join("alive");
    fs::write(&alive, "alive\n").unwrap();
    age(&alive, 14);
    assert!(place.said_by_check().await.contains(is_alive));
    assert_eq!(place.said_by_gc(false).await, "");
    age(&alive, 2);
    assert!(place.said_by_check().await.contains("died before it decided to publish"));
    assert!(place.said_by_gc(false).await.contains(&format!("dead run {run}")));
    let left: Vec<_> = fs::read_dir(place.record(&run)).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].file_name(), "prepared.json", "it may live after all");
    assert!(!place.dir.path().join("out/_probe").exists());
    assert_eq!(place.said_by_gc(false).await, "");
}

/// It was asleep, or cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_declared_dead_that_lives_publishes_nothing() {
    let place = Place::shared();
    let run = place.begin().await;
    let (id, record) = (run.id().to_owned(), place.record(run.id()));
    age(&record.join("alive"), 20);
    age(&record.join("intent.json"), 20);
    let intent = fs::read_to_string(record.join("intent.json")).unwrap();
    let mut intent: serde_json::Value = serde_json::from_str(&intent).unwrap();
    intent["host"] = "elsewhere".into();
    fs::write(record.join("intent.json"), intent.to_string()).unwrap();
    age(&record.join("intent.json"), 20);
    fs::remove_file(record.join("lock")).unwrap(); // what other machines see of it
    let second = place.begin().await;
    assert!(record.join("prepared.json").exists(), "{id} is void");
    let error = run.commit(BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert_eq!(second.commit(BTreeMap::new()).await.unwrap().version, 1);
}
