//! Generated rows as Arrow record batches, and as a table that the engine can scan.
//!
//! A scan has `target_partitions` streams; each makes one contiguous range of the rows, a batch at
//! a time, so memory is a few batches however many rows there are. Read in the order of the streams,
//! the rows are in row order. Neither the number of streams nor the batch size changes a value.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream;

use super::people::{People, PeopleTable};
use super::slice::Slice;

/// The columns of a people table, in order; none has NULLs.
static PEOPLE: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("id_pref", DataType::Int32, false),
        Field::new("id_company", DataType::Int64, false),
        Field::new("age", DataType::Int32, false),
        Field::new("weight", DataType::Float64, false),
        Field::new("shoulder_circumference", DataType::Float64, false),
    ]))
});

/// The slice's rows of one people table, as a table to scan.
#[derive(Debug)]
pub struct PeopleSource {
    people: Arc<People>,
    table: PeopleTable,
}

impl PeopleSource {
    /// The rows of `table` that `people` names with [`People::slice_rows`].
    pub fn new(people: Arc<People>, table: PeopleTable) -> Self {
        Self { people, table }
    }
}

#[async_trait]
impl TableProvider for PeopleSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&PEOPLE)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let rows: Arc<dyn Generator> =
            Arc::new(Rows { people: Arc::clone(&self.people), table: self.table });
        scan(&rows, self.people.slice_rows(), state, projection, limit)
    }
}

/// Rows by their numbers.
pub(super) trait Generator: fmt::Debug + Send + Sync + 'static {
    /// The columns.
    fn schema(&self) -> &SchemaRef;

    /// The rows of these numbers.
    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch>;
}

/// A scan of `rows`, one contiguous part a stream.
pub(super) fn scan(
    generator: &Arc<dyn Generator>,
    rows: Range<u64>,
    state: &dyn Session,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let schema = Arc::clone(generator.schema());
    let streams = state.config().target_partitions() as u64;
    let partitions = (1..=streams).map(|index| -> Arc<dyn PartitionStream> {
        let part = Slice::new(index, streams).expect("an index from 1 to the count");
        Arc::new(Part { generator: Arc::clone(generator), rows: part.of(rows.clone()) })
    });
    let plan = StreamingTableExec::try_new(
        schema,
        partitions.collect(),
        projection,
        [], // no ordering is promised
        false,
        limit,
    )?;
    Ok(Arc::new(plan))
}

/// A contiguous range of rows, numbered from 0 in the whole table.
#[derive(Debug)]
struct Part {
    generator: Arc<dyn Generator>,
    rows: Range<u64>,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        self.generator.schema()
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch_rows = context.session_config().batch_size();
        let (generator, end) = (Arc::clone(&self.generator), self.rows.end);
        let batches = self
            .rows
            .clone()
            .step_by(batch_rows)
            .map(move |start| generator.batch(start..end.min(start + batch_rows as u64)));
        let schema = Arc::clone(self.generator.schema());
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches)))
    }
}

/// The rows of one people table.
#[derive(Debug)]
struct Rows {
    people: Arc<People>,
    table: PeopleTable,
}

impl Generator for Rows {
    fn schema(&self) -> &SchemaRef {
        &PEOPLE
    }

    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch> {
        let capacity = usize::try_from(rows.end - rows.start).expect("a batch fits into memory");
        let mut id_pref = Vec::with_capacity(capacity);
        let mut id_company = Vec::with_capacity(capacity);
        let mut age = Vec::with_capacity(capacity);
        let mut weight = Vec::with_capacity(capacity);
        let mut shoulder_circumference = Vec::with_capacity(capacity);
        for row in rows {
            let person = self.people.person(self.table, row);
            id_pref.push(person.id_pref);
            id_company.push(person.id_company);
            age.push(person.age);
            weight.push(person.weight);
            shoulder_circumference.push(person.shoulder_circumference);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(id_pref)),
            Arc::new(Int64Array::from(id_company)),
            Arc::new(Int32Array::from(age)),
            Arc::new(Float64Array::from(weight)),
            Arc::new(Float64Array::from(shoulder_circumference)),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&PEOPLE), columns)?)
    }
}
