//! What `pleiad check --verify` says of blocks: whether every row lies in the block that claims it,
//! and whether margins hold what their radius promises.
//!
//! The plan is made again from the properties and the records of the blocks, and the positions from
//! the stored columns. Then, for all rows: the owner of each position is its block; each margin holds
//! as many rows as the own rows near it, on the same places, and none that lies beyond it; files,
//! records and properties agree on the counts. And for some rows near borders (`nearby`),
//! by angles alone: all rows within the radius are there. Memory: the counts, and the samples.

mod compare; // what was stored against what must be
mod faults; // sentences
mod nearby; // margins by brute force

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::block_record::BlockRecord;
use super::coordinates::stored_position;
use crate::cancel::CancelFlag;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::grid::Margin;
use crate::session::Session;
use crate::table::{Manifest, Source};
use compare::{Claims, id, margins};
use faults::Faults;
use nearby::{Choice, Samples};

const STORED: &str = include_str!("../../../sql/steps/partition_stored.sql");
const OWNERS: &str = include_str!("../../../sql/steps/partition_owners.sql");
const WANTED: &str = include_str!("../../../sql/steps/partition_wanted.sql");
const MARGINS: &str = include_str!("../../../sql/steps/partition_margins.sql");
const REASONS: &str = include_str!("../../../sql/steps/partition_reasons.sql");

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
    let manifest = source.manifest.clone();
    let manifest = manifest.ok_or_else(|| Error::internal("blocks without a manifest"))?;
    let stored = match StoredRows::open(session, source, manifest).await {
        Ok(stored) => stored,
        Err(error) => {
            let faults = vec![format!("the blocks cannot be read: {error}")];
            return Ok(Verified { faults, ..Verified::default() });
        }
    };
    let name = "verifying blocks".to_owned();
    watch.report(Event::Stage { name, total: Some(5), unit: Unit::Steps });
    let done = |done| watch.report(Event::Progress { done });
    let mut verified = Verified::default();
    let mut faults = stored.compute(|claims, stop| claims.records(stop)).await?;
    let owners = stored.rows(OWNERS).await?;
    let (found, rows) = stored.compute(move |claims, _| Ok(claims.owners(&owners))).await?;
    (verified.own_rows, faults) = (rows, faults.and(found));
    done(1);
    let reasons = match stored.has_quarantine {
        true => stored.rows(REASONS).await?,
        false => Vec::new(),
    };
    faults = faults.and(stored.compute(move |claims, _| Ok(claims.reasons(&reasons))).await?);
    done(2);
    if stored.claims.plan.margin() != Margin::None {
        let (wanted, held) = (stored.rows(WANTED).await?, stored.rows(MARGINS).await?);
        let (found, rows) = compute(move |_| Ok(margins(&wanted, &held))).await?;
        (verified.margin_rows, faults) = (rows, faults.and(found));
        done(3);
        let (found, samples) = stored.nearby(done).await?;
        (verified.samples, verified.pairs) = (samples.len(), samples.pairs());
        faults = faults.and(found);
    }
    watch.report(Event::Done);
    verified.faults = faults.sentences();
    Ok(verified)
}

/// The rows of a partitioned dataset: its session knows `own`, `margins` and `quarantine`.
struct StoredRows {
    session: Session,
    claims: Arc<Claims>,
    has_quarantine: bool,
}

impl StoredRows {
    async fn open(session: &Session, source: &Source, manifest: Arc<Manifest>) -> Result<Self> {
        let claims = compute(move |stop| Claims::read(manifest, stop)).await?;
        let names = claims.columns.each_ref().map(String::as_str);
        let session = session.scanning();
        let mut has_quarantine = false;
        for table in &source.tables {
            let name = match table.name.as_str() {
                "quarantine" => {
                    has_quarantine = true;
                    session.register("quarantine", table.provider())?;
                    continue;
                }
                "blocks" => "own",
                "margins" => "margins",
                _ => continue,
            };
            session.register("stored", table.provider())?;
            let [ra, dec] = stored_position(&table.schema, names, claims.stored.unit);
            let frame = ("frame", ScalarValue::from(claims.plan.grid().frame().name()));
            let view = session.plan(STORED, &[("ra", &ra), ("dec", &dec)], vec![frame]).await?;
            let view = session.context().execute_logical_plan(view).await?.into_view();
            session.register(name, view)?;
        }
        Ok(Self { session, claims: Arc::new(claims), has_quarantine })
    }

    /// Works with the claims off the async threads.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Claims, &CancelFlag) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let claims = Arc::clone(&self.claims);
        compute(move |stop| work(&claims, stop)).await
    }

    async fn rows(&self, text: &str) -> Result<Vec<RecordBatch>> {
        let values = match text.contains("$plan") {
            true => {
                let plan = self.compute(|claims, _| Ok(claims.plan.encode())).await?;
                vec![("plan", ScalarValue::BinaryView(Some(plan)))]
            }
            false => Vec::new(),
        };
        let plan = self.session.plan(text, &[], values).await?;
        self.session.collect(plan).await
    }

    /// Compares some rows near borders with all others.
    async fn nearby(&self, done: impl Fn(u64)) -> Result<(Faults, Samples)> {
        let choice = self.compute(|claims, _| {
            let radius = |block: &BlockRecord| block.margin_radius_arcsec / 3600.0;
            let blocks = claims.blocks.iter().map(|block| (block.bounds, radius(block)));
            Ok(Choice::new(blocks.collect()))
        });
        let choice = self.each("own", choice.await?, Choice::offer).await?;
        let samples = choice.samples();
        done(4);
        if samples.is_empty() {
            return Ok((Faults::default(), samples));
        }
        let samples = self.each("own", samples, Samples::own_row).await?;
        let samples = self.each("margins", samples, Samples::margin_row).await?;
        done(5);
        let mut faults = Faults::default();
        for place in samples.lacking() {
            let how = match place.rows {
                rows @ 1.. => format!("lacks {rows} rows"),
                rows => format!("holds {} rows too often", -rows),
            };
            faults.add(format!(
                "the margin of block {} {how} at {} {}, within its radius of an own row",
                place.block, place.lon_deg, place.lat_deg
            ));
        }
        Ok((faults, samples))
    }

    /// Gives `into` the rows of a table that have a position.
    async fn each<T: Send + 'static>(
        &self,
        table: &str,
        mut into: T,
        give: fn(&mut T, u32, f64, f64),
    ) -> Result<T> {
        let mut batches = self.session.context().table(table).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            into = compute(move |_| {
                let [lons, lats] =
                    [1, 2].map(|column| batch.column(column).as_primitive::<Float64Type>());
                for row in (0..batch.num_rows()).filter(|row| lons.is_valid(*row)) {
                    give(&mut into, id(&batch, row), lons.value(row), lats.value(row));
                }
                Ok(into)
            })
            .await?;
        }
        Ok(into)
    }
}
