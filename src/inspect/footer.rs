//! What the footer of a Parquet file says: the file, and each column chunk of each row group.
//!
//! Bounds are those of the footer: NaN is not among them, long texts may be cut, and nested columns
//! have none. Sources: `parquet.thrift` of apache/parquet-format.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::columns::type_name;
use crate::error::{Error, Result};
use crate::objects::{ObjectOrFolder, copy, entries};
use crate::storage::{Location, Stores};
use crate::table;

/// Files looked at at a time.
const AT_ONCE: usize = 16;

/// A Parquet file.
#[derive(Clone, Debug)]
pub struct Footer {
    /// Where it is.
    pub file: Location,
    /// Bytes of the file.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// Row groups.
    pub row_groups: u64,
    /// Columns; of a nested one each leaf counts.
    pub columns: u64,
    /// What wrote it.
    pub created_by: Option<String>,
    /// The version of the format.
    pub version: i32,
    /// Keys of what the writer noted besides.
    pub notes: Vec<String>,
    /// Its column chunks, row group by row group.
    pub chunks: Vec<Chunk>,
}

/// One column in one row group.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The row group, from 0.
    pub row_group: u64,
    /// The column; of a nested one the path to the leaf.
    pub column: String,
    /// Its type, or that of the leaf on disk.
    pub data_type: String,
    /// Rows of the row group.
    pub rows: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes when decompressed.
    pub plain_bytes: u64,
    /// How it is compressed.
    pub compression: String,
    /// How its pages are encoded.
    pub encodings: String,
    /// Least value.
    pub min: Option<String>,
    /// Greatest value.
    pub max: Option<String>,
    /// NULLs.
    pub nulls: Option<u64>,
    /// Whether bounds of its pages are known.
    pub page_index: bool,
    /// Whether it has a bloom filter.
    pub bloom_filter: bool,
    /// Its place in the order of the rows, from 1, negative if descending; `None` if not sorted by.
    pub sorted: Option<i32>,
}

/// Reads the footers of the file at `location`, or of all that match if it is a pattern.
///
/// # Errors
/// Of kind [`Data`](crate::error::Kind::Data) if one is not a whole Parquet file; if there is none, or
/// storage fails.
pub async fn footers(stores: &Arc<Stores>, location: &Location) -> Result<Vec<Footer>> {
    let files = copy::named(stores, location).await?;
    if files.is_empty() {
        return Err(entries::no_match(location));
    }
    let footers = files.into_iter().map(|file| footer(Arc::clone(stores), file));
    stream::iter(footers).buffered(AT_ONCE).try_collect().await
}

async fn footer(stores: Arc<Stores>, location: Location) -> Result<Footer> {
    let (stores, location) = (&stores, &location);
    let meta = match entries::look(stores, location).await? {
        ObjectOrFolder::Object(meta) => meta,
        ObjectOrFolder::Folder => {
            return Err(Error::usage(format!(
                "'{location}' is a folder, expected a Parquet file: name all of its files with \
                 '{location}/**/*.parquet'"
            )));
        }
    };
    let (footer, schema) = table::footer(stores, location, &meta).await?;
    let about = footer.file_metadata();
    let groups = (0..).zip(footer.row_groups());
    let chunks = groups.flat_map(|(number, group)| chunks(number, group, &schema));
    Ok(Footer {
        file: location.clone(),
        size: meta.size,
        rows: unsigned(about.num_rows()),
        row_groups: footer.num_row_groups() as u64,
        columns: about.schema_descr().num_columns() as u64,
        created_by: about.created_by().map(str::to_owned),
        version: about.version(),
        notes: notes(&footer),
        chunks: chunks.collect(),
    })
}

fn notes(footer: &ParquetMetaData) -> Vec<String> {
    let pairs = footer.file_metadata().key_value_metadata().into_iter().flatten();
    pairs.map(|pair| pair.key.clone()).collect()
}

fn chunks(number: u64, group: &RowGroupMetaData, schema: &SchemaRef) -> Vec<Chunk> {
    let columns = group.columns().iter().enumerate();
    columns.map(|(index, column)| chunk(number, group, index, column, schema)).collect()
}

fn chunk(
    row_group: u64,
    group: &RowGroupMetaData,
    index: usize,
    column: &ColumnChunkMetaData,
    schema: &Schema,
) -> Chunk {
    let path = column.column_descr().path();
    // Only a column that is no part of another has bounds with a type.
    let field = (path.parts().len() == 1).then(|| schema.field_with_name(&path.parts()[0]).ok());
    let field = field.flatten();
    let bounds = field.and_then(|field| bounds(field.name(), group, schema));
    let (min, max) = bounds.unwrap_or_default();
    let mut encodings: Vec<_> = column.encodings().map(|encoding| encoding.to_string()).collect();
    encodings.sort_unstable();
    let order = group.sorting_columns().into_iter().flatten();
    let sorted =
        (1..).zip(order).find(|(_, sorted)| usize::try_from(sorted.column_idx) == Ok(index));
    Chunk {
        row_group,
        column: path.string(),
        data_type: match field {
            Some(field) => type_name(field.data_type()),
            None => column.column_type().to_string(),
        },
        rows: unsigned(group.num_rows()),
        bytes: unsigned(column.compressed_size()),
        plain_bytes: unsigned(column.uncompressed_size()),
        compression: column.compression_codec().to_string().to_lowercase(),
        encodings: encodings.join(" ").to_lowercase(),
        min,
        max,
        nulls: column.statistics().and_then(|statistics| statistics.null_count_opt()),
        page_index: column.column_index_offset().is_some(),
        bloom_filter: column.bloom_filter_offset().is_some(),
        sorted: sorted.map(|(place, sorted)| if sorted.descending { -place } else { place }),
    }
}

/// Least and greatest value of a column in a row group, as text.
fn bounds(
    name: &str,
    group: &RowGroupMetaData,
    schema: &Schema,
) -> Option<(Option<String>, Option<String>)> {
    let converter = StatisticsConverter::try_new(name, schema, group.schema_descr()).ok()?;
    let min = converter.row_group_mins([group]).ok()?;
    let max = converter.row_group_maxes([group]).ok()?;
    Some((only_value(&min), only_value(&max)))
}

/// The text of the one value of an array, unless it is NULL.
fn only_value(array: &ArrayRef) -> Option<String> {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).ok()?;
    (array.len() == 1 && array.is_valid(0)).then(|| formatter.value(0).to_string())
}

/// A count of the format, which has no unsigned numbers.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
