//! The table provider over pinned files: a stock file scan, so that the optimizer and executors see
//! nothing new, with the key values and statistics that the manifest knows.
//!
//! A filter on keys alone is answered here and chooses files; the others prune files and pages by
//! their bounds. `count(*)` and the MIN and MAX of most columns need no file at all.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::CsvOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{
    ColumnStatistics, DFSchema, DataFusionError, Result, ScalarValue, Statistics,
};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::{
    CsvSource, FileGroup, FileScanConfigBuilder, FileSource, JsonSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::pinned::{PinnedReaders, PinnedStore};
use super::table::{SourceFile, SourceTable};
use crate::error::Error;
use crate::table::format::Format;
use crate::table::text::decoded::DecodedFile;
use crate::table::text::format::CsvFormat;

/// Bytes fetched from the end of a file in the hope that its footer is in them.
const FOOTER_HINT: usize = 64 * 1024;

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

    /// A scan of text to decode, a stream a file. Keys are not for it: see [`SourceTable::keys`].
    fn decoded(
        &self,
        files: &[&SourceFile],
        csv: Option<CsvFormat>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.table.keys.is_empty() {
            return Err(DataFusionError::External(Box::new(Error::data(format!(
                "directory '{}' holds text under keys that is compressed or not UTF-8: convert it",
                self.table.location()
            )))));
        }
        let partitions = files.iter().map(|file| -> Arc<dyn PartitionStream> {
            Arc::new(DecodedFile {
                store: self.table.objects(),
                path: file.meta.location.clone(),
                shown: self.table.show(file),
                csv,
                schema: self.schema(),
            })
        });
        let plan = StreamingTableExec::try_new(
            self.schema(),
            partitions.collect(),
            projection,
            [], // no ordering is promised
            false,
            limit,
        )?;
        Ok(Arc::new(plan))
    }

    fn file_source(&self, state: &dyn Session) -> Arc<dyn FileSource> {
        let keys: Vec<_> = self.table.keys.iter().cloned().map(Arc::new).collect();
        let schema = TableSchema::builder(Arc::clone(&self.table.file_schema))
            .with_table_partition_cols(keys)
            .build();
        match &self.table.format {
            Format::Parquet => {
                let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
                let readers = PinnedReaders { store: Arc::clone(&self.store), footers };
                let options = state.default_table_options().parquet;
                Arc::new(
                    ParquetSource::new(schema)
                        .with_table_parquet_options(options)
                        .with_metadata_size_hint(FOOTER_HINT)
                        .with_parquet_file_reader_factory(Arc::new(readers)),
                )
            }
            Format::Json { .. } => Arc::new(JsonSource::new(schema)),
            Format::Csv(format) => Arc::new(CsvSource::new(schema).with_csv_options(CsvOptions {
                has_header: Some(format.header),
                delimiter: format.delimiter,
                newlines_in_values: Some(format.newlines_in_values),
                ..CsvOptions::default()
            })),
        }
    }
}

impl DatasetTable {
    fn scan_boxed<'f>(
        &'f self,
        state: &'f dyn Session,
        projection: Option<&'f Vec<usize>>,
        filters: &'f [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, Result<Arc<dyn ExecutionPlan>>> {
        self.planned(state, projection, filters, limit).boxed()
    }

    async fn planned(
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
        if self.table.format != Format::Parquet {
            // The readers of text take no store of ours: this is the last look before they read.
            self.table.check(&files).await?;
        }
        match self.table.format {
            Format::Csv(format) if format.is_decoded() => {
                return self.decoded(&files, Some(format), projection, limit);
            }
            Format::Json { gzip: true } => return self.decoded(&files, None, projection, limit),
            _ => {}
        }
        let streams = state.config().target_partitions();
        let files = FileGroup::new(files.into_iter().map(partitioned).collect());
        let groups = files.split_files(streams).into_iter().map(FileGroup::into_inner).collect();
        let (groups, statistics) = summary(groups, &self.table.schema)?;
        let url = ObjectStoreUrl::parse(self.table.location().store_url())?;
        let scan = FileScanConfigBuilder::new(url, self.file_source(state))
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
        summary(vec![self.table.files.iter().map(partitioned).collect()], &self.table.schema)
            .ok()
            .map(|(_, statistics)| statistics)
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
        self.scan_boxed(state, projection, filters, limit)
    }
}

/// Groups with their statistics, and those of all.
fn summary(
    groups: Vec<Vec<PartitionedFile>>,
    schema: &SchemaRef,
) -> Result<(Vec<FileGroup>, Statistics)> {
    let merge = |files: &[PartitionedFile]| {
        let statistics = files.iter().filter_map(|file| file.statistics.as_deref());
        Statistics::try_merge_iter(statistics, schema)
    };
    let all = merge(&groups.concat())?;
    let groups = groups.into_iter().map(|files| {
        let statistics = merge(&files)?;
        Ok(FileGroup::new(files).with_statistics(Arc::new(statistics)))
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    Ok((groups, all))
}

fn partitioned(file: &SourceFile) -> PartitionedFile {
    let mut statistics = file.statistics.as_ref().clone();
    let keys = file.partition.iter().map(|value| key_statistics(value, &statistics.num_rows));
    let keys: Vec<_> = keys.collect();
    statistics.column_statistics.extend(keys);
    let mut partitioned = PartitionedFile::new_from_meta(file.meta.clone())
        .with_partition_values(file.partition.clone());
    // Its own method takes every key value for one that is not NULL.
    partitioned.statistics = Some(Arc::new(statistics));
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
