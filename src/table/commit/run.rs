//! One run that writes: begun, committed or given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::runtime::SpawnedTask;

use super::finalize::{Decided, Settled};
use super::place::DatasetRoot;
use super::preflight::{Preflight, RunOptions};
use super::record::{self, Prepared, StagedFile};
use super::reveal::Finisher;
use super::{cleanup, finalize, liveness, preflight, reads};
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Lock, Stores, blocking};
use crate::table::manifest::{FORMAT, Manifest, Mode, TableRecord};

/// What [`Run::begin`] gives.
#[derive(Debug)]
pub enum Begin {
    /// A run.
    Run(Box<Run>),
    /// Mode `ignore`, and there is a version: this one.
    AlreadyThere(Box<Manifest>),
}

/// One run that writes. Dropped without [`Run::commit`], it removes what it staged, as far as that
/// can be done; nothing of it was ever visible.
#[derive(Debug)]
pub struct Run {
    pub(super) id: String,
    pub(super) place: DatasetRoot,
    pub(super) options: RunOptions,
    made_by: Option<String>,
    pub(super) base: Option<Manifest>,
    /// It has read its base, so it can follow no other version.
    reads_base: bool,
    pub(super) written: Mutex<Written>,
    pub(super) keeps: Arc<AtomicBool>,
    /// Taken out when the run is over.
    open: Option<Open>,
}

/// What goes away with the run.
#[derive(Debug)]
struct Open {
    _lock: Option<Lock>,
    /// Says that the run lives, where a lock does not.
    _beat: Option<SpawnedTask<()>>,
    /// The run made the dataset's directory.
    made_root: bool,
}

/// What is staged.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) tables: BTreeMap<String, TableRecord>,
    pub(super) files: Vec<StagedFile>,
    pub(super) failed: bool,
}

impl Run {
    /// Begins a run that writes to `out`: steps 1 and 2.
    ///
    /// # Errors
    /// Of kind [`Kind::OutputExists`] if the mode forbids writing there, or there is something
    /// that is not a dataset; or if storage fails.
    pub async fn begin(stores: &Arc<Stores>, out: &Location, options: RunOptions) -> Result<Begin> {
        let place = DatasetRoot::open(stores, out)?;
        let id = uuid::Uuid::now_v7().simple().to_string();
        let made_root = match place.local("") {
            Some((_, root)) => blocking(move || Ok(!root.exists())).await?,
            None => false,
        };
        let base = match preflight::preflight(&place, options.mode).await? {
            Preflight::From(base) => base,
            Preflight::AlreadyThere(manifest) => {
                return Ok(Begin::AlreadyThere(Box::new(manifest)));
            }
        };
        let RunOptions { mode, reads, own_input, .. } = &options;
        let reads_base = match &base {
            Some(base) => reads::reads_base(stores, &place, base, *mode, reads, *own_input).await?,
            None => false,
        };
        let base_version = base.as_ref().map_or(0, |base| base.version);
        // Between its first object and a run that removes it, nothing may be dropped.
        let run = crate::cleanup::undivided(async move {
            let lock = preflight::intent(&place, &id, base_version, &options).await?;
            let beat = liveness::beat(&place, &id).await?;
            let open = Some(Open { _lock: lock, _beat: beat, made_root });
            let (written, keeps) = (Mutex::default(), Arc::new(AtomicBool::new(false)));
            Ok(Self { id, place, options, made_by: None, base, reads_base, written, keeps, open })
        })
        .await?;
        preflight::sweep(&run.place, &run.id).await?;
        Ok(Begin::Run(Box::new(run)))
    }

    /// The same run, for a driver that makes the version as a whole: no rows can be added to it later.
    #[must_use]
    pub fn made_by(mut self, driver: &str) -> Self {
        self.made_by = Some(driver.to_owned());
        self
    }

    /// The run's id: a UUIDv7 in 32 hex digits, so ids sort by time.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it writes.
    pub fn location(&self) -> &Location {
        &self.place.location
    }

    /// Whether it keeps files for a later run, should it die; to be asked while others hold it.
    pub fn keeper(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.keeps)
    }

    /// The version the run starts from.
    pub fn base(&self) -> Option<&Manifest> {
        self.base.as_ref()
    }

    /// Publishes all that was written as one version: steps 5 to 8.
    ///
    /// # Errors
    /// Of kind [`Kind::Retry`] if another run published first (in mode `append` the run goes on
    /// from there unless it has read its base, and in mode `ignore` that version is the result); or if storage fails. A
    /// run that fails after its decision is finished by the next command on the same output.
    pub async fn commit(self, properties: BTreeMap<String, String>) -> Result<Manifest> {
        self.commit_blocks(properties, Vec::new()).await
    }

    /// As [`Self::commit`], with the lines of `blocks.csv`, the names of its columns first.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_blocks(
        self,
        properties: BTreeMap<String, String>,
        blocks: Vec<Vec<String>>,
    ) -> Result<Manifest> {
        let Written { tables, files, failed } =
            std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if failed {
            return Err(Error::internal("a run whose write failed cannot be committed"));
        }
        let paths = files.iter().map(|staged| staged.file.path.clone()).collect();
        cleanup::refuse_links(&self.place, paths).await?;
        let prepared = self.prepared(tables, files, properties, blocks)?;
        Box::pin(self.commit_prepared(prepared)).await
    }

    /// Steps 5 to 8.
    pub(super) async fn commit_prepared(mut self, prepared: Prepared) -> Result<Manifest> {
        // From here on dropping the run undoes nothing: the decision may stand whatever the store
        // answers. The lock goes when all is done.
        let open = self.open.take();
        let prepared = match finalize::prepare(&self.place, prepared).await? {
            Decided::Publish(prepared) => *prepared,
            Decided::Void(error) => {
                cleanup::remove_stage(&self.place, &self.id, &[]).await?;
                return Err(error);
            }
            Decided::Not(error) => {
                self.open = open; // it is undone as it is dropped
                return Err(error);
            }
        };
        let settled = finalize::settle(&self.place, prepared, Finisher::Itself);
        let settled = Box::pin(settled).await;
        match settled.map_err(|cause| finalize::unfinished(&self.place, &self.id, cause))? {
            Settled::Published(manifest) => Ok(manifest),
            Settled::Lost(theirs) if self.options.mode == Mode::Ignore => Ok(theirs),
            Settled::Lost(theirs) => {
                let base = self.base.as_ref().map_or(0, |base| base.version);
                Err(finalize::lost(&self.place, base, theirs.version))
            }
            Settled::Refused(error) => Err(error),
            Settled::Revoked(_, lost) => Err(finalize::revoked(&self.place, &lost)),
        }
    }

    fn prepared(
        &self,
        tables: BTreeMap<String, TableRecord>,
        staged: Vec<StagedFile>,
        properties: BTreeMap<String, String>,
        blocks: Vec<Vec<String>>,
    ) -> Result<Prepared> {
        let paths: BTreeSet<_> = staged.iter().map(|staged| &staged.file.path).collect();
        if paths.len() != staged.len() {
            return Err(Error::new(
                Kind::Retry,
                "two files got the same name by chance: run it again",
            ));
        }
        let base = self.base.as_ref().map_or(0, |base| base.version);
        let manifest = Manifest {
            format: FORMAT,
            version: base + 1,
            run: self.id.clone(),
            base,
            mode: self.options.mode,
            location: self.place.location.to_string(),
            created: record::now(),
            made_by: self.made_by.clone(),
            grows: Some(self.made_by.is_none()),
            restores: None,
            revokes: None,
            arguments: self.options.arguments.clone(),
            inputs: self.options.inputs.clone(),
            tables: tables.into_values().collect(),
            files: staged.iter().map(|staged| staged.file.clone()).collect(),
            properties,
            blocks,
        };
        let manifest = match (self.options.mode, &self.base) {
            (Mode::Append, Some(base)) => finalize::rebase(&manifest, &staged, base)?,
            _ => manifest,
        };
        let (reads_base, keep_seconds) = (self.reads_base, self.keep_seconds());
        Ok(Prepared { manifest, staged, reads_base, keep_seconds })
    }

    /// Ends the run and removes what it staged. Files it kept stay for a later run.
    ///
    /// # Errors
    /// If storage fails; nothing was visible anyway.
    pub async fn abort(mut self) -> Result<()> {
        match self.open.take() {
            Some(open) => undo(self.place.clone(), self.id.clone(), self.keeps(), open).await,
            None => Ok(()),
        }
    }

    /// How long the files are kept that it replaces.
    pub(super) fn keep_seconds(&self) -> u64 {
        self.options.keep.seconds(&self.place)
    }

    fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let undone = undo(self.place.clone(), self.id.clone(), self.keeps(), open);
        let undone = async {
            if let Err(error) = undone.await {
                tracing::warn!(
                    "a run that failed left files under _runs/, the next removes them: {error}"
                );
            }
        };
        crate::cleanup::spawn(undone);
    }
}

/// Removes what a run staged, and its record unless it keeps files.
async fn undo(place: DatasetRoot, run: String, keeps: bool, open: Open) -> Result<()> {
    if keeps {
        return cleanup::remove_stage(&place, &run, &[]).await;
    }
    cleanup::remove_run(&place, &run).await?;
    match place.local("") {
        Some((files, root)) if open.made_root => {
            blocking(move || files.remove_empty_dir(&root).map(drop)).await
        }
        _ => Ok(()),
    }
}
