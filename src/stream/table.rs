//! A table without an end: a source, how its lines are read, and the time of a row.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result as EngineResult};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{CreateExternalTable, Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;

use super::bad::BadLines;
use super::decode::{Decoder, Format};
use super::event_time::EventTime;
use super::options::StreamOptions;
use super::rate;
use super::shared::{Buffer, Cursor, Limits};
use super::source::{Place, Reader, Rows};
use super::watermark::Lateness;
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::option_name;

/// The column that an expression of `'event_time'` makes.
const EVENT_TIME: &str = "event_time";

/// A table without an end, as `CREATE UNBOUNDED EXTERNAL TABLE` makes it.
#[derive(Debug)]
pub struct StreamTable {
    name: String,
    place: Place,
    stores: Arc<Stores>,
    rows: Rows,
    options: StreamOptions,
    /// Whether what is there now is all, and the table can be read as any other.
    is_batch: bool,
    shared: Mutex<Weak<Buffer>>,
    bad: Arc<BadLines>,
}

impl StreamTable {
    /// As a statement says; in a batch what is there now is all.
    ///
    /// # Errors
    /// A location, an option or a column that no stream has.
    pub fn create(
        stores: &Arc<Stores>,
        state: &SessionState,
        create: &CreateExternalTable,
        is_batch: bool,
    ) -> Result<Self> {
        let [location] = &create.locations[..] else {
            return Err(Error::usage("a stream has one location"));
        };
        if !create.table_partition_cols.is_empty() || !create.order_exprs.is_empty() {
            return Err(Error::usage(
                "PARTITIONED BY and WITH ORDER are not for a stream: leave them out",
            ));
        }
        let mut declared: SchemaRef = Arc::new(create.schema.as_arrow().clone());
        let options = StreamOptions::new(&create.file_type, &named(&create.options))?;
        let place = Place::of(stores, location)?;
        check_place(&place, create, &options, is_batch)?;
        if place == Place::Rate && declared.fields().is_empty() {
            declared = rate::columns();
        }
        if declared.fields().is_empty() {
            return Err(Error::usage(
                "a stream needs its columns, for there is nothing to find them out from: write them behind \
                 its name, as in (value VARCHAR)",
            ));
        }
        let decoder =
            Decoder::new(Arc::clone(&declared), options.format.clone(), options.on_error)?;
        let mut rows =
            Rows { decoder, schema: Arc::clone(&declared), event_time: None, time: None };
        if let Some(text) = &options.event_time {
            let column = add_time(&mut rows, state, &declared, text)?;
            rows.time = Some(EventTime { column, max_ahead: options.max_ahead });
        }
        if place == Place::Rate {
            rate::check(&declared)?;
        }
        let (name, stores) = (create.name.to_string(), Arc::clone(stores));
        let (shared, bad) = (Mutex::default(), Arc::new(BadLines::new()));
        Ok(Self { name, place, stores, rows, options, is_batch, shared, bad })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The lines that could not be read.
    pub fn bad(&self) -> Arc<dyn TableProvider> {
        Arc::clone(&self.bad) as _
    }

    /// The column that is the time of a row.
    pub(super) fn time(&self) -> Option<usize> {
        self.rows.time.map(|time| time.column)
    }

    /// Whether its rows come from the files at `location`.
    pub(super) fn reads(&self, location: &Location) -> bool {
        let Place::Files(place) = &self.place else { return false };
        (place.store_url(), place.path()) == (location.store_url(), location.path())
    }

    /// What is said of how late rows may be.
    pub(super) fn lateness(&self) -> Option<Lateness> {
        self.options.lateness
    }

    /// Whether rows come when they come.
    pub(super) fn is_live(&self) -> bool {
        !self.place.is_replayed()
    }

    /// What a batch takes at most.
    pub(super) fn limits(&self) -> Limits {
        self.options.limits
    }

    /// A cursor: at the start of what is read from its start, else at what comes next.
    pub(super) fn cursor(&self) -> Result<Cursor> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.place.is_replayed()
            && let Some(buffer) = shared.upgrade()
            && !buffer.is_left()
            && !buffer.is_ended()
        {
            return Ok(buffer.cursor());
        }
        let buffer = Arc::new(Buffer::new(self.options.buffer));
        let cursor = buffer.cursor();
        *shared = Arc::downgrade(&buffer);
        let (place, rows) = (self.place.clone(), self.rows.clone());
        // A directory is not closed as a connection is.
        let ends = self.is_batch || (self.options.ends && !place.is_replayed());
        let (stores, bad) = (Arc::clone(&self.stores), Arc::clone(&self.bad));
        let StreamOptions { listing, rate, .. } = self.options.clone();
        let has_warned = Cell::default();
        Reader { place, rows, buffer, bad, stores, ends, listing, rate, has_warned }.start()?;
        Ok(cursor)
    }
}

/// Options as a statement says them.
pub(super) fn named(
    options: &std::collections::HashMap<String, String>,
) -> BTreeMap<String, String> {
    options.iter().map(|(key, value)| (option_name(key).to_owned(), value.clone())).collect()
}

/// Refuses what a place does not give.
fn check_place(
    place: &Place,
    create: &CreateExternalTable,
    options: &StreamOptions,
    is_batch: bool,
) -> Result<()> {
    let is_rate = create.file_type.eq_ignore_ascii_case("rate");
    if is_rate != (*place == Place::Rate) {
        return Err(Error::usage(
            "write STORED AS RATE with LOCATION 'rate://', and with no other",
        ));
    }
    if let Place::Files(location) = place
        && location.glob().is_some()
    {
        return Err(Error::usage(format!("'{location}' is a pattern: name a folder, or one file")));
    }
    if is_rate && is_batch && options.rate.rows.is_none() {
        return Err(Error::usage(
            "a rate has no end, and a batch needs one: set the option 'rows' of the table",
        ));
    }
    if matches!(place, Place::Events(_)) && matches!(options.format, Format::Csv { .. }) {
        return Err(Error::usage("no server sends CSV as events: write STORED AS JSON, or TEXT"));
    }
    Ok(())
}

/// Finds the column that is the time, or adds it; where it is.
fn add_time(
    rows: &mut Rows,
    state: &SessionState,
    declared: &SchemaRef,
    text: &str,
) -> Result<usize> {
    let schema = DFSchema::try_from(Arc::clone(declared))?;
    let wrong = |why: String| Error::usage(format!("option 'event_time' is '{text}', {why}"));
    let time = state.create_logical_expr(text, &schema);
    let time = time.map_err(|cause| {
        wrong("which is neither a column nor an expression of columns".to_owned()).caused_by(cause)
    })?;
    let physical = state.create_physical_expr(time.clone(), &schema)?;
    let found = physical.data_type(declared)?;
    if !matches!(found, DataType::Timestamp(..)) {
        return Err(wrong(format!("which is {found}, expected a timestamp")));
    }
    if let Expr::Column(column) = &time {
        return Ok(declared.index_of(column.name())?);
    }
    if declared.column_with_name(EVENT_TIME).is_some() {
        return Err(wrong("but there is a column 'event_time': name that column".to_owned()));
    }
    let mut fields = declared.fields().to_vec();
    fields.push(Arc::new(Field::new(EVENT_TIME, found, true)));
    rows.schema = Arc::new(Schema::new(fields));
    rows.event_time = Some(physical);
    Ok(declared.fields().len())
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.rows.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        if !self.is_batch {
            return Err(Error::usage(format!(
                "table '{}' has no end, so no answer to this query is the last: create a materialized view \
                 of it and select from that, insert into a console, or run the script with --batch",
                self.name
            ))
            .into());
        }
        let schema = self.schema();
        let cursor = Mutex::new(Some(self.cursor()?));
        let all = Arc::new(All { schema: Arc::clone(&schema), cursor });
        StreamingTable::try_new(schema, vec![all])?.scan(state, projection, filters, limit).await
    }
}

/// All that is there.
struct All {
    schema: SchemaRef,
    cursor: Mutex<Option<Cursor>>,
}

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("All")
    }
}

impl PartitionStream for All {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rows = stream::try_unfold((cursor, VecDeque::new()), next);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

type Rest = (Option<Cursor>, VecDeque<RecordBatch>);

async fn next((mut cursor, mut waiting): Rest) -> EngineResult<Option<(RecordBatch, Rest)>> {
    loop {
        if let Some(batch) = waiting.pop_front() {
            return Ok(Some((batch, (cursor, waiting))));
        }
        let Some(open) = &mut cursor else { return Ok(None) };
        let taken = open.take(Limits::default()).map_err(DataFusionError::from)?;
        for warning in open.warnings() {
            tracing::warn!("{warning}");
        }
        waiting.extend(taken.chunks.into_iter().map(|chunk| chunk.rows));
        if taken.is_ended {
            cursor = None;
        } else if waiting.is_empty() {
            open.changed().await;
        }
    }
}
