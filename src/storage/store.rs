//! One opened store, and the wrapper that counts its calls and explains its errors.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};
use tokio::sync::OnceCell;

use super::crash;
use super::explain::{Backend, Verb};
use super::held_parts::HeldParts;
use super::local::LocalFiles;

/// A bucket, the files of this machine, or a place in memory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    backing: Backing,
    pause: Option<Pause>,
    create_only: Arc<OnceCell<CreateOnly>>,
    retries: Arc<AtomicU64>,
    held_parts: Option<Arc<dyn HeldParts>>,
    kept: Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>,
}

/// What a store makes of "put this only if the name is free".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOnly {
    /// It refuses if the name is taken.
    Enforced,
    /// It puts it whatever is there.
    Ignored,
    /// It answers that it cannot do this.
    Refused,
}

/// How a test lets a store wait, in place of the clock.
#[doc(hidden)]
pub type Pause = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Clone)]
enum Backing {
    Files(LocalFiles),
    Uploads(Arc<dyn MultipartStore>),
    /// Registered from outside; our uploads do not go through it.
    Foreign,
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files(_) => "Files",
            Self::Uploads(_) => "Uploads",
            Self::Foreign => "Foreign",
        })
    }
}

impl Store {
    /// A store whose uploads can be left open.
    pub(super) fn remote<S: ObjectStore + MultipartStore>(explained: Explained<S>) -> Self {
        let store = Arc::new(explained);
        let objects: Arc<dyn ObjectStore> = Arc::<Explained<S>>::clone(&store);
        Self::new(objects, Backing::Uploads(store))
    }

    /// The files of this machine.
    pub(super) fn local<S: ObjectStore>(explained: Explained<S>, files: LocalFiles) -> Self {
        Self::new(Arc::new(explained), Backing::Files(files))
    }

    /// A store from outside.
    pub(super) fn foreign(objects: Arc<dyn ObjectStore>) -> Self {
        Self::new(objects, Backing::Foreign)
    }

    fn new(objects: Arc<dyn ObjectStore>, backing: Backing) -> Self {
        let (create_only, retries, kept) = (Arc::default(), Arc::default(), Arc::default());
        Self { objects, backing, pause: None, create_only, retries, held_parts: None, kept }
    }

    /// The same store, whose pauses a test decides.
    pub(super) fn pausing(self, pause: Pause) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// The same store, whose client counts in `retries` what it sends again.
    pub(super) fn counting(self, retries: Arc<AtomicU64>) -> Self {
        Self { retries, ..self }
    }

    /// The same store, whose server says by `held_parts` what it holds of uploads.
    pub(super) fn asking(self, held_parts: Arc<dyn HeldParts>) -> Self {
        Self { held_parts: Some(held_parts), ..self }
    }

    /// Whether the store holds all these parts of an open upload; `None` if it cannot say.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn holds_parts(
        &self,
        path: &Path,
        id: &str,
        parts: &[String],
    ) -> crate::error::Result<Option<bool>> {
        match &self.held_parts {
            Some(server) => server.holds(path, id, parts).await,
            None => Ok(None),
        }
    }

    /// Requests of this process to the bucket that failed in passing and were sent again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// What others know about its objects, one value of a type, for as long as the store is open.
    pub fn kept<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default());
        Arc::clone(known).downcast().expect("it is there under its type")
    }

    /// The objects. An error holds our [`Error`](crate::error::Error) as its cause, and is still
    /// `NotFound`, `AlreadyExists` or `Precondition` where the store said so; `NotSupported` means
    /// that this server cannot do it at all.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Uploads that become visible only when they are completed. Local files have none.
    pub fn uploads(&self) -> Option<&Arc<dyn MultipartStore>> {
        match &self.backing {
            Backing::Uploads(uploads) => Some(uploads),
            Backing::Files(_) | Backing::Foreign => None,
        }
    }

    /// The calls on files that an object store does not offer, if this is the local file system.
    pub fn files(&self) -> Option<&LocalFiles> {
        match &self.backing {
            Backing::Files(files) => Some(files),
            Backing::Uploads(_) | Backing::Foreign => None,
        }
    }

    /// Waits before a call is tried again, for a random time between half of `at_most` and all of
    /// it: writers that met once shall not meet again.
    pub async fn pause(&self, at_most: Duration) {
        match &self.pause {
            Some(pause) => pause(at_most).await,
            None => {
                let random = uuid::Uuid::now_v7().as_bytes()[15];
                let share = 0.5 + f64::from(random) / 510.;
                tokio::time::sleep(at_most.mul_f64(share)).await;
            }
        }
    }

    /// What this store makes of create-only puts, once a writer has tried; clones share the answer.
    pub(crate) fn create_only(&self) -> &OnceCell<CreateOnly> {
        &self.create_only
    }

    /// Whether this is the local file system.
    pub fn is_local(&self) -> bool {
        self.files().is_some()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("objects", &self.objects)
            .field("backing", &self.backing)
            .finish_non_exhaustive()
    }
}

/// A store that counts its calls and explains its errors.
pub(super) struct Explained<S> {
    inner: S,
    backend: Arc<Backend>,
    /// `None` where the HTTP client counts its requests.
    calls: Option<Arc<AtomicU64>>,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S, backend: Backend, calls: Option<Arc<AtomicU64>>) -> Self {
        Self { inner, backend: Arc::new(backend), calls }
    }

    #[cfg_attr(feature = "test-hooks", track_caller)]
    fn count(&self) {
        crash::point();
        if let Some(calls) = &self.calls {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn explain<T>(&self, verb: Verb, path: &Path, result: Result<T>) -> Result<T> {
        result.map_err(|error| self.backend.explain(verb, path.as_ref(), error))
    }

    /// Explains the errors of a stream that outlives this call.
    fn explain_all<T: Send + 'static>(
        &self,
        verb: Verb,
        path: Option<&Path>,
        stream: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let backend = Arc::clone(&self.backend);
        let path = path.cloned().unwrap_or_default();
        stream
            .map(move |item| {
                crash::point();
                item.map_err(|error| backend.explain(verb, path.as_ref(), error))
            })
            .boxed()
    }
}

impl<S: fmt::Display> fmt::Display for Explained<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The backend only: a client's own `Debug` is not trusted with secrets.
impl<S> fmt::Debug for Explained<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Explained").field(&self.backend).finish()
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Explained<S> {
    async fn put_opts(&self, path: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.count();
        self.explain(Verb::Write, path, self.inner.put_opts(path, data, how).await)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count();
        let upload = self.inner.put_multipart_opts(path, how).await;
        let inner = self.explain(Verb::Write, path, upload)?;
        let backend = Arc::clone(&self.backend);
        Ok(Box::new(ExplainedUpload { inner, backend, path: path.clone() }))
    }

    async fn get_opts(&self, path: &Path, how: GetOptions) -> Result<GetResult> {
        self.count();
        let mut got = self.explain(Verb::Read, path, self.inner.get_opts(path, how).await)?;
        got.payload = match got.payload {
            GetResultPayload::Stream(stream) => {
                GetResultPayload::Stream(self.explain_all(Verb::Read, Some(path), stream))
            }
            file @ GetResultPayload::File(..) => file,
        };
        Ok(got)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count();
        self.explain(Verb::Read, path, self.inner.get_ranges(path, ranges).await)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.count();
        self.explain_all(Verb::Delete, None, self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count();
        self.explain_all(Verb::List, prefix, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count();
        self.explain_all(Verb::List, prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count();
        let listed = self.inner.list_with_delimiter(prefix).await;
        self.explain(Verb::List, &prefix.cloned().unwrap_or_default(), listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.count();
        self.explain(Verb::Copy, from, self.inner.copy_opts(from, to, how).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        self.count();
        self.explain(Verb::Copy, from, self.inner.rename_opts(from, to, how).await)
    }
}

#[async_trait]
impl<S: MultipartStore> MultipartStore for Explained<S> {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.count();
        self.explain(Verb::Write, path, self.inner.create_multipart(path).await)
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        part: usize,
        data: PutPayload,
    ) -> Result<PartId> {
        self.count();
        self.explain(Verb::Write, path, self.inner.put_part(path, id, part, data).await)
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        self.count();
        self.explain(Verb::Write, path, self.inner.complete_multipart(path, id, parts).await)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.count();
        self.explain(Verb::Delete, path, self.inner.abort_multipart(path, id).await)
    }
}

#[derive(Debug)]
struct ExplainedUpload {
    inner: Box<dyn MultipartUpload>,
    backend: Arc<Backend>,
    path: Path,
}

#[async_trait]
impl MultipartUpload for ExplainedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (backend, path) = (Arc::clone(&self.backend), self.path.clone());
        let part = self.inner.put_part(data);
        part.map(move |done| done.map_err(|e| backend.explain(Verb::Write, path.as_ref(), e)))
            .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await;
        done.map_err(|error| self.backend.explain(Verb::Write, self.path.as_ref(), error))
    }

    async fn abort(&mut self) -> Result<()> {
        let done = self.inner.abort().await;
        done.map_err(|error| self.backend.explain(Verb::Delete, self.path.as_ref(), error))
    }
}
