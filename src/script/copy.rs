//! `COPY … TO` and `INSERT INTO`, through the sink of [`table`](crate::table): published whole or not at
//! all, and never a row with a NULL key.
//!
//! | target | becomes |
//! |---|---|
//! | `'x.parquet'`, `'x.csv'`, `'x.tsv'`, `'x.ndjson'` | one file for other programs |
//! | any other name, or with `PARTITIONED BY` | a dataset with one table at its root |
//!
//! What is read is pinned before the run begins, and decided runs on the target are finished before that: a
//! statement that reads what it writes to is a step from one version to the next.
//!
//! `OPTIONS ('mode' 'overwrite')` says what to do if there is something, else `--mode` does. `INSERT INTO`
//! appends to a table of a dataset, by its name or its location: a new version of the dataset; from a table
//! without an end a version now and then.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use clap::ValueEnum;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::{CopyToStatement, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{self, Value};
use futures::future;
use futures::stream::{self, StreamExt};

use super::interrupt::in_a_task;
use super::pinned::pinned;
use super::procedure::NamedTable;
use super::run::{Script, StatementResult};
use crate::error::{Error, Result};
use crate::event::{Event, Unit};
use crate::storage::Location;
use crate::stream::{FileTarget, QueryOptions};
use crate::table::{
    Begin, DELIMITER, ExternalTable, ExternalTables, FileFormat, FormatKind, Guesses, Mode,
    OwnInput, Run, RunOptions, TableFacts, TableSpec, current_manifest, dataset_around, delimiter,
    finish_decided, format, write_file,
};

/// What `OPTIONS (…)` of a COPY may say.
#[derive(Debug)]
struct Options {
    mode: Mode,
    delimiter: Option<u8>,
    header: bool,
}

impl Script {
    /// `COPY … TO`.
    pub(super) async fn copy(&self, copy: CopyToStatement) -> Result<StatementResult> {
        let CopyToStatement { target, partitioned_by, stored_as, options, .. } = &copy;
        let options = self.options(options)?;
        let format = file_format(target, partitioned_by, stored_as.as_deref(), &options)?;
        let (target, keys) = (target.clone(), partitioned_by.clone());
        let stores = self.session.stores();
        let location = stores.parse(&target)?;
        if let Some(format) = format {
            let guesses = Arc::new(Guesses::default());
            let planning = self.source_of(copy.clone());
            let planned =
                ExternalTables::looking_at(None, Some(Arc::clone(&guesses)), planning).await;
            if guesses.is_empty() {
                return self.copy_to_file(planned?, &location, format, options.mode, None).await;
            }
            if let Ok(plan) = planned {
                let known = Some(Arc::clone(&guesses));
                let copied = self.copy_to_file(plan, &location, format, options.mode, known).await;
                if copied.is_ok() || guesses.are_confirmed() {
                    return copied;
                }
            }
            let plan = self.source_of(copy).await?;
            return self.copy_to_file(plan, &location, format, options.mode, None).await;
        }
        finish_decided(stores, &location).await?;
        let plan = self.source_of(copy).await?;
        let spec = TableSpec { keys, ..TableSpec::default() };
        self.publish(plan, &location, spec, FileFormat::Parquet, options.mode).await
    }

    /// The plan of what is copied: the engine knows it as part of its own COPY.
    async fn source_of(&self, copy: CopyToStatement) -> Result<LogicalPlan> {
        let plain = CopyToStatement {
            target: "x.parquet".to_owned(),
            partitioned_by: Vec::new(),
            stored_as: Some("PARQUET".to_owned()),
            options: Vec::new(),
            ..copy
        };
        let plan = self.plan(Parsed::CopyTo(plain)).await?;
        match plan {
            LogicalPlan::Copy(copy) => Ok(copy.input.as_ref().clone()),
            _ => Err(Error::internal("COPY has another plan than expected")),
        }
    }

    fn options(&self, given: &[(String, Value)]) -> Result<Options> {
        let mut options = Options { mode: self.mode, delimiter: None, header: true };
        for (key, value) in given {
            let text = match value {
                Value::Number(text, _) => text.clone(),
                other => other.clone().into_string().unwrap_or_default(),
            };
            let wrong = |expected: &str| {
                Error::usage(format!("option '{key}' is '{text}', expected {expected}"))
            };
            let name = key.to_lowercase();
            match name.strip_prefix("format.").unwrap_or(&name) {
                "mode" => {
                    let mode = Mode::from_str(&text, true);
                    options.mode =
                        mode.map_err(|_unknown| wrong("error, overwrite, append or ignore"))?;
                }
                "delimiter" => {
                    let delimiter = delimiter(&text).map_err(|_expected| wrong(DELIMITER))?;
                    options.delimiter = Some(delimiter);
                }
                "header" | "has_header" => {
                    let header = text.to_lowercase().parse();
                    options.header = header.map_err(|_other| wrong("true or false"))?;
                }
                _ => {
                    return Err(Error::usage(format!(
                        "option '{key}' of COPY is not known, expected mode, delimiter or header"
                    )));
                }
            }
        }
        Ok(options)
    }

    async fn copy_to_file(
        &self,
        plan: LogicalPlan,
        location: &Location,
        format: FileFormat,
        mode: Mode,
        guesses: Option<Arc<Guesses>>,
    ) -> Result<StatementResult> {
        let stores = self.session.stores();
        let frame = self.session.context().execute_logical_plan(plan).await?;
        let rows = in_a_task(frame.execute_stream().await?);
        let rows = match guesses {
            Some(guesses) => if_confirmed(rows, guesses),
            None => rows,
        };
        self.stage(&format!("writing {location}"));
        let (pool, watch) = (self.session.memory_pool(), self.watch.as_ref());
        let written = write_file(stores, location, format, mode, rows, &pool, watch).await?;
        Ok(written
            .map_or(StatementResult::Nothing, |facts| written_table(&location.to_string(), facts)))
    }

    /// Finishes what was decided where a statement will insert, before it is planned.
    pub(super) async fn before_insert(&self, insert: &ast::Insert) -> Result<()> {
        let ast::TableObject::TableName(name) = &insert.table else { return Ok(()) };
        let stores = self.session.stores();
        if let [ast::ObjectNamePart::Identifier(ident)] = &name.0[..]
            && ident.value.contains('/')
            && let Some(within) = dataset_around(stores, &stores.parse(&ident.value)?).await?
        {
            return finish_decided(stores, &within.dataset).await;
        }
        let Ok(target) = self.session.context().table_provider(name.to_string()).await else {
            return Ok(()); // the plan will say what is wrong with it
        };
        match target.downcast_ref::<ExternalTable>().map(ExternalTable::table) {
            Some(table) if table.is_published() => finish_decided(stores, table.location()).await,
            _ => Ok(()),
        }
    }

    /// `INSERT INTO` a table of a dataset; its name and keys are those it has.
    pub(super) async fn insert(
        &self,
        inserted: &TableReference,
        target: &dyn TableProvider,
        input: LogicalPlan,
        how: InsertOp,
    ) -> Result<StatementResult> {
        let named = ExternalTable::table_of(target);
        let Some(table) = named.filter(|table| table.is_published()) else {
            return Err(Error::usage(
                "INSERT INTO needs a table of a dataset, or one in memory, and this is neither: write \
                 with COPY",
            ));
        };
        if how != InsertOp::Append {
            return Err(Error::usage(
                "INSERT OVERWRITE would replace all tables of the dataset: use COPY with OPTIONS \
                 ('mode' 'overwrite')",
            ));
        }
        let location = table.location().clone();
        let manifest = current_manifest(self.session.stores(), &location).await?;
        let name = manifest.table(&table.name).map_or("", |record| &record.name).to_owned();
        let keys = table.keys.iter().map(|key| key.name().clone()).collect();
        let target = FileTarget { location, table: name, keys, format: FileFormat::Parquet };
        let options = QueryOptions::of_files("a dataset", &BTreeMap::new())?;
        self.insert_into_files(inserted, input, &target, options).await
    }

    /// Publishes the rows of `plan` as a table of the dataset at `target`.
    pub(super) async fn publish(
        &self,
        plan: LogicalPlan,
        location: &Location,
        spec: TableSpec,
        format: FileFormat,
        mode: Mode,
    ) -> Result<StatementResult> {
        let (plan, reads) = pinned(plan).await?;
        let arguments = self.arguments.clone();
        let own_input = OwnInput::Replaced;
        let (inputs, keep) = (Vec::new(), self.keep);
        let options = RunOptions { mode, arguments, inputs, reads, own_input, keep };
        let run = match Run::begin(self.session.stores(), location, options).await? {
            Begin::Run(run) => run,
            Begin::AlreadyThere(_) => return Ok(StatementResult::Nothing),
        };
        self.stage(&format!("writing {location}"));
        let shown = match spec.name.as_str() {
            "" => location.to_string(),
            table => location.join(table).to_string(),
        };
        let (state, watch) = (self.session.state(), self.watch.as_ref());
        let facts = run.write_as(format, &state, plan, spec, watch).await?;
        // The manifest has the rows, the earlier ones too.
        run.commit(BTreeMap::new()).await?;
        Ok(written_table(&shown, facts))
    }

    /// Reports that a stage begins, which counts rows.
    pub(super) fn stage(&self, name: &str) {
        self.watch.report(Event::Stage { name: name.to_owned(), total: None, unit: Unit::Rows });
    }
}

/// The same rows, and an error behind the last if they are made of files that are not what was guessed.
fn if_confirmed(
    rows: SendableRecordBatchStream,
    guesses: Arc<Guesses>,
) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let check = stream::once(async move {
        let is_wrong = !guesses.are_confirmed();
        is_wrong.then(|| Err(Error::internal("a file is not what its first bytes say").into()))
    });
    let rows = rows.chain(check.filter_map(future::ready));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// The format of a single file, or `None` for a dataset.
fn file_format(
    target: &str,
    keys: &[String],
    stored_as: Option<&str>,
    options: &Options,
) -> Result<Option<FileFormat>> {
    let by_name = FileFormat::of_name(target);
    let name = target.rsplit('/').next().unwrap_or(target);
    let is_text_name = name.contains('.') && by_name.is_none() && stored_as.is_none();
    if is_text_name && !name.starts_with('.') {
        return Err(Error::usage(format!(
            "the ending of '{target}' is not that of a format: use {}, or the name of a directory",
            format::written_endings()
        )));
    }
    let format = match stored_as.map(|word| (word, FormatKind::stored_as(word))) {
        None => by_name,
        Some((_, Some(FormatKind::Parquet))) if by_name.is_none() => None,
        Some((_, Some(kind))) => {
            Some(by_name.filter(|found| found.kind() == kind).unwrap_or(FileFormat::of_kind(kind)))
        }
        Some((word, None)) => {
            return Err(Error::usage(format!(
                "format '{word}' is not known, expected {}",
                format::known_words()
            )));
        }
    };
    let format = match format {
        Some(FileFormat::Csv { delimiter, .. }) => Some(FileFormat::Csv {
            delimiter: options.delimiter.unwrap_or(delimiter),
            header: options.header,
        }),
        Some(_) | None if options.delimiter.is_some() || !options.header => {
            return Err(Error::usage("options delimiter and header are for CSV: leave them out"));
        }
        other => other,
    };
    match (format, keys) {
        (Some(_), [key, ..]) => Err(Error::usage(format!(
            "'{target}' is one file and cannot be PARTITIONED BY ({key}): name a directory"
        ))),
        (format, _) => Ok(format),
    }
}

fn written_table(location: &str, facts: TableFacts) -> StatementResult {
    let columns: [(&str, ArrayRef); 4] = [
        ("table", Arc::new(StringArray::from(vec![location]))),
        ("rows", Arc::new(UInt64Array::from(vec![facts.rows]))),
        ("bytes", Arc::new(UInt64Array::from(vec![facts.bytes]))),
        ("files", Arc::new(UInt64Array::from(vec![facts.files as u64]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("four columns of one row");
    StatementResult::Tables(vec![NamedTable { name: "tables".to_owned(), rows }])
}
