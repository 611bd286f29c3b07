//! A bucket in memory for a [`simulation`](super::simulation): each call waits for its turn, fails,
//! or ends its caller.
//!
//! It keeps open uploads and the times of writing itself: `InMemory` panics on parts that come out of
//! order, shows nobody its uploads, and knows only the real clock. As on AWS and Garage, to complete
//! or abort an upload that is gone is "not found".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use pleiad::storage::{Pause, Stores};

use super::seeded::{CreateOnly, Moment};
use super::simulation::{Actor, Fate};

/// The name of the bucket: its locations are `memory://bucket/…`.
pub(crate) const BUCKET: &str = "bucket";

/// A bucket that actors share. Clones are the same bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    memory: InMemory,
    create_only: CreateOnly,
    hidden: Arc<AtomicUsize>,
    books: Arc<Mutex<Books>>,
}

struct Books {
    /// A meta of the time zero; its type's name is not ours to use.
    zero: ObjectMeta,
    written_at: BTreeMap<Path, Duration>,
    /// Oldest first.
    written: Vec<Path>,
    uploads: BTreeMap<MultipartId, (Path, BTreeMap<usize, Bytes>)>,
    uploads_begun: usize,
}

impl Bucket {
    /// An empty bucket.
    pub(crate) fn new(create_only: CreateOnly) -> Self {
        let memory = InMemory::new();
        let probe = Path::from("zero");
        now(memory.put(&probe, PutPayload::new())).unwrap();
        let zero = now(memory.head(&probe)).unwrap();
        now(memory.delete(&probe)).unwrap();
        let books = Books {
            zero,
            written_at: BTreeMap::new(),
            written: Vec::new(),
            uploads: BTreeMap::new(),
            uploads_begun: 0,
        };
        Self { memory, create_only, hidden: Arc::default(), books: Arc::new(Mutex::new(books)) }
    }

    /// Listings lack the `count` names that were written last; 0 for none, as at first.
    pub(crate) fn hide_newest(&self, count: usize) {
        self.hidden.store(count, Ordering::Relaxed);
    }

    /// Stores whose `memory://bucket` is this bucket, for `actor`.
    pub(crate) fn stores(&self, actor: &Actor) -> Arc<Stores> {
        let store = FaultStore { bucket: self.clone(), actor: actor.clone() };
        let sleeper = actor.clone();
        let pause: Pause = Arc::new(move |time| {
            let sleeper = sleeper.clone();
            async move { sleeper.pause(time).await }.boxed()
        });
        Stores::with_memory(BUCKET, store, pause)
    }

    /// All names, sorted, seen by nobody's call.
    pub(crate) fn names(&self) -> Vec<String> {
        let listed: Vec<_> = now(self.memory.list(None).try_collect()).unwrap();
        listed.into_iter().map(|meta: ObjectMeta| meta.location.into()).collect()
    }

    /// The bytes of a name.
    pub(crate) fn read(&self, name: &str) -> Option<Bytes> {
        let got = now(self.memory.get(&Path::from(name))).ok()?;
        Some(now(got.bytes()).unwrap())
    }

    /// The names that uploads are open for.
    pub(crate) fn open_uploads(&self) -> Vec<String> {
        let books = self.books.lock().unwrap();
        books.uploads.values().map(|(path, _)| path.to_string()).collect()
    }

    /// The names that open uploads hold bytes for: these cost. One that its writer died with before
    /// it could note it has none.
    pub(crate) fn uploaded(&self) -> Vec<String> {
        let books = self.books.lock().unwrap();
        let with_bytes = books.uploads.values().filter(|(_, parts)| !parts.is_empty());
        with_bytes.map(|(path, _)| path.to_string()).collect()
    }

    /// Notes that `path` was written at `time`.
    fn note(&self, path: &Path, time: Duration) {
        let mut books = self.books.lock().unwrap();
        books.written_at.insert(path.clone(), time);
        books.written.retain(|other| other != path);
        books.written.push(path.clone());
    }

    /// `meta` with the time of the simulation.
    fn stamped(&self, mut meta: ObjectMeta) -> ObjectMeta {
        let books = self.books.lock().unwrap();
        let time = books.written_at.get(&meta.location).copied().unwrap_or_default();
        meta.last_modified = books.zero.last_modified + time;
        meta
    }

    /// Whether a listing shows `path`.
    fn shows(&self, path: &Path) -> bool {
        let books = self.books.lock().unwrap();
        let hidden = self.hidden.load(Ordering::Relaxed);
        !books.written[books.written.len().saturating_sub(hidden)..].contains(path)
    }

    fn with_uploads<T>(&self, id: &str, work: impl FnOnce(&mut Books) -> Option<T>) -> Result<T> {
        let done = work(&mut self.books.lock().unwrap());
        done.ok_or_else(|| Error::NotFound { path: id.to_owned(), source: "NoSuchUpload".into() })
    }
}

/// What `call` comes to; calls in memory wait for nothing.
fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("memory answers at once")
}

/// The bucket as one actor reaches it.
#[derive(Clone)]
struct FaultStore {
    bucket: Bucket,
    actor: Actor,
}

impl FaultStore {
    /// Makes `call` when it is its turn, as its fate will have it.
    async fn pass<T: Send>(
        &self,
        what: &str,
        path: &Path,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.actor.turn(format!("{what} {path}")).await {
            Fate::Done => call.await,
            Fate::Fails => Err(lost()),
            Fate::Unanswered => {
                call.await?;
                Err(lost())
            }
            Fate::Dies(moment) => {
                match moment {
                    Moment::Before => drop(call),
                    Moment::After => drop(call.await),
                    Moment::Late => self.actor.later(call),
                }
                self.actor.die().await
            }
        }
    }

    /// The meta of all names under `prefix` that a listing shows.
    async fn listed(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let (bucket, prefix) = (self.bucket.clone(), prefix.cloned().unwrap_or_default());
        let all = async move |prefix: Path| {
            let metas: Vec<_> = bucket.memory.list(Some(&prefix)).try_collect().await?;
            let shown = metas.into_iter().filter(|meta| bucket.shows(&meta.location));
            Ok(shown.map(|meta| bucket.stamped(meta)).collect())
        };
        self.pass("list", &prefix.clone(), async move { all(prefix).await }).await
    }
}

fn lost() -> Error {
    Error::Generic { store: "memory", source: "the connection was lost on purpose".into() }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        path: &Path,
        data: PutPayload,
        mut how: PutOptions,
    ) -> Result<PutResult> {
        let (bucket, at, actor) = (self.bucket.clone(), path.clone(), self.actor.clone());
        let what = if how.mode == PutMode::Create { "create" } else { "put" };
        let call = async move {
            match (&how.mode, bucket.create_only) {
                (PutMode::Create, CreateOnly::Ignored) => how.mode = PutMode::Overwrite,
                (PutMode::Create, CreateOnly::Refused) => {
                    return Err(Error::NotSupported { source: "NotImplemented".into() });
                }
                _ => {}
            }
            let put = bucket.memory.put_opts(&at, data, how).await?;
            bucket.note(&at, actor.now());
            Ok(put)
        };
        self.pass(what, path, call).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "uploads that complete themselves".into() })
    }

    async fn get_opts(&self, path: &Path, how: GetOptions) -> Result<GetResult> {
        let (bucket, at) = (self.bucket.clone(), path.clone());
        let what = if how.head { "head" } else { "get" };
        let call = async move {
            let mut got = bucket.memory.get_opts(&at, how).await?;
            got.meta = bucket.stamped(got.meta);
            Ok(got)
        };
        self.pass(what, path, call).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Path| {
            let store = store.clone();
            async move {
                let (memory, at) = (store.bucket.memory.clone(), path.clone());
                store.pass("delete", &path, async move { memory.delete(&at).await }).await?;
                Ok(path)
            }
        };
        paths.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = async move { store.listed(prefix.as_ref()).await };
        listed.map_ok(|metas| stream::iter(metas).map(Ok)).try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let level = prefix.cloned().unwrap_or_default();
        let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for meta in self.listed(prefix).await? {
            let mut below = meta.location.prefix_match(&level).into_iter().flatten();
            let Some(first) = below.next() else { continue };
            let is_deeper = below.next().is_some();
            let folder = level.clone().join(first);
            drop(below);
            if !is_deeper {
                found.objects.push(meta);
            } else if found.common_prefixes.last() != Some(&folder) {
                found.common_prefixes.push(folder);
            }
        }
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        let (bucket, actor) = (self.bucket.clone(), self.actor.clone());
        let (source, target) = (from.clone(), to.clone());
        let call = async move {
            bucket.memory.copy_opts(&source, &target, how).await?;
            bucket.note(&target, actor.now());
            Ok(())
        };
        self.pass("copy", from, call).await
    }
}

#[async_trait]
impl MultipartStore for FaultStore {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let (bucket, at) = (self.bucket.clone(), path.clone());
        let call = async move {
            let mut books = bucket.books.lock().unwrap();
            books.uploads_begun += 1;
            let id = format!("upload-{}", books.uploads_begun);
            books.uploads.insert(id.clone(), (at, BTreeMap::new()));
            Ok(id)
        };
        self.pass("begin upload", path, call).await
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        part: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        let (bucket, id) = (self.bucket.clone(), id.clone());
        let call = async move {
            bucket.with_uploads(&id, |books| {
                books.uploads.get_mut(&id)?.1.insert(part, data.into());
                Some(PartId { content_id: part.to_string() })
            })
        };
        self.pass(&format!("part {part}"), path, call).await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        let (bucket, id, at) = (self.bucket.clone(), id.clone(), path.clone());
        let actor = self.actor.clone();
        let call = async move {
            let (begun_for, found) = bucket.with_uploads(&id, |books| books.uploads.remove(&id))?;
            assert_eq!(begun_for, at, "an upload is completed under the name it was begun for");
            let parts = parts.iter().map(|part| {
                let number = part.content_id.parse().expect("an id of ours");
                found.get(&number).cloned().expect("a part that was sent")
            });
            let put = bucket.memory.put(&at, parts.collect::<PutPayload>()).await?;
            bucket.note(&at, actor.now());
            Ok(put)
        };
        self.pass("complete", path, call).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        let (bucket, id) = (self.bucket.clone(), id.clone());
        let call =
            async move { bucket.with_uploads(&id, |books| books.uploads.remove(&id)).map(drop) };
        self.pass("abort", path, call).await
    }
}
