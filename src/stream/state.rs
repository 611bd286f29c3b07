//! The state of one aggregate: partial rows of its groups, in an old run with each group once and young ones
//! with what came since. The young are folded into the old when they outgrow half of it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::execution_plan::reset_plan_states;

use super::closing::{Key, closed, open_until};
use super::slot::{Plan, Slot};
use super::watermark::Nanos;
use crate::error::Result;

/// Partial rows, and how many bytes they take.
#[derive(Debug, Default)]
struct Run {
    rows: Vec<RecordBatch>,
    bytes: usize,
}

impl Run {
    fn of(rows: Vec<RecordBatch>) -> Result<Self> {
        let bytes = bytes(&rows)?;
        Ok(Self { rows, bytes })
    }

    fn add(&mut self, rows: &[RecordBatch]) -> Result<()> {
        self.bytes += bytes(rows)?;
        self.rows.extend(rows.iter().cloned());
        Ok(())
    }
}

/// The state of one aggregate.
pub(super) struct Groups {
    /// The plan that makes partial rows of one group one, over `input`.
    pub(super) reduce: Plan,
    pub(super) input: Arc<Slot>,
    /// How many of the first columns are the key.
    pub(super) keys: usize,
    /// Those of them by which a group is complete some time.
    pub(super) closes: Vec<Key>,
    old: Run,
    young: Run,
}

impl Groups {
    /// Without any.
    pub(super) fn new(reduce: Plan, input: Arc<Slot>, keys: usize, closes: Vec<Key>) -> Self {
        Self { reduce, input, keys, closes, old: Run::default(), young: Run::default() }
    }

    /// All partial rows.
    pub(super) fn rows(&self) -> Vec<RecordBatch> {
        self.old.rows.iter().chain(&self.young.rows).cloned().collect()
    }

    /// How many partial rows there are: of a group one, or a few until they are folded.
    pub(super) fn len(&self) -> usize {
        let runs = self.old.rows.iter().chain(&self.young.rows);
        runs.map(RecordBatch::num_rows).sum()
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.old.bytes + self.young.bytes
    }

    /// Adds the partial rows of a batch.
    pub(super) async fn add(
        &mut self,
        delta: &[RecordBatch],
        context: &Arc<TaskContext>,
    ) -> Result<()> {
        self.young.add(delta)?;
        match self.young.bytes * 2 > self.old.bytes {
            true => self.fold(context).await,
            false => Ok(()),
        }
    }

    /// Makes the partial rows of each group one.
    pub(super) async fn fold(&mut self, context: &Arc<TaskContext>) -> Result<()> {
        self.input.set(self.rows());
        let reduce = reset_plan_states(Arc::clone(&self.reduce))?;
        let folded = collect(reduce, Arc::clone(context)).await;
        self.input.set(Vec::new());
        self.old = Run::of(folded?)?;
        self.young = Run::default();
        Ok(())
    }

    /// Takes out the groups that are complete at `watermark`.
    pub(super) fn close(&mut self, watermark: Nanos) -> Result<Vec<RecordBatch>> {
        let mut complete = Vec::new();
        for run in [&mut self.old, &mut self.young] {
            let mut open = Vec::new();
            let before = complete.len();
            for rows in &run.rows {
                let (closed, rest) = split(rows, &self.closes, watermark)?;
                open.extend(rest);
                complete.extend(closed);
            }
            if complete.len() > before {
                *run = Run::of(open)?;
            }
        }
        Ok(complete)
    }

    /// The watermark at which all groups are complete.
    pub(super) fn open_until(&self) -> Result<Option<Nanos>> {
        let mut until = None;
        for rows in self.old.rows.iter().chain(&self.young.rows) {
            until = until.max(open_until(rows, &self.closes)?);
        }
        Ok(until)
    }

    /// The partial rows of the groups that `delta` has.
    pub(super) fn touched(&self, delta: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        if self.keys == 0 {
            return Ok(self.rows());
        }
        let Some(keys) = Keys::of(delta, self.keys)? else { return Ok(Vec::new()) };
        self.rows().iter().map(|rows| keys.filter(rows, true)).collect()
    }

    /// The rows of `delta` whose groups are not in the state.
    pub(super) fn new_ones(&self, delta: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        match Keys::of(&self.rows(), self.keys)? {
            None => Ok(delta.to_vec()),
            Some(known) => delta.iter().map(|rows| known.filter(rows, false)).collect(),
        }
    }
}

/// The rows that are complete at `watermark`, and the others; nothing in place of no rows.
pub(super) fn split(
    rows: &RecordBatch,
    keys: &[Key],
    watermark: Nanos,
) -> Result<(Option<RecordBatch>, Option<RecordBatch>)> {
    let mask = closed(rows, keys, watermark)?;
    match mask.true_count() {
        0 => Ok((None, Some(rows.clone()))),
        all if all == rows.num_rows() => Ok((Some(rows.clone()), None)),
        _ => {
            let rest = compact(&filter_record_batch(rows, &not(&mask)?)?)?;
            Ok((Some(filter_record_batch(rows, &mask)?), Some(rest)))
        }
    }
}

/// The keys of some partial rows.
struct Keys {
    rows: RowConverter,
    known: HashSet<OwnedRow>,
    columns: usize,
}

impl Keys {
    fn of(partial: &[RecordBatch], columns: usize) -> Result<Option<Self>> {
        let Some(first) = partial.first() else { return Ok(None) };
        let fields = first.columns()[..columns].iter();
        let fields = fields.map(|key| SortField::new(key.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?;
        let mut known = HashSet::new();
        for batch in partial {
            let keys = rows.convert_columns(&batch.columns()[..columns])?;
            known.extend(keys.iter().map(|key| key.owned()));
        }
        Ok(Some(Self { rows, known, columns }))
    }

    /// The rows of `partial` whose key is known, or is not.
    fn filter(&self, partial: &RecordBatch, is_known: bool) -> Result<RecordBatch> {
        let keys = self.rows.convert_columns(&partial.columns()[..self.columns])?;
        let kept = keys.iter().map(|key| Some(self.known.contains(&key.owned()) == is_known));
        Ok(filter_record_batch(partial, &kept.collect::<BooleanArray>())?)
    }
}

/// The same rows without texts of others.
pub(super) fn compact(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()) as ArrayRef,
        _ => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
}

/// Bytes that rows take without what they share with others.
pub(super) fn bytes(batches: &[RecordBatch]) -> Result<usize> {
    let columns = batches.iter().flat_map(RecordBatch::columns);
    let sizes = columns.map(|column| {
        let data = column.to_data();
        Ok(data.get_slice_memory_size()? + behind_views(&data))
    });
    sizes.sum()
}

/// Bytes of the texts that views point at, which the size of a slice leaves out.
fn behind_views(data: &ArrayData) -> usize {
    let of_children = data.child_data().iter().map(behind_views).sum();
    match data.data_type() {
        DataType::Utf8View | DataType::BinaryView => {
            let views = data.buffer::<u128>(0)[..data.len()].iter();
            // The low half of a view is the length of its text; short ones are in the view.
            let lengths = views.map(|view| (view & u128::from(u32::MAX)) as usize);
            lengths.filter(|length| *length > 12).sum()
        }
        _ => of_children,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;

    fn rows(texts: &[&str]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    #[test]
    fn texts_behind_views_are_counted_and_those_of_others_are_not() {
        let long = "a text that is longer than a view";
        assert_eq!(bytes(&[rows(&["short", "b"])]).unwrap(), 32);
        assert_eq!(bytes(&[rows(&["short", long])]).unwrap(), 32 + long.len());
        assert_eq!(bytes(&[rows(&[long, "short", "b"]).slice(1, 2)]).unwrap(), 32);
    }

    #[test]
    fn compact_rows_hold_no_texts_of_others() {
        let long = "a text that is longer than a view";
        let slice = rows(&[long, long, "short"]).slice(1, 2);
        let compact = compact(&slice).unwrap();
        assert_eq!(compact, slice);
        assert_eq!(compact.column(0).as_string_view().total_buffer_bytes_used(), long.len());
        let held: usize =
            compact.column(0).as_string_view().data_buffers().iter().map(|b| b.len()).sum();
        assert_eq!(held, long.len());
    }
}
