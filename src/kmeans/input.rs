//! What a run reads: partitions, and scans that give the rows of each of them.
//!
//! Every partition gets a number, which is the key that steps group by: rows are never compared by
//! the text of a key. Two ways of reading, the same rows:
//! - streaming: the pinned files are decoded again at each step; the number is a constant column
//!   of each file, and nothing is kept;
//! - memory: the used columns are decoded once into batches, accounted to the memory pool. Each
//!   partition is then a table of its own, so that no row is hashed to find its group; with more
//!   than 16 of them they share one table that carries the number.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::catalog::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::coordinates::{Coordinates, Place};
use super::options::Cache;
use super::params::Params;
use super::steps::LOAD;
use crate::cancel::CancelFlag;
use crate::centroids::fixed::times_power_of_two;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::session::{Session, quote_identifier};
use crate::table::SourceTable;

/// The column that steps group by.
const NUMBER: &str = "partition_number";
/// Up to this many partitions are planned one by one in memory mode.
const SEPARATE_PARTITIONS: usize = 16;
/// A batch size that divides nothing.
const ODD_BATCH: NonZeroUsize = NonZeroUsize::new(997).expect("not zero");

/// One value of the Hive keys in one table.
#[derive(Debug, Clone)]
pub struct InputPartition {
    /// Name of the table.
    pub table: String,
    /// Hive keys and their values; empty for a table without keys.
    pub keys: Vec<(Field, ScalarValue)>,
}

impl InputPartition {
    /// The partition as a path: `table1/id_pref=0`.
    pub fn name(&self) -> String {
        let keys = self.keys.iter().map(|(key, value)| format!("{}={value}", key.name()));
        let parts: Vec<String> = std::iter::once(self.table.clone()).chain(keys).collect();
        parts.join("/")
    }
}

/// A view named `points` over some partitions.
struct Scan {
    session: Session,
    /// The partition, where the scan holds only one: then nothing is grouped.
    only: Option<usize>,
}

/// The input of a run, pinned.
pub(super) struct Input {
    /// Partitions in the order of their numbers.
    pub(super) partitions: Vec<InputPartition>,
    /// The names of what is measured, in order: coordinates, then the weight.
    names: Vec<String>,
    /// What is measured, as SQL over a table as it is stored.
    written: Vec<String>,
    /// What is measured, as SQL over the scans.
    columns: Vec<String>,
    tables: Vec<SourceTable>,
    scans: Vec<Scan>,
    scans_run: AtomicU64,
    /// What memory mode holds; freed with the input.
    reservation: Option<MemoryReservation>,
    /// Ends loops that no one waits for.
    cancelled: CancelFlag,
}

impl Input {
    /// Opens pinned tables for reading the columns of `params`, the weight last.
    ///
    /// # Errors
    /// A column that is missing in a table or holds no numbers is bad data.
    pub(super) async fn open(
        session: &Session,
        tables: Vec<SourceTable>,
        (params, unit): (&Params, Option<&str>),
        (cache, cancelled): (Cache, &CancelFlag),
        watch: &dyn Observer,
    ) -> Result<Self> {
        let used: Vec<String> = params.used_columns().cloned().collect();
        for table in &tables {
            check_columns(table, &used)?;
        }
        let mut partitions = Vec::new();
        let numbered: Vec<SourceTable> = tables
            .iter()
            .map(|table| number(table, &used, &mut partitions))
            .collect::<Result<_>>()?;
        let written = written(params, unit);
        let mut input = Self {
            partitions,
            names: params.measured().cloned().collect(),
            columns: written.clone(),
            written,
            scans: Vec::new(),
            scans_run: AtomicU64::new(0),
            reservation: None,
            cancelled: cancelled.clone(),
            tables,
        };
        for tables in alike(numbered, &used) {
            let session = session.scanning();
            session.register("points", SourceTable::union(&tables, &used).provider())?;
            input.scans.push(Scan { session, only: None });
        }
        if cache == Cache::Auto {
            input.hold(session, watch).await?;
        }
        Ok(input)
    }

    /// The same rows again in another order: one stream, odd batches, read again.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub(super) async fn in_another_order(
        &self,
        session: &Session,
        params: &Params,
    ) -> Result<Self> {
        let session = session.in_order(ODD_BATCH);
        let tables = self.tables.clone();
        let how = (Cache::Never, &self.cancelled);
        let silent = &crate::event::Silent;
        let again = Self::open(&session, tables, (params, None), how, silent).await?;
        // Read again, the columns are not those in memory.
        Ok(Self { columns: self.written.clone(), written: self.written.clone(), ..again })
    }

    /// True if the columns are held in memory.
    pub(super) fn in_memory(&self) -> bool {
        self.reservation.is_some()
    }

    /// The pinned tables as they were opened.
    pub(super) fn tables(&self) -> &[SourceTable] {
        &self.tables
    }

    /// Takes the coordinates from their places from here on; the weight stays as it is.
    pub(super) fn place(&mut self, coordinates: &Coordinates) {
        for (number, place) in coordinates.places().iter().enumerate() {
            self.columns[number] = self.placed(&self.columns[number], number, *place);
            self.written[number] = self.placed(&self.written[number], number, *place);
        }
    }

    /// The first `count` columns as SQL over a table as it is stored, each in its place.
    pub(super) fn coordinates(&self, count: usize) -> &[String] {
        &self.written[..count]
    }

    /// The numbers of column `number` in their place, as SQL.
    fn placed(&self, written: &str, number: usize, place: Place) -> String {
        placed(written, place, holds_unsigned(&self.tables, &self.names[number]))
    }

    /// True if the column holds integers in every table.
    pub(super) fn is_integer(&self, column: &str) -> bool {
        let types = self.tables.iter().map(|table| data_type(table, column));
        types.into_iter().all(|found| found.is_some_and(|found| found.is_integer()))
    }

    /// How often the rows have been read so far.
    pub(super) fn scans_run(&self) -> u64 {
        self.scans_run.load(Ordering::Relaxed)
    }

    /// Checks that the input is as it was when the run began.
    ///
    /// # Errors
    /// A pinned file that is gone or differs: trying again is safe.
    pub(super) async fn check_unchanged(&self) -> Result<()> {
        for table in &self.tables {
            table.check_unchanged().await?;
        }
        Ok(())
    }

    /// Runs the step `text`, whose last column is an aggregate over the used columns, over all rows,
    /// and reads its answer for each partition that has rows.
    ///
    /// # Errors
    /// The engine's, with our kind; an answer that `read` refuses.
    pub(super) async fn step<T: Send + 'static>(
        &self,
        text: &str,
        values: &[(&str, ScalarValue)],
        read: impl Fn(&dyn Array, usize) -> Result<T> + Send + 'static,
    ) -> Result<BTreeMap<usize, T>> {
        self.scans_run.fetch_add(1, Ordering::Relaxed);
        let columns = self.columns.join(", ");
        let runs = self.scans.iter().map(|scan| async {
            let (keys, group_by) = match scan.only {
                Some(_) => (String::new(), String::new()),
                None => (format!("{NUMBER}, "), format!("GROUP BY {NUMBER}")),
            };
            let parts = [("keys", &*keys), ("columns", &*columns), ("group_by", &*group_by)];
            let plan = scan.session.plan(text, &parts, values.to_vec()).await?;
            Ok::<_, Error>((scan.only, scan.session.collect(plan).await?))
        });
        let answered = futures::future::try_join_all(runs).await?;
        let cancelled = self.cancelled.clone();
        compute(move |_| {
            let mut answers = BTreeMap::new();
            for (only, batches) in answered {
                for batch in batches {
                    for row in 0..batch.num_rows() {
                        cancelled.check()?;
                        let partition = match only {
                            Some(partition) => partition,
                            None => number_at(&batch, row)?,
                        };
                        let answer = batch.column(batch.num_columns() - 1);
                        answers.insert(partition, read(answer.as_ref(), row)?);
                    }
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Reads the used columns into memory, if they fit half of the pool.
    async fn hold(&mut self, session: &Session, watch: &dyn Observer) -> Result<()> {
        let reservation = MemoryConsumer::new("k-means columns").register(&session.memory_pool());
        let max_bytes = usize::try_from(session.pool_bytes() / 2).unwrap_or(usize::MAX);
        watch.report(Event::Stage { name: "reading".into(), total: None, unit: Unit::Rows });
        let mut held: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
        let mut rows = 0;
        let names: Vec<String> = self.names.iter().map(|name| quote_identifier(name)).collect();
        let columns = self.columns.iter().zip(&names);
        let columns: Vec<_> = columns.map(|(column, name)| format!("{column} AS {name}")).collect();
        let columns = columns.join(", ");
        for scan in &self.scans {
            let plan = scan.session.plan(LOAD, &[("columns", &columns)], Vec::new()).await?;
            let frame = scan.session.context().execute_logical_plan(plan).await?;
            let mut batches = frame.execute_stream().await?;
            while let Some(batch) = batches.try_next().await? {
                let bytes = batch.get_array_memory_size();
                if reservation.size() + bytes > max_bytes || reservation.try_grow(bytes).is_err() {
                    watch.report(Event::Done);
                    tracing::info!(rows, "the columns do not fit in memory: reading at each step");
                    return Ok(());
                }
                rows += batch.num_rows() as u64;
                watch.report(Event::Progress { done: rows });
                for (partition, batch) in by_partition(&batch)? {
                    held.entry(partition).or_default().push(batch);
                }
            }
        }
        self.scans_run.fetch_add(1, Ordering::Relaxed);
        watch.report(Event::Done);
        self.scans = in_memory_scans(session, held)?;
        self.columns = names;
        self.reservation = Some(reservation);
        Ok(())
    }
}

/// The numbers `written` in their place, as SQL; a difference of integers is taken of integers.
pub(super) fn placed(written: &str, place: Place, unsigned: bool) -> String {
    if place.is_plain() {
        return written.to_owned();
    }
    let mut number = if !place.integer {
        format!("(CAST({written} AS DOUBLE) - CAST('{:?}' AS DOUBLE))", place.origin)
    } else if unsigned {
        let of = "BIGINT UNSIGNED";
        format!("(CAST({written} AS {of}) - CAST('{:.0}' AS {of}))", place.origin)
    } else {
        format!("(CAST({written} AS BIGINT) - CAST('{:.0}' AS BIGINT))", place.origin)
    };
    if place.exponent != 0 {
        let factor = times_power_of_two(1.0, place.exponent);
        number = format!("CAST({number} AS DOUBLE) * CAST('{factor:?}' AS DOUBLE)");
    }
    number
}

/// Whether a table has numbers of 64 bits without a sign in `column`.
pub(super) fn holds_unsigned(tables: &[SourceTable], column: &str) -> bool {
    tables.iter().any(|table| data_type(table, column) == Some(DataType::UInt64))
}

/// What is measured, as SQL over a table: columns, or the parts of the unit vector of a position.
pub(super) fn written(params: &Params, unit: Option<&str>) -> Vec<String> {
    let weight = params.weight().map(|weight| quote_identifier(weight));
    let Some(sky) = params.sky() else {
        return params.measured().map(|column| quote_identifier(column)).collect();
    };
    let [ra, dec] = sky.map(|column| format!("CAST({} AS DOUBLE)", quote_identifier(column)));
    let [ra, dec] = match unit {
        Some("hour") => [format!("({ra} * 15)"), dec],
        Some("rad") => [format!("degrees({ra})"), format!("degrees({dec})")],
        _ => [ra, dec],
    };
    let part = |part: &String| format!("sky_vector({ra}, {dec})['{part}']");
    params.columns().iter().map(part).chain(weight).collect()
}

/// Gives each partition of `table` the next number and makes that number a key, beside those `used`.
fn number(
    table: &SourceTable,
    used: &[String],
    partitions: &mut Vec<InputPartition>,
) -> Result<SourceTable> {
    let found = table.partitions();
    let numbers: HashMap<&[ScalarValue], usize> =
        found.iter().map(Vec::as_slice).zip(partitions.len()..).collect();
    partitions.extend(found.iter().map(|values| InputPartition {
        table: table.name.clone(),
        keys: table.keys.iter().cloned().zip(values.iter().cloned()).collect(),
    }));
    table.rekeyed(Field::new(NUMBER, DataType::Int32, false), used, |values| {
        let number = numbers.get(values);
        let number = number.ok_or_else(|| Error::internal("a file is of an unknown partition"))?;
        Ok(ScalarValue::Int32(Some(small(*number)?)))
    })
}

/// Tables that one scan can read: same format, same place, same types of the used columns.
fn alike(tables: Vec<SourceTable>, used: &[String]) -> Vec<Vec<SourceTable>> {
    let mut groups: Vec<Vec<SourceTable>> = Vec::new();
    for table in tables {
        let group = groups.iter_mut().find(|group| group[0].unites_with(&table, used));
        match group {
            Some(group) => group.push(table),
            None => groups.push(vec![table]),
        }
    }
    groups
}

fn data_type(table: &SourceTable, column: &str) -> Option<DataType> {
    table.schema.field_with_name(column).ok().map(|field| field.data_type().clone())
}

pub(super) fn check_columns(table: &SourceTable, used: &[String]) -> Result<()> {
    for column in used {
        match table.column(column)?.data_type() {
            found if found.is_numeric() => {}
            DataType::Dictionary(_, value) if value.is_numeric() => {}
            // Without rows a column of a text file has no type.
            DataType::Utf8 if table.rows() == Some(0) => return Err(table.no_rows()),
            found => {
                return Err(Error::data(format!(
                    "column '{column}' of '{}' is {found}, expected a number",
                    table.name
                )));
            }
        }
    }
    Ok(())
}

/// The number of a partition as a column holds it.
fn small(partition: usize) -> Result<i32> {
    i32::try_from(partition).map_err(|cause| {
        Error::internal(format!("partition {partition} is beyond 2^31")).caused_by(cause)
    })
}

fn number_at(batch: &RecordBatch, row: usize) -> Result<usize> {
    let numbers = batch.column(0).as_primitive_opt::<Int32Type>();
    let number = numbers.and_then(|numbers| usize::try_from(numbers.value(row)).ok());
    number.ok_or_else(|| Error::internal("a step answered without its partition"))
}

/// Splits a batch by its number, which is dropped; nearly always all rows have the same.
fn by_partition(batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
    let numbers = batch.column(0).as_primitive_opt::<Int32Type>();
    let numbers = numbers.ok_or_else(|| Error::internal("rows came without their partition"))?;
    let used: Vec<usize> = (1..batch.num_columns()).collect();
    let columns = batch.project(&used)?;
    let mut parts = Vec::new();
    let mut start = 0;
    for same in numbers.values().chunk_by(|a, b| a == b) {
        parts.push((number_at(batch, start)?, columns.slice(start, same.len())));
        start += same.len();
    }
    Ok(parts)
}

/// Tables over the held batches: one a partition, or one for all with the number as a column.
fn in_memory_scans(
    session: &Session,
    held: BTreeMap<usize, Vec<RecordBatch>>,
) -> Result<Vec<Scan>> {
    if held.len() <= SEPARATE_PARTITIONS {
        let scans = held.into_iter().map(|(partition, batches)| {
            let scan = in_memory_scan(session, batches)?;
            Ok(Scan { session: scan, only: Some(partition) })
        });
        return scans.collect();
    }
    let numbered = held.into_iter().flat_map(|(partition, batches)| {
        batches.into_iter().map(move |batch| with_number(&batch, partition))
    });
    let scan = in_memory_scan(session, numbered.collect::<Result<_>>()?)?;
    Ok(vec![Scan { session: scan, only: None }])
}

fn with_number(batch: &RecordBatch, partition: usize) -> Result<RecordBatch> {
    let number = small(partition)?;
    let mut fields = vec![Arc::new(Field::new(NUMBER, DataType::Int32, false))];
    fields.extend(batch.schema().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from_value(number, batch.num_rows()))];
    columns.extend(batch.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Deals the batches evenly over the streams.
fn in_memory_scan(session: &Session, batches: Vec<RecordBatch>) -> Result<Session> {
    let session = session.scanning();
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut dealt = vec![Vec::new(); session.streams()];
    for (number, batch) in batches.into_iter().enumerate() {
        dealt[number % session.streams()].push(batch);
    }
    session.register("points", Arc::new(MemTable::try_new(schema, dealt)?))?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use crate::error::Kind;
    use arrow::array::Float64Array;

    use super::*;

    fn batch(first: ArrayRef) -> RecordBatch {
        let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]));
        RecordBatch::try_from_iter([("first", first), ("x", x)]).unwrap()
    }

    #[test]
    fn rows_are_told_apart_by_the_number_of_their_partition() {
        let numbered = batch(Arc::new(Int32Array::from(vec![4, 4, 1])));
        let parts: Vec<_> = by_partition(&numbered).unwrap();
        let sizes: Vec<_> = parts.iter().map(|(part, rows)| (*part, rows.num_rows())).collect();
        assert_eq!(sizes, [(4, 2), (1, 1)]);
        assert_eq!(with_number(&parts[0].1, 4).unwrap().column(0).len(), 2);
    }

    #[test]
    fn rows_without_a_partition_are_our_mistake() {
        for first in [
            Arc::new(Float64Array::from(vec![0.0; 3])) as ArrayRef,
            Arc::new(Int32Array::from(vec![-1; 3])),
        ] {
            let rows = batch(first);
            assert_eq!(number_at(&rows, 0).unwrap_err().kind(), Kind::Internal);
            assert_eq!(by_partition(&rows).unwrap_err().kind(), Kind::Internal);
        }
        let rows = batch(Arc::new(Int32Array::from(vec![0; 3])));
        assert_eq!(with_number(&rows, usize::MAX).unwrap_err().kind(), Kind::Internal);
    }
}
