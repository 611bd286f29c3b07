//! A folder of files as the sink of a standing query: each batch is one version of a dataset, whole or not
//! at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use futures::future::{BoxFuture, FutureExt};
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::event::Silent;
use crate::session::Session;
use crate::storage::{Location, Stores};
use crate::table::{Begin, FileFormat, Mode, Run, RunOptions, TableSpec};

/// A folder to which rows are added.
#[derive(Clone, Debug)]
pub struct FileTarget {
    /// Where it is.
    pub location: Location,
    /// The table in it; empty for the one at its root.
    pub table: String,
    /// The columns that become directories, outermost first.
    pub keys: Vec<String>,
    /// The format of its files.
    pub format: FileFormat,
}

impl FileTarget {
    /// What is written there.
    pub fn spec(&self) -> TableSpec {
        TableSpec { name: self.table.clone(), keys: self.keys.clone(), ..TableSpec::default() }
    }
}

/// Adds batches to a folder.
#[derive(Clone)]
pub(super) struct FileSink {
    target: FileTarget,
    stores: Arc<Stores>,
    /// With one stream: a batch is one file a key.
    state: SessionState,
    arguments: Vec<(String, String)>,
}

impl FileSink {
    /// For rows of `schema`, which the folder can hold.
    pub(super) async fn new(
        session: &Session,
        target: FileTarget,
        arguments: Vec<(String, String)>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let (stores, state) = (Arc::clone(session.stores()), session.standing());
        let sink = Self { target, stores, state, arguments };
        let run = sink.begin().await?;
        let checked = run.check(sink.target.format, schema, &sink.target.spec());
        run.abort().await?;
        checked.map(|()| sink)
    }

    async fn begin(&self) -> Result<Box<Run>> {
        let arguments = self.arguments.clone();
        let options = RunOptions { mode: Mode::Append, arguments, ..RunOptions::default() };
        match Run::begin(&self.stores, &self.target.location, options).await? {
            Begin::Run(run) => Ok(run),
            Begin::AlreadyThere(_) => Err(Error::internal("an append that does not begin")),
        }
    }

    /// Publishes the rows of a batch of the query `name`; on a thread of its own, for encoding takes time.
    pub(super) fn append(
        &self,
        name: &str,
        batch: u64,
        schema: SchemaRef,
        rows: Vec<RecordBatch>,
    ) -> BoxFuture<'static, Result<()>> {
        let mut sink = self.clone();
        let said = [("standing_query", name.to_owned()), ("batch", batch.to_string())];
        sink.arguments.extend(said.map(|(key, value)| (key.to_owned(), value)));
        let runtime = Handle::current();
        let task =
            SpawnedTask::spawn_blocking(move || runtime.block_on(sink.publish(schema, rows)));
        let died = |cause| Error::internal("the thread of a batch died").caused_by(cause);
        async move { task.await.map_err(died)? }.boxed()
    }

    async fn publish(&self, schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<()> {
        let run = self.begin().await?;
        let rows = provider_as_source(Arc::new(MemTable::try_new(schema, vec![rows])?));
        let plan = LogicalPlanBuilder::scan("batch", rows, None)?.build()?;
        let spec = self.target.spec();
        run.write_as(self.target.format, &self.state, plan, spec, &Silent).await?;
        run.commit(BTreeMap::new()).await.map(drop)
    }
}
