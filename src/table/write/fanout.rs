//! One stream of rows to one file for each key value.
//!
//! Rows whose key is NULL are counted, key by key, and left out: the driver of the write refuses
//! the result with the exact count. A key may be a list: the row goes to the file of each item.

use std::slice;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, is_not_null, partition, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{HashMap, ScalarValue};
use datafusion::execution::memory_pool::MemoryReservation;
use futures::{StreamExt, stream};

use super::encode::{FileWriter, Target, plain_batch};
use super::spec::KeyLayout;
use crate::error::{Error, Result};
use crate::table::commit::record::StagedFile;
use crate::table::value;

/// Writers a stream keeps open at most.
pub(crate) const MAX_OPEN_KEYS: usize = 64;

/// Keys below this are found by index.
const MAX_SMALL_KEY: i32 = 1 << 22;

/// Bytes of rows that wait in the many writers of a stream at most; then the fullest row groups end
/// early.
const MAX_WAITING_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of rows that come in between two looks at the memory of all writers.
const UNSEEN: usize = 2 * 1024 * 1024;

/// Files of a stream that are ended at the same time.
const FINISHED_AT_ONCE: usize = 4;

/// Sends the rows of one stream to their files.
pub(crate) struct Splitter {
    target: Arc<Target>,
    layout: KeyLayout,
    /// Where the keys are in a batch.
    key_columns: Vec<usize>,
    /// Where the columns of the file are in a batch.
    file_columns: Vec<usize>,
    rows_of: RowConverter,
    /// Open writers by the encoded key values.
    open: HashMap<Box<[u8]>, usize>,
    /// Open writers by the only key, where it is a small whole number.
    by_number: Vec<Option<usize>>,
    writers: Vec<FileWriter>,
    finished: Vec<StagedFile>,
    /// Rows that came in, once for each key.
    rows: u64,
    null_keys: Vec<u64>,
    reservation: MemoryReservation,
    /// Bytes of rows since the last look at the memory.
    unseen: usize,
}

/// Whether a batch was taken.
pub(crate) enum Taken {
    Yes,
    /// A key beyond the most that `spread` keeps open.
    TooManyKeys,
}

impl Splitter {
    /// A splitter of batches with columns `schema`.
    pub(crate) fn new(
        target: &Arc<Target>,
        layout: KeyLayout,
        schema: &SchemaRef,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let key_columns = target.keys.iter().map(|key| Ok(schema.index_of(key)?));
        let key_columns = key_columns.collect::<Result<Vec<_>>>()?;
        let file_columns =
            (0..schema.fields().len()).filter(|i| !key_columns.contains(i)).collect();
        let key_types = key_columns.iter().map(|i| match schema.field(*i).data_type() {
            DataType::List(item) => SortField::new(item.data_type().clone()),
            other => SortField::new(other.clone()),
        });
        Ok(Self {
            target: Arc::clone(target),
            layout,
            file_columns,
            rows_of: RowConverter::new(key_types.collect())?,
            open: HashMap::new(),
            by_number: Vec::new(),
            writers: Vec::new(),
            finished: Vec::new(),
            rows: 0,
            null_keys: vec![0; key_columns.len()],
            key_columns,
            reservation,
            unseen: 0,
        })
    }

    /// Writes the rows of `batch`.
    pub(crate) async fn push(&mut self, batch: RecordBatch) -> Result<Taken> {
        let batch = self.without_null_keys(batch)?;
        if batch.num_rows() == 0 {
            return Ok(Taken::Yes);
        }
        let keys: Vec<_> = self.key_columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        let rows = plain_batch(&batch.project(&self.file_columns)?, &self.target.file_schema)?;
        let items = items(&keys);
        self.rows += items.as_ref().map_or(rows.num_rows(), |(items, _)| items.len()) as u64;
        self.unseen += rows.get_array_memory_size();
        let taken = match self.layout {
            _ if keys.is_empty() => {
                self.writer_for(&[], &keys, 0).await?;
                self.writers[0].push(rows).await?;
                Taken::Yes
            }
            KeyLayout::Fanout | KeyLayout::CountedFanout => match &items {
                Some((item, row_of)) => {
                    self.push_fanout(slice::from_ref(item), Some(row_of), rows).await?
                }
                None => self.push_fanout(&keys, None, rows).await?,
            },
            KeyLayout::Clustered => self.push_clustered(&keys, &rows).await?,
        };
        if self.unseen >= UNSEEN {
            self.unseen = 0;
            self.account().await?;
        }
        Ok(taken)
    }

    /// Ends all files; with them the rows that came in, and those without a key, key by key.
    pub(crate) async fn finish(mut self) -> Result<(Vec<StagedFile>, u64, Vec<u64>)> {
        self.account().await?;
        let writers = std::mem::take(&mut self.writers);
        // Tasks of their own, so that another thread can help a stream that is late.
        let tasks = writers.into_iter().map(|writer| SpawnedTask::spawn(writer.finish()));
        let mut files = stream::iter(tasks).buffered(FINISHED_AT_ONCE);
        while let Some(file) = files.next().await {
            let file =
                file.map_err(|cause| Error::internal("a file was not finished").caused_by(cause))?;
            self.finished.push(file?);
        }
        drop(files);
        Ok((self.finished, self.rows, self.null_keys))
    }

    fn without_null_keys(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let mut keep: Option<BooleanArray> = None;
        for (column, count) in self.key_columns.iter().zip(&mut self.null_keys) {
            let values = batch.column(*column);
            let nulls = values.logical_null_count();
            if nulls > 0 {
                *count += nulls as u64;
                let valid = is_not_null(values)?;
                keep = Some(match keep {
                    Some(kept) => arrow::compute::and(&kept, &valid)?,
                    None => valid,
                });
            }
        }
        Ok(match keep {
            Some(keep) => filter_record_batch(&batch, &keep)?,
            None => batch,
        })
    }

    /// Rows in any order: gathers those of a key, so that a batch is copied once. With `row_of` a key
    /// is that of this row.
    async fn push_fanout(
        &mut self,
        keys: &[ArrayRef],
        row_of: Option<&[u32]>,
        rows: RecordBatch,
    ) -> Result<Taken> {
        let found = match small_numbers(keys) {
            Some(numbers) => self.writers_of_numbers(keys, numbers).await?,
            None => self.writers_of(keys).await?,
        };
        let Some(writer_of) = found else { return Ok(Taken::TooManyKeys) };
        let Some(first) = writer_of.first() else { return Ok(Taken::Yes) };
        if row_of.is_none() && writer_of.iter().all(|writer| writer == first) {
            self.writers[*first].push(rows).await?;
            return Ok(Taken::Yes);
        }
        let (order, ends) = gathered(&writer_of, row_of, self.writers.len());
        let rows = take_record_batch(&rows, &order)?;
        let mut start = 0;
        for (writer, end) in self.writers.iter_mut().zip(ends) {
            if end > start {
                writer.push(rows.slice(start, end - start)).await?;
                start = end;
            }
        }
        Ok(Taken::Yes)
    }

    /// The writer of each row; none if there are too many keys.
    async fn writers_of(&mut self, keys: &[ArrayRef]) -> Result<Option<Vec<usize>>> {
        let encoded = self.rows_of.convert_columns(keys)?;
        let mut writer_of: Vec<usize> = Vec::with_capacity(encoded.num_rows());
        for (index, key) in encoded.iter().enumerate() {
            // Neighbours often share their key.
            if index > 0 && encoded.row(index - 1) == key {
                writer_of.push(writer_of[index - 1]);
                continue;
            }
            let known = self.open.get(key.as_ref()).copied();
            let writer = match known {
                Some(writer) => writer,
                None if self.is_full() => return Ok(None),
                None => self.writer_for(key.as_ref(), keys, index).await?,
            };
            writer_of.push(writer);
        }
        Ok(Some(writer_of))
    }

    /// The same for one key of small whole numbers, which need no encoding.
    async fn writers_of_numbers(
        &mut self,
        keys: &[ArrayRef],
        numbers: &[i32],
    ) -> Result<Option<Vec<usize>>> {
        let mut writer_of = Vec::with_capacity(numbers.len());
        for (index, number) in numbers.iter().enumerate() {
            let number = usize::try_from(*number).expect("checked to be small");
            if number >= self.by_number.len() {
                self.by_number.resize(number + 1, None);
            }
            let writer = match self.by_number[number] {
                Some(writer) => writer,
                None if self.is_full() => return Ok(None),
                None => {
                    let encoded = self.rows_of.convert_columns(&[keys[0].slice(index, 1)])?;
                    let writer = self.writer_for(encoded.row(0).as_ref(), keys, index).await?;
                    self.by_number[number] = Some(writer);
                    writer
                }
            };
            writer_of.push(writer);
        }
        Ok(Some(writer_of))
    }

    /// Whether no further key gets a writer.
    fn is_full(&self) -> bool {
        self.layout == KeyLayout::Fanout && self.writers.len() == MAX_OPEN_KEYS
    }

    /// Rows sorted by key: one writer is open, and finished when the key changes.
    async fn push_clustered(&mut self, keys: &[ArrayRef], rows: &RecordBatch) -> Result<Taken> {
        for range in partition(keys)?.ranges() {
            let first: Vec<_> = keys.iter().map(|key| key.slice(range.start, 1)).collect();
            let encoded = self.rows_of.convert_columns(&first)?;
            let key = encoded.row(0);
            if !self.open.contains_key(key.as_ref()) {
                self.open.clear();
                for writer in self.writers.drain(..) {
                    self.finished.push(writer.finish().await?);
                }
                self.writer_for(key.as_ref(), &first, 0).await?;
            }
            self.writers[0].push(rows.slice(range.start, range.len())).await?;
        }
        Ok(Taken::Yes)
    }

    /// The writer of the key in row `index`, opened if it is new.
    async fn writer_for(
        &mut self,
        encoded: &[u8],
        keys: &[ArrayRef],
        index: usize,
    ) -> Result<usize> {
        if let Some(writer) = self.open.get(encoded) {
            return Ok(*writer);
        }
        let partition =
            keys.iter().map(|key| value::to_text(&ScalarValue::try_from_array(key, index)?));
        let partition = partition.collect::<Result<Vec<_>>>()?;
        let (table, partition) = self.target.home(partition)?;
        let schema = Arc::clone(&self.target.file_schema);
        let writer = FileWriter::create(&self.target, table, partition, schema).await?;
        let writer =
            if self.layout == KeyLayout::CountedFanout { writer.waiting() } else { writer };
        self.writers.push(writer);
        self.open.insert(encoded.into(), self.writers.len() - 1);
        Ok(self.writers.len() - 1)
    }

    /// Reports to the memory pool what is held. If it refuses, or many writers hold much, the fullest row
    /// group is ended, until that is over.
    async fn account(&mut self) -> Result<()> {
        loop {
            let held = self.writers.iter().map(FileWriter::memory).sum();
            let waiting: usize = self.writers.iter().map(FileWriter::waiting_bytes).sum();
            let is_much = waiting > MAX_WAITING_BYTES;
            let refused = match self.reservation.try_resize(held) {
                Ok(()) if !is_much => return Ok(()),
                Ok(()) => None,
                Err(refused) => Some(refused),
            };
            match self.writers.iter_mut().max_by_key(|writer| writer.open_rows()) {
                Some(fullest) if fullest.open_rows() > 0 => fullest.end_row_group().await?,
                _ => return refused.map_or(Ok(()), |refused| Err(refused.into())),
            }
        }
    }
}

/// The values of a key that is alone and a small whole number in every row; without NULLs.
fn small_numbers(keys: &[ArrayRef]) -> Option<&[i32]> {
    let [key] = keys else { return None };
    let numbers = key.as_primitive_opt::<Int32Type>()?.values();
    numbers.iter().all(|number| (0..MAX_SMALL_KEY).contains(number)).then_some(numbers)
}

/// The items of a key that is alone and a list, each with its row; lists are not NULL.
fn items(keys: &[ArrayRef]) -> Option<(ArrayRef, Vec<u32>)> {
    let [key] = keys else { return None };
    let lists = key.as_list_opt::<i32>()?;
    let mut row_of = Vec::with_capacity(lists.values().len());
    for (row, length) in (0..).zip(lists.offsets().lengths()) {
        row_of.extend(std::iter::repeat_n(row, length));
    }
    let first = lists.value_offsets()[0].unsigned_abs() as usize;
    Some((lists.values().slice(first, row_of.len()), row_of))
}

/// The rows in the order of their writer, and where the rows of each writer end. With `row_of` an
/// entry of `writer_of` is for that row.
fn gathered(
    writer_of: &[usize],
    row_of: Option<&[u32]>,
    writers: usize,
) -> (UInt32Array, Vec<usize>) {
    let mut ends = vec![0; writers];
    for writer in writer_of {
        ends[*writer] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += std::mem::replace(end, sum);
    }
    let mut order = vec![0; writer_of.len()];
    for (entry, (number, writer)) in (0..).zip(writer_of).enumerate() {
        order[ends[*writer]] = row_of.map_or(number, |row_of| row_of[entry]);
        ends[*writer] += 1;
    }
    (order.into(), ends)
}

#[cfg(test)]
mod tests {
    use arrow::array::ListArray;

    use super::*;

    #[test]
    fn rows_are_gathered_by_writer_in_their_order() {
        let (order, ends) = gathered(&[2, 0, 2, 0, 3], None, 5);
        assert_eq!(order.values().to_vec(), [1, 3, 0, 2, 4]);
        assert_eq!(ends, [2, 2, 4, 5, 5]);
    }

    #[test]
    fn a_row_goes_to_each_item_of_its_list() {
        let lists = [Some(vec![Some(9)]), Some(vec![]), Some(vec![Some(7), Some(9)])];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
            [Some(vec![Some(1)])].into_iter().chain(lists),
        );
        let (items, row_of) = items(&[Arc::new(lists.slice(1, 3))]).unwrap();
        assert_eq!(items.as_primitive::<Int32Type>().values().to_vec(), [9, 7, 9]);
        assert_eq!(row_of, [0, 2, 2]);
        let (order, ends) = gathered(&[1, 0, 1], Some(&row_of), 2);
        assert_eq!(order.values().to_vec(), [2, 0, 2]);
        assert_eq!(ends, [1, 3]);
    }
}
