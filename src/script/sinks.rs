//! Tables that rows go to and that are not read: a console, a folder of files. `INSERT INTO` one starts a
//! standing query; without a stream in its query it adds the rows that there are.
//!
//! | table | takes |
//! |---|---|
//! | `STORED AS CONSOLE LOCATION 'stdout'` | what its mode shows |
//! | `STORED AS PARQUET`, `CSV` or `JSON` with an option `mode` or `trigger` | new rows, each batch a version of a dataset |
//! | a table of a dataset that is there | the same |

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::{Result as EngineResult, TableReference};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{CreateExternalTable, Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast;

use super::run::{Script, StatementResult};
use super::standing::reference;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::stream::{FileTarget, QueryOptions, StandingQueries, reads_stream};
use crate::table::{DELIMITER, FileFormat, FormatKind, Mode, delimiter, option_name};

impl Script {
    /// Whether a table that is created is one that rows go to.
    pub(super) fn makes_sink(&self, create: &CreateExternalTable) -> bool {
        let is_said = |key: &String| ["mode", "trigger"].contains(&option_name(key));
        create.file_type.eq_ignore_ascii_case("console") || create.options.keys().any(is_said)
    }

    /// `CREATE EXTERNAL TABLE` of one.
    pub(super) fn create_sink(&self, create: &CreateExternalTable) -> Result<StatementResult> {
        self.create_table(create, || Ok(Arc::new(SinkTable::create(&self.session, create)?)))
    }

    /// Whether a statement inserts into such a table.
    pub(super) async fn is_sink(&self, insert: &ast::Insert) -> bool {
        let ast::TableObject::TableName(name) = &insert.table else { return false };
        let Ok(name) = reference(name) else { return false };
        let table = self.session.context().table_provider(name).await;
        table.is_ok_and(|table| table.is::<SinkTable>())
    }

    /// `INSERT INTO` such a table.
    pub(super) async fn insert_into_sink(
        &self,
        insert: ast::Insert,
    ) -> Result<StatementResult, DataFusionError> {
        let (ast::TableObject::TableName(name), Some(query)) = (&insert.table, insert.source)
        else {
            return Err(Error::usage("INSERT INTO a table that rows go to needs a query").into());
        };
        if !insert.columns.is_empty() || insert.overwrite {
            return Err(Error::usage(
                "a table that rows go to has the columns of the query: write INSERT INTO and its name alone",
            )
            .into());
        }
        let name = reference(name)?;
        let table = self.session.context().table_provider(name.clone()).await?;
        let Some(sink) = table.downcast_ref::<SinkTable>() else {
            return Err(Error::internal(format!("'{name}' is not a sink")).into());
        };
        let plan = self.planned(*query).await?;
        match &sink.target {
            None => self.insert_into_console(&name, plan, sink.options).await,
            Some(target) => Ok(self.insert_into_files(&name, plan, target, sink.options).await?),
        }
    }

    async fn insert_into_console(
        &self,
        name: &TableReference,
        plan: LogicalPlan,
        options: QueryOptions,
    ) -> Result<StatementResult, DataFusionError> {
        let console = self.console.clone().ok_or_else(|| {
            Error::usage("there is no console here: create a materialized view and select from it")
        })?;
        if self.is_batch {
            let start = self.start(name.table(), plan.clone(), options);
            self.register_beside(name, "late", StandingQueries::late_in_batch(&start).await)?;
            let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
            let rows = self.session.collect(plan).await?;
            let schema = rows.first().map_or(schema, |rows| rows.schema());
            console.show(name.table(), 0, schema, rows)?;
        } else {
            self.standing.console(self.start(name.table(), plan, options), console).await?;
            self.register_beside(name, "late", self.standing.late(name.table()))?;
        }
        Ok(StatementResult::Nothing)
    }

    /// Adds rows to files: those that there are, or those that come.
    pub(super) async fn insert_into_files(
        &self,
        name: &TableReference,
        plan: LogicalPlan,
        target: &FileTarget,
        options: QueryOptions,
    ) -> Result<StatementResult> {
        if self.is_replay && reads_stream(&plan) {
            return self.compare(plan, target).await;
        }
        if self.is_batch || !reads_stream(&plan) {
            let (location, mode) = (&target.location, Mode::Append);
            return self.publish(plan, location, target.spec(), target.format, mode).await;
        }
        let start = self.start(name.table(), plan, options);
        self.standing.files(start, target.clone(), self.arguments.clone()).await?;
        self.register_beside(name, "late", self.standing.late(name.table()))?;
        Ok(StatementResult::Nothing)
    }
}

/// A table that rows go to.
#[derive(Debug)]
struct SinkTable {
    schema: SchemaRef,
    /// The folder; of a console nothing.
    target: Option<FileTarget>,
    options: QueryOptions,
}

impl SinkTable {
    fn create(session: &Session, create: &CreateExternalTable) -> Result<Self> {
        let given =
            create.options.iter().map(|(key, value)| (option_name(key).to_owned(), value.clone()));
        let given: BTreeMap<_, _> = given.collect();
        let [location] = &create.locations[..] else {
            return Err(Error::usage("a table that rows go to has one location"));
        };
        if !create.schema.fields().is_empty() {
            return Err(Error::usage(
                "a table that rows go to has the columns of the query: leave out those of the table",
            ));
        }
        let schema = Arc::new(Schema::empty());
        if create.file_type.eq_ignore_ascii_case("console") {
            let options = QueryOptions::new("a console", &given)?;
            return match location == "stdout" {
                true => Ok(Self { schema, target: None, options }),
                false => Err(Error::usage(
                    "a console writes to standard output: write LOCATION 'stdout'",
                )),
            };
        }
        let (format, given) = format_of(create, given)?;
        let options = QueryOptions::of_files("a folder of files", &given)?;
        let keys = create.table_partition_cols.clone();
        if let [key, ..] = &keys[..]
            && format != FileFormat::Parquet
        {
            return Err(Error::usage(format!(
                "a folder of text cannot be PARTITIONED BY ({key}): store it as PARQUET, or leave it out"
            )));
        }
        let location = session.stores().parse(location)?;
        if FileFormat::of_name(location.name()).is_some() {
            return Err(Error::usage(format!(
                "'{location}' has the name of a file, and each batch is a file of its own: name a folder"
            )));
        }
        let target = Some(FileTarget { location, table: String::new(), keys, format });
        Ok(Self { schema, target, options })
    }
}

/// How the files are written, and the options that do not say it.
fn format_of(
    create: &CreateExternalTable,
    mut given: BTreeMap<String, String>,
) -> Result<(FileFormat, BTreeMap<String, String>)> {
    let kind = FormatKind::stored_as(&create.file_type);
    let kind = kind.ok_or_else(|| {
        Error::usage(format!(
            "rows cannot be inserted into a table STORED AS {}: use PARQUET, CSV, JSON or CONSOLE",
            create.file_type
        ))
    })?;
    let mut format = FileFormat::of_kind(kind);
    let wrong = |name: &str, value: &str, expected: &str| {
        Error::usage(format!("option '{name}' is '{value}', expected {expected}"))
    };
    if let FileFormat::Csv { delimiter: between, header } = &mut format {
        if let Some(value) = given.remove("delimiter") {
            *between =
                delimiter(&value).map_err(|_unlike| wrong("delimiter", &value, DELIMITER))?;
        }
        if let Some(value) = given.remove("has_header") {
            let said = value.to_lowercase().parse();
            *header = said.map_err(|_unlike| wrong("has_header", &value, "true or false"))?;
        }
    }
    Ok((format, given))
}

#[async_trait]
impl TableProvider for SinkTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn EngineSession,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Err(match &self.target {
            None => Error::usage("a console has no rows to select: insert into it"),
            Some(FileTarget { location, .. }) => Error::usage(format!(
                "rows are inserted into this table: select them from its location, as in FROM '{location}'"
            )),
        }
        .into())
    }
}
