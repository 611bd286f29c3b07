//! What a run reads: partitions, and scans that give the rows of each of them.
//!
//! Every partition gets a number, which is the key that steps group by: rows are never compared by
//! the text of a key. Two ways of reading, the same rows:
//! - streaming: the pinned files are decoded again at each step; the number is a constant column
//!   of each file, and nothing is kept;
//! - memory: the used columns are decoded once into batches, accounted to the memory pool. Each
//!   partition is then a table of its own, so that no row is hashed to find its group; with more
//!   than 16 of them they share one table that carries the number.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::catalog::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::options::{Cache, Params};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::session::{Session, quote_identifier};
use crate::table::SourceTable;

/// The column that steps group by.
const NUMBER: &str = "partition_number";
/// Up to so many partitions are planned one by one in memory mode.
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
pub struct Input {
    /// Partitions in the order of their numbers.
    pub partitions: Vec<InputPartition>,
    /// The used columns as SQL, in order: coordinates, then the weight.
    columns: String,
    tables: Vec<SourceTable>,
    scans: Vec<Scan>,
    scans_run: AtomicU64,
    /// What memory mode holds; freed with the input.
    reservation: Option<MemoryReservation>,
}

impl Input {
    /// Opens pinned tables for reading the columns of `params`, the weight last.
    ///
    /// # Errors
    /// A column that is missing in a table or holds no numbers is bad data.
    pub async fn open(
        session: &Session,
        tables: Vec<SourceTable>,
        params: &Params,
        cache: Cache,
        watch: &dyn Observer,
    ) -> Result<Self> {
        let used: Vec<String> = params.columns.iter().chain(&params.weight).cloned().collect();
        for table in &tables {
            check_columns(table, &used)?;
        }
        let mut partitions = Vec::new();
        let numbered: Vec<SourceTable> =
            tables.iter().map(|table| number(table, &mut partitions)).collect();
        let quoted: Vec<String> = used.iter().map(|column| quote_identifier(column)).collect();
        let mut input = Self {
            partitions,
            columns: quoted.join(", "),
            scans: Vec::new(),
            scans_run: AtomicU64::new(0),
            reservation: None,
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

    /// The same rows once more in another order: one stream, odd batches, read again.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub async fn in_another_order(&self, session: &Session, params: &Params) -> Result<Self> {
        let session = session.in_order(ODD_BATCH);
        let watch = crate::event::Silent;
        let tables = self.tables.clone();
        Self::open(&session, tables, params, Cache::Never, &watch).await
    }

    /// True if the columns are held in memory.
    pub fn in_memory(&self) -> bool {
        self.reservation.is_some()
    }

    /// The pinned tables as they were opened.
    pub fn tables(&self) -> &[SourceTable] {
        &self.tables
    }

    /// True if the column holds integers in every table.
    pub fn is_integer(&self, column: &str) -> bool {
        let types = self.tables.iter().map(|table| data_type(table, column));
        types.into_iter().all(|found| found.is_some_and(|found| found.is_integer()))
    }

    /// How often the rows have been read so far.
    pub fn scans_run(&self) -> u64 {
        self.scans_run.load(Ordering::Relaxed)
    }

    /// Checks that the input is as it was when the run began.
    ///
    /// # Errors
    /// A pinned file that is gone or differs: trying again is safe.
    pub async fn check_unchanged(&self) -> Result<()> {
        for table in &self.tables {
            if let Some(change) = table.changed().await? {
                return Err(changed(&change));
            }
        }
        Ok(())
    }

    /// Runs the step `text`, whose last column is an aggregate over the used columns, over all rows,
    /// and reads its answer for each partition that has rows.
    ///
    /// # Errors
    /// The engine's, with our kind; an answer that `read` refuses.
    pub async fn step<T>(
        &self,
        text: &str,
        values: &[(&str, ScalarValue)],
        read: impl Fn(&dyn Array, usize) -> Result<T>,
    ) -> Result<BTreeMap<usize, T>> {
        self.scans_run.fetch_add(1, Ordering::Relaxed);
        let runs = self.scans.iter().map(|scan| async {
            let (keys, group_by) = match scan.only {
                Some(_) => (String::new(), String::new()),
                None => (format!("{NUMBER}, "), format!("GROUP BY {NUMBER}")),
            };
            let parts = [("keys", &*keys), ("columns", &*self.columns), ("group_by", &*group_by)];
            let plan = scan.session.plan(text, &parts, values.to_vec()).await?;
            Ok::<_, Error>((scan.only, scan.session.collect(plan).await?))
        });
        let mut answers = BTreeMap::new();
        for (only, batches) in futures::future::try_join_all(runs).await? {
            for batch in batches {
                for row in 0..batch.num_rows() {
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
    }

    /// Reads the used columns into memory, if they fit half of the pool.
    async fn hold(&mut self, session: &Session, watch: &dyn Observer) -> Result<()> {
        let reservation = MemoryConsumer::new("k-means columns").register(&session.memory_pool());
        let most = usize::try_from(session.pool_bytes() / 2).unwrap_or(usize::MAX);
        watch.report(Event::Stage { name: "reading".into(), total: None, unit: Unit::Rows });
        let mut held: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
        let mut rows = 0;
        for scan in &self.scans {
            let text = format!("SELECT {NUMBER}, {} FROM points", self.columns);
            let plan = scan.session.plan(&text, &[], Vec::new()).await?;
            let frame = scan.session.context().execute_logical_plan(plan).await?;
            let mut batches = frame.execute_stream().await?;
            while let Some(batch) = batches.try_next().await? {
                let bytes = batch.get_array_memory_size();
                if reservation.size() + bytes > most || reservation.try_grow(bytes).is_err() {
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
        self.reservation = Some(reservation);
        Ok(())
    }
}

/// Gives each partition of `table` the next number and makes that number the only key.
fn number(table: &SourceTable, partitions: &mut Vec<InputPartition>) -> SourceTable {
    let first = partitions.len();
    let found = table.partitions();
    partitions.extend(found.iter().map(|values| InputPartition {
        table: table.name.clone(),
        keys: table.keys.iter().cloned().zip(values.iter().cloned()).collect(),
    }));
    table.rekeyed(Field::new(NUMBER, DataType::Int32, false), |values| {
        let index = found.iter().position(|known| known == values).unwrap_or_default();
        ScalarValue::Int32(i32::try_from(first + index).ok())
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

fn check_columns(table: &SourceTable, used: &[String]) -> Result<()> {
    for column in used {
        match data_type(table, column) {
            Some(found) if found.is_numeric() => {}
            Some(DataType::Dictionary(_, value)) if value.is_numeric() => {}
            Some(found) => {
                return Err(Error::data(format!(
                    "column '{column}' of '{}' is {found}, expected a number",
                    table.name
                )));
            }
            None => {
                let names: Vec<&str> =
                    table.schema.fields().iter().map(|field| field.name().as_str()).collect();
                return Err(Error::data(format!(
                    "column '{column}' not found in '{}', which has {}",
                    table.name,
                    names.join(", ")
                )));
            }
        }
    }
    Ok(())
}

fn number_at(batch: &RecordBatch, row: usize) -> Result<usize> {
    let numbers = batch.column(0).as_primitive_opt::<Int32Type>();
    let number = numbers.and_then(|numbers| usize::try_from(numbers.value(row)).ok());
    number.ok_or_else(|| Error::internal("a step answered without its partition"))
}

/// Splits a batch by its number, which is dropped; nearly always all rows have the same.
fn by_partition(batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
    let numbers = batch.column(0).as_primitive::<Int32Type>().values();
    let used: Vec<usize> = (1..batch.num_columns()).collect();
    let columns = batch.project(&used)?;
    let mut parts = Vec::new();
    let mut start = 0;
    for run in numbers.chunk_by(|a, b| a == b) {
        parts.push((number_at(batch, start)?, columns.slice(start, run.len())));
        start += run.len();
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
    let number = i32::try_from(partition).unwrap_or_default();
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

/// The error of an input that is not what it was.
pub fn changed(what: &str) -> Error {
    Error::new(Kind::Retry, format!("the input changed during the run: {what}; run it again"))
}
