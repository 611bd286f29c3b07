//! Tables without a manifest: one file, or a directory of files, plain or in Hive layout.
//!
//! Keys of a directory are text: nothing says what else they are. Columns come from the footers
//! of all files (of the first, if there are more than 1000), which also give rows and bounds. What looks
//! like the output of a job that has not ended is refused, and so are files of a dataset of ours: without
//! the manifest no one knows which of them belong together.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::options::SourceOptions;
use super::pinned::FOOTER_HINT;
use super::table::{AT_ONCE, SourceFile, SourceTable};
use crate::error::{Error, Result, guarded};
use crate::storage::{Location, Stores};
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::format::{self, Format, FormatKind};
use crate::table::hive::{self, HIVE_NULL, is_hidden};
use crate::table::statistics::floats_inexact;
use crate::table::text::csv::TextFacts;
use crate::table::text::format::{CsvFormat, Lines, TextFile};
use crate::table::text::known::{Asked, KnownFiles};
use crate::table::text::preamble::Finding;
use crate::table::text::{csv, join, json};
use crate::table::write::encode::plain_field;

/// The most files whose footers are read beforehand.
const MAX_FOOTERS: usize = 1000;

/// Columns times files of which bounds are kept: about 30 MB.
const MAX_BOUNDS: usize = 64 * 1024;

/// Text files looked at at the same time: each takes some MiB.
const LOOKS_AT_ONCE: usize = 4;
/// The same if all are at most as small as this: on an object store they wait most of their time.
const SMALL_LOOKS_AT_ONCE: usize = 64;
const SMALL_BYTES: u64 = 64 * 1024;

/// The table at `place`.
pub(super) async fn open(place: DatasetRoot, options: &SourceOptions) -> Result<SourceTable> {
    let name = place.location.name();
    if let Some(kind) = FormatKind::of_path(name)
        && let Some(meta) = file_at(&place).await?
    {
        let name = format::uncompressed(name);
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
        if names::run_of_data(&path).is_some() && !options.allow_incomplete {
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
    if kind != FormatKind::Parquet {
        let text = inspect_text(&place, kind, &files, options).await?;
        let schema = Arc::new(Schema::new(text.fields));
        let statistics = rows_only(&schema, text.rows);
        let found = files.into_iter().zip(statistics).zip(text.files);
        let files = found.map(|(((meta, partition), statistics), text)| SourceFile {
            meta,
            partition,
            statistics,
            text: Some(text),
        });
        let files = files.collect();
        let mut table = SourceTable::new(name, keys, schema, files, text.format, (place, None));
        table.findings = Arc::new(text.findings);
        return Ok(table);
    }
    let (fields, statistics) = inspect_parquet(&place, &files, is_key).await?;
    let files = files.into_iter().zip(statistics).map(|((meta, partition), statistics)| {
        SourceFile { meta, partition, statistics, text: None }
    });
    let schema = Arc::new(Schema::new(fields));
    Ok(SourceTable::new(name, keys, schema, files.collect(), Format::Parquet, (place, None)))
}

/// Columns and statistics from the footers. A column that is also a key is left to the path. Of a footer only
/// what is known of its columns is kept: those of a wide table are large.
async fn inspect_parquet(
    place: &DatasetRoot,
    files: &Partitioned,
    is_key: impl Fn(&Field) -> bool,
) -> Result<(Vec<Field>, Vec<Arc<Statistics>>)> {
    let read = if files.len() > MAX_FOOTERS { &files[..1] } else { &files[..] };
    let footers: Vec<_> = read.iter().map(|(meta, _)| footer(place, meta)).collect();
    let mut footers = stream::iter(footers).buffered(AT_ONCE);
    let mut columns = Columns::default();
    let mut known: Vec<(SchemaRef, Statistics)> = Vec::with_capacity(read.len());
    let mut bounds = 0;
    for (meta, _) in read {
        let Some(footer) = footers.try_next().await? else { break };
        let file = footer.file_metadata();
        let shown = place.show(&meta.location);
        let schema = unbroken(&shown, || {
            parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
        })??;
        let own = schema.fields().iter().filter(|field| !is_key(field));
        let own: Vec<_> = own.map(|field| plain_field(field)).collect();
        columns.add(&shown, own.clone())?;
        bounds += own.len();
        if bounds > MAX_BOUNDS {
            continue;
        }
        let own: SchemaRef = Arc::new(Schema::new(own));
        let statistics =
            unbroken(&shown, || DFParquetMetadata::statistics_from_parquet_metadata(&footer, &own));
        known.push((own, floats_inexact(statistics??)));
    }
    let fields = columns.fields();
    let schema = Schema::new(fields.clone());
    let unknown = Arc::new(Statistics::new_unknown(&schema));
    let mut statistics: Vec<_> =
        known.iter().map(|(own, known)| Arc::new(in_order(&schema, own, known))).collect();
    statistics.resize(files.len(), unknown);
    Ok((fields, statistics))
}

/// What is known of a file's own columns, in the order of the table's.
fn in_order(schema: &Schema, own: &Schema, known: &Statistics) -> Statistics {
    let of = |field: &FieldRef| {
        let place = own.index_of(field.name()).ok();
        let found = place.and_then(|place| known.column_statistics.get(place).cloned());
        // A column that a file lacks is NULL in all its rows.
        found.unwrap_or_else(|| match place {
            Some(_) => ColumnStatistics::new_unknown(),
            None => ColumnStatistics::new_unknown().with_null_count(known.num_rows),
        })
    };
    let column_statistics = schema.fields().iter().map(of).collect();
    Statistics { column_statistics, ..known.clone() }
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

/// What a look at text files found: the format and columns of the table, and each file.
struct InspectedText {
    format: Format,
    fields: Vec<Field>,
    rows: Vec<Option<u64>>,
    files: Vec<Arc<TextFile>>,
    findings: Vec<(String, Finding)>,
}

/// Looks at text files, a few at a time.
async fn inspect_text(
    place: &DatasetRoot,
    kind: FormatKind,
    files: &Partitioned,
    options: &SourceOptions,
) -> Result<InspectedText> {
    let store = place.store.objects().as_ref();
    let known = &place.store.kept::<KnownFiles>();
    let looks = files.iter().map(|(meta, _)| async move {
        let shown = place.show(&meta.location);
        let (file, look) = ((&meta.location, meta.size), options.look());
        let asked = Asked::of(meta, look);
        if let Some(facts) = asked.as_ref().and_then(|asked| known.find(asked)) {
            return Ok((shown, facts));
        }
        let facts = match kind {
            FormatKind::Json => json::inspect(store, file, &shown, look).await?,
            _ => csv::inspect(store, file, &shown, look).await?,
        };
        if let Some(asked) = asked {
            known.keep(asked, facts.clone());
        }
        Ok::<_, Error>((shown, facts))
    });
    let looks: Vec<_> = looks.collect();
    let are_small = files.iter().all(|(meta, _)| meta.size <= SMALL_BYTES);
    let at_once = if are_small { SMALL_LOOKS_AT_ONCE } else { LOOKS_AT_ONCE };
    let mut looks = stream::iter(looks).buffered(at_once);
    let mut text = InspectedText {
        format: Format::Json,
        fields: Vec::new(),
        rows: Vec::with_capacity(files.len()),
        files: Vec::with_capacity(files.len()),
        findings: Vec::new(),
    };
    while let Some((shown, facts)) = looks.try_next().await? {
        text.add(place, &shown, facts)?;
    }
    text.fields = join::fields(text.files.iter().map(AsRef::as_ref));
    for (name, lacking) in join::missing(&text.fields, text.files.iter().map(AsRef::as_ref)) {
        let finding = Finding {
            what: "columns",
            value: format!("'{name}' as NULL in {lacking} of {} files", files.len()),
            why: "they do not have it".to_owned(),
            is_guess: true,
        };
        text.findings.push((place.location.to_string(), finding));
    }
    let declared = options.text.declared.iter();
    let is_known = |name: &String| text.fields.iter().any(|field| field.name() == name);
    if let Some((name, _)) = declared.clone().find(|(name, _)| !is_known(name)) {
        let known: Vec<_> = text.fields.iter().map(|field| field.name().as_str()).collect();
        let (place, known) = (&place.location, known.join(", "));
        let what = format!("column '{name}' not found in '{place}', which has {known}");
        return Err(Error::data(what));
    }
    Ok(text)
}

impl InspectedText {
    fn add(&mut self, place: &DatasetRoot, shown: &str, facts: TextFacts) -> Result<()> {
        if let Lines::Csv(lines) = &facts.file.lines {
            let found = CsvFormat { delimiter: lines.dialect.delimiter, header: lines.header };
            match self.format {
                Format::Csv(first) if first.header != found.header => {
                    return Err(Error::data(format!(
                        "some files of '{}' have a header line and some do not; '{shown}' is the first \
                         that differs: pass --header, or read them one by one",
                        place.location
                    )));
                }
                Format::Csv(_) => {}
                _ => self.format = Format::Csv(found),
            }
        }
        self.rows.push(facts.rows);
        self.files.push(Arc::new(facts.file));
        self.findings.extend(facts.findings.into_iter().map(|found| (shown.to_owned(), found)));
        Ok(())
    }
}

/// Statistics that know no more than rows; files of as many rows share them. Of wide tables of many files they
/// do not even know these.
fn rows_only(schema: &Schema, rows: Vec<Option<u64>>) -> Vec<Arc<Statistics>> {
    let mut known: HashMap<Option<u64>, Arc<Statistics>> = HashMap::new();
    let statistics = rows.into_iter().map(|rows| {
        let of_rows = |rows: Option<u64>| {
            let mut statistics = Statistics::new_unknown(schema);
            if let Some(rows) = rows {
                statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
            }
            Arc::new(statistics)
        };
        let has_room = known.len() * schema.fields().len() < MAX_BOUNDS;
        let rows = rows.filter(|rows| has_room || known.contains_key(&Some(*rows)));
        Arc::clone(known.entry(rows).or_insert_with(|| of_rows(rows)))
    });
    statistics.collect()
}

/// The columns of several Parquet files, and the file that had each first.
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

    fn fields(self) -> Vec<Field> {
        self.fields.into_iter().map(|(field, _)| field).collect()
    }
}
