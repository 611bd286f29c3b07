//! Columns, rows and bounds of Parquet files, from their footers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::pinned::FOOTER_HINT;
use super::widen::Widened;
use crate::error::{Error, Result, guarded};
use crate::storage::{Location, Stores};
use crate::table::commit::place::DatasetRoot;
use crate::table::statistics::floats_inexact;
use crate::table::write::encode::plain_field;

/// Footers read at the same time.
const FOOTERS_AT_ONCE: usize = 64;

/// Columns times files of which bounds are kept: about 30 MB.
pub(super) const MAX_BOUNDS: usize = 64 * 1024;

/// Columns and statistics from the footers of all files. A column that is also a key is left to the path. Of a
/// footer only what is known of its columns is kept: those of a wide table are large.
pub(super) async fn inspect(
    place: &DatasetRoot,
    files: &[ObjectMeta],
    is_key: impl Fn(&Field) -> bool,
) -> Result<(Vec<Field>, Vec<Arc<Statistics>>)> {
    let footers: Vec<_> = files.iter().map(|meta| footer(place, meta)).collect();
    let mut footers = stream::iter(footers).buffered(FOOTERS_AT_ONCE);
    let mut columns = Widened::default();
    let mut known: Vec<(SchemaRef, Statistics)> = Vec::with_capacity(files.len());
    let mut bounds = 0;
    for meta in files {
        let Some(footer) = footers.try_next().await? else { break };
        let shown = place.show(&meta.location);
        let schema = columns_of(&footer, &shown)?;
        let own = schema.fields().iter().filter(|field| !is_key(field));
        let own: SchemaRef = Arc::new(Schema::new(own.map(|f| plain_field(f)).collect::<Vec<_>>()));
        let statistics =
            unbroken(&shown, || DFParquetMetadata::statistics_from_parquet_metadata(&footer, &own));
        let statistics = floats_inexact(statistics??);
        columns.add(&shown, own.fields(), &statistics)?;
        bounds += own.fields().len();
        if bounds <= MAX_BOUNDS {
            known.push((own, statistics));
        }
    }
    let fields = columns.fields()?;
    let schema = Schema::new(fields.clone());
    let unknown = Arc::new(Statistics::new_unknown(&schema));
    let mut statistics: Vec<_> =
        known.iter().map(|(own, known)| Arc::new(in_order(&schema, own, known))).collect();
    statistics.resize(files.len(), unknown);
    Ok((fields, statistics))
}

/// The columns of a file as they are read: timestamps of 96 bits are microseconds, since nanoseconds end in 2262.
fn columns_of(footer: &ParquetMetaData, shown: &str) -> Result<Schema> {
    let file = footer.file_metadata();
    let schema = unbroken(shown, || {
        parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
    })??;
    let unit = TimeUnit::Microsecond;
    let coerced = Int96Coercer::new(file.schema_descr(), &schema, &unit).coerce();
    let schema = coerced.unwrap_or(schema);
    for (place, field) in schema.fields().iter().enumerate() {
        if schema.fields()[..place].iter().any(|known| known.name() == field.name()) {
            return Err(Error::data(format!(
                "file '{shown}' has several columns named '{}', of which only one could be read: write \
                 it again with other names",
                field.name()
            )));
        }
    }
    Ok(schema)
}

/// What is known of a file's own columns, in the order and the types of the table's.
pub(super) fn in_order(schema: &Schema, own: &Schema, known: &Statistics) -> Statistics {
    let of = |field: &FieldRef| {
        let place = own.index_of(field.name()).ok();
        let found = place.and_then(|place| known.column_statistics.get(place).cloned());
        let is_same = place.is_some_and(|at| own.field(at).data_type() == field.data_type());
        // A column that a file lacks is NULL in all its rows.
        match found {
            Some(found) if is_same => found,
            Some(found) => of_type(&found, field.data_type()),
            None if place.is_some() => ColumnStatistics::new_unknown(),
            None => ColumnStatistics::new_unknown().with_null_count(known.num_rows),
        }
    };
    let column_statistics = schema.fields().iter().map(of).collect();
    Statistics { column_statistics, ..known.clone() }
}

/// What is known of a column whose values are cast to another type.
fn of_type(found: &ColumnStatistics, data_type: &DataType) -> ColumnStatistics {
    let cast = |bound: &Precision<ScalarValue>| match bound {
        Precision::Exact(value) => {
            value.cast_to(data_type).map_or(Precision::Absent, Precision::Exact)
        }
        Precision::Inexact(value) => {
            value.cast_to(data_type).map_or(Precision::Absent, Precision::Inexact)
        }
        Precision::Absent => Precision::Absent,
    };
    ColumnStatistics {
        min_value: cast(&found.min_value),
        max_value: cast(&found.max_value),
        null_count: found.null_count,
        ..ColumnStatistics::new_unknown()
    }
}

/// The footer of one Parquet file, and its columns as Arrow has them.
///
/// # Errors
/// Of kind [`Data`](crate::error::Kind::Data) if it is not a complete Parquet file; or if storage fails.
pub async fn footer_of(
    stores: &Arc<Stores>,
    location: &Location,
    meta: &ObjectMeta,
) -> Result<(Arc<ParquetMetaData>, SchemaRef)> {
    let place = DatasetRoot::at(stores, location)?;
    let footer = footer(&place, meta).await?;
    let schema = columns_of(&footer, &place.show(&meta.location))?;
    Ok((footer, Arc::new(schema)))
}

/// The footer of a file. Known broken files make the reader panic; that is an error here too.
async fn footer(place: &DatasetRoot, meta: &ObjectMeta) -> Result<Arc<ParquetMetaData>> {
    let store: &dyn ObjectStore = place.store.objects().as_ref();
    let reader = DFParquetMetadata::new(store, meta).with_metadata_size_hint(Some(FOOTER_HINT));
    let mut reading = Box::pin(reader.fetch_metadata());
    let read = poll_fn(|context| match guarded(|| reading.as_mut().poll(context)) {
        Some(poll) => poll.map(Some),
        None => Poll::Ready(None),
    });
    let shown = place.show(&meta.location);
    match read.await {
        Some(Ok(footer)) => Ok(footer),
        Some(Err(cause)) if Error::find_in(&cause).is_some() => Err(cause.into()),
        Some(Err(cause)) => {
            let cause = Error::from(cause);
            Err(Error::data(format!("file '{shown}' is not a complete Parquet file: {cause}"))
                .caused_by(cause))
        }
        None => Err(broken(&shown)),
    }
}

/// What `read` makes of a footer. Readers panic on some broken ones; that is an error here.
fn unbroken<T>(shown: &str, read: impl FnOnce() -> T) -> Result<T> {
    guarded(read).ok_or_else(|| broken(shown))
}

fn broken(shown: &str) -> Error {
    Error::data(format!("file '{shown}' is not a complete Parquet file"))
}
