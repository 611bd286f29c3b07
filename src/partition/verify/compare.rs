//! Comparisons of what was stored with what must be: values in, faults out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};

use super::faults::Faults;
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};
use crate::grid::{Assigner, Plan};
use crate::partition::block_record::BlockRecord;
use crate::partition::stored::{Stored, StoredBlocks};
use crate::table::Manifest;

/// What a version says of its blocks.
pub(super) struct Claims {
    manifest: Arc<Manifest>,
    input_rows: u64,
    /// The columns of the coordinates.
    pub(super) columns: [String; 2],
    pub(super) stored: StoredBlocks,
    pub(super) blocks: Vec<BlockRecord>,
    pub(super) plan: Plan,
}

impl Claims {
    /// Reads them.
    ///
    /// # Errors
    /// Properties or blocks that are missing, odd, or not of one plan.
    pub(super) fn read(manifest: Arc<Manifest>, stop: &CancelFlag) -> Result<Self> {
        let blocks = BlockRecord::read(&manifest)?;
        let Stored { input_rows, columns, blocks: stored, .. } = Stored::expected(&manifest)?;
        let stored = stored.ok_or_else(|| Error::data("blocks of 2017 follow no plan"))?;
        let plan = stored.plan(&blocks, stop)?;
        Ok(Self { manifest, input_rows, columns, stored, blocks, plan })
    }

    /// Counts in files, records and properties; radii against the plan.
    pub(super) fn records(&self, stop: &CancelFlag) -> Result<Faults> {
        let mut faults = Faults::default();
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
        let assigner = Assigner::unless(stop, self.plan.clone())?;
        for (id, block) in (0..).zip(&self.blocks) {
            let of = |rows: &BTreeMap<u32, u64>| rows.get(&id).copied().unwrap_or_default();
            let said = format!("the record of block {id} says own_rows");
            faults.compare(&said, block.own_rows, of(&own), "the manifest's files");
            let said = format!("the record of block {id} says margin_rows");
            faults.compare(&said, block.margin_rows, of(&margins), "the manifest's files");
            let proved = assigner.radius_deg(id) * 3600.0;
            // Another machine's sine may differ in the last bit.
            if block.block != id || block.margin_radius_arcsec > proved * (1.0 + 1e-12) {
                faults.add(format!(
                    "the record of block {id} says block {} and a margin radius of {}, expected {id} \
                     and at most {proved} by its bounds",
                    block.block, block.margin_radius_arcsec
                ));
            }
        }
        let radii = self.blocks.iter().map(|block| block.margin_radius_arcsec);
        let radius = radii.fold(f64::MAX, f64::min);
        if let Some(found) = stored.margin_radius_arcsec.filter(|found| *found > radius) {
            faults.add(format!(
                "property 'margin.radius_arcsec' is {found}, expected {radius} by the blocks"
            ));
        }
        Ok(faults)
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
    pub(super) fn owners(&self, batches: &[RecordBatch]) -> (Faults, u64) {
        let mut faults = Faults::default();
        let mut found: BTreeMap<u32, u64> = BTreeMap::new();
        let mut strays = Vec::new();
        for batch in batches {
            let owners = batch.column(1).as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let (block, rows) = (id(batch, row), count(batch, 2, row));
                let owner = owners.is_valid(row).then(|| owners.value(row).unsigned_abs());
                *found.entry(block).or_default() += rows;
                if owner != Some(block) {
                    strays.push((block, owner, rows));
                }
            }
        }
        strays.sort_unstable();
        for (block, owner, rows) in strays {
            faults.add(match owner {
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
        (faults, found.values().sum())
    }

    /// The rows set aside, by reason; with the own rows they are the input.
    pub(super) fn reasons(&self, batches: &[RecordBatch]) -> Faults {
        let mut faults = Faults::default();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for batch in batches {
            let reasons = batch.column(0).as_string::<i32>();
            for row in 0..batch.num_rows() {
                *found.entry(reasons.value(row).to_owned()).or_default() += count(batch, 1, row);
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
        faults
    }
}

/// Every margin holds the rows near its block and no others; the number of margin rows.
pub(super) fn margins(wanted: &[RecordBatch], found: &[RecordBatch]) -> (Faults, u64) {
    let mut faults = Faults::default();
    let (wanted, found) = (margin_sums(wanted), margin_sums(found));
    for block in wanted.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let of = |sums: &BTreeMap<u32, MarginSums>| sums.get(block).copied().unwrap_or_default();
        let (wanted, found) = (of(&wanted), of(&found));
        if found.strangers > 0 {
            let rows = found.strangers;
            faults.add(format!("the margin of block {block} holds {rows} rows that lie beyond it"));
        }
        let what = format!("the rows in the margin of block {block} are");
        faults.compare(&what, found.rows, wanted.rows, "the own rows near it");
        if found.rows == wanted.rows && found.coordinates != wanted.coordinates {
            faults.add(format!(
                "the margin of block {block} holds other rows than the own rows near it"
            ));
        }
    }
    (faults, found.values().map(|sums| sums.rows).sum())
}

/// What a margin holds, or must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct MarginSums {
    rows: u64,
    /// Sums of the coordinates: the same rows have the same.
    coordinates: [i64; 2],
    /// Rows that lie beyond the margin.
    strangers: u64,
}

/// The block of a row: the first column.
pub(super) fn id(batch: &RecordBatch, row: usize) -> u32 {
    batch.column(0).as_primitive::<Int32Type>().value(row).unsigned_abs()
}

fn count(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    batch.column(column).as_primitive::<Int64Type>().value(row).unsigned_abs()
}

/// What the margin of each block holds.
fn margin_sums(batches: &[RecordBatch]) -> BTreeMap<u32, MarginSums> {
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| {
            let sum = |column: usize| {
                let values = batch.column(column).as_primitive::<Int64Type>();
                if values.is_valid(row) { values.value(row) } else { 0 }
            };
            let strangers = if batch.num_columns() > 4 { count(batch, 4, row) } else { 0 };
            let sums =
                MarginSums { rows: count(batch, 1, row), coordinates: [sum(2), sum(3)], strangers };
            (id(batch, row), sums)
        })
    });
    rows.collect()
}
