//! The bytes of an object, and objects copied to another place.
//!
//! Bytes come in ranges of 8 MiB, four on their way at a time, each only if the object is still the
//! one it was. A copy has its name when it is whole, and never before: on local disks a file is
//! written beside it and linked or renamed; on S3 up to 8 MiB are put create-only, more are an
//! upload that becomes visible when it is completed. Nothing that is there is replaced unless that
//! is asked for; only of two copies of more than 8 MiB to one name on S3 at the same time the last
//! wins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::TryFutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStoreExt, PutMode, PutOptions};

use super::entries::{self, ObjectOrFolder};
use super::roots::{LAST_RANK, Roots, rank};
use crate::cleanup;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::storage::{LocalFiles, Location, Store, Stores};
use crate::table::dataset_around;

/// Bytes asked for, and put, at a time.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// Pieces of an object on their way at a time.
const PIECES_AT_ONCE: usize = 4;

/// Objects of one piece copied at a time; larger ones go one by one.
const SMALL_AT_ONCE: usize = 16;

/// The most parts of an upload on S3.
const MAX_PARTS: u64 = 10_000;

/// Bytes in pieces.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// The bytes of the object at `location`.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is none, of kind [`Kind::Usage`] if it is a folder.
pub async fn read(stores: &Stores, location: &Location) -> Result<Pieces> {
    match entries::look(stores, location).await? {
        ObjectOrFolder::Object(meta) => Ok(pieces(&stores.open(location)?, &meta, PIECE_BYTES)),
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
fn pieces(store: &Store, meta: &ObjectMeta, piece_bytes: u64) -> Pieces {
    let (store, meta) = (store.clone(), meta.clone());
    let starts = (0..meta.size.div_ceil(piece_bytes)).map(move |piece| piece * piece_bytes);
    let read = move |start: u64| {
        let (store, path) = (store.clone(), meta.location.clone());
        let range = start..meta.size.min(start + piece_bytes);
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
                format!("'{path}' gave {found} bytes where it had {expected}: run it again"),
            ))
        }
    };
    stream::iter(starts).map(read).buffered(PIECES_AT_ONCE).boxed()
}

/// How objects are copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// Replace what is there.
    pub force: bool,
    /// Copy a folder with all that is in it.
    pub recursive: bool,
    /// The target is a folder, even if there is nothing yet.
    pub into_folder: bool,
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
    if to.glob().is_some() {
        return Err(Error::usage(format!("target '{to}' is a pattern, expected one location")));
    }
    let jobs = jobs(stores, from, to, options).await?;
    if !options.force {
        for job in &jobs {
            refuse_to_replace(stores, &job.to).await?;
        }
    }
    let total = jobs.iter().map(|job| job.meta.size).sum();
    watch.report(Event::Stage { name: "copying".into(), total: Some(total), unit: Unit::Bytes });
    let done = AtomicU64::new(0);
    let copied = |job: Job| async {
        let count = |bytes| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            watch.report(Event::Progress { done });
        };
        job.run(stores, options.force, &count).await
    };
    let mut made = Vec::with_capacity(jobs.len());
    // What publishes a dataset waits for what it names.
    for rank in 0..=LAST_RANK {
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

/// One object to copy.
#[derive(Clone)]
struct Job {
    from: Location,
    meta: ObjectMeta,
    to: Location,
    rank: u8,
}

/// What is to be copied where.
async fn jobs(
    stores: &Arc<Stores>,
    from: &Location,
    to: &Location,
    options: CopyOptions,
) -> Result<Vec<Job>> {
    let found = match from.glob() {
        Some(_) => None,
        None => Some(entries::look(stores, from).await?),
    };
    match found {
        Some(ObjectOrFolder::Object(meta)) => {
            let into = options.into_folder || to.path().is_root() || to.is_directory();
            let to = if into { to.join(from.name()) } else { to.clone() };
            if from.url() == to.url() {
                return Err(Error::usage(format!("'{from}' would be copied onto itself")));
            }
            return Ok(vec![Job { from: from.clone(), meta, to, rank: 0 }]);
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
    found.retain(|(name, _)| is_meant(from, &base, name, options) && !roots.is_of_runs(name));
    if found.is_empty() && from.glob().is_some() {
        return Err(entries::no_match(from));
    }
    let published = found.iter().filter(|(name, _)| rank(name) == 1);
    let datasets: BTreeSet<_> = published.flat_map(|(name, _)| roots.around(name).last()).collect();
    for dataset in datasets {
        refuse_to_mix(stores, &to.join(dataset)).await?;
    }
    let job = |(name, meta): (String, ObjectMeta)| {
        let rank = rank(&name);
        Job { from: base.join(&name), meta, to: to.join(&name), rank }
    };
    Ok(found.into_iter().map(job).collect())
}

/// Whether an object below `base` is to be copied: all of a folder; of a pattern what it matches, and
/// with --recursive what is in folders that it matches.
fn is_meant(from: &Location, base: &Location, name: &str, options: CopyOptions) -> bool {
    if from.glob().is_none() {
        return true;
    }
    let end = entries::matched_part(from, base, name);
    end.is_some_and(|end| end == name.len() || options.recursive)
}

/// Refuses to leave local files out in silence that no listing shows.
async fn refuse_unlisted(stores: &Stores, from: &Location, base: &Location) -> Result<()> {
    let store = stores.open(base)?;
    let Some((files, folder)) = store.files().cloned().zip(base.local_path()) else {
        return Ok(());
    };
    let below = entries::local_files(files, folder.to_owned()).await?;
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
                "target '{to}' is in the dataset '{}': a copy would mix two; remove it first, or \
                 choose another name",
                within.dataset
            ),
        )),
        None => Ok(()),
    }
}

async fn refuse_to_replace(stores: &Stores, to: &Location) -> Result<()> {
    if to.is_directory() {
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
    /// Copies one object; `count` is told of bytes as they come.
    async fn run(
        self,
        stores: &Stores,
        force: bool,
        count: &(dyn Fn(u64) + Sync),
    ) -> Result<Copied> {
        let target = stores.open(&self.to)?;
        // Parts of one size, at most so many.
        let piece_bytes = PIECE_BYTES.max(self.meta.size.div_ceil(MAX_PARTS));
        let pieces = pieces(&stores.open(&self.from)?, &self.meta, piece_bytes);
        let mut pieces = pieces.inspect_ok(|piece| count(piece.len() as u64));
        if let Some((files, path)) = target.files().zip(self.to.local_path()) {
            let made = to_file(files.clone(), path.to_owned(), &mut pieces, force).await?;
            if !made {
                return Err(exists(&self.to));
            }
        } else if let Some(uploads) = target.uploads().filter(|_| self.meta.size > piece_bytes) {
            to_upload(uploads, self.to.path(), pieces).await?;
        } else {
            let bytes = pieces.try_next().await?.unwrap_or_default();
            self.put(&target, bytes, force).await?;
        }
        Ok(Copied { from: self.from, to: self.to, size: self.meta.size })
    }

    /// Puts a small object at once.
    async fn put(&self, target: &Store, bytes: Bytes, force: bool) -> Result<()> {
        let put = |mode: PutMode| {
            let options = PutOptions::from(mode);
            target.objects().put_opts(self.to.path(), bytes.clone().into(), options)
        };
        if !force {
            match put(PutMode::Create).await {
                Ok(_) => return Ok(()),
                // A put that was tried again meets its own success.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    let found = target.objects().get(self.to.path()).await?.bytes().await?;
                    return if found == bytes { Ok(()) } else { Err(exists(&self.to)) };
                }
                // It was looked for a moment ago: there is no better on such a store.
                Err(object_store::Error::NotSupported { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        put(PutMode::Overwrite).await?;
        Ok(())
    }
}

/// Writes a local file on a thread that may block; `false` if its name is taken.
async fn to_file(
    files: LocalFiles,
    path: std::path::PathBuf,
    pieces: &mut (impl stream::Stream<Item = Result<Bytes>> + Unpin),
    force: bool,
) -> Result<bool> {
    let (send, mut receive) = tokio::sync::mpsc::channel(1);
    let write = SpawnedTask::spawn_blocking(move || {
        // Without a word of the end the copy was given up.
        let given_up = || Some(Err(Error::new(Kind::Other, "the copy was given up")));
        let pieces = std::iter::from_fn(|| receive.blocking_recv().unwrap_or_else(given_up));
        files.receive(&path, pieces, force)
    });
    while let Some(piece) = pieces.next().await {
        if send.send(Some(piece)).await.is_err() {
            break; // the writer says why
        }
    }
    send.send(None).await.ok();
    drop(send);
    write.await.map_err(|cause| Error::internal("a file was not written").caused_by(cause))?
}

/// Puts the parts of an upload while the next are read, and completes it.
async fn to_upload(
    uploads: &Arc<dyn MultipartStore>,
    path: &Path,
    pieces: impl stream::Stream<Item = Result<Bytes>>,
) -> Result<()> {
    let id = uploads.create_multipart(path).await?;
    let mut upload =
        Upload { uploads: Arc::clone(uploads), path: path.clone(), id: Some(id.clone()) };
    let mut parts = 0..;
    let puts = pieces.map_ok(|piece| {
        let number = parts.next().unwrap_or(usize::MAX);
        uploads.put_part(path, &id, number, piece.into()).map_err(Error::from)
    });
    let parts: Vec<PartId> = puts.try_buffered(PIECES_AT_ONCE).try_collect().await?;
    uploads.complete_multipart(path, &id, parts).await?;
    upload.id = None;
    Ok(())
}

/// An upload, given up unless it is completed.
struct Upload {
    uploads: Arc<dyn MultipartStore>,
    path: Path,
    id: Option<String>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (uploads, path) = (Arc::clone(&self.uploads), self.path.clone());
        let abort = async move {
            if let Err(error) = uploads.abort_multipart(&path, &id).await {
                tracing::warn!("the unfinished upload of '{path}' was not removed: {error}");
            }
        };
        cleanup::spawn(abort);
    }
}
