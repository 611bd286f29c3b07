//! The table `labels`: one line for each row of the input, in its order.
//!
//! A line has the number of the row (or its id, under its own name), `cluster` (-1 is noise, NULL a row
//! without a usable position), `kind` (`core`, `border`, `noise`, `skipped`), and the columns of
//! `--keep`. Files hold 2^21 rows and lie under the Hive keys of the input; with columns of the input,
//! all rows are in one file.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};

use crate::dbscan::input::{Input, LABELS, passthrough};
use crate::dbscan::merge::row_labels::{
    LabelRange, RANGE_BITS, RANGE_ROWS, RowKind, RowLabels, to_usize,
};
use crate::dbscan::options::Params;
use crate::dbscan::threads::{self, BlockingThread};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Silent, Unit};
use crate::session::{Session, quote_identifier};
use crate::table::{Format, Run, SourceFile, TableSpec};

/// Rows of a batch.
pub(super) const BATCH: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("not zero");

/// Writes the table `labels`.
pub(crate) async fn write(
    input: &Input,
    params: &Params,
    ranges: &Arc<RowLabels>,
    run: &Run,
    watch: &dyn Observer,
) -> Result<()> {
    let total = Some(ranges.rows);
    watch.report(Event::Stage { name: "writing labels".into(), total, unit: Unit::Rows });
    let session = input.session().in_order(BATCH);
    let kept = passthrough(&input.table, params);
    let streams: Vec<LabelStream> = if kept.is_empty() {
        let parts = parts(input, ranges.rows);
        parts.into_iter().map(|(rows, keys)| LabelStream::new(ranges, rows, keys)).collect()
    } else {
        let plan = source(input, &session, &kept).await?;
        vec![LabelStream::beside(ranges, plan, params.options().id.is_some())]
    };
    let mut done = 0;
    let writes = streams.into_iter().enumerate().map(|(part, stream)| {
        let (session, rows) = (session.clone(), stream.rows.clone());
        let spec = TableSpec {
            name: "labels".to_owned(),
            keys: stream.keys.iter().map(|(key, _)| key.name().clone()).collect(),
            high_cardinality: true,
            part: u32::try_from(part).ok(),
            ..TableSpec::default()
        };
        async move {
            let plan = plan_of(stream)?;
            let written = run.write(&session.state(), plan, spec, &Silent).await?;
            if written.rows != rows.end - rows.start {
                return Err(Error::internal(format!(
                    "{} labels were written, expected {}",
                    written.rows,
                    rows.end - rows.start
                )));
            }
            Ok(written.rows)
        }
    });
    let mut writes = stream::iter(writes).buffered(input.session().streams());
    while let Some(rows) = writes.try_next().await? {
        done += rows;
        watch.report(Event::Progress { done });
    }
    watch.report(Event::Done);
    Ok(())
}

/// A Hive key and its value.
type Key = (FieldRef, ScalarValue);

/// Rows of the same keys, 2^21 at most, in order.
fn parts(input: &Input, rows: u64) -> Vec<(Range<u64>, Vec<Key>)> {
    let table = &input.table;
    let clash = table.keys.iter().any(|key| LABELS.contains(&key.name().as_str()));
    let is_null = |file: &SourceFile| file.partition.iter().any(ScalarValue::is_null);
    let by_file = table
        .rows_by_file()
        .filter(|_| table.format == Format::Parquet && !clash && !table.files.iter().any(is_null));
    let mut alike: Vec<(Range<u64>, Vec<Key>)> = Vec::new();
    for (file, rows) in table.files.iter().zip(by_file.iter().flatten()) {
        let keys = table.keys.iter().cloned().map(Arc::new).zip(file.partition.iter().cloned());
        let keys: Vec<Key> = keys.collect();
        match alike.last_mut() {
            Some((before, same)) if *same == keys => before.end += rows,
            last => {
                let from = last.map_or(0, |(before, _)| before.end);
                alike.push((from..from + rows, keys));
            }
        }
    }
    // Keys that come back, as those of several tables do, would put rows out of order.
    let mut seen = HashSet::new();
    let comes_back = |(_, keys): &(Range<u64>, Vec<Key>)| {
        !seen.insert(keys.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>())
    };
    if by_file.is_none() || alike.is_empty() || alike.iter().any(comes_back) {
        alike = vec![(0..rows, Vec::new())];
    }
    let cut = |(rows, keys): (Range<u64>, Vec<Key>)| {
        let end = rows.end;
        let starts = (rows.start..end.max(rows.start + 1)).step_by(1 << RANGE_BITS);
        starts.map(move |from| (from..(from + RANGE_ROWS).min(end), keys.clone()))
    };
    alike.into_iter().flat_map(cut).collect()
}

/// The rows of the input with these columns, in their order.
async fn source(
    input: &Input,
    session: &Session,
    columns: &[String],
) -> Result<Arc<dyn ExecutionPlan>> {
    session.register("source", input.table.provider())?;
    let columns: Vec<_> = columns.iter().map(|column| quote_identifier(column)).collect();
    let text = format!("SELECT {} FROM source", columns.join(", "));
    let plan = session.plan(&text, &[], Vec::new()).await?;
    let plan = session.state().create_physical_plan(&plan).await?;
    match plan.properties().output_partitioning().partition_count() {
        1 => Ok(plan),
        streams => Err(Error::internal(format!("an ordered scan has {streams} streams"))),
    }
}

fn plan_of(stream: LabelStream) -> Result<LogicalPlan> {
    let table = StreamingTable::try_new(Arc::clone(&stream.schema), vec![Arc::new(stream)])?;
    let source = provider_as_source(Arc::new(table));
    Ok(LogicalPlanBuilder::scan("labels", source, None)?.build()?)
}

/// Labels of rows that follow each other, beside columns of the input if there are some.
struct LabelStream {
    ranges: Arc<RowLabels>,
    rows: Range<u64>,
    source: Option<Arc<dyn ExecutionPlan>>,
    /// The first column of the source takes the place of the row's number.
    has_id: bool,
    /// What the rows are filed under.
    keys: Vec<Key>,
    schema: SchemaRef,
}

impl fmt::Debug for LabelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabelStream: rows={:?}", self.rows)
    }
}

impl LabelStream {
    fn new(ranges: &Arc<RowLabels>, rows: Range<u64>, keys: Vec<Key>) -> Self {
        let number = Arc::new(Field::new("row", DataType::Int64, false));
        let keyed = keys.iter().map(|(key, _)| Arc::clone(key));
        let fields: Vec<_> = [number].into_iter().chain(label_fields()).chain(keyed).collect();
        let (ranges, schema) = (Arc::clone(ranges), Arc::new(Schema::new(fields)));
        Self { ranges, rows, source: None, has_id: false, keys, schema }
    }

    /// All labels, beside columns of the input.
    fn beside(ranges: &Arc<RowLabels>, source: Arc<dyn ExecutionPlan>, has_id: bool) -> Self {
        let number = Arc::new(Field::new("row", DataType::Int64, false));
        let kept = source.schema();
        let (ids, others) = kept.fields().split_at(usize::from(has_id));
        let first = ids.iter().cloned().chain((!has_id).then_some(number));
        let fields: Vec<_> = first.chain(label_fields()).chain(others.iter().cloned()).collect();
        let schema = Arc::new(Schema::new(fields));
        let (ranges, rows) = (Arc::clone(ranges), 0..ranges.rows);
        Self { ranges, rows, source: Some(source), has_id, keys: Vec::new(), schema }
    }
}

fn label_fields() -> [FieldRef; 2] {
    [
        Arc::new(Field::new("cluster", DataType::Int64, true)),
        Arc::new(Field::new("kind", DataType::Utf8, false)),
    ]
}

impl PartitionStream for LabelStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let cursor = Cursor {
            ranges: Arc::clone(&self.ranges),
            rows: self.rows.clone(),
            schema: Arc::clone(&self.schema),
            has_id: self.has_id,
            loaded: None,
        };
        let schema = Arc::clone(&self.schema);
        let source = self.source.as_ref().map(|plan| plan.execute(0, context));
        let batches = match source {
            None => {
                let start = (cursor, self.keys.clone());
                let lines = stream::try_unfold(start, |(cursor, keys)| async move {
                    let rows = (cursor.rows.end - cursor.rows.start).min(BATCH.get() as u64);
                    if rows == 0 {
                        return Ok(None);
                    }
                    let column = |(_, value): &Key| value.to_array_of_size(to_usize(rows));
                    let columns = keys.iter().map(column).collect::<EngineResult<Vec<_>>>()?;
                    let (batch, cursor) = cursor.next(rows, columns).await?;
                    Ok(Some((batch, (cursor, keys))))
                });
                lines.boxed()
            }
            Some(Err(error)) => stream::iter([Err(error)]).boxed(),
            Some(Ok(source)) => {
                let lines =
                    stream::try_unfold((cursor, source), |(cursor, mut source)| async move {
                        let Some(kept) = source.try_next().await? else { return Ok(None) };
                        let rows = kept.num_rows() as u64;
                        let (batch, cursor) = cursor.next(rows, kept.columns().to_vec()).await?;
                        Ok(Some((batch, (cursor, source))))
                    });
                lines.boxed()
            }
        };
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// Goes through labels in order.
struct Cursor {
    ranges: Arc<RowLabels>,
    /// Rows that are left.
    rows: Range<u64>,
    schema: SchemaRef,
    has_id: bool,
    /// The range that was looked at last.
    loaded: Option<(u64, LabelRange)>,
}

impl Cursor {
    /// The next rows with their labels, beside `kept` columns of the input; and the cursor.
    async fn next(mut self, rows: u64, kept: Vec<ArrayRef>) -> Result<(RecordBatch, Self)> {
        threads::run(move |thread| Ok((self.batch(rows, &kept, thread)?, self))).await
    }

    fn batch(
        &mut self,
        rows: u64,
        kept: &[ArrayRef],
        thread: &BlockingThread,
    ) -> Result<RecordBatch> {
        let first = self.rows.start;
        if rows > self.rows.end - first {
            return Err(Error::new(
                Kind::Retry,
                "the input changed during the run: it has more rows now; run it again",
            ));
        }
        let mut kinds: Vec<RowKind> = Vec::with_capacity(BATCH.get());
        while self.rows.start < first + rows {
            let start = self.rows.start;
            let (range, labels) = self.labels(thread)?;
            let from = start - range * RANGE_ROWS;
            let to = (first + rows - range * RANGE_ROWS).min(RANGE_ROWS);
            kinds.extend(labels.part(from..to));
            self.rows.start += to - from;
        }
        let labels: [ArrayRef; 2] = [
            Arc::new(kinds.iter().map(|kind| kind.cluster()).collect::<Int64Array>()),
            Arc::new(StringArray::from_iter_values(kinds.iter().map(|kind| kind.name()))),
        ];
        let numbers: ArrayRef = match self.has_id {
            true => Arc::clone(&kept[0]),
            false => {
                Arc::new(Int64Array::from_iter_values((first..first + rows).map(u64::cast_signed)))
            }
        };
        let others = kept.iter().skip(usize::from(self.has_id)).cloned();
        let columns = [numbers].into_iter().chain(labels).chain(others).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The range of the next row, and its labels.
    fn labels(&mut self, thread: &BlockingThread) -> Result<(u64, &LabelRange)> {
        let range = self.rows.start / RANGE_ROWS;
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != range) {
            self.loaded = Some((range, self.ranges.range(range, thread)?));
        }
        let (range, labels) = self.loaded.as_ref().expect("it was loaded above");
        Ok((*range, labels))
    }
}
