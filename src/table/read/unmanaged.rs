//! Tables without a manifest: one file, or a directory of files, plain or in Hive layout.
//!
//! Keys of a directory are integers or dates where all their values are, else text. Columns come from the
//! footers of all files, which also give rows and bounds. What looks like the output of a job that has not ended is refused, and so are files of a dataset of ours: without
//! the manifest no one knows which of them belong together.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStoreExt};

use super::footers::{self, MAX_BOUNDS};
use super::lakes::{DELTA, HUDI, ICEBERG};
use super::options::SourceOptions;
use super::table::{SourceFile, SourceTable};
use crate::error::{Error, Result};
use crate::table::commit::names;
use crate::table::commit::place::DatasetRoot;
use crate::table::format::{self, Format, FormatKind};
use crate::table::hive::{self, is_hidden};
use crate::table::text::csv::{Look, TextFacts};
use crate::table::text::format::{CsvFormat, Lines, TextFile};
use crate::table::text::guesses::Guessed;
use crate::table::text::known::{Asked, KnownFiles};
use crate::table::text::preamble::Finding;
use crate::table::text::{csv, join, json};

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
        return file(place, kind, meta, options).await;
    }
    let mut found = files_under(&place, options).await?;
    let (kind, skipped) = one_kind(&place, &mut found.named)?;
    if found.named.is_empty() {
        if let Some((first, _)) = found.unnamed.first() {
            let kind = kind_of_unnamed(&place, first, options).await?;
            let (keys, files) = partitioned(&place, found.unnamed)?;
            let name = name.to_owned();
            return table(place, name, kind, keys, files, options).await;
        }
        if let Some(meta) = file_at(&place).await? {
            let kind = kind_of_unnamed(&place, &meta, options).await?;
            return file(place, kind, meta, options).await;
        }
        return Err(Error::missing(format!(
            "input '{}' not found: it is not a file, nor a directory with files that end in {}",
            place.location,
            format::known_endings()
        )));
    }
    let name = name.to_owned();
    let place_text = place.location.to_string();
    let (keys, files) = partitioned(&place, found.named)?;
    let mut table = table(place, name, kind, keys, files, options).await?;
    if let Some(finding) = skipped {
        Arc::make_mut(&mut table.findings).push((place_text, finding));
    }
    Ok(table)
}

/// The table of one file, named by it.
async fn file(
    place: DatasetRoot,
    kind: FormatKind,
    meta: ObjectMeta,
    options: &SourceOptions,
) -> Result<SourceTable> {
    let name = format::uncompressed(place.location.name());
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    table(place, name, kind, Vec::new(), vec![(meta, Vec::new())], options).await
}

/// The format of a file whose name does not say it: by its first bytes, or as it is declared.
async fn kind_of_unnamed(
    place: &DatasetRoot,
    meta: &ObjectMeta,
    options: &SourceOptions,
) -> Result<FormatKind> {
    const MAGIC: &[u8] = b"PAR1";
    let range = 0..meta.size.min(MAGIC.len() as u64);
    let starts = match range.is_empty() {
        true => bytes::Bytes::new(),
        false => place.store.objects().get_range(&meta.location, range).await?,
    };
    if starts == MAGIC {
        return Ok(FormatKind::Parquet);
    }
    options.kind.filter(|kind| *kind != FormatKind::Parquet).ok_or_else(|| {
        Error::data(format!(
            "the name of file '{}' does not end in {}: rename or convert it, or say its format in SQL \
             with CREATE EXTERNAL TABLE … STORED AS CSV",
            place.show(&meta.location),
            format::known_endings()
        ))
    })
}

/// The one format of the files of a directory. Beside Parquet files, text that is no table is left out.
fn one_kind(
    place: &DatasetRoot,
    found: &mut Vec<(ObjectMeta, String)>,
) -> Result<(FormatKind, Option<Finding>)> {
    let kind_of = |path: &str| FormatKind::of_path(path);
    let is_aside = |path: &str| {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        ["txt", "json"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    let has_data = found.iter().any(|(_, path)| !is_aside(path));
    let aside: Vec<_> = found.iter().filter(|(_, path)| is_aside(path)).cloned().collect();
    let mut finding = None;
    if let Some((_, first)) = aside.first().filter(|_| has_data) {
        found.retain(|(_, path)| !is_aside(path));
        let more = match aside.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        finding = Some(Finding {
            what: "files",
            value: format!("without '{first}'{more}"),
            why: "the others are of another format".to_owned(),
            is_guess: true,
        });
    }
    let Some((first, first_path)) = found.first() else { return Ok((FormatKind::Parquet, None)) };
    let kind = kind_of(first_path).unwrap_or(FormatKind::Parquet);
    match found.iter().find(|(_, path)| kind_of(path) != Some(kind)) {
        None => Ok((kind, finding)),
        Some((other, _)) => Err(Error::data(format!(
            "directory '{}' holds files of two formats, '{}' and '{}': name one of them by a \
             pattern",
            place.location,
            place.relative(&first.location),
            place.relative(&other.location)
        ))),
    }
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

/// The files of a directory with their paths in it, sorted.
#[derive(Default)]
struct Found {
    /// Those whose names say their format.
    named: Vec<(ObjectMeta, String)>,
    /// Those whose names have no ending.
    unnamed: Vec<(ObjectMeta, String)>,
}

/// The data files of a directory.
async fn files_under(place: &DatasetRoot, options: &SourceOptions) -> Result<Found> {
    let mut found = Found::default();
    if place.is_local_file().await? {
        return Ok(found);
    }
    let mut listed = place.store.objects().list(Some(place.location.path()));
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
        if path.split('/').any(is_hidden) {
            continue;
        }
        let name = path.rsplit('/').next().unwrap_or(&path);
        match FormatKind::of_path(&path) {
            Some(_) => {
                is_spark_part |= name.starts_with("part-");
                found.named.push((meta, path));
            }
            None if !name.contains('.') && meta.size > 0 => found.unnamed.push((meta, path)),
            None => {}
        }
    }
    if is_spark_part && !has_success {
        tracing::info!(
            "directory '{}' has part- files and no {}: it may be incomplete",
            place.location,
            names::SUCCESS
        );
    }
    found.named.sort_by(|a, b| a.1.cmp(&b.1));
    found.unnamed.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// What an unfinished job, or another table format, leaves in a directory.
fn unfinished(path: &str, size: u64) -> Option<&'static str> {
    let mark = path.split('/').find_map(|segment| match segment {
        "_temporary" => Some("left by a Spark or Hadoop job"),
        DELTA => Some("part of a Delta table, which lists its own files"),
        HUDI => Some("part of a Hudi table, which lists its own files"),
        _ if segment.ends_with(ICEBERG) => {
            Some("part of an Iceberg table, which lists its own files")
        }
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
        // A directory that is no key says nothing of its rows.
        let pairs: Vec<_> = segments.iter().filter_map(|name| hive::decode(name)).collect();
        let names = pairs.iter().map(|(key, _)| key.clone()).collect();
        match &keys {
            Some(expected) if *expected == names => {}
            None => keys = Some(names),
            _ => {
                return Err(Error::data(format!(
                    "directory '{0}' is not one table: '{path}' is not under the same keys as the \
                     files before it; name one of its directories, or all with '{0}/*'",
                    place.location
                )));
            }
        }
        let values = pairs.into_iter().map(|(_, value)| hive::key_value(value));
        files.push((meta, values.collect::<Vec<_>>()));
    }
    let mut fields = Vec::new();
    for (index, key) in keys.unwrap_or_default().into_iter().enumerate() {
        let has_null = files.iter().any(|(_, values)| values[index].is_null());
        let data_type = hive::type_of(files.iter().map(|(_, values)| &values[index]));
        for (_, values) in &mut files {
            values[index] = values[index].cast_to(&data_type)?;
        }
        fields.push(Field::new(key, data_type, has_null));
    }
    Ok((fields, files))
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
    let metas: Vec<_> = files.iter().map(|(meta, _)| meta.clone()).collect();
    let (fields, statistics) = footers::inspect(&place, &metas, is_key).await?;
    let files = files.into_iter().zip(statistics).map(|((meta, partition), statistics)| {
        SourceFile { meta, partition, statistics, text: None }
    });
    let schema = Arc::new(Schema::new(fields));
    Ok(SourceTable::new(name, keys, schema, files.collect(), Format::Parquet, (place, None)))
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
        let needed = match asked.as_ref().map(|asked| known.find(asked, &options.needed)) {
            Some(Ok(facts)) => return Ok((shown, facts)),
            Some(Err(needed)) => needed,
            None => options.needed.clone(),
        };
        if let Some(guesses) = options.guesses.as_ref().filter(|_| files.len() == 1)
            && kind == FormatKind::Csv
            && let Some(facts) = csv::guess(store, file, &shown, look).await?
        {
            let keep = asked.map(|asked| (Arc::clone(known), asked, needed));
            guesses.add(Guessed { facts: facts.clone(), keep });
            return Ok((shown, facts));
        }
        let look = Look { needed: needed.as_deref(), ..look };
        let facts = match kind {
            FormatKind::Json => json::inspect(store, file, &shown, look).await?,
            _ => csv::inspect(store, file, &shown, look).await?,
        };
        if let Some(asked) = asked {
            known.keep(asked, facts.clone(), needed);
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
