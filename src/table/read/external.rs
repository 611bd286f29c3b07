//! Tables by location for SQL: named by `CREATE EXTERNAL TABLE`, or where `FROM` holds a location.
//!
//! A named table is read in its newest version by each scan of it: what another process has published
//! since is seen, and within a scan nothing changes. A query that names a table twice scans it twice.
//! Files that have no manifest are looked at again when one of them is another; files that were added are
//! seen when the table is created again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory, UrlTableFactory};
use datafusion::common::{Result as EngineResult, ScalarValue, Statistics};
use datafusion::logical_expr::{CreateExternalTable, Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::options::SourceOptions;
use super::provider::DatasetTable;
use super::source::{Source, with_version};
use super::table::{SourceTable, Unlike};
use crate::error::{Error, Result};
use crate::intervals;
use crate::storage::Stores;
use crate::table::commit::current_version;
use crate::table::format::{Format, FormatKind};
use crate::table::hive;
use crate::table::text::guesses::Guesses;
use crate::table::text::options::TextOptions;

/// The option of tables that a standing query looks at again.
const REFRESH: &str = "refresh";

/// Opens locations as tables, for a session.
#[derive(Debug)]
pub struct ExternalTables {
    stores: Arc<Stores>,
}

impl ExternalTables {
    /// Tables on these stores.
    pub fn new(stores: Arc<Stores>) -> Self {
        Self { stores }
    }

    /// Plans a query that names no other columns than `needed`, if they are known: in files of text no one
    /// looks for the types of others. With `guesses` it can begin again: the first bytes of a file may say its
    /// types.
    pub async fn looking_at<T>(
        needed: Option<Arc<BTreeSet<String>>>,
        guesses: Option<Arc<Guesses>>,
        planning: impl Future<Output = T>,
    ) -> T {
        LOOKING_AT.scope(LookingAt { needed, guesses }, planning).await
    }
}

tokio::task_local! {
    /// How the query looks at files which this task plans: the engine asks for a table by its name only.
    static LOOKING_AT: LookingAt;
}

/// How a query looks at files of text.
#[derive(Clone, Debug, Default)]
struct LookingAt {
    needed: Option<Arc<BTreeSet<String>>>,
    guesses: Option<Arc<Guesses>>,
}

// Written out, for the reason at `DatasetTable::scan`.
impl TableProviderFactory for ExternalTables {
    fn create<'a, 'b, 'c, 'f>(
        &'a self,
        _: &'b dyn Session,
        statement: &'c CreateExternalTable,
    ) -> BoxFuture<'f, EngineResult<Arc<dyn TableProvider>>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
    {
        ExternalTable::provider(&self.stores, statement)
    }
}

#[async_trait]
impl UrlTableFactory for ExternalTables {
    async fn try_new(&self, text: &str) -> EngineResult<Option<Arc<dyn TableProvider>>> {
        if !is_location(text) {
            return Ok(None);
        }
        let LookingAt { needed, guesses } = LOOKING_AT.try_with(Clone::clone).unwrap_or_default();
        let options = SourceOptions { needed, guesses, ..SourceOptions::default() };
        let table = open(&self.stores, text, &options).await?;
        Ok(Some(table.provider()))
    }
}

/// Whether the name of a table can only be a location: it has a slash, a version, or the ending of a data
/// file.
fn is_location(name: &str) -> bool {
    name.contains('/') || with_version(name).is_some() || FormatKind::of_path(name).is_some()
}

/// The one table at `text`, or all files of a pattern as one.
async fn open(stores: &Arc<Stores>, text: &str, options: &SourceOptions) -> Result<SourceTable> {
    let tables = Source::open(stores, text, options).await?.tables;
    let is_pattern = stores.parse(text)?.glob().is_some();
    if let [table] = &tables[..] {
        return Ok(table.clone());
    }
    if !is_pattern {
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        return Err(Error::usage(format!(
            "'{text}' holds the tables {}: name one of them, as in '{}/{}'",
            names.join(", "),
            text.trim_end_matches('/'),
            names[0]
        )));
    }
    SourceTable::united(&tables).map_err(|Unlike { first, other, what }| {
        Error::data(format!(
            "'{text}' matches tables of different {what}, '{first}' and '{other}': read them one by one"
        ))
    })
}

/// A table of a session with the location it stands for.
#[derive(Debug)]
pub struct ExternalTable {
    stores: Arc<Stores>,
    text: String,
    options: SourceOptions,
    declared: Option<Declared>,
    /// How often a standing query looks at it again.
    refresh: Option<Duration>,
    schema: SchemaRef,
    known: RwLock<Arc<DatasetTable>>,
}

impl ExternalTable {
    fn provider<'f>(
        stores: &'f Arc<Stores>,
        statement: &'f CreateExternalTable,
    ) -> BoxFuture<'f, EngineResult<Arc<dyn TableProvider>>> {
        async move { Ok(Arc::new(Self::create(stores, statement).await?) as _) }.boxed()
    }

    async fn create(stores: &Arc<Stores>, statement: &CreateExternalTable) -> Result<Self> {
        let [text] = &statement.locations[..] else {
            return Err(Error::usage(
                "a table has one location: name a directory, or a pattern such as 'in/*.parquet'",
            ));
        };
        if statement.unbounded || !statement.order_exprs.is_empty() {
            return Err(Error::usage(
                "UNBOUNDED and WITH ORDER are not for tables at a location: leave them out",
            ));
        }
        let refresh = refresh(&statement.options)?;
        let mut options = options(&statement.file_type, &statement.options)?;
        let declared = Declared::of(statement);
        if declared.is_some() {
            options.needed = Some(Arc::default());
        }
        let table = declared_table(stores, text, &options, declared.as_ref()).await?;
        check_format(&table, &statement.file_type)?;
        if !statement.table_partition_cols.is_empty() {
            table.check_keys(&statement.table_partition_cols)?;
        }
        let known = Self::known_as(stores, text.clone(), table);
        Ok(Self { options, declared, refresh, ..known })
    }

    /// Every table of the dataset at `text`, by name.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub async fn all(stores: &Arc<Stores>, text: &str) -> Result<Vec<(String, Self)>> {
        let source = Source::open(stores, text, &SourceOptions::default()).await?;
        let manifest = source.manifest.as_deref();
        let named = |table: SourceTable| {
            let place = match manifest.and_then(|manifest| manifest.table(&table.name)) {
                Some(record) => table.location().join(&record.name).to_string(),
                None => text.to_owned(), // the table at its root
            };
            (table.name.clone(), Self::known_as(stores, place, table))
        };
        Ok(source.tables.into_iter().map(named).collect())
    }

    fn known_as(stores: &Arc<Stores>, text: String, table: SourceTable) -> Self {
        Self {
            stores: Arc::clone(stores),
            text,
            options: SourceOptions::default(),
            declared: None,
            refresh: None,
            schema: Arc::clone(&table.schema),
            known: RwLock::new(Arc::new(DatasetTable::new(table))),
        }
    }

    /// A table of a session as it is now, if it stands for a location.
    ///
    /// # Errors
    /// If it cannot be read, or has other columns than when it was created.
    pub async fn now(provider: &dyn TableProvider) -> Result<Option<SourceTable>> {
        if let Some(named) = provider.downcast_ref::<Self>() {
            return Ok(Some(named.newest().await?.table.clone()));
        }
        Ok(provider.downcast_ref::<DatasetTable>().map(|pinned| pinned.table.clone()))
    }

    /// The table that a provider of a session was last read as, if it stands for a location.
    pub fn table_of(provider: &dyn TableProvider) -> Option<SourceTable> {
        let named = provider.downcast_ref::<Self>().map(Self::table);
        let pinned = || provider.downcast_ref::<DatasetTable>();
        named.or_else(|| pinned().map(|pinned| pinned.table.clone()))
    }

    /// How often a standing query looks again at the table that a provider of a session stands for, if it does.
    pub fn refresh(provider: &dyn TableProvider) -> Option<Duration> {
        provider.downcast_ref::<Self>()?.refresh
    }

    /// The table as it was last read.
    pub fn table(&self) -> SourceTable {
        self.known().table.clone()
    }

    fn known(&self) -> Arc<DatasetTable> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table as it is now.
    async fn newest(&self) -> Result<Arc<DatasetTable>> {
        let known = self.known();
        let is_current = match known.table.version {
            Some(_) if known.table.is_past => true,
            Some(version) => current_version(&known.table.place).await? == Some(version),
            None => known.table.changed().await?.is_none(),
        };
        if is_current {
            return Ok(known);
        }
        let declared = self.declared.as_ref();
        let table = declared_table(&self.stores, &self.text, &self.options, declared).await?;
        // What is asked by key was planned for the keys of before.
        if table.schema != self.schema || table.keys != known.table.keys {
            return Err(Error::data(format!(
                "'{}' has other columns or keys than when its table was created: create the table again",
                self.text
            )));
        }
        let newest = Arc::new(DatasetTable::new(table));
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&newest);
        Ok(newest)
    }

    fn scan_newest<'f>(
        &'f self,
        state: &'f dyn Session,
        projection: Option<&'f Vec<usize>>,
        filters: &'f [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, EngineResult<Arc<dyn ExecutionPlan>>> {
        async move { self.newest().await?.scan(state, projection, filters, limit).await }.boxed()
    }
}

impl TableProvider for ExternalTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        self.known().statistics()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        self.known().supports_filters_pushdown(filters)
    }

    fn scan<'a, 'b, 'c, 'd, 'f>(
        &'a self,
        state: &'b dyn Session,
        projection: Option<&'c Vec<usize>>,
        filters: &'d [Expr],
        limit: Option<usize>,
    ) -> BoxFuture<'f, EngineResult<Arc<dyn ExecutionPlan>>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        'd: 'f,
    {
        self.scan_newest(state, projection, filters, limit)
    }
}

/// Columns as a statement declares them.
#[derive(Clone, Debug)]
struct Declared {
    fields: Vec<Field>,
    keys: Vec<Field>,
}

impl Declared {
    fn of(statement: &CreateExternalTable) -> Option<Self> {
        let schema = statement.schema.as_arrow();
        if schema.fields().is_empty() {
            return None;
        }
        let partitioned_by = &statement.table_partition_cols;
        let fields = schema.fields().iter().filter(|field| !partitioned_by.contains(field.name()));
        let keys = partitioned_by.iter().filter_map(|key| schema.field_with_name(key).ok());
        Some(Self {
            fields: fields.map(|field| field.as_ref().clone()).collect(),
            keys: keys.cloned().collect(),
        })
    }
}

async fn declared_table(
    stores: &Arc<Stores>,
    text: &str,
    options: &SourceOptions,
    declared: Option<&Declared>,
) -> Result<SourceTable> {
    let table = open(stores, text, options).await?;
    match declared {
        None => Ok(table),
        Some(_) if table.version.is_some() => Err(Error::usage(format!(
            "'{text}' is a dataset, whose manifest declares its columns: leave them out"
        ))),
        Some(declared) => table.declared(&declared.fields, &declared.keys),
    }
}

impl SourceTable {
    /// Whether a dataset holds it, and not only held it once.
    pub fn is_published(&self) -> bool {
        self.version.is_some() && !self.is_past
    }

    /// The same files with the columns and keys that a user declares.
    fn declared(&self, fields: &[Field], keys: &[Field]) -> Result<Self> {
        let places = match self.format {
            Format::Parquet | Format::Json => self.places_by_name(fields)?,
            Format::Csv(format) => self.places_in_line(fields, format.header)?,
        };
        // Files have their columns by the names that were found.
        let renamed: HashMap<&str, &str> = places
            .iter()
            .zip(fields)
            .map(|(place, field)| (self.file_schema.field(*place).name().as_str(), &**field.name()))
            .collect();
        let mut keyed = self.rekeyed_as(keys)?;
        let is_kept = |(field, place): (&Field, &usize)| {
            self.file_schema.field(*place).data_type() == field.data_type()
        };
        let kept: Vec<bool> = fields.iter().zip(&places).map(is_kept).collect();
        for file in &mut keyed.files {
            let mut statistics = Statistics::clone(&file.statistics);
            let of = |(place, kept): (&usize, &bool)| match kept {
                true => file.statistics.column_statistics[*place].clone(),
                false => Default::default(),
            };
            statistics.column_statistics = places.iter().zip(&kept).map(of).collect();
            file.statistics = Arc::new(statistics);
            file.text = file.text.as_deref().map(|text| Arc::new(text.renamed(&renamed)));
        }
        let declared = Self::new(
            keyed.name,
            keyed.keys,
            Arc::new(Schema::new(fields.to_vec())),
            keyed.files,
            keyed.format,
            (keyed.place, keyed.version),
        );
        Ok(Self { within: keyed.within, ..declared })
    }

    /// Parquet finds columns by their names.
    fn places_by_name(&self, fields: &[Field]) -> Result<Vec<usize>> {
        let place = |field: &Field| {
            self.file_schema.index_of(field.name()).map_err(|_unknown| {
                Error::data(format!(
                    "column '{}' not found in '{}', which has {}",
                    field.name(),
                    self.location(),
                    self.file_columns().join(", ")
                ))
            })
        };
        fields.iter().map(place).collect()
    }

    /// A line finds them by their places: all are declared, under the names of the header if there is
    /// one, in capital or small letters.
    fn places_in_line(&self, fields: &[Field], header: bool) -> Result<Vec<usize>> {
        let found = self.file_columns();
        if found.len() != fields.len() {
            return Err(Error::data(format!(
                "'{}' has {} columns, {} are declared: declare all of {}",
                self.location(),
                found.len(),
                fields.len(),
                found.join(", ")
            )));
        }
        let pairs = fields.iter().map(Field::name).zip(&found);
        let other = pairs.filter(|_| header).find(|(a, b)| a.to_lowercase() != b.to_lowercase());
        match other {
            None => Ok((0..found.len()).collect()),
            Some((declared, found)) => Err(Error::data(format!(
                "'{}' has the column '{found}' where '{declared}' is declared: declare the columns \
                 of its header, in their order",
                self.location()
            ))),
        }
    }

    /// Refuses other keys than those declared, or another order of them.
    fn check_keys(&self, declared: &[String]) -> Result<()> {
        let found = names_of(&self.keys);
        match found == declared {
            true => Ok(()),
            false => Err(Error::data(format!(
                "'{}' is partitioned by ({}), ({}) is declared",
                self.location(),
                found.join(", "),
                declared.join(", ")
            ))),
        }
    }

    /// The same files with keys of these types.
    fn rekeyed_as(&self, keys: &[Field]) -> Result<Self> {
        if keys.is_empty() {
            return Ok(self.clone());
        }
        self.check_keys(&names_of(keys))?;
        let mut table = self.clone();
        for file in &mut table.files {
            let path = file.meta.location.as_ref();
            let values = file.partition.iter().zip(keys);
            let typed = values.map(|(value, key)| {
                // As text a key is what the path says: 01 is not 1.
                if key.data_type().is_string()
                    && !value.is_null()
                    && let Some(text) = hive::text_in(path, key.name())
                {
                    return Ok(ScalarValue::Utf8(Some(text)));
                }
                value.cast_to(key.data_type()).map_err(|cause| {
                    Error::data(format!(
                        "key '{}' is {value} in '{}', which is not {}",
                        key.name(),
                        self.location(),
                        key.data_type()
                    ))
                    .caused_by(cause)
                })
            });
            file.partition = typed.collect::<Result<_>>()?;
        }
        let nulls = self
            .keys
            .iter()
            .zip(keys)
            .map(|(found, key)| key.clone().with_nullable(found.is_nullable()));
        table.keys = nulls.collect();
        Ok(table)
    }
}

fn names_of(fields: &[Field]) -> Vec<String> {
    fields.iter().map(|field| field.name().clone()).collect()
}

/// The option `refresh`.
fn refresh(given: &HashMap<String, String>) -> Result<Option<Duration>> {
    let Some((_, value)) = given.iter().find(|(key, _)| option_name(key) == REFRESH) else {
        return Ok(None);
    };
    let every = intervals::parse(value).ok_or_else(|| {
        Error::usage(format!("option 'refresh' is '{value}', expected a time such as '1 minute'"))
    });
    every.map(Some)
}

/// The name of an option of a statement; the engine puts `format.` before it.
pub fn option_name(key: &str) -> &str {
    key.strip_prefix("format.").unwrap_or(key)
}

/// What `OPTIONS (…)` says about how files are read.
fn options(file_type: &str, given: &HashMap<String, String>) -> Result<SourceOptions> {
    let kind = FormatKind::stored_as(file_type);
    let mut options = SourceOptions { kind, ..SourceOptions::default() };
    let known = match FormatKind::stored_as(file_type) {
        Some(FormatKind::Csv) => TextOptions::NAMES,
        Some(FormatKind::Json) => TextOptions::JSON_NAMES,
        Some(FormatKind::Parquet) | None => "",
    };
    let mut given: Vec<_> = given.iter().collect();
    given.sort();
    for (key, value) in given {
        let name = option_name(key);
        if name == REFRESH {
            continue;
        }
        if ["allow_incomplete", "as_files"].contains(&name) {
            options.allow_incomplete = match value.to_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => {
                    return Err(Error::usage(format!(
                        "option '{name}' is '{value}', expected true or false"
                    )));
                }
            };
        } else if !known.split([',', ' ']).any(|word| word == name)
            || !options.text.set(name, value)?
        {
            return Err(Error::usage(format!(
                "option '{name}' is not known for {file_type}: expected {known}allow_incomplete, refresh"
            )));
        }
    }
    Ok(options)
}

fn check_format(table: &SourceTable, file_type: &str) -> Result<()> {
    let found = table.format.kind();
    if FormatKind::stored_as(file_type) == Some(found) {
        return Ok(());
    }
    let word = found.word();
    Err(Error::data(format!(
        "'{}' is {word}, not {file_type}: write STORED AS {word}",
        table.location()
    )))
}
