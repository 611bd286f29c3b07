//! A store that answers only for known files, and only as they were when they were listed.
//!
//! Neither Parquet reader passes entity tags on, so without this a file replaced between planning
//! and reading would be read as if it were the old one. On an object store each request carries
//! `If-Match`; where there is no tag, and for files, the size is compared.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricCategory,
};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Kind};
use crate::table::commit::current_version;
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::nan::with_safe_bounds;

/// Bytes fetched from the end of a file in the hope that its footer is in them.
pub(super) const FOOTER_HINT: usize = 64 * 1024;

/// Pinned files of one table. Read only.
#[derive(Debug)]
pub(crate) struct PinnedStore {
    place: DatasetRoot,
    /// The version of the dataset that names the files; `None` for files without a manifest.
    version: Option<u64>,
    files: HashMap<Path, ObjectMeta>,
}

impl PinnedStore {
    /// `files` under `place`. Entity tags of a `version` count only if they were given there.
    pub(crate) fn new(
        place: DatasetRoot,
        version: Option<u64>,
        files: impl Iterator<Item = ObjectMeta>,
    ) -> Self {
        Self { place, version, files: files.map(|meta| (meta.location.clone(), meta)).collect() }
    }

    fn pinned(&self, path: &Path) -> object_store::Result<&ObjectMeta> {
        let unknown = || wrap(Error::internal(format!("file '{path}' is not one of the table")));
        self.files.get(path).ok_or_else(unknown)
    }

    /// What it means that a file is gone or another.
    async fn lost(&self, path: &Path, is_gone: bool) -> object_store::Error {
        let shown = self.place.show(path);
        let error = match self.version {
            Some(version) => match current_version(&self.place).await {
                Ok(newest) if newest > Some(version) => Error::new(
                    Kind::Retry,
                    format!(
                        "dataset '{}' was replaced while it was read: version {version} is gone, \
                         run it again",
                        self.place.location
                    ),
                ),
                _ => Error::data(format!(
                    "file '{shown}' is {}, though version {version} of its dataset lists it",
                    if is_gone { "missing" } else { "not the file it was" }
                )),
            },
            None if is_gone => {
                Error::data(format!("file '{shown}' is missing: it was there before"))
            }
            None => Error::new(
                Kind::Retry,
                format!("file '{shown}' was changed while it was read: run it again"),
            ),
        };
        wrap(error)
    }

    /// Where a file of a replaced version is kept for a while.
    fn kept(&self, path: &Path) -> Path {
        self.place.key(&names::kept(&self.place.relative(path)))
    }

    async fn check_size(&self, path: &Path, size: u64) -> object_store::Result<()> {
        match self.pinned(path)?.size == size {
            true => Ok(()),
            false => Err(self.lost(path, false).await),
        }
    }

    async fn explained<T>(
        &self,
        path: &Path,
        got: object_store::Result<T>,
    ) -> object_store::Result<T> {
        match got {
            Err(object_store::Error::NotFound { .. }) => Err(self.lost(path, true).await),
            Err(object_store::Error::Precondition { .. }) => Err(self.lost(path, false).await),
            other => other,
        }
    }
}

fn wrap(error: Error) -> object_store::Error {
    object_store::Error::Generic { store: "pinned", source: Box::new(error) }
}

fn read_only() -> object_store::Error {
    wrap(Error::internal("a pinned store is read only"))
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of {}", self.files.len(), self.place.location)
    }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, path: &Path, mut how: GetOptions) -> object_store::Result<GetResult> {
        let pinned = self.pinned(path)?;
        how.if_match.clone_from(&pinned.e_tag);
        let objects = self.place.store.objects();
        let got = match objects.get_opts(path, how.clone()).await {
            Err(object_store::Error::NotFound { .. }) if self.version.is_some() => {
                // A copy has another tag.
                let how = GetOptions { if_match: None, ..how };
                objects.get_opts(&self.kept(path), how).await
            }
            got => got,
        };
        let got = self.explained(path, got).await?;
        self.check_size(path, got.meta.size).await?;
        Ok(got)
    }

    /// Local files are read in one go, after a look at them; elsewhere each request is checked.
    async fn get_ranges(
        &self,
        path: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        if self.place.store.is_local() {
            self.head(path).await?;
            let objects = self.place.store.objects();
            let got = match objects.get_ranges(path, ranges).await {
                Err(object_store::Error::NotFound { .. }) if self.version.is_some() => {
                    objects.get_ranges(&self.kept(path), ranges).await
                }
                got => got,
            };
            return self.explained(path, got).await;
        }
        let fetch = |range: Range<u64>| async move { self.get_range(path, range).await };
        object_store::coalesce_ranges(ranges, fetch, object_store::OBJECT_STORE_COALESCE_DEFAULT)
            .await
    }

    async fn put_opts(
        &self,
        _: &Path,
        _: PutPayload,
        _: PutOptions,
    ) -> object_store::Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        paths.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        futures::stream::iter(self.files.values().cloned().map(Ok).collect::<Vec<_>>()).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> object_store::Result<ListResult> {
        Err(wrap(Error::internal("a pinned store has no directories")))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        Err(read_only())
    }
}

/// Opens Parquet files through a pinned store. The engine's own readers would turn the error of a
/// footer into text, and with it lose its kind.
#[derive(Debug)]
pub(crate) struct PinnedReaders {
    pub(crate) store: Arc<PinnedStore>,
    pub(crate) footers: Arc<FileMetadataCache>,
}

impl ParquetFileReaderFactory for PinnedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let meta = file.object_meta;
        let bytes = MetricBuilder::new(metrics).with_category(MetricCategory::Bytes);
        Ok(Box::new(PinnedReader {
            bytes: bytes.counter("bytes_scanned", partition),
            store: Arc::clone(&self.store),
            footers: Arc::clone(&self.footers),
            footer_hint,
            meta,
        }))
    }
}

struct PinnedReader {
    store: Arc<PinnedStore>,
    footers: Arc<FileMetadataCache>,
    meta: ObjectMeta,
    footer_hint: Option<usize>,
    bytes: Count,
}

impl AsyncFileReader for PinnedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut got = self.get_byte_ranges(vec![range]).await?;
            got.pop().ok_or_else(|| ParquetError::General("one range gave no bytes".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let got = self.store.get_ranges(&self.meta.location, &ranges).await;
            let got = got.map_err(|error| ParquetError::External(Box::new(error)))?;
            self.bytes.add(got.iter().map(Bytes::len).sum());
            Ok(got)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let footer = DFParquetMetadata::new(self.store.as_ref(), &self.meta)
                .with_file_metadata_cache(Some(Arc::clone(&self.footers)))
                .with_metadata_size_hint(self.footer_hint)
                .with_page_index_policy(options.map(ArrowReaderOptions::column_index_policy))
                .fetch_metadata()
                .await
                .map_err(|error| ParquetError::External(Box::new(error)))?;
            with_safe_bounds(footer)
        }
        .boxed()
    }
}
