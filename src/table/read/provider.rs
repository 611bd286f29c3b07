//! The table provider over pinned files: a stock file scan, so that the optimizer and executors see
//! nothing new, with the key values and statistics that the manifest knows.
//!
//! A filter on keys alone is answered here and chooses files; the others prune files and pages by
//! their bounds. `count(*)` and the MIN and MAX of most columns need no file at all.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{
    ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics,
};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::FutureExt;
use futures::future::{self, BoxFuture};

use super::many_files::{ManyFiles, accounted};
use super::pinned::{FOOTER_HINT, PinnedReaders, PinnedStore};
use super::table::{SourceFile, SourceTable};
use crate::table::format::Format;
use crate::table::statistics::SharedStatistics;
use crate::table::text::format::TextFile;
use crate::table::text::scan::TextSource;

/// As many rows of a text file are the first ones if they are asked for, read in order by one stream.
const FIRST_ROWS: usize = 100_000;

impl SourceTable {
    /// The table for the engine: a stock file scan over the pinned files.
    pub fn provider(&self) -> Arc<dyn TableProvider> {
        Arc::new(DatasetTable::new(self.clone()))
    }
}

/// A source table as the engine sees it.
#[derive(Debug)]
pub(crate) struct DatasetTable {
    pub(super) table: SourceTable,
    store: Arc<PinnedStore>,
}

impl DatasetTable {
    pub(crate) fn new(table: SourceTable) -> Self {
        let files = table.files.iter().map(|file| file.meta.clone());
        let store = Arc::new(PinnedStore::new(table.place.clone(), table.version, files));
        Self { table, store }
    }

    /// The files whose key values satisfy `filters`.
    fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&SourceFile>> {
        let files: Vec<_> = self.table.files.iter().collect();
        let filters: Vec<_> = filters.iter().filter(|filter| self.is_on_keys(filter)).collect();
        if filters.is_empty() || files.is_empty() {
            return Ok(files);
        }
        let schema = Arc::new(Schema::new(self.table.keys.clone()));
        let columns = (0..self.table.keys.len()).map(|key| {
            ScalarValue::iter_to_array(files.iter().map(|file| file.partition[key].clone()))
        });
        let keys = RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_>>()?)?;
        let schema = DFSchema::try_from(schema)?;
        let mut kept = files;
        let mut keys = keys;
        for filter in filters {
            // The table's name is not part of this schema.
            let filter = datafusion::logical_expr::expr_rewriter::unnormalize_col(filter.clone());
            let filter = state.create_physical_expr(filter, &schema)?;
            let keep = filter.evaluate(&keys)?.into_array(keys.num_rows())?;
            let keep = keep.as_boolean_opt().ok_or_else(|| {
                DataFusionError::Internal("a filter on keys is not a boolean".to_owned())
            })?;
            keys = arrow::compute::filter_record_batch(&keys, keep)?;
            let mut keep = keep.iter();
            kept.retain(|_| keep.next().flatten() == Some(true));
        }
        Ok(kept)
    }

    /// Whether `filter` depends on keys, and on nothing else.
    fn is_on_keys(&self, filter: &Expr) -> bool {
        let keys: Vec<_> = self.table.keys.iter().map(|key| key.name().as_str()).collect();
        !keys.is_empty()
            && !filter.column_refs().is_empty()
            && !filter.contains_outer()
            && !filter.contains_scalar_subquery()
            && expr_applicable_for_cols(&keys, filter)
    }

    /// How the files are read, of which a plan has `files`; if they are not read `is_whole`, by one stream each.
    fn file_source(
        &self,
        state: &dyn Session,
        files: usize,
        is_whole: bool,
    ) -> Result<Arc<dyn FileSource>> {
        let pool = &state.runtime_env().memory_pool;
        let list = accounted(pool, files)?;
        let keys: Vec<_> = self.table.keys.iter().cloned().map(Arc::new).collect();
        let schema = TableSchema::builder(Arc::clone(&self.table.file_schema))
            .with_table_partition_cols(keys)
            .build();
        Ok(match &self.table.format {
            Format::Parquet => {
                let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
                let readers = PinnedReaders { store: Arc::clone(&self.store), footers };
                let options = state.default_table_options().parquet;
                let source = ParquetSource::new(schema)
                    .with_table_parquet_options(options)
                    .with_metadata_size_hint(FOOTER_HINT)
                    .with_parquet_file_reader_factory(Arc::new(readers));
                match list {
                    Some(list) => Arc::new(ManyFiles::new(source, list, state.task_ctx())),
                    None => Arc::new(source),
                }
            }
            Format::Csv(_) | Format::Json => {
                let mut texts = self.table.files.iter().filter_map(|file| file.text.as_deref());
                let is_splittable = is_whole && texts.all(TextFile::is_splittable);
                let store = Arc::clone(&self.store) as _;
                let place = self.table.place.clone();
                let pool = (Arc::clone(pool), list);
                Arc::new(TextSource::new(store, place, pool, schema, is_splittable))
            }
        })
    }
}

impl DatasetTable {
    fn planned(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(state, filters)?;
        if files.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.table.schema.project(columns)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let streams = state.config().target_partitions();
        let is_whole = limit.is_none_or(|limit| limit > FIRST_ROWS);
        let source = self.file_source(state, files.len(), is_whole)?;
        let mut shared = SharedStatistics::default();
        let files = files.into_iter().map(|file| partitioned(file, &mut shared));
        let files = FileGroup::new(files.collect());
        let groups = files.split_files(streams).into_iter().map(FileGroup::into_inner).collect();
        let (groups, statistics) = summary(groups, &self.table.schema)?;
        let url = ObjectStoreUrl::parse(self.table.location().store_url())?;
        let scan = FileScanConfigBuilder::new(url, source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut shared = SharedStatistics::default();
        let files = self.table.files.iter().map(|file| partitioned(file, &mut shared));
        summary(vec![files.collect()], &self.table.schema).ok().map(|(_, statistics)| statistics)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_on_keys(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    // Written out and not by `async_trait`: its bounds on lifetimes would make the compiler prove for each
    // type in `Expr` again that it is `Send`, which took half of the time of a check of this crate.
    fn scan<'a, 'b, 'c, 'd, 'f>(
        &'a self,
        state: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, Result<Arc<dyn ExecutionPlan>>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        'd: 'f,
    {
        future::ready(self.planned(state, projection, filters, limit)).boxed()
    }
}

/// Groups with their statistics, and those of all.
fn summary(
    groups: Vec<Vec<PartitionedFile>>,
    schema: &SchemaRef,
) -> Result<(Vec<FileGroup>, Statistics)> {
    fn known(files: &[PartitionedFile]) -> impl Iterator<Item = &Statistics> {
        files.iter().filter_map(|file| file.statistics.as_deref())
    }
    let all = groups.iter().flat_map(|files| known(files));
    let all = Statistics::try_merge_iter(all, schema)?;
    let groups = groups.into_iter().map(|files| {
        let statistics = Statistics::try_merge_iter(known(&files), schema)?;
        Ok(FileGroup::new(files).with_statistics(Arc::new(statistics)))
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    Ok((groups, all))
}

fn partitioned(file: &SourceFile, shared: &mut SharedStatistics) -> PartitionedFile {
    let with_keys = |known: &Statistics| {
        let keys = file.partition.iter().map(|value| key_statistics(value, &known.num_rows));
        let mut statistics = known.clone();
        statistics.column_statistics.extend(keys);
        statistics
    };
    let statistics = match file.partition.as_slice() {
        [] => Arc::clone(&file.statistics),
        keys => shared.of(&file.statistics, keys, with_keys),
    };
    let mut partitioned = PartitionedFile::new_from_meta(file.meta.clone())
        .with_partition_values(file.partition.clone());
    // Its own method takes every key value for one that is not NULL.
    partitioned.statistics = Some(statistics);
    if let Some(text) = &file.text {
        partitioned.extensions.insert_arc(Arc::clone(text));
    }
    partitioned
}

/// A key is the same in all rows of a file.
fn key_statistics(value: &ScalarValue, rows: &Precision<usize>) -> ColumnStatistics {
    if value.is_null() {
        return ColumnStatistics::new_unknown().with_null_count(*rows);
    }
    ColumnStatistics::new_unknown()
        .with_null_count(Precision::Exact(0))
        .with_min_value(Precision::Exact(value.clone()))
        .with_max_value(Precision::Exact(value.clone()))
        .with_distinct_count(Precision::Exact(1))
}
