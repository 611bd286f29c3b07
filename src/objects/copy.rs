//! The bytes of an object, and objects copied to another place.
//!
//! Bytes come in ranges of 8 MiB, four on their way at a time, each only if the object is still the
//! one it was. A copy is an [`Upload`]: it has its name when it is whole, and never before. Nothing
//! that is there is replaced unless that is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{GetOptions, ObjectMeta, ObjectStoreExt};

use super::entries::{self, ObjectOrFolder};
use super::filter::Filter;
use super::roots::{LAST_RANK, MANIFESTS, Roots, rank};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::storage::{Create, Finished, Location, Store, Stores, Upload, blocking, is_upload_note};
use crate::table::dataset_around;

/// Bytes asked for at a time.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// Pieces of an object on their way at a time.
const PIECES_AT_ONCE: usize = 4;

/// Objects of one piece copied at a time; larger ones go one by one.
const SMALL_AT_ONCE: usize = 16;

/// Bytes in pieces.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// The bytes of the object at `location`.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is none, of kind [`Kind::Usage`] if it is a folder.
pub async fn read(stores: &Stores, location: &Location) -> Result<Pieces> {
    match entries::look(stores, location).await? {
        ObjectOrFolder::Object(meta) => Ok(pieces(&stores.open(location)?, &meta)),
        ObjectOrFolder::Folder => Err(Error::usage(format!(
            "'{location}' is a folder: name one of its files, or all with '{location}/*'"
        ))),
    }
}

/// The objects that `location` names: itself, or all that match it if it is a pattern.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if nothing matches; or if storage fails.
pub async fn named(stores: &Stores, location: &Location) -> Result<Vec<Location>> {
    if location.glob().is_none() {
        return Ok(vec![location.clone()]);
    }
    let entries = entries::list(stores, location, false).await?;
    let objects = entries.iter().filter(|entry| entry.object.is_some());
    objects.map(|entry| stores.parse(&entry.name)).collect()
}

/// The bytes of an object as it is now; the stream fails if it changes.
fn pieces(store: &Store, meta: &ObjectMeta) -> Pieces {
    let (store, meta) = (store.clone(), meta.clone());
    let starts = (0..meta.size.div_ceil(PIECE_BYTES)).map(|piece| piece * PIECE_BYTES);
    let read = move |start: u64| {
        let (store, path) = (store.clone(), meta.location.clone());
        let range = start..meta.size.min(start + PIECE_BYTES);
        let options = GetOptions {
            range: Some(range.clone().into()),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        async move {
            let bytes = store.objects().get_opts(&path, options).await?.bytes().await?;
            let expected = range.end - range.start;
            if bytes.len() as u64 == expected {
                return Ok(bytes);
            }
            let found = bytes.len();
            Err(Error::new(
                Kind::Retry,
                format!(
                    "'{path}' returned {found} bytes, expected {expected}: run the command again"
                ),
            ))
        }
    };
    stream::iter(starts).map(read).buffered(PIECES_AT_ONCE).boxed()
}

/// How objects are copied.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Replace what is there.
    pub force: bool,
    /// Copy a folder with all that is in it.
    pub recursive: bool,
    /// The target is a folder, even if there is nothing yet.
    pub into_folder: bool,
    /// Which names of a folder or a pattern are meant.
    pub filter: Filter,
}

/// One copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What was copied.
    pub from: Location,
    /// The copy.
    pub to: Location,
    /// Its bytes.
    pub size: u64,
}

/// Copies an object, the objects that match a pattern, or a folder with all that is in it. Of each
/// dataset among them the records of its runs stay behind, and the copy is published last.
///
/// # Errors
/// Of kind [`Kind::OutputExists`] if something is there and may not be replaced, or a dataset would
/// go into another one: then nothing was copied; of kind [`Kind::Usage`] if a folder is not asked for
/// as one; or if storage fails: copies that were made stay.
pub async fn copy(
    stores: &Arc<Stores>,
    from: &Location,
    to: &Location,
    options: CopyOptions,
    watch: &dyn Observer,
) -> Result<Vec<Copied>> {
    let plan = plan(stores, from, to, &options).await?;
    run(stores, vec![plan], options.force, watch).await
}

/// Makes the copies of several plans, after all of them have been checked.
///
/// # Errors
/// As [`copy`]; of kind [`Kind::Usage`] if two copies would have one name.
pub async fn run(
    stores: &Arc<Stores>,
    plans: Vec<Plan>,
    force: bool,
    watch: &dyn Observer,
) -> Result<Vec<Copied>> {
    let (mut jobs, mut datasets) = (Vec::new(), Vec::new());
    for plan in plans {
        jobs.extend(plan.jobs);
        datasets.extend(plan.datasets);
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = jobs.iter().find(|job| !names.insert(job.to.to_string())) {
        return Err(Error::usage(format!(
            "two copies would be called '{}': copy them to two different places",
            twice.to
        )));
    }
    if !force {
        for job in &jobs {
            refuse_to_replace(stores, &job.to).await?;
        }
    }
    run_jobs(stores, &jobs, &datasets, force, watch).await
}

/// Copies objects in the order of their ranks.
pub(super) async fn run_jobs(
    stores: &Arc<Stores>,
    jobs: &[Job],
    datasets: &[Dataset],
    force: bool,
    watch: &dyn Observer,
) -> Result<Vec<Copied>> {
    let total = jobs.iter().map(|job| job.meta.size).sum();
    watch.report(Event::Stage { name: "copying".into(), total: Some(total), unit: Unit::Bytes });
    let done = AtomicU64::new(0);
    let copied = |job: Job| async {
        let count = |bytes| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            watch.report(Event::Progress { done });
        };
        job.run(stores, force, &count).await
    };
    let mut made = Vec::with_capacity(jobs.len());
    // What publishes a dataset waits for what it names.
    for rank in 0..=LAST_RANK {
        if rank == 1 {
            for dataset in datasets {
                dataset.refuse_if_changed(stores).await?;
            }
        }
        let jobs = jobs.iter().filter(|job| job.rank == rank).cloned();
        let (small, large): (Vec<_>, Vec<_>) = jobs.partition(|job| job.meta.size <= PIECE_BYTES);
        for (jobs, at_once) in [(small, SMALL_AT_ONCE), (large, 1)] {
            let copies = stream::iter(jobs).map(copied).buffered(at_once);
            made.extend(copies.try_collect::<Vec<_>>().await?);
        }
    }
    watch.report(Event::Done);
    Ok(made)
}

/// Bytes as a new object, such as those of standard input.
///
/// # Errors
/// Of kind [`Kind::OutputExists`] if something is there and may not be replaced; or if storage fails.
pub async fn receive(
    stores: &Arc<Stores>,
    mut pieces: Pieces,
    to: &Location,
    force: bool,
) -> Result<Copied> {
    if to.glob().is_some() {
        return Err(Error::usage(format!("target '{to}' is a pattern, expected one location")));
    }
    if to.path().is_root() || to.is_directory().await {
        return Err(Error::usage(format!("target '{to}' is a folder: name the new object")));
    }
    if !force {
        refuse_to_replace(stores, to).await?;
    }
    let how = if force { Create::Replace } else { Create::New };
    let mut copy = Upload::create(&stores.open(to)?, to, how, None).await?;
    let mut size = 0;
    while let Some(piece) = pieces.try_next().await? {
        size += piece.len() as u64;
        copy.write(piece).await?;
    }
    match copy.finish().await? {
        Finished::Taken => Err(exists(to)),
        Finished::Named | Finished::Hidden(_) => {
            Ok(Copied { from: to.clone(), to: to.clone(), size })
        }
    }
}

/// Whether a location is a folder, or a bucket.
///
/// # Errors
/// If there is nothing; or if storage fails.
pub async fn is_folder(stores: &Stores, location: &Location) -> Result<bool> {
    Ok(matches!(entries::look(stores, location).await?, ObjectOrFolder::Folder))
}

/// One object to copy.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) from: Location,
    pub(super) meta: ObjectMeta,
    pub(super) to: Location,
    pub(super) rank: u8,
}

/// What is to be copied where.
pub struct Plan {
    jobs: Vec<Job>,
    datasets: Vec<Dataset>,
}

/// A dataset to copy, with its manifests as they were listed.
pub(super) struct Dataset {
    location: Location,
    manifests: BTreeSet<String>,
}

impl Dataset {
    /// Refuses to publish the copy of a version that was replaced meanwhile: its files were listed one by
    /// one, and some may be of another version, or gone.
    async fn refuse_if_changed(&self, stores: &Stores) -> Result<()> {
        let listed = entries::objects_below(stores, &self.location.join(MANIFESTS)).await?;
        let now: BTreeSet<_> = listed.into_iter().map(|(name, _)| name).collect();
        match now == self.manifests {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Retry,
                format!(
                    "dataset '{}' got a new version while it was copied: run the command again \
                     with --force, which replaces what is copied so far",
                    self.location
                ),
            )),
        }
    }
}

/// What copying `from` to `to` means; nothing is copied yet.
///
/// # Errors
/// As [`copy`], but for what is there already.
pub async fn plan(
    stores: &Arc<Stores>,
    from: &Location,
    to: &Location,
    options: &CopyOptions,
) -> Result<Plan> {
    if to.glob().is_some() {
        return Err(Error::usage(format!("target '{to}' is a pattern, expected one location")));
    }
    let found = match from.glob() {
        Some(_) => None,
        None => Some(entries::look(stores, from).await?),
    };
    match found {
        Some(ObjectOrFolder::Object(meta)) => {
            let into = options.into_folder || to.path().is_root() || to.is_directory().await;
            let to = if into { to.join(from.name()) } else { to.clone() };
            if from.path() == to.path() && stores.are_in_one_store(from, &to) {
                return Err(Error::usage(format!("cannot copy '{from}' onto itself")));
            }
            let job = Job { from: from.clone(), meta, to, rank: 0 };
            return Ok(Plan { jobs: vec![job], datasets: Vec::new() });
        }
        Some(ObjectOrFolder::Folder) if !options.recursive => {
            let remedy = "pass --recursive to copy all of it";
            return Err(Error::usage(format!("'{from}' is a folder: {remedy}")));
        }
        Some(ObjectOrFolder::Folder) | None => {}
    }
    let base = from.join("");
    refuse_unlisted(stores, from, &base).await?;
    let mut found = entries::objects_below(stores, &base).await?;
    let roots = Roots::of(found.iter().map(|(name, _)| name.as_str()));
    found.retain(|(name, _)| {
        is_meant(from, &base, name, options)
            && options.filter.takes(name)
            && !roots.is_of_runs(name)
            && !is_upload_note(name)
    });
    if found.is_empty() && from.glob().is_some() {
        return Err(entries::no_match(from));
    }
    let found = without_empty_folders(&stores.open(&base)?, found).await?;
    if to.local_path().is_some() {
        refuse_two_in_one(&base, &found)?;
    }
    let published = found.iter().filter(|(name, _)| rank(name) == 1);
    let datasets: BTreeSet<_> = published.flat_map(|(name, _)| roots.around(name).last()).collect();
    for dataset in &datasets {
        refuse_to_mix(stores, &to.join(dataset)).await?;
    }
    let datasets = datasets.into_iter().map(|root| {
        let start = format!("{root}{MANIFESTS}/");
        let manifests = found.iter().filter_map(|(name, _)| name.strip_prefix(&start));
        Dataset { location: base.join(root), manifests: manifests.map(str::to_owned).collect() }
    });
    let datasets = datasets.collect();
    let job = |(name, meta): (String, ObjectMeta)| {
        let rank = rank(&name);
        Job { from: base.join(&name), meta, to: to.join(&name), rank }
    };
    Ok(Plan { jobs: found.into_iter().map(job).collect(), datasets })
}

/// Leaves out empty objects whose keys end in `/`, as some programs make them to show a folder. A listing
/// shows the rest of the key, under which there is nothing.
async fn without_empty_folders(
    store: &Store,
    found: Vec<(String, ObjectMeta)>,
) -> Result<Vec<(String, ObjectMeta)>> {
    let check = |(name, meta): (String, ObjectMeta)| async {
        if meta.size > 0 || store.is_local() {
            return Ok(Some((name, meta)));
        }
        match store.objects().head(&meta.location).await {
            Ok(_) => Ok(Some((name, meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::from(error)),
        }
    };
    let checked = stream::iter(found).map(check).buffered(SMALL_AT_ONCE);
    Ok(checked.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

/// Refuses what a disk cannot hold: an object that has the name of a folder.
fn refuse_two_in_one(base: &Location, found: &[(String, ObjectMeta)]) -> Result<()> {
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let folders =
        names.iter().flat_map(|name| name.match_indices('/').map(|(end, _)| &name[..end]));
    let Some(both) = folders.into_iter().find(|folder| names.contains(folder)) else {
        return Ok(());
    };
    let both = base.join(both);
    Err(Error::usage(format!(
        "'{both}' is an object and also a folder, and a disk cannot hold both under one name: copy \
         '{both}/*' and '{both}' to two different places"
    )))
}

/// Whether an object below `base` is to be copied: all of a folder; of a pattern what it matches, and
/// with --recursive what is in folders that it matches.
fn is_meant(from: &Location, base: &Location, name: &str, options: &CopyOptions) -> bool {
    if from.glob().is_none() {
        return true;
    }
    let end = entries::matched_part(from, base, name);
    end.is_some_and(|end| end == name.len() || options.recursive)
}

/// Refuses to leave local files out in silence that no listing shows.
async fn refuse_unlisted(stores: &Stores, from: &Location, base: &Location) -> Result<()> {
    let store = stores.open(base)?;
    let local = base.local_path().map(ToOwned::to_owned);
    let Some((files, folder)) = store.files().cloned().zip(local) else { return Ok(()) };
    let below = blocking(move || files.below(&folder)).await?;
    match below.iter().find(|file| file.is_unlisted()) {
        Some(file) => Err(Error::usage(format!(
            "'{}' of '{from}' cannot be copied, as '#' and a number mark temporary files: give it \
             another name",
            file.path.display()
        ))),
        None => Ok(()),
    }
}

/// Refuses to copy a dataset into one that is there: neither would be whole.
async fn refuse_to_mix(stores: &Arc<Stores>, to: &Location) -> Result<()> {
    match dataset_around(stores, to).await? {
        Some(within) => Err(Error::new(
            Kind::OutputExists,
            format!(
                "target '{to}' is in the dataset '{}': copying would mix two datasets; remove \
                 that one first, or choose another target",
                within.dataset
            ),
        )),
        None => Ok(()),
    }
}

async fn refuse_to_replace(stores: &Stores, to: &Location) -> Result<()> {
    if to.is_directory().await {
        return Err(exists(to));
    }
    match stores.open(to)?.objects().head(to.path()).await {
        Ok(_) => Err(exists(to)),
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn exists(to: &Location) -> Error {
    Error::new(
        Kind::OutputExists,
        format!("target '{to}' exists: pass --force to replace it, or choose another name"),
    )
}

impl Job {
    /// That an object is gone which was listed.
    fn changed(&self, cause: Error) -> Error {
        if cause.kind() != Kind::InputMissing {
            return cause;
        }
        let message = format!("'{}' was removed while it was copied: try again", self.from);
        Error::new(Kind::Retry, message).caused_by(cause)
    }

    /// Copies one object; `count` gets the bytes as they come.
    async fn run(
        self,
        stores: &Stores,
        force: bool,
        count: &(dyn Fn(u64) + Sync),
    ) -> Result<Copied> {
        let how = if force { Create::Replace } else { Create::New };
        let target = stores.open(&self.to)?;
        let mut copy = Upload::create(&target, &self.to, how, Some(self.meta.size)).await?;
        let mut pieces = pieces(&stores.open(&self.from)?, &self.meta);
        while let Some(piece) = pieces.try_next().await.map_err(|cause| self.changed(cause))? {
            count(piece.len() as u64);
            copy.write(piece).await?;
        }
        match copy.finish().await? {
            Finished::Taken => Err(exists(&self.to)),
            Finished::Named | Finished::Hidden(_) => {
                Ok(Copied { from: self.from, to: self.to, size: self.meta.size })
            }
        }
    }
}
