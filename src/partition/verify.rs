//! What `pleiad check --verify` says of blocks: whether every row lies in the block that claims it,
//! and whether margins hold what their radius promises.
//!
//! The plan is made again from the properties and the records of the blocks, and the positions from
//! the stored columns. Then, for all rows: the owner of each position is its block; each margin holds
//! as many rows as the own rows near it, on the same places, and none that lies beyond it; files,
//! records and properties agree on the counts. And for some rows near borders ([`nearby`](super::nearby)),
//! by angles alone: all rows within the radius are there. Memory: the counts, and the samples.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::block_record::{self, BlockRecord};
use super::catalogue::stored_position;
use super::nearby::{Choice, Samples};
use super::stored::{Stored, StoredBlocks};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::grid::{Assigner, Margin, Plan};
use crate::session::Session;
use crate::table::{Manifest, Source};

const STORED: &str = include_str!("../../sql/steps/partition_stored.sql");
const OWNERS: &str = include_str!("../../sql/steps/partition_owners.sql");
const WANTED: &str = include_str!("../../sql/steps/partition_wanted.sql");
const MARGINS: &str = include_str!("../../sql/steps/partition_margins.sql");
const REASONS: &str = include_str!("../../sql/steps/partition_reasons.sql");

/// Faults that are told one by one.
const TOLD: usize = 50;

/// What was compared, and what is wrong.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Own rows.
    pub own_rows: u64,
    /// Margin rows.
    pub margin_rows: u64,
    /// Own rows near borders that were compared with all others.
    pub samples: usize,
    /// Rows of other blocks within the radius of one of them.
    pub pairs: u64,
    /// A sentence for each fault.
    pub faults: Vec<String>,
}

/// Whether the blocks of a version are tables, which can be verified.
pub fn is_of_tables(manifest: &Manifest) -> bool {
    manifest.table("blocks").is_some()
}

/// Compares the rows of a partitioned dataset with its blocks.
///
/// # Errors
/// The engine's; storage that fails. What is wrong with the dataset is a fault in the answer.
pub async fn verify(session: &Session, source: &Source, watch: &dyn Observer) -> Result<Verified> {
    let manifest = source.manifest.as_deref();
    let manifest = manifest.ok_or_else(|| Error::internal("blocks without a manifest"))?;
    let mut faults = Faults::default();
    let mut verified = Verified::default();
    match Opened::open(session, source, manifest).await {
        Err(error) => faults.tell(format!("the blocks cannot be read: {error}")),
        Ok(opened) => {
            let name = "verifying blocks".to_owned();
            watch.report(Event::Stage { name, total: Some(5), unit: Unit::Steps });
            let done = |done| watch.report(Event::Progress { done });
            opened.records(&mut faults)?;
            verified.own_rows = opened.owners(&mut faults).await?;
            done(1);
            opened.reasons(&mut faults).await?;
            done(2);
            if opened.plan.margin() != Margin::None {
                verified.margin_rows = opened.margins(&mut faults).await?;
                done(3);
                let samples = opened.nearby(&mut faults, done).await?;
                (verified.samples, verified.pairs) = (samples.len(), samples.pairs());
            }
            watch.report(Event::Done);
        }
    }
    verified.faults = faults.sentences();
    Ok(verified)
}

/// Sentences, the first of them in full.
#[derive(Default)]
struct Faults {
    told: Vec<String>,
    untold: usize,
}

impl Faults {
    fn tell(&mut self, what: String) {
        if self.told.len() < TOLD { self.told.push(what) } else { self.untold += 1 }
    }

    /// Tells of `what` if it has another number than expected.
    fn compare(&mut self, what: &str, found: u64, expected: u64, by: &str) {
        if found != expected {
            self.tell(format!("{what} {found}, expected {expected} by {by}"));
        }
    }

    fn sentences(mut self) -> Vec<String> {
        if self.untold > 0 {
            self.told.push(format!("and {} more faults of blocks", self.untold));
        }
        self.told
    }
}

/// A partitioned dataset with its plan; its session knows `own`, `margins` and `quarantine`.
struct Opened<'a> {
    session: Session,
    manifest: &'a Manifest,
    input_rows: u64,
    stored: StoredBlocks,
    blocks: Vec<BlockRecord>,
    plan: Plan,
}

/// What a margin holds, or must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Held {
    rows: u64,
    /// Sums of the coordinates: the same rows have the same.
    sums: [i64; 2],
    /// Rows that lie beyond the margin.
    strangers: u64,
}

impl<'a> Opened<'a> {
    async fn open(session: &Session, source: &Source, manifest: &'a Manifest) -> Result<Self> {
        let blocks = block_record::read_blocks(manifest)?;
        let Stored { input_rows, columns, blocks: stored, .. } = Stored::expected(manifest)?;
        let stored = stored.ok_or_else(|| Error::data("blocks of 2017 follow no plan"))?;
        let plan = stored.plan(&blocks)?;
        let names = columns.each_ref().map(String::as_str);
        let session = session.scanning();
        for table in &source.tables {
            let name = match table.name.as_str() {
                "quarantine" => {
                    session.register("quarantine", table.provider())?;
                    continue;
                }
                "blocks" => "own",
                "margins" => "margins",
                _ => continue,
            };
            session.register("stored", table.provider())?;
            let [ra, dec] = stored_position(&table.schema, names, stored.unit);
            let frame = ("frame", ScalarValue::from(plan.grid().frame().name()));
            let view = session.plan(STORED, &[("ra", &ra), ("dec", &dec)], vec![frame]).await?;
            let view = session.context().execute_logical_plan(view).await?.into_view();
            session.register(name, view)?;
        }
        Ok(Self { session, manifest, input_rows, stored, blocks, plan })
    }

    async fn rows(&self, text: &str) -> Result<Vec<RecordBatch>> {
        let plan = ScalarValue::BinaryView(Some(self.plan.encode()));
        let values = if text.contains("$plan") { vec![("plan", plan)] } else { Vec::new() };
        let plan = self.session.plan(text, &[], values).await?;
        self.session.collect(plan).await
    }

    /// Counts in files, records and properties; radii against the plan.
    fn records(&self, faults: &mut Faults) -> Result<()> {
        let sum = |of: fn(&BlockRecord) -> u64| self.blocks.iter().map(of).sum::<u64>();
        let stored = &self.stored;
        let properties = [
            ("rows.own", stored.own_rows, sum(|block| block.own_rows)),
            ("rows.margin", stored.margin_rows, sum(|block| block.margin_rows)),
            ("blocks.count", stored.count, self.blocks.len() as u64),
            ("blocks.empty", stored.empty, sum(|block| u64::from(block.own_rows == 0))),
            ("blocks.dense", stored.dense, sum(|block| u64::from(block.dense))),
        ];
        for (name, found, expected) in properties {
            faults.compare(&format!("property '{name}' is"), found, expected, "the blocks");
        }
        let (own, margins) = (self.in_files("blocks"), self.in_files("margins"));
        let places = Assigner::new(self.plan.clone())?;
        for (id, block) in (0..).zip(&self.blocks) {
            let of = |rows: &BTreeMap<u32, u64>| rows.get(&id).copied().unwrap_or_default();
            let said = format!("the record of block {id} says own_rows");
            faults.compare(&said, block.own_rows, of(&own), "the manifest's files");
            let said = format!("the record of block {id} says margin_rows");
            faults.compare(&said, block.margin_rows, of(&margins), "the manifest's files");
            let proved = places.radius_deg(id) * 3600.0;
            // Another machine's sine may differ in the last bit.
            if block.block != id || block.margin_radius_arcsec > proved * (1.0 + 1e-12) {
                faults.tell(format!(
                    "the record of block {id} says block {} and a margin radius of {}, expected {id} \
                     and at most {proved} by its bounds",
                    block.block, block.margin_radius_arcsec
                ));
            }
        }
        let radii = self.blocks.iter().map(|block| block.margin_radius_arcsec);
        let radius = radii.fold(f64::MAX, f64::min);
        if let Some(found) = stored.margin_radius_arcsec.filter(|found| *found > radius) {
            faults.tell(format!(
                "property 'margin.radius_arcsec' is {found}, expected {radius} by the blocks"
            ));
        }
        Ok(())
    }

    /// Rows of each block by the manifest's files of a table.
    fn in_files(&self, table: &str) -> BTreeMap<u32, u64> {
        let mut rows = BTreeMap::new();
        for file in self.manifest.files_of(table) {
            if let Some(block) = file.partition.first().and_then(|key| key.parse().ok()) {
                *rows.entry(block).or_default() += file.rows;
            }
        }
        rows
    }

    /// Every own row lies in its block; the number of own rows.
    async fn owners(&self, faults: &mut Faults) -> Result<u64> {
        let mut found: BTreeMap<u32, u64> = BTreeMap::new();
        let mut strays = Vec::new();
        for batch in self.rows(OWNERS).await? {
            let owners = batch.column(1).as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let (block, rows) = (id(&batch, row), count(&batch, 2, row));
                let owner = owners.is_valid(row).then(|| owners.value(row).unsigned_abs());
                *found.entry(block).or_default() += rows;
                if owner != Some(block) {
                    strays.push((block, owner, rows));
                }
            }
        }
        strays.sort_unstable();
        for (block, owner, rows) in strays {
            faults.tell(match owner {
                Some(owner) => format!("block {block} holds {rows} rows that lie in block {owner}"),
                None => format!("block {block} holds {rows} rows without a position in the grid"),
            });
        }
        let expected: BTreeMap<u32, u64> = self.in_files("blocks");
        for block in found.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
            let of = |rows: &BTreeMap<u32, u64>| rows.get(block).copied().unwrap_or_default();
            let what = format!("the rows of block {block} are");
            faults.compare(&what, of(&found), of(&expected), "the manifest's files");
        }
        Ok(found.values().sum())
    }

    /// The rows set aside, by reason; with the own rows they are the input.
    async fn reasons(&self, faults: &mut Faults) -> Result<()> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        if self.manifest.table("quarantine").is_some() {
            for batch in self.rows(REASONS).await? {
                let reasons = batch.column(0).as_string::<i32>();
                for row in 0..batch.num_rows() {
                    *found.entry(reasons.value(row).to_owned()).or_default() +=
                        count(&batch, 1, row);
                }
            }
        }
        let stored = &self.stored;
        for reason in found.keys().chain(stored.reasons.keys()).collect::<BTreeSet<_>>() {
            let of = |rows: &BTreeMap<String, u64>| rows.get(reason).copied().unwrap_or_default();
            let what = format!("property 'rows.quarantined.{reason}' is");
            faults.compare(&what, of(&stored.reasons), of(&found), "the quarantine");
        }
        let (set_aside, all) = (stored.quarantined, found.values().sum());
        faults.compare("property 'rows.quarantined' is", set_aside, all, "the quarantine");
        let (input, rows) = (self.input_rows, stored.own_rows + set_aside);
        faults.compare("property 'input.rows' is", input, rows, "own and quarantined rows");
        Ok(())
    }

    /// Every margin holds the rows near its block and no others; the number of margin rows.
    async fn margins(&self, faults: &mut Faults) -> Result<u64> {
        let wanted = held(&self.rows(WANTED).await?);
        let found = held(&self.rows(MARGINS).await?);
        for block in wanted.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            let of = |held: &BTreeMap<u32, Held>| held.get(block).copied().unwrap_or_default();
            let (wanted, found) = (of(&wanted), of(&found));
            if found.strangers > 0 {
                let rows = found.strangers;
                faults.tell(format!(
                    "the margin of block {block} holds {rows} rows that lie beyond it"
                ));
            }
            let what = format!("the rows in the margin of block {block} are");
            faults.compare(&what, found.rows, wanted.rows, "the own rows near it");
            if found.rows == wanted.rows && found.sums != wanted.sums {
                faults.tell(format!(
                    "the margin of block {block} holds other rows than the own rows near it"
                ));
            }
        }
        Ok(found.values().map(|held| held.rows).sum())
    }

    /// Compares some rows near borders with all others.
    async fn nearby(&self, faults: &mut Faults, done: impl Fn(u64)) -> Result<Samples> {
        let radius = |block: &BlockRecord| block.margin_radius_arcsec / 3600.0;
        let blocks = self.blocks.iter().map(|block| (block.bounds, radius(block)));
        let mut choice = Choice::new(blocks.collect());
        self.each("own", |block, lon, lat| choice.offer(block, lon, lat)).await?;
        let mut samples = choice.samples();
        done(4);
        if samples.is_empty() {
            return Ok(samples);
        }
        self.each("own", |block, lon, lat| samples.own_row(block, lon, lat)).await?;
        self.each("margins", |block, lon, lat| samples.margin_row(block, lon, lat)).await?;
        done(5);
        for place in samples.lacking() {
            let how = match place.rows {
                rows @ 1.. => format!("lacks {rows} rows"),
                rows => format!("holds {} rows too often", -rows),
            };
            faults.tell(format!(
                "the margin of block {} {how} at {} {}, within its radius of an own row",
                place.block, place.lon_deg, place.lat_deg
            ));
        }
        Ok(samples)
    }

    /// Gives `each` the rows of a table that have a position.
    async fn each(&self, table: &str, mut each: impl FnMut(u32, f64, f64)) -> Result<()> {
        let mut batches = self.session.context().table(table).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            let [lons, lats] =
                [1, 2].map(|column| batch.column(column).as_primitive::<Float64Type>());
            for row in (0..batch.num_rows()).filter(|row| lons.is_valid(*row)) {
                each(id(&batch, row), lons.value(row), lats.value(row));
            }
        }
        Ok(())
    }
}

/// The block of a row: the first column.
fn id(batch: &RecordBatch, row: usize) -> u32 {
    batch.column(0).as_primitive::<Int32Type>().value(row).unsigned_abs()
}

fn count(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    batch.column(column).as_primitive::<Int64Type>().value(row).unsigned_abs()
}

/// What the margin of each block holds.
fn held(batches: &[RecordBatch]) -> BTreeMap<u32, Held> {
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| {
            let sum = |column: usize| {
                let sums = batch.column(column).as_primitive::<Int64Type>();
                if sums.is_valid(row) { sums.value(row) } else { 0 }
            };
            let strangers = if batch.num_columns() > 4 { count(batch, 4, row) } else { 0 };
            let held = Held { rows: count(batch, 1, row), sums: [sum(2), sum(3)], strangers };
            (id(batch, row), held)
        })
    });
    rows.collect()
}
