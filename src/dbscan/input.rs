//! What a run reads: the coordinates of every row, once, in runs of rows that follow each other.
//!
//! A row is known by its number: files in the order of their paths, then its position. A Parquet scan
//! knows the number, so streams may share files; other rows are read by one stream and counted.
//!
//! A coordinate that is NULL, NaN or infinite, a declination beyond ±90° and a right ascension outside of
//! -360..=720 are not usable positions: the row is *skipped*, counted by its reason, and said. On the sphere a
//! position is a unit vector. `-0.0` is `0.0`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::runtime::JoinSet;
use datafusion::physical_plan::execute_stream_partitioned;
use futures::StreamExt;

use super::options::{Params, Space};
use super::points::{Points, RowRange, ordered};
use super::spill_store::SpillStore;
use super::threads::{self, BlockingThread};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::grid::{Reason, UnitVector, canonical};
use crate::partition::coordinates::{A_TURN, MANY_ROWS, may_be_radians, stored_position};
use crate::partition::options::AngleUnit;
use crate::partition::stored::Stored;
use crate::session::{Session, quote_identifier};
use crate::storage::Location;
use crate::table::{Format, Source, SourceTable};

const ROWS: &str = include_str!("../../sql/steps/dbscan_rows.sql");
/// The constant column of a file that says where its rows begin.
const FIRST_ROW: &str = "pleiad first row";

/// A file of this size is read by several streams.
const SHARED_FILE_BYTES: usize = 1 << 20;
/// From this share of impossible declinations on, the columns may be swapped.
const SWAPPED_SHARE: f64 = 0.1;
/// The table of own rows in a dataset of blocks.
pub(crate) const BLOCKS: &str = "blocks";
/// The columns of labels.
pub(crate) const LABELS: [&str; 3] = ["row", "cluster", "kind"];

/// Whether the unit vectors of a box are all within a turn in radians, taken for degrees, of (0, 0).
fn is_near_origin<const D: usize>(lo: &[f64; D], hi: &[f64; D]) -> bool {
    let most = A_TURN.to_radians().sin();
    lo[0] > 0.0 && (1..D).all(|k| lo[k] >= -most && hi[k] <= most)
}

/// The input of a run, pinned.
#[derive(Clone)]
pub(crate) struct Input {
    /// The table, all its files.
    pub(crate) table: SourceTable,
    /// What names it.
    location: Location,
    session: Session,
    space: Space,
    unit: AngleUnit,
    id: Option<String>,
}

/// `params` in the unit of the coordinates of `source`: the one that is given, else that of a dataset of
/// blocks which was cut by the same columns, else degrees.
///
/// # Errors
/// A dataset of blocks that does not say its unit.
pub(crate) fn in_unit_of(source: &Source, params: &Params) -> Result<Params> {
    let (Space::Sky { columns, .. }, None) = (params.space(), params.options().unit) else {
        return Ok(params.clone());
    };
    let stored = source.manifest.as_deref().map(Stored::read).transpose()?.flatten();
    let stored = stored.filter(|stored| stored.columns == *columns).and_then(|found| found.blocks);
    Ok(params.clone().in_unit(stored.map_or_else(AngleUnit::default, |blocks| blocks.unit)))
}

impl Input {
    /// Opens pinned tables.
    ///
    /// # Errors
    /// Tables with other columns than the first; a column that is missing or holds no numbers.
    pub(crate) fn open(session: &Session, source: &Source, params: &Params) -> Result<Self> {
        let table = SourceTable::united(&source.tables_of_rows())
            .map_err(|unlike| unlike.refused("cluster"))?;
        let id = params.options().id.clone();
        for column in params.space().columns() {
            match table.column(column)?.data_type() {
                found if found.is_numeric() => {}
                DataType::Utf8 | DataType::LargeUtf8
                    if matches!(params.space(), Space::Sky { .. }) && table.rows() != Some(0) => {}
                DataType::Dictionary(_, value) if value.is_numeric() => {}
                // Without rows a column of a text file has no type.
                DataType::Utf8 if table.rows() == Some(0) => return Err(table.no_rows()),
                found => return Err(wrong_type(&table, column, found, "a number")),
            }
        }
        if let Some(id) = &id {
            let found = table.column(id)?.data_type();
            if !found.is_integer() {
                return Err(wrong_type(&table, id, found, "a whole number"));
            }
        }
        for column in params.space().columns().iter().chain(&id) {
            if table.keys.iter().any(|key| key.name() == column) {
                return Err(Error::data(format!(
                    "column '{column}' of '{}' is a key of its directories, expected a column of \
                     its files",
                    table.name
                )));
            }
        }
        for column in passthrough(&table, params) {
            table.column(&column)?;
            // The number of a row gives way to its id.
            if LABELS.contains(&column.as_str()) && (column != LABELS[0] || id.is_none()) {
                return Err(Error::usage(format!(
                    "column '{column}' cannot be kept: the table of labels has a column of this name"
                )));
            }
        }
        let (location, space) = (source.location.clone(), params.space().clone());
        Ok(Self { table, location, session: session.scanning(), space, unit: params.unit(), id })
    }

    /// The same rows without their ids.
    pub(crate) fn without_ids(self) -> Self {
        Self { id: None, ..self }
    }

    /// Margin rows of the same dataset, to be read as the input is.
    pub(crate) fn margins_of(&self, table: &SourceTable) -> Self {
        Self { table: table.clone(), id: None, ..self.clone() }
    }

    /// What names it: opened once more, it is the same table, if nothing has changed.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The session that reads it.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Reads all rows.
    pub(crate) async fn read<const D: usize>(&self, watch: &dyn Observer) -> Result<Points<D>> {
        let name = "reading coordinates".into();
        watch.report(Event::Stage { name, total: self.table.rows(), unit: Unit::Rows });
        let used: Vec<String> = self.space.columns().iter().chain(&self.id).cloned().collect();
        let numbered = self.numbered();
        let is_numbered = numbered.is_some();
        let (session, table, row) = match numbered {
            Some(table) => {
                let table = SourceTable::union(&[table], &used);
                let row = format!("{} + file_row_index()", quote_identifier(FIRST_ROW));
                // A scan gives the numbers of its rows only to a projection right above it.
                let session = self.session.child(|options| {
                    options.optimizer.enable_round_robin_repartition = false;
                    options.optimizer.repartition_file_min_size = SHARED_FILE_BYTES;
                });
                (session, table, row)
            }
            None => {
                let session = self.session.child(|options| options.execution.target_partitions = 1);
                (session, self.table.clone(), "0".to_owned())
            }
        };
        session.register("points", table.provider())?;
        let numbers = |columns: &[String]| columns.iter().map(|c| cast(c, "DOUBLE")).collect();
        let coordinates: Vec<String> = match &self.space {
            Space::Plane { columns, .. } => numbers(columns),
            Space::Sky { columns: [ra, dec], .. } => {
                stored_position(&table.schema, [ra, dec], self.unit).into()
            }
        };
        let values = coordinates.into_iter().chain(self.id.iter().map(|id| cast(id, "BIGINT")));
        let named = values.zip(&used).map(|(value, name)| {
            let name = quote_identifier(name);
            format!("{value} AS {name}")
        });
        let coordinates: Vec<String> = named.collect();
        let parts = [("coordinates", &*coordinates.join(", ")), ("row", &*row)];
        let plan = session.plan(ROWS, &parts, Vec::new()).await?;
        let plan = session.state().create_physical_plan(&plan).await?;
        let width = D + usize::from(self.id.is_some());
        let store = Arc::new(SpillStore::new(&self.session, "coordinates"));
        let reader = Arc::new(Reader::<D> {
            space: self.space.clone(),
            id: self.id.clone(),
            store: Arc::clone(&store),
        });
        let mut streams = JoinSet::new();
        for mut stream in execute_stream_partitioned(plan, session.state().task_ctx())? {
            let reader = Arc::clone(&reader);
            streams.spawn(async move {
                let mut part = Part::default();
                while let Some(batch) = stream.next().await {
                    let (batch, reader) = (batch?, Arc::clone(&reader));
                    let add = threads::run(move |thread| {
                        part.add(&reader, &batch, is_numbered, thread)?;
                        Ok(part)
                    });
                    part = add.await?;
                }
                Ok::<_, Error>(part)
            });
        }
        drop(reader);
        let mut whole = Part::<D>::default();
        while let Some(part) = streams.join_next().await {
            let died = |cause| Error::internal("a stream of the scan died").caused_by(cause);
            whole.join(part.map_err(died)??);
        }
        watch.report(Event::Progress { done: whole.rows });
        watch.report(Event::Done);
        let store = Arc::into_inner(store).expect("the streams are over");
        let Part { mut ranges, rows, faults, lo, hi } = whole;
        let skipped = faults.iter().sum();
        if skipped > 0 {
            watch.report(Event::Warning(self.said_of(rows, skipped, &faults)));
        }
        if matches!(self.space, Space::Sky { .. })
            && self.unit == AngleUnit::Deg
            && rows - skipped >= MANY_ROWS
            && is_near_origin(&lo, &hi)
        {
            watch.report(may_be_radians());
        }
        ranges.sort_unstable_by_key(|range| range.first_row);
        Ok(Points { store, ranges, width, rows, skipped, lo, hi })
    }

    /// What is said of rows without a position.
    fn said_of(&self, rows: u64, skipped: u64, faults: &Faults) -> String {
        let found = Reason::ALL.iter().zip(faults).filter(|(_, count)| **count > 0);
        let found: Vec<_> = found.map(|(reason, count)| format!("{reason} {count}")).collect();
        let mut said = format!(
            "{skipped} of {rows} rows have no position ({}): they are skipped",
            found.join(", ")
        );
        let beyond = faults[place_of(Reason::LatOutOfRange)];
        // A latitude in the place of a longitude is never too large.
        if let Space::Sky { columns: [ra, dec], .. } = &self.space
            && faults[place_of(Reason::LonOutOfRange)] == 0
            && beyond as f64 >= SWAPPED_SHARE * rows as f64
        {
            said.push_str(&format!(
                "; '{dec}' is beyond ±90 in {beyond}: are '{ra}' and '{dec}' swapped?"
            ));
        }
        said
    }

    /// The table with the number of the first row of each file as a column, if all files say how
    /// many rows they have.
    fn numbered(&self) -> Option<SourceTable> {
        if self.table.format != Format::Parquet || self.table.rows().is_none() {
            return None;
        }
        Some(self.table.with_first_rows(FIRST_ROW))
    }

    /// Checks that the input is as it was when the run began.
    ///
    /// # Errors
    /// A pinned file that is gone or differs: trying again is safe.
    pub(crate) async fn check_unchanged(&self) -> Result<()> {
        self.table.check_unchanged().await
    }
}

/// The columns of the input that are written: the id, then those asked for.
pub(crate) fn passthrough(table: &SourceTable, params: &Params) -> Vec<String> {
    let all = table.schema.fields().iter().map(|field| field.name().clone());
    let asked: Vec<String> = match params.options().keep.as_slice() {
        [star] if star == "*" => all.collect(),
        some => some.to_vec(),
    };
    let id = params.options().id.as_ref();
    let others = asked.into_iter().filter(|column| Some(column) != id);
    id.into_iter().cloned().chain(others).collect()
}

fn cast(column: &str, to: &str) -> String {
    format!("CAST({} AS {to})", quote_identifier(column))
}

fn wrong_type(table: &SourceTable, column: &str, found: &DataType, expected: &str) -> Error {
    let name = &table.name;
    Error::data(format!("column '{column}' of '{name}' is {found}, expected {expected}"))
}

/// What makes words of batches.
struct Reader<const D: usize> {
    space: Space,
    id: Option<String>,
    store: Arc<SpillStore>,
}

/// What a stream has read.
struct Part<const D: usize> {
    ranges: Vec<RowRange>,
    rows: u64,
    faults: Faults,
    lo: [f64; D],
    hi: [f64; D],
}

/// Rows without a position, by [`Reason`].
type Faults = [u64; Reason::ALL.len()];

fn place_of(reason: Reason) -> usize {
    Reason::ALL.iter().position(|known| *known == reason).expect("the list has all reasons")
}

impl<const D: usize> Default for Part<D> {
    fn default() -> Self {
        let (lo, hi) = ([f64::INFINITY; D], [f64::NEG_INFINITY; D]);
        Self { ranges: Vec::new(), rows: 0, faults: Faults::default(), lo, hi }
    }
}

impl<const D: usize> Part<D> {
    fn join(&mut self, other: Self) {
        self.ranges.extend(other.ranges);
        self.rows += other.rows;
        self.faults.iter_mut().zip(other.faults).for_each(|(mine, more)| *mine += more);
        self.lo = std::array::from_fn(|k| self.lo[k].min(other.lo[k]));
        self.hi = std::array::from_fn(|k| self.hi[k].max(other.hi[k]));
    }

    fn add(
        &mut self,
        reader: &Reader<D>,
        batch: &RecordBatch,
        is_numbered: bool,
        thread: &BlockingThread,
    ) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let numbers = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>().values();
        let first_row = match is_numbered {
            true => numbers[0].cast_unsigned(),
            false => self.rows,
        };
        if is_numbered && numbers[rows - 1].cast_unsigned() != first_row + rows as u64 - 1 {
            return Err(Error::internal("a scan gives rows that do not follow each other"));
        }
        let mut words = Vec::with_capacity(rows * (D + 1));
        let places = reader.places(batch);
        let ids = match &reader.id {
            Some(name) => Some(ids(name, batch, batch.num_columns() - 2, first_row)?),
            None => None,
        };
        for (row, place) in places.enumerate() {
            match place {
                Ok(place) => {
                    for (k, x) in place.into_iter().enumerate() {
                        self.lo[k] = self.lo[k].min(x);
                        self.hi[k] = self.hi[k].max(x);
                    }
                    words.extend(place.map(f64::to_bits));
                }
                Err(reason) => {
                    self.faults[place_of(reason)] += 1;
                    words.extend([f64::NAN.to_bits(); D]);
                }
            }
            words.extend(ids.map(|ids| ordered(ids[row])));
        }
        self.rows += rows as u64;
        self.ranges.push(RowRange { list: reader.store.add(words, thread)?, first_row });
        Ok(())
    }
}

fn ids<'a>(name: &str, batch: &'a RecordBatch, column: usize, first: u64) -> Result<&'a [i64]> {
    let ids = batch.column(column).as_primitive::<Int64Type>();
    if let Some(row) = (0..ids.len()).find(|row| ids.is_null(*row)) {
        return Err(Error::data(format!(
            "id column '{name}' is null in row {}: filter out such rows, or leave out --id",
            first + row as u64
        )));
    }
    Ok(ids.values())
}

impl<const D: usize> Reader<D> {
    /// The place of each row of a batch, or why it has none.
    fn places<'a>(
        &'a self,
        batch: &'a RecordBatch,
    ) -> impl Iterator<Item = Result<[f64; D], Reason>> + 'a {
        let columns: Vec<_> = (0..self.space.columns().len())
            .map(|column| batch.column(column).as_primitive::<Float64Type>())
            .collect();
        let has_nulls = columns.iter().any(|column| column.null_count() > 0);
        (0..batch.num_rows()).map(move |row| {
            if has_nulls && columns.iter().any(|column| column.is_null(row)) {
                return Err(Reason::Null);
            }
            let place: [f64; D] = match &self.space {
                // A line is one of the plane.
                Space::Plane { .. } => std::array::from_fn(|k| {
                    columns.get(k).map_or(0.0, |column| column.values()[row] + 0.0)
                }),
                Space::Sky { .. } => {
                    let (ra, dec) = (columns[0].values()[row], columns[1].values()[row]);
                    canonical(ra, dec)?;
                    let UnitVector { x, y, z } = UnitVector::from_degrees(ra, dec);
                    let place = [x + 0.0, y + 0.0, z + 0.0];
                    std::array::from_fn(|k| place[k])
                }
            };
            match place.iter().find(|x| !x.is_finite()) {
                None => Ok(place),
                Some(x) if x.is_nan() => Err(Reason::Nan),
                Some(_) => Err(Reason::Infinite),
            }
        })
    }
}
