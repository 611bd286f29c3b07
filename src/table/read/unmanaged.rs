//! Tables without a manifest: one file, or a directory of files, plain or in Hive layout.
//!
//! Keys of a directory are text: nothing says what else they are. Columns come from the footers
//! of all files (of the first, if there are more than 1000), which also give rows and bounds. What looks
//! like the output of a job that has not ended is refused, and so are files of a dataset of ours: without
//! the manifest no one knows which of them belong together.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::options::SourceOptions;
use super::table::{AT_ONCE, SourceFile, SourceTable};
use crate::error::{Error, Result, guarded};
use crate::storage::{Location, Stores};
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::format::{self, Format, FormatKind};
use crate::table::hive::{self, HIVE_NULL, is_hidden};
use crate::table::statistics::floats_inexact;
use crate::table::text::format::CsvFormat;
use crate::table::text::infer;
use crate::table::text::{csv, decoded, json};
use crate::table::write::encode::plain_field;

/// The most files whose footers are read beforehand.
const MAX_FOOTERS: usize = 1000;

/// Text files looked at at a time: on an object store, small ones wait most of their time.
const SMALL_AT_ONCE: usize = 64;

/// Bytes fetched from the end of a file in the hope that its footer is in them.
const FOOTER_HINT: usize = 64 * 1024;

/// The table at `place`.
pub(super) async fn open(place: DatasetRoot, options: &SourceOptions) -> Result<SourceTable> {
    let name = place.location.name();
    if let Some(kind) = FormatKind::of_path(name)
        && let Some(meta) = file_at(&place).await?
    {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
        let files = vec![(meta, Vec::new())];
        return table(place, name, kind, Vec::new(), files, options).await;
    }
    let name = name.to_owned();
    let found =
        if place.is_local_file().await? { vec![] } else { files_under(&place, options).await? };
    let Some((first, _)) = found.first() else {
        if file_at(&place).await?.is_some() {
            return Err(Error::data(format!(
                "the name of file '{}' does not end in {}: rename or convert it",
                place.location,
                format::known_endings()
            )));
        }
        return Err(Error::missing(format!(
            "input '{}' not found: it is not a file, nor a directory with files that end in {}",
            place.location,
            format::known_endings()
        )));
    };
    let kind_of = |meta: &ObjectMeta| FormatKind::of_path(meta.location.as_ref());
    let kind = kind_of(first).unwrap_or(FormatKind::Parquet);
    if let Some((other, _)) = found.iter().find(|(meta, _)| kind_of(meta) != Some(kind)) {
        return Err(Error::data(format!(
            "directory '{}' holds files of two formats, '{}' and '{}': name one of them by a \
             pattern",
            place.location,
            place.relative(&first.location),
            place.relative(&other.location)
        )));
    }
    let (keys, files) = partitioned(&place, found)?;
    table(place, name, kind, keys, files, options).await
}

/// The file at the location itself, if it is one.
async fn file_at(place: &DatasetRoot) -> Result<Option<ObjectMeta>> {
    if place.location.path().is_root() || place.location.is_directory().await {
        return Ok(None);
    }
    match place.store.objects().head(place.location.path()).await {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The data files of a directory with their paths in it, sorted.
async fn files_under(
    place: &DatasetRoot,
    options: &SourceOptions,
) -> Result<Vec<(ObjectMeta, String)>> {
    let mut listed = place.store.objects().list(Some(place.location.path()));
    let mut found = Vec::new();
    let mut is_spark_part = false;
    let mut has_success = false;
    while let Some(meta) = listed.try_next().await? {
        let path = place.relative(&meta.location);
        if let Some(mark) = unfinished(&path, meta.size).filter(|_| !options.allow_incomplete) {
            return Err(Error::data(format!(
                "directory '{}' looks unfinished: '{path}' is {mark}; pass --allow-incomplete to \
                 read it anyway",
                place.location
            )));
        }
        if hive::is_of_a_run(&path) && !options.allow_incomplete {
            return Err(Error::data(format!(
                "directory '{}' holds '{path}', a file of a dataset, and there is no manifest that lists \
                 it: files may be missing; pass --allow-incomplete to read what is there",
                place.location
            )));
        }
        has_success |= path.ends_with(names::SUCCESS);
        if path.split('/').any(is_hidden) || FormatKind::of_path(&path).is_none() {
            continue;
        }
        is_spark_part |= path.rsplit('/').next().is_some_and(|name| name.starts_with("part-"));
        found.push((meta, path));
    }
    if is_spark_part && !has_success {
        tracing::info!(
            "directory '{}' has part- files and no {}: it may be incomplete",
            place.location,
            names::SUCCESS
        );
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// What an unfinished job, or another table format, leaves in a directory.
fn unfinished(path: &str, size: u64) -> Option<&'static str> {
    let mark = path.split('/').find_map(|segment| match segment {
        "_temporary" => Some("left by a Spark or Hadoop job"),
        "_delta_log" => Some("part of a Delta table, which lists its own files"),
        _ if segment.starts_with(".spark-staging") => Some("left by a Spark job"),
        _ => None,
    });
    let is_run = names::is_of_runs(path);
    let is_empty = size == 0 && FormatKind::of_path(path) == Some(FormatKind::Parquet);
    mark.or(is_run.then_some("the record of a run that has not published"))
        .or(is_empty.then_some("an empty file"))
}

type Partitioned = Vec<(ObjectMeta, Vec<ScalarValue>)>;

/// The keys of the directory, and the files with their key values.
fn partitioned(
    place: &DatasetRoot,
    found: Vec<(ObjectMeta, String)>,
) -> Result<(Vec<Field>, Partitioned)> {
    let mut keys: Option<Vec<String>> = None;
    let mut files = Vec::with_capacity(found.len());
    for (meta, path) in found {
        let mut segments: Vec<_> = path.split('/').collect();
        segments.pop();
        let pairs: Option<Vec<_>> = segments.iter().map(|name| hive::decode(name)).collect();
        let names = pairs.iter().flatten().map(|(key, _)| key.clone()).collect();
        match (&pairs, &keys) {
            (Some(_), Some(expected)) if *expected == names => {}
            (Some(_), None) => keys = Some(names),
            _ => {
                return Err(Error::data(format!(
                    "directory '{0}' is not one table: '{path}' is not under the same keys as the \
                     files before it; name one of its directories, or all with '{0}/*'",
                    place.location
                )));
            }
        }
        let values = pairs
            .into_iter()
            .flatten()
            .map(|(_, value)| ScalarValue::Utf8((value != HIVE_NULL).then_some(value)));
        files.push((meta, values.collect::<Vec<_>>()));
    }
    let keys = keys.unwrap_or_default().into_iter().enumerate().map(|(index, key)| {
        let has_null = files.iter().any(|(_, values)| values[index].is_null());
        Field::new(key, DataType::Utf8, has_null)
    });
    Ok((keys.collect(), files))
}

async fn table(
    place: DatasetRoot,
    name: String,
    kind: FormatKind,
    keys: Vec<Field>,
    files: Partitioned,
    options: &SourceOptions,
) -> Result<SourceTable> {
    let is_key = |field: &Field| keys.iter().any(|key| key.name() == field.name());
    let (format, fields, statistics) = match kind {
        FormatKind::Parquet => {
            let (fields, statistics) = inspect_parquet(&place, &files, is_key).await?;
            (Format::Parquet, fields, statistics)
        }
        FormatKind::Csv => inspect_csv(&place, &files, options).await?,
        FormatKind::Json => inspect_json(&place, &files, options).await?,
    };
    let files = files.into_iter().zip(statistics).map(|((meta, partition), statistics)| {
        SourceFile { meta, partition, statistics: Arc::new(statistics) }
    });
    let schema = Arc::new(Schema::new(fields));
    Ok(SourceTable::new(name, keys, schema, files.collect(), format, (place, None)))
}

/// Columns and statistics from the footers. A column that is also a key is left to the path.
async fn inspect_parquet(
    place: &DatasetRoot,
    files: &Partitioned,
    is_key: impl Fn(&Field) -> bool,
) -> Result<(Vec<Field>, Vec<Statistics>)> {
    let read = if files.len() > MAX_FOOTERS { &files[..1] } else { &files[..] };
    let footers: Vec<_> = read.iter().map(|(meta, _)| footer(place, meta)).collect();
    let footers: Vec<_> = stream::iter(footers).buffered(AT_ONCE).try_collect().await?;
    let mut columns = Columns::default();
    for ((meta, _), footer) in read.iter().zip(&footers) {
        let file = footer.file_metadata();
        let shown = place.show(&meta.location);
        let schema = unbroken(&shown, || {
            parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        })??;
        let own = schema.fields().iter().filter(|field| !is_key(field));
        columns.add(&shown, own.map(|field| plain_field(field)).collect())?;
    }
    let fields = columns.fields();
    let schema: SchemaRef = Arc::new(Schema::new(fields.clone()));
    let known = read.iter().zip(&footers).map(|((meta, _), footer)| {
        let statistics = unbroken(&place.show(&meta.location), || {
            DFParquetMetadata::statistics_from_parquet_metadata(footer, &schema)
        });
        Ok(floats_inexact(statistics??))
    });
    let mut statistics = known.collect::<Result<Vec<_>>>()?;
    statistics.resize_with(files.len(), || Statistics::new_unknown(&schema));
    Ok((fields, statistics))
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
    let file = footer.file_metadata();
    let schema = unbroken(&place.show(&meta.location), || {
        parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
    })??;
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

async fn inspect_csv(
    place: &DatasetRoot,
    files: &Partitioned,
    options: &SourceOptions,
) -> Result<(Format, Vec<Field>, Vec<Statistics>)> {
    let store = place.store.objects().as_ref();
    let mut columns = Columns::default();
    let mut format: Option<CsvFormat> = None;
    let mut rows = Vec::with_capacity(files.len());
    let looks = files.iter().map(|(meta, _)| async move {
        let shown = place.show(&meta.location);
        Ok::<_, Error>((csv::inspect(store, meta, &shown, options.look()).await?, shown))
    });
    let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(SMALL_AT_ONCE);
    while let Some((facts, shown)) = looks.try_next().await? {
        rows.push(facts.rows);
        let fields = facts.fields.into_iter();
        let declared = |field: Field| match options.types.iter().find(|(n, _)| n == field.name()) {
            Some((_, data_type)) => field.with_data_type(data_type.clone()),
            None if options.text => field.with_data_type(DataType::Utf8),
            None => field,
        };
        columns.add_text(&shown, fields.map(declared).collect())?;
        match &mut format {
            None => format = Some(facts.format),
            Some(format) if format.header != facts.format.header => {
                return Err(Error::data(format!(
                    "some files of '{}' have a header line and some do not; '{shown}' is the first \
                     that differs: read them one by one",
                    place.location
                )));
            }
            Some(format) if format.gzip != facts.format.gzip => {
                return Err(differs_in_gzip(place, &shown));
            }
            Some(format) if format.delimiter != facts.format.delimiter => {
                return Err(Error::data(format!(
                    "file '{shown}' has the delimiter '{}', the files before it have '{}'",
                    char::from(facts.format.delimiter).escape_default(),
                    char::from(format.delimiter).escape_default()
                )));
            }
            Some(format) => format.newlines_in_values |= facts.format.newlines_in_values,
        }
    }
    let fields = columns.fields();
    let schema = Schema::new(fields.clone());
    if let Some((name, _)) = options.types.iter().find(|(n, _)| schema.index_of(n).is_err()) {
        let known: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        let (place, known) = (&place.location, known.join(", "));
        let what = format!("column '{name}' not found in '{place}', which has {known}");
        return Err(Error::data(what));
    }
    let statistics = rows_only(&schema, rows);
    let format = format.ok_or_else(|| Error::internal("a table without files"))?;
    Ok((Format::Csv(format), fields, statistics))
}

/// Columns and rows of files of JSON lines. What one file lacks is NULL there.
async fn inspect_json(
    place: &DatasetRoot,
    files: &Partitioned,
    options: &SourceOptions,
) -> Result<(Format, Vec<Field>, Vec<Statistics>)> {
    let store = place.store.objects().as_ref();
    let mut columns = Columns::default();
    let mut rows = Vec::with_capacity(files.len());
    let gzip = files.first().is_some_and(|(meta, _)| decoded::is_gzip(&meta.location));
    let looks = files.iter().map(|(meta, _)| async move {
        let (shown, path) = (place.show(&meta.location), &meta.location);
        let facts = json::inspect(store, path, meta.size, &shown, options.sample).await?;
        Ok::<_, Error>((facts, path, shown))
    });
    let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(SMALL_AT_ONCE);
    while let Some((facts, path, shown)) = looks.try_next().await? {
        rows.push(facts.rows);
        columns.add(&shown, facts.fields)?;
        if decoded::is_gzip(path) != gzip {
            return Err(differs_in_gzip(place, &shown));
        }
    }
    let fields = columns.fields();
    let statistics = rows_only(&Schema::new(fields.clone()), rows);
    Ok((Format::Json { gzip }, fields, statistics))
}

fn differs_in_gzip(place: &DatasetRoot, shown: &str) -> Error {
    Error::data(format!(
        "some files of '{}' are compressed and some are not; '{shown}' is the first that differs: \
         name only some of them by a pattern",
        place.location
    ))
}

/// Statistics that know no more than rows.
fn rows_only(schema: &Schema, rows: Vec<Option<u64>>) -> Vec<Statistics> {
    let statistics = rows.into_iter().map(|rows| {
        let mut statistics = Statistics::new_unknown(schema);
        if let Some(rows) = rows {
            statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        statistics
    });
    statistics.collect()
}

/// The columns of several files, and the file that had each first.
#[derive(Default)]
struct Columns {
    fields: Vec<(Field, String)>,
    files: usize,
}

impl Columns {
    /// Adds the columns of a Parquet file: one that a file lacks is NULL there.
    fn add(&mut self, file: &str, fields: Vec<Field>) -> Result<()> {
        for (field, _) in &mut self.fields {
            if !fields.iter().any(|new| new.name() == field.name()) {
                *field = field.clone().with_nullable(true);
            }
        }
        for new in fields {
            let known = self.fields.iter_mut().find(|(field, _)| field.name() == new.name());
            match known {
                Some((field, _)) if field.data_type() == new.data_type() => {
                    *field = field.clone().with_nullable(field.is_nullable() || new.is_nullable());
                }
                Some((field, first)) => {
                    return Err(Error::data(format!(
                        "column '{}' is {} in '{file}' and {} in '{first}': read them one by one",
                        new.name(),
                        new.data_type(),
                        field.data_type()
                    )));
                }
                None => {
                    let nullable = new.is_nullable() || self.files > 0;
                    self.fields.push((new.with_nullable(nullable), file.to_owned()));
                }
            }
        }
        self.files += 1;
        Ok(())
    }

    /// Adds the columns of a CSV file: the same names in the same order; of two types the wider.
    fn add_text(&mut self, file: &str, fields: Vec<Field>) -> Result<()> {
        if self.files == 0 {
            self.files = 1;
            self.fields = fields.into_iter().map(|field| (field, file.to_owned())).collect();
            return Ok(());
        }
        let same = self.fields.len() == fields.len()
            && self.fields.iter().zip(&fields).all(|((field, _), new)| field.name() == new.name());
        if !same {
            return Err(Error::data(format!(
                "file '{file}' has a different header than '{}': read them one by one",
                self.fields.first().map_or("", |(_, first)| first)
            )));
        }
        for ((field, _), new) in self.fields.iter_mut().zip(fields) {
            let wider = infer::wider(field.data_type(), new.data_type());
            *field = field.clone().with_data_type(wider);
        }
        Ok(())
    }

    fn fields(&self) -> Vec<Field> {
        // A column of text without any value has no type.
        let known = |field: &Field| match field.data_type() {
            DataType::Null => field.clone().with_data_type(DataType::Utf8),
            _ => field.clone(),
        };
        self.fields.iter().map(|(field, _)| known(field)).collect()
    }
}
