//! A run: everything between "may I write here" and "this is published", one function a step.
//!
//! | step | | stopped here |
//! |---|---|---|
//! | 1 preflight | which version is current, what do dead runs leave | nothing is written |
//! | 2 intent | `_runs/<run>/intent.json` | an empty run, removed by the next |
//! | 3 stage | bytes without a name: local parts, open uploads | removed by the next |
//! | 4 account | rows in = rows of the files, no NULL key | removed by the next |
//! | 5 prepare | `_runs/<run>/prepared.json`, the decision | **finished** by the next |
//! | 6 reveal | files get their names | finished by the next |
//! | 7 publish | `_manifest/<n>.json`, create-only | finished by the next |
//! | 8 finish | old files, renderings, report | repeated by the next |
//!
//! So a reader that goes through the manifest sees one version, all of it and nothing else. A
//! reader that only lists sees nothing of a run before step 6, and `_SUCCESS` only beside a whole
//! listing.

mod alive; // whether the process of a run lives
mod begin; // preflight and intent
mod history; // every run that left a trace
mod inspect; // what stands at a location
mod upkeep; // finish, remove, unlock
mod claims; // publishing where a store ignores create-only puts
pub(crate) mod place; // the dataset's location and its few operations
mod probe; // whether it does
pub(crate) mod record; // what a run leaves for whoever comes next
mod settle; // prepare, reveal, publish, finish
mod versions; // which manifests there are

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use futures::{Stream, TryStreamExt};
use parquet::arrow::async_writer::AsyncFileWriter;

pub use history::{Fate, PastRun, history};
pub use inspect::{Checkup, Finding, Subject, check};
pub use upkeep::{gc, recover, unlock};
pub(crate) use versions::{current, current_version};

use self::alive::Holder;
use self::begin::Preflight;
use self::place::{Created, Place};
use self::record::{Intent, Prepared, StagedFile};
use self::settle::Settled;
use super::encode::{FileWriter, Target, plain_field, plain_type};
use super::manifest::{FORMAT, FileRecord, Manifest, TableRecord};
use super::staged::Staged;
use super::write::StreamFacts;
use super::{InputRecord, Layout, Mode, TableFacts, TableSpec, layout, value, write};
use crate::cleanup;
use crate::error::{Error, Kind, Result};
use crate::event::Observer;
use crate::storage::{Location, Lock, Stores};

/// How a run treats its output, and what it says about itself.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// What to do if there is a version.
    pub mode: Mode,
    /// Its arguments; secrets must have been removed.
    pub arguments: Vec<(String, String)>,
    /// What it reads.
    pub inputs: Vec<InputRecord>,
}

/// What [`Run::begin`] gives.
#[derive(Debug)]
pub enum Begin {
    /// A run.
    Run(Box<Run>),
    /// Mode `ignore`, and there is a version: this one.
    Kept(Box<Manifest>),
}

/// A run that died before its decision, with what it kept for another to go on from.
#[derive(Clone, Debug)]
pub struct DeadRun {
    /// Its id.
    pub id: String,
    /// Its arguments.
    pub arguments: Vec<(String, String)>,
    /// What it read.
    pub inputs: Vec<InputRecord>,
    /// The names of the files it kept, sorted.
    pub files: Vec<String>,
    place: Place,
}

impl DeadRun {
    /// A file that it kept.
    ///
    /// # Errors
    /// Of kind [`Kind::Retry`] if it is gone, since the run lives or was removed; or if storage
    /// fails.
    pub async fn read(&self, name: &str) -> Result<Bytes> {
        let path = record::kept_path(&self.id, name);
        self.place.read(&path).await?.ok_or_else(|| {
            let path = self.place.location.join(&path);
            Error::new(
                Kind::Retry,
                format!("'{path}' is gone: the killed run lives, or was removed"),
            )
        })
    }
}

/// One run that writes. Dropped without [`Run::commit`], it removes what it staged, as far as that
/// can be done; nothing of it was ever visible.
#[derive(Debug)]
pub struct Run {
    id: String,
    place: Place,
    options: RunOptions,
    base: Option<Manifest>,
    written: Mutex<Written>,
    keeps: AtomicBool,
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

#[derive(Debug, Default)]
struct Written {
    tables: BTreeMap<String, TableRecord>,
    files: Vec<StagedFile>,
    failed: bool,
}

impl Run {
    /// Begins a run that writes to `out`: steps 1 and 2.
    ///
    /// # Errors
    /// Of kind [`Kind::OutputExists`] if the mode forbids writing there, or there is something
    /// that is not a dataset; or if storage fails.
    pub async fn begin(stores: &Arc<Stores>, out: &Location, options: RunOptions) -> Result<Begin> {
        let place = Place::open(stores, out)?;
        let id = uuid::Uuid::now_v7().simple().to_string();
        let made_root = out.local_path().is_some_and(|path| !path.exists());
        let base = match begin::preflight(&place, options.mode).await? {
            Preflight::From(base) => base,
            Preflight::Kept(manifest) => return Ok(Begin::Kept(Box::new(manifest))),
        };
        if let (Mode::Overwrite, Some(base)) = (options.mode, &base) {
            begin::refuse_own_input(&place, base, &options.inputs)?;
        }
        let base_version = base.as_ref().map_or(0, |base| base.version);
        let lock = begin::intent(&place, &id, base_version, &options).await?;
        let beat = (!place.store.is_local()).then(|| alive::beat(place.clone(), &id));
        let open = Some(Open { _lock: lock, _beat: beat, made_root });
        let (written, keeps) = (Mutex::default(), AtomicBool::new(false));
        let run = Self { id, place, options, base, written, keeps, open };
        begin::sweep(&run.place, &run.id).await?;
        Ok(Begin::Run(Box::new(run)))
    }

    /// The run's id: a UUIDv7 in 32 hex digits, so ids sort by time.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version the run starts from.
    pub fn base(&self) -> Option<&Manifest> {
        self.base.as_ref()
    }

    /// Runs `plan` into files of table `spec.name`: steps 3 and 4. Nothing is visible yet. A plan
    /// with fewer streams than the session wants may be given more, round robin.
    ///
    /// # Errors
    /// If the plan fails, a key is NULL in any row, the table cannot hold the plan's columns, or
    /// storage fails. After an error the run cannot be committed.
    pub async fn write(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        spec: TableSpec,
        watch: &dyn Observer,
    ) -> Result<TableFacts> {
        let written = self.write_tables(state, plan, &spec, watch).await;
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = written.and_then(|(records, files)| {
            let facts = TableFacts {
                rows: files.iter().map(|staged| staged.file.rows).sum(),
                bytes: files.iter().map(|staged| staged.file.size).sum(),
                files: files.len(),
            };
            for record in records {
                let record = match all.tables.get(&record.name) {
                    Some(before) => before.appended(&record)?,
                    None => record,
                };
                all.tables.insert(record.name.clone(), record);
            }
            all.files.extend(files);
            Ok(facts)
        });
        all.failed |= stored.is_err();
        stored
    }

    async fn write_tables(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        spec: &TableSpec,
        watch: &dyn Observer,
    ) -> Result<(Vec<TableRecord>, Vec<StagedFile>)> {
        let (records, target) = self.target(plan.schema().as_arrow(), spec)?;
        let mut facts = write::run(state, plan.clone(), &target, spec.layout, watch).await?;
        if facts.iter().any(|facts| facts.too_many_keys) {
            tracing::debug!("table '{}' has many keys: written again by key", spec.name);
            facts = write::run(state, plan, &target, Layout::Clustered, watch).await?;
        }
        let mut files = account(&target, facts)?;
        for record in &records {
            if !files.iter().any(|staged| staged.file.table == record.name) {
                files.push(write_empty(&target, record).await?);
            }
        }
        Ok((records, files))
    }

    /// The records of the tables and their target, checked against the plan and the base.
    fn target(&self, schema: &Schema, spec: &TableSpec) -> Result<(Vec<TableRecord>, Arc<Target>)> {
        let names = || std::iter::once(&spec.name).chain(&spec.odd);
        names().try_for_each(|name| layout::check_table_name(name))?;
        check_columns(schema, spec)?;
        let is_key = |field: &Field| spec.keys.contains(field.name());
        let columns = schema.fields().iter().filter(|field| !is_key(field));
        let file_schema = Schema::new(columns.map(|field| plain_field(field)).collect::<Vec<_>>());
        let keys = spec.keys.iter().map(|key| {
            let field = schema.field_with_name(key)?;
            let value_type = match field.data_type() {
                DataType::List(item) if spec.layout == Layout::Counted => item.data_type(),
                other => other,
            };
            value::check_key_type(key, value_type)?;
            Ok(Field::new(key, plain_type(value_type), false))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut records = Vec::new();
        for name in names() {
            let record = TableRecord::new(name, &file_schema, &keys, &spec.order)?;
            if let (Mode::Append, Some(base)) = (self.options.mode, &self.base)
                && let Some(before) = base.table(name)
            {
                before.appended(&record)?;
            }
            records.push(record);
        }
        let target = Target {
            place: self.place.clone(),
            run: self.id.clone(),
            table: spec.name.clone(),
            keys: spec.keys.clone(),
            file_schema: Arc::new(file_schema),
            order: spec.order.clone(),
            odd: spec.odd.clone(),
            distinct: spec.distinct,
            part: spec.part,
        };
        Ok((records, Arc::new(target)))
    }

    /// Stages a file that is no table, `path` below the dataset, of the texts of `chunks`, each with
    /// the number of its lines.
    ///
    /// # Errors
    /// If the chunks fail, or storage does. After an error the run cannot be committed.
    pub async fn write_text(
        &self,
        path: &str,
        chunks: impl Stream<Item = Result<(Bytes, u64)>> + Send,
    ) -> Result<TableFacts> {
        let staged = self.stage_text(path, chunks).await;
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = staged.map(|staged| {
            let FileRecord { rows, size, .. } = staged.file;
            all.files.push(staged);
            TableFacts { rows, bytes: size, files: 1 }
        });
        all.failed |= stored.is_err();
        stored
    }

    async fn stage_text(
        &self,
        path: &str,
        chunks: impl Stream<Item = Result<(Bytes, u64)>> + Send,
    ) -> Result<StagedFile> {
        let mut staged = Staged::create(&self.place, &self.id, path).await?;
        let mut chunks = std::pin::pin!(chunks);
        let mut rows = 0;
        while let Some((bytes, lines)) = chunks.try_next().await? {
            rows += lines;
            staged.write(bytes).await?;
        }
        let bytes = staged.finish().await?;
        let file = FileRecord {
            path: path.to_owned(),
            table: String::new(),
            partition: Vec::new(),
            size: bytes.size,
            rows,
            sha256: bytes.sha256,
            e_tag: None,
            min: BTreeMap::new(),
            max: BTreeMap::new(),
            nulls: BTreeMap::new(),
        };
        Ok(StagedFile { file, stage: bytes.stage })
    }

    /// What was written of table `name` so far, nothing of it visible.
    pub fn files_of(&self, name: &str) -> Vec<FileRecord> {
        let all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let files = all.files.iter().map(|staged| &staged.file);
        files.filter(|file| file.table == name).cloned().collect()
    }

    /// Keeps a small file in the run's record, durable on return, for a later run to go on from if
    /// this one dies.
    ///
    /// # Errors
    /// If the run keeps other bytes under this name, or storage fails.
    pub async fn keep(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.keeps.store(true, Ordering::Relaxed);
        match self.place.create(&record::kept_path(&self.id, name), bytes.to_vec()).await? {
            Created::Ours => Ok(()),
            Created::Theirs(_) => Err(Error::internal(format!("'{name}' was kept already"))),
        }
    }

    /// The runs on `out` that died before their decision and have kept files, oldest first. On an
    /// object store a run that lives is among them: nothing there tells it from a dead one.
    ///
    /// # Errors
    /// If storage fails, or a record is broken.
    pub async fn kept(stores: &Arc<Stores>, out: &Location) -> Result<Vec<DeadRun>> {
        let place = Place::open(stores, out)?;
        let mut dead = Vec::new();
        for (id, names) in begin::runs(&place).await? {
            let kept = names.iter().filter_map(|name| name.strip_prefix("kept/"));
            let mut kept: Vec<_> = kept.map(str::to_owned).collect();
            if kept.is_empty() || !record::is_open(&names) {
                continue;
            }
            if place.store.is_local()
                && matches!(alive::holder(&place, &id, None).await?, Holder::Alive)
            {
                continue;
            }
            let Some(intent) = begin::read::<Intent>(&place, &id, "intent.json").await? else {
                continue;
            };
            kept.sort();
            let (arguments, inputs) = (intent.arguments, intent.inputs);
            dead.push(DeadRun { id, arguments, inputs, files: kept, place: place.clone() });
        }
        Ok(dead)
    }

    /// Publishes all that was written as one version: steps 5 to 8.
    ///
    /// # Errors
    /// Of kind [`Kind::Retry`] if another run published first (in mode `append` the run goes on
    /// from there, and in mode `ignore` that version is the result); or if storage fails. A
    /// run that fails after its decision is finished by the next command on the same output.
    pub async fn commit(self, properties: BTreeMap<String, String>) -> Result<Manifest> {
        self.commit_blocks(properties, Vec::new()).await
    }

    /// As [`Self::commit`], with the lines of `blocks.csv`, the names of its columns first.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn commit_blocks(
        mut self,
        properties: BTreeMap<String, String>,
        blocks: Vec<Vec<String>>,
    ) -> Result<Manifest> {
        let Written { tables, files, failed } =
            std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if failed {
            return Err(Error::internal("a run whose write failed cannot be committed"));
        }
        let paths = files.iter().map(|staged| staged.file.path.clone()).collect();
        settle::refuse_links(&self.place, paths).await?;
        let prepared = self.prepared(tables, files, properties, blocks)?;
        // From here on dropping the run undoes nothing: the decision may stand whatever the store
        // answers. The lock goes when all is done.
        let _open = self.open.take();
        let prepared = match settle::prepare(&self.place, prepared).await {
            Ok(prepared) => prepared,
            Err(error) => {
                if error.kind() == Kind::Retry {
                    settle::remove_stage(&self.place, &self.id, &[]).await?; // it is void
                }
                return Err(error);
            }
        };
        let settled = settle::settle(&self.place, prepared).await;
        match settled.map_err(|cause| settle::unfinished(&self.place, &self.id, cause))? {
            Settled::Published(manifest) => Ok(manifest),
            Settled::Lost(theirs) if self.options.mode == Mode::Ignore => Ok(theirs),
            Settled::Lost(theirs) => Err(settle::lost(&self.place, theirs.version)),
            Settled::Refused(error) => Err(error),
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
            arguments: self.options.arguments.clone(),
            inputs: self.options.inputs.clone(),
            tables: tables.into_values().collect(),
            files: staged.iter().map(|staged| staged.file.clone()).collect(),
            properties,
            blocks,
        };
        let manifest = match (self.options.mode, &self.base) {
            (Mode::Append, Some(base)) => settle::rebase(&manifest, &staged, base)?,
            _ => manifest,
        };
        Ok(Prepared { manifest, staged })
    }

    /// Ends the run and removes what it staged. Files it kept stay for a later run.
    ///
    /// # Errors
    /// If storage fails; nothing was visible all the same.
    pub async fn abort(mut self) -> Result<()> {
        match self.open.take() {
            Some(open) => undo(self.place.clone(), self.id.clone(), self.keeps(), open).await,
            None => Ok(()),
        }
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
        cleanup::spawn(undone);
    }
}

/// Removes what a run staged, and its record unless it keeps files.
async fn undo(place: Place, run: String, keeps: bool, open: Open) -> Result<()> {
    if keeps {
        return settle::remove_stage(&place, &run, &[]).await;
    }
    settle::remove_run(&place, &run).await?;
    match place.local("") {
        Some((files, root)) if open.made_root => {
            place::blocking(move || files.remove_empty_dir(&root).map(drop)).await
        }
        _ => Ok(()),
    }
}

/// Refuses a plan that the table cannot hold.
fn check_columns(schema: &Schema, spec: &TableSpec) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = schema.fields().iter().find(|field| !seen.insert(field.name())) {
        return Err(Error::usage(format!(
            "column '{}' stands twice in table '{}': give one of them another name",
            twice.name(),
            spec.name
        )));
    }
    if let Some(missing) = spec.keys.iter().chain(&spec.order).find(|name| !seen.contains(name)) {
        let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::usage(format!(
            "column '{missing}' not found in table '{}', which has {}",
            spec.name,
            columns.join(", ")
        )));
    }
    let keys: BTreeSet<_> = spec.keys.iter().collect();
    if keys.len() < spec.keys.len() || keys.len() == schema.fields().len() {
        return Err(Error::usage(format!(
            "keys {} of table '{}' must differ, and leave one column at least for its files",
            spec.keys.join(", "),
            spec.name
        )));
    }
    if let Some(key) = spec.order.iter().find(|column| keys.contains(column)) {
        return Err(Error::usage(format!(
            "column '{key}' is a key of table '{}' and cannot be an order inside its files too",
            spec.name
        )));
    }
    Ok(())
}

/// Step 4: rows in = rows of the files, and no row has a NULL key.
fn account(target: &Target, facts: Vec<StreamFacts>) -> Result<Vec<StagedFile>> {
    let mut null_keys = vec![0; target.keys.len()];
    let (mut rows, mut files) = (0, Vec::new());
    for stream in facts {
        rows += stream.rows;
        null_keys.iter_mut().zip(&stream.null_keys).for_each(|(sum, nulls)| *sum += nulls);
        files.extend(stream.files);
    }
    let nulls: Vec<_> = target
        .keys
        .iter()
        .zip(&null_keys)
        .filter(|(_, nulls)| **nulls > 0)
        .map(|(key, nulls)| format!("key '{key}' is null in {nulls} rows"))
        .collect();
    if !nulls.is_empty() {
        return Err(Error::data(format!("{}: filter them or use coalesce", nulls.join(", "))));
    }
    let written: u64 = files.iter().map(|staged| staged.file.rows).sum();
    if written != rows {
        return Err(Error::internal(format!(
            "table '{}' has {written} rows in its files, expected {rows}",
            target.table
        )));
    }
    Ok(files)
}

/// The one file of an empty table: all columns, keys included, and no row.
async fn write_empty(target: &Target, record: &TableRecord) -> Result<StagedFile> {
    let mut fields = record.file_schema().fields().to_vec();
    fields.extend(record.key_fields().into_iter().map(Arc::new));
    let schema = Arc::new(Schema::new(fields));
    FileWriter::create(target, &record.name, Vec::new(), schema).await?.finish().await
}
