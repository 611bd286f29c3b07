//! A scan of very many Parquet files. The engine's own keeps 19 counters of each file that it has opened until
//! the plan is dropped, about 9 KB. Here those of a file go with it; what it has read is added up.

use std::any::Any;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileOpenFuture, FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
    ParquetSource,
};
use datafusion::datasource::source::DataSource;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricCategory,
};
use futures::{StreamExt, stream};
use object_store::ObjectStore;

use super::pinned::FOOTER_HINT;
use crate::error::Error;

/// The counter of bytes, of a file and of the scan.
const BYTES_SCANNED: &str = "bytes_scanned";

/// More files than this are scanned so, and their list is accounted.
pub(super) const MANY: usize = 1000;

/// What a file takes of the memory of a plan: its place, statistics and key values, which the optimizer copies.
const FILE_BYTES: usize = 2 * 1024;

/// Accounts for a list of `files`, if they are many, as long as the answer lives.
///
/// # Errors
/// The engine's, if there is no memory for it.
pub(super) fn accounted(
    pool: &Arc<dyn MemoryPool>,
    files: usize,
) -> Result<Option<Arc<MemoryReservation>>> {
    if files <= MANY {
        return Ok(None);
    }
    let list = MemoryConsumer::new(format!("a list of {files} files")).register(pool);
    list.try_grow(files * FILE_BYTES)?;
    Ok(Some(Arc::new(list)))
}

/// Parquet files, each of which is opened by a source of its own.
#[derive(Clone)]
pub(super) struct ManyFiles {
    /// What is read of each file.
    source: ParquetSource,
    context: Arc<TaskContext>,
    metrics: ExecutionPlanMetricsSet,
    _list: Arc<MemoryReservation>,
}

impl ManyFiles {
    /// The files of `source`, whose list is accounted to `list`, read in `context`.
    pub(super) fn new(
        source: ParquetSource,
        list: Arc<MemoryReservation>,
        context: Arc<TaskContext>,
    ) -> Self {
        Self { source, context, metrics: ExecutionPlanMetricsSet::new(), _list: list }
    }

    /// The same with what the engine made of its source.
    fn with(&self, source: &dyn FileSource) -> Result<Arc<dyn FileSource>> {
        let source = (source as &dyn Any).downcast_ref::<ParquetSource>().cloned();
        let source = source.ok_or_else(|| Error::internal("a source of Parquet became another"))?;
        Ok(Arc::new(Self { source, ..self.clone() }))
    }

    /// A source like this with counters of its own.
    fn of_one_file(&self) -> Result<Arc<dyn FileSource>> {
        let known = &self.source;
        let mut source = ParquetSource::new(known.table_schema().clone())
            .with_table_parquet_options(known.table_parquet_options().clone())
            .with_metadata_size_hint(FOOTER_HINT);
        if let Some(readers) = known.parquet_file_reader_factory() {
            source = source.with_parquet_file_reader_factory(Arc::clone(readers));
        }
        if let Some(predicate) = known.filter() {
            source = source.with_predicate(predicate);
        }
        let projected = known.projection().map(|columns| source.try_pushdown_projection(columns));
        Ok(projected.transpose()?.flatten().unwrap_or_else(|| Arc::new(source)))
    }
}

impl FileSource for ManyFiles {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let config =
            FileScanConfigBuilder::from(config.clone()).with_file_groups(Vec::new()).build();
        let bytes = MetricBuilder::new(&self.metrics).with_category(MetricCategory::Bytes);
        let bytes = bytes.counter(BYTES_SCANNED, partition);
        Ok(Arc::new(Opener { files: self.clone(), config, bytes }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.source.table_schema()
    }

    fn with_batch_size(&self, batch_rows: usize) -> Arc<dyn FileSource> {
        self.with(self.source.with_batch_size(batch_rows).as_ref())
            .unwrap_or(Arc::new(self.clone()))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.source.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.source.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        self.source.file_type()
    }

    fn fmt_extra(
        &self,
        how: DisplayFormatType,
        f: &mut std::fmt::Formatter<'_>,
    ) -> std::fmt::Result {
        self.source.fmt_extra(how, f)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let mut pushed = self.source.try_pushdown_filters(filters, config)?;
        if let Some(source) = pushed.updated_node.take() {
            pushed.updated_node = Some(self.with(source.as_ref())?);
        }
        Ok(pushed)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_projection(projection)?;
        pushed.map(|source| self.with(source.as_ref())).transpose()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.source.apply_expressions(f)
    }
}

/// Opens a file by a scan of this file alone.
struct Opener {
    files: ManyFiles,
    /// The scan without its files.
    config: FileScanConfig,
    bytes: Count,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let source = self.files.of_one_file()?;
        let counted = Counted { file: source.metrics().clone(), bytes: self.bytes.clone() };
        let config = FileScanConfigBuilder::from(self.config.clone())
            .with_source(source)
            .with_file_groups(vec![FileGroup::new(vec![file])])
            .build();
        let context = Arc::clone(&self.files.context);
        Ok(Box::pin(async move {
            let mut rows = config.open(0, context)?;
            // The engine opens a file while it reads the one before: what it waits for belongs here.
            let first = rows.next().await;
            let rows = stream::iter(first).chain(rows).map(move |batch: Result<RecordBatch>| {
                let _ends_with_them = &counted;
                batch
            });
            Ok(rows.boxed())
        }))
    }
}

/// Counters of a file, which are added to those of the scan at its end.
struct Counted {
    file: ExecutionPlanMetricsSet,
    bytes: Count,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let bytes = self.file.clone_inner().sum_by_name(BYTES_SCANNED);
        self.bytes.add(bytes.map_or(0, |bytes| bytes.as_usize()));
    }
}
