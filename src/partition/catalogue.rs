//! What a run reads: the columns of a catalogue, its coordinates as SQL, and all positions.
//!
//! The words `NULL` and `\N` of text files are NULLs. A coordinate that is text is read as a number;
//! what is none is bad. The positions are read once, in the frame of the grid, and held (16 bytes a
//! row, accounted to the pool) if they fit a quarter of the pool; otherwise every counting reads the
//! coordinates again. The counts are the same.

use std::f64::consts::SQRT_2;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::catalog::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::coordinates::{
    self, A_TURN, MANY_ROWS, as_written, fault, in_degrees, is_string, numbers,
};
use super::options::Params;
use super::schema::TextSchema;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::grid::{Frame, Split, distance_to_block};
use crate::session::{Session, quote_identifier};
use crate::table::{Format, SourceTable};

const POSITIONS: &str = include_str!("../../sql/steps/partition_positions.sql");

/// The column that the output is filed by.
const BLOCK: &str = "block";
/// How a column that steps add is called; no catalogue has such a name.
const REASON: &str = "reason";

/// The input of a run, pinned.
pub struct Catalogue {
    session: Session,
    table: SourceTable,
    /// The names of the coordinates.
    pub coordinates: [String; 2],
    /// The columns of the output as SQL, each with its name.
    pub columns: String,
    /// Only the names.
    names: String,
    /// Right ascension and declination in degrees, as SQL.
    pub position: [String; 2],
    /// Why a row has no position, as SQL.
    pub fault: String,
    frame: Frame,
    held: Option<MemoryReservation>,
}

impl Catalogue {
    /// Opens pinned tables. With a `schema` the columns get its types.
    ///
    /// # Errors
    /// Tables with other columns than the first; no column of coordinates, or one that is not a number;
    /// a column with the name of one that is added.
    pub fn open(
        session: &Session,
        tables: &[SourceTable],
        params: &Params,
        schema: Option<&TextSchema>,
    ) -> Result<Self> {
        let table = SourceTable::united(tables).map_err(|unlike| unlike.refused("partition"))?;
        let names = coordinates::named(&table, params)?;
        for name in [BLOCK, REASON] {
            if table.schema.column_with_name(name).is_some() {
                return Err(Error::data(format!(
                    "'{}' has a column '{name}', which the output adds itself: rename it, or \
                     leave it out by a view",
                    table.name
                )));
            }
        }
        let is_text = matches!(table.format, Format::Csv(_));
        let values = |name: &str| as_written(&table.schema, name, is_text);
        let wanted = |name: &str| schema.and_then(|schema| schema.sql_type(name));
        // A position is that of the values as they are stored.
        let stored = |name: &String| match wanted(name) {
            Some(wanted) => format!("TRY_CAST({} AS {wanted})", values(name)),
            None => values(name),
        };
        let written = [values(&names[0]), values(&names[1])];
        let [ra, dec] = [stored(&names[0]), stored(&names[1])];
        let unit = params.options().unit;
        let is_text = |name: &String| match wanted(name) {
            Some(wanted) => wanted == "VARCHAR",
            None => is_string(&table.schema, name),
        };
        let are_text = [is_text(&names[0]), is_text(&names[1])];
        let numbers = numbers([&ra, &dec], are_text, unit);
        let fault = fault(&written, &numbers);
        let columns = table.schema.fields().iter().map(|field| {
            let name = quote_identifier(field.name());
            let value = values(field.name());
            match wanted(field.name()) {
                // A line of text goes out as it came in.
                _ if params.options().layout.keeps_text() => name,
                // A bad coordinate goes to the quarantine.
                Some(_) if names.contains(field.name()) => {
                    format!("{} AS {name}", stored(field.name()))
                }
                Some(wanted) => format!("CAST({value} AS {wanted}) AS {name}"),
                None if value == name => value,
                None => format!("{value} AS {name}"),
            }
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let quoted = table.schema.fields().iter().map(|field| quote_identifier(field.name()));
        let quoted = quoted.collect::<Vec<_>>().join(", ");
        let frame = params.frame().unwrap_or(Frame::Equatorial);
        let session = session.scanning();
        session.register("source", table.provider())?;
        let position = in_degrees(numbers, params.options().unit);
        let mut input = Self {
            session,
            table,
            coordinates: names,
            columns,
            names: quoted,
            position,
            fault: String::new(),
            frame,
            held: None,
        };
        input.fault =
            fault.replace("${ra}", &input.position[0]).replace("${dec}", &input.position[1]);
        Ok(input)
    }

    /// The session that knows `source`, and `positions` after [`Self::read_positions`].
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The table.
    pub fn table(&self) -> &SourceTable {
        &self.table
    }

    /// Its columns, in order.
    pub fn schema(&self) -> &SchemaRef {
        &self.table.schema
    }

    /// A coordinate with fewer digits than positions need.
    pub fn imprecise(&self) -> Option<&str> {
        let is_short = |name: &&String| {
            let field = self.table.schema.field_with_name(name);
            field.is_ok_and(|field| *field.data_type() == DataType::Float32)
        };
        self.coordinates.iter().find(is_short).map(String::as_str)
    }

    /// Its size as stored.
    pub fn bytes(&self) -> u64 {
        self.table.files.iter().map(|file| file.meta.size).sum()
    }

    /// Plans a step over `source` or `positions`.
    ///
    /// # Errors
    /// What the planner finds.
    pub async fn plan(
        &self,
        text: &str,
        parts: &[(&str, &str)],
        values: Vec<(&str, ScalarValue)>,
    ) -> Result<LogicalPlan> {
        let [ra, dec] = &self.position;
        let own: [(&str, &str); 5] = [
            ("ra", ra),
            ("dec", dec),
            ("fault", &self.fault),
            ("columns", &self.columns),
            ("names", &self.names),
        ];
        let parts: Vec<_> = own.iter().chain(parts).copied().collect();
        let values = values.into_iter().chain(text.contains("$frame").then(|| self.frame_value()));
        self.session.plan(text, &parts, values.collect()).await
    }

    fn frame_value(&self) -> (&'static str, ScalarValue) {
        ("frame", ScalarValue::from(self.frame.name()))
    }

    /// Runs a step and gives its rows.
    ///
    /// # Errors
    /// The engine's, with our kind.
    pub async fn rows(
        &self,
        text: &str,
        parts: &[(&str, &str)],
        values: Vec<(&str, ScalarValue)>,
    ) -> Result<Vec<RecordBatch>> {
        let plan = self.plan(text, parts, values).await?;
        self.session.collect(plan).await
    }

    /// Makes `positions(lon, lat)` known: held if `hold` and they fit, else read at each step.
    ///
    /// # Errors
    /// The engine's, with our kind.
    pub async fn read_positions(&mut self, hold: bool, watch: &dyn Observer) -> Result<()> {
        let plan = self.plan(POSITIONS, &[], Vec::new()).await?;
        let frame = self.session.context().execute_logical_plan(plan).await?;
        if hold && let Some((batches, held)) = self.hold(frame.clone(), watch).await? {
            self.held = Some(held);
            return self.session.register("positions", Arc::new(batches));
        }
        self.session.register("positions", frame.into_view())
    }

    async fn hold(
        &self,
        frame: datafusion::dataframe::DataFrame,
        watch: &dyn Observer,
    ) -> Result<Option<(MemTable, MemoryReservation)>> {
        let held = MemoryConsumer::new("positions").register(&self.session.memory_pool());
        let max_bytes = usize::try_from(self.session.pool_bytes() / 4).unwrap_or(usize::MAX);
        let total = self.table.rows();
        if total.is_some_and(|rows| rows.saturating_mul(17) > max_bytes as u64) {
            return Ok(None);
        }
        watch.report(Event::Stage { name: "reading positions".into(), total, unit: Unit::Rows });
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let mut dealt = vec![Vec::new(); self.session.streams()];
        let (mut rows, mut number) = (0, 0);
        let mut batches = frame.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            let bytes = batch.get_array_memory_size();
            if held.size() + bytes > max_bytes || held.try_grow(bytes).is_err() {
                watch.report(Event::Done);
                return Ok(None);
            }
            rows += batch.num_rows() as u64;
            watch.report(Event::Progress { done: rows });
            let stream = number % dealt.len();
            dealt[stream].push(batch);
            number += 1;
        }
        watch.report(Event::Done);
        Ok(Some((MemTable::try_new(schema, dealt)?, held)))
    }

    /// Whether there are many positions and all so near to (0, 0) that they may be radians. Nothing is
    /// read if one of the blocks with rows is far from there; else all up to the first that is.
    ///
    /// # Errors
    /// The engine's, with our kind.
    pub async fn may_be_radians(&self, split: &Arc<Split>) -> Result<bool> {
        let (frame, split) = (self.frame, Arc::clone(split));
        let is_far = compute(move |_| {
            let (lon, lat) = frame.from_equatorial(0.0, 0.0);
            let mut blocks = split.plan.blocks().iter().zip(&split.own_rows);
            Ok(blocks.any(|(block, rows)| {
                *rows > 0 && distance_to_block(lon, lat, &block.bounds) > A_TURN * SQRT_2
            }))
        });
        if is_far.await? {
            return Ok(false);
        }
        let mut batches = self.session.context().table("positions").await?.execute_stream().await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            match compute(move |_| Ok(near_origin(frame, &batch))).await? {
                Some(near) => rows += near,
                None => return Ok(false),
            }
        }
        Ok(rows >= MANY_ROWS)
    }

    /// Forgets the positions, so that the write has their memory.
    ///
    /// # Errors
    /// The engine's, if it does not know them.
    pub fn drop_positions(&mut self) -> Result<()> {
        self.session.context().deregister_table("positions")?;
        self.held = None;
        Ok(())
    }

    /// Checks that the input is as it was when the run began.
    ///
    /// # Errors
    /// A pinned file that is gone or differs: trying again is safe.
    pub async fn check_unchanged(&self) -> Result<()> {
        self.table.check_unchanged().await
    }
}

/// The rows of a batch if all positions are near to (0, 0).
fn near_origin(frame: Frame, batch: &RecordBatch) -> Option<u64> {
    let [lons, lats] = [0, 1].map(|axis| batch.column(axis).as_primitive::<Float64Type>());
    let mut rows = 0;
    for (lon, lat) in lons.iter().zip(lats).filter_map(|(lon, lat)| lon.zip(lat)) {
        let (ra, dec) = frame.to_equatorial(lon, lat);
        if ra.min(360.0 - ra).max(dec.abs()) > A_TURN {
            return None;
        }
        rows += 1;
    }
    Some(rows)
}
