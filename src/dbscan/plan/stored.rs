//! The blocks and margins that `pleiad partition` stored, used as they are: nothing is planned or
//! shared out, where every margin holds all rows within eps of its block.
//!
//! Rows are filed by block, so a file tells the block of its rows.

use std::collections::{HashMap, HashSet};

use datafusion::execution::memory_pool::MemoryConsumer;

use super::block_rows::{BlockRows, RowsByBlock};
use super::divide::rows_in_memory;
use super::margin_owners::StoredOwners;
use super::resume::Checkpoint;
use crate::dbscan::input::{BLOCKS, Input};
use crate::dbscan::local::Point;
use crate::dbscan::options::{Params, Space};
use crate::dbscan::points::Points;
use crate::dbscan::spill_store::SpillStore;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::session::Session;
use crate::table::{Source, SourceTable};

/// The table of margin rows.
const MARGINS: &str = "margins";
/// Bytes that a margin row takes: in a set while rows are sorted, and in the list of owners.
const COPY: usize = 80;
/// What a radius is larger than eps by at least: angles and chords are rounded.
const SLACK: f64 = 1.0 + 1e-9;

/// The margins of a dataset of blocks, if they are wide enough and every block fits the memory with
/// its margin rows; says so if not.
pub(crate) fn margins<'a>(
    source: &'a Source,
    params: &Params,
    session: &Session,
    watch: &dyn Observer,
) -> Option<&'a SourceTable> {
    let manifest = source.manifest.as_ref()?;
    let property = |name: &str| manifest.properties.get(name).map(String::as_str);
    let table = source.tables.iter().find(|table| table.name == MARGINS)?;
    let Space::Sky { columns: [ra, dec], eps_deg } = &params.space else { return None };
    let is_same = property("driver") == Some("partition")
        && property("columns.ra") == Some(ra)
        && property("columns.dec") == Some(dec)
        && !manifest.arguments.iter().any(|(name, unit)| name == "unit" && unit != "deg");
    if !is_same || params.options.max_rows.is_some() || table.rows_by_file().is_none() {
        return None;
    }
    let radius: f64 = property("margin.radius_arcsec")?.parse().ok()?;
    let (largest, rows) = largest(&source.tables);
    // One block at a time may take what those of all threads may take together.
    let room = rows_in_memory::<3>(session).saturating_mul(session.streams() as u64);
    let why = if radius < eps_deg * 3600.0 * SLACK {
        format!("margin radius is {radius} arcsec, below eps {}", params.space.eps())
    } else if rows > room {
        format!("block {largest} has {rows} rows with its margin, and {room} fit the memory")
    } else {
        return Some(table);
    };
    watch.report(Event::Warning(format!("{why}: rows are shared out again")));
    None
}

/// The block with the most rows, own and margin rows together, and how many these are.
fn largest(tables: &[SourceTable]) -> (String, u64) {
    let mut blocks: HashMap<String, u64> = HashMap::new();
    for table in tables.iter().filter(|table| [BLOCKS, MARGINS].contains(&table.name.as_str())) {
        for (file, rows) in table.files.iter().zip(table.rows_by_file().unwrap_or_default()) {
            let block = file.partition.first().map(ToString::to_string).unwrap_or_default();
            *blocks.entry(block).or_default() += rows;
        }
    }
    blocks.into_iter().max_by_key(|(_, rows)| *rows).unwrap_or_default()
}

/// Sorts the rows of `own`, which are held already, and of `margins` by their blocks.
pub(crate) async fn read<const D: usize>(
    own: &Input,
    points: Points<D>,
    margins: &Input,
    checkpoint: &Checkpoint,
    watch: &dyn Observer,
) -> Result<(StoredOwners<D>, RowsByBlock<D>)> {
    let copies = margins.read::<D>(watch).await?;
    let (own_blocks, margin_blocks) = (BlockOf::new(&own.table)?, BlockOf::new(&margins.table)?);
    let blocks = own_blocks.end().max(margin_blocks.end());
    let done = checkpoint.done(blocks)?;
    let store = SpillStore::new(own.session(), "rows of blocks");
    let mut by_block = vec![BlockRows::default(); blocks];
    let room = MemoryConsumer::new("dbscan margins").register(&own.session().memory_pool());
    room.try_grow(usize::try_from(copies.usable()).unwrap_or(usize::MAX).saturating_mul(COPY))?;
    // Touches of blocks that are done are about these places too.
    let mut places = HashSet::new();
    for range in &copies.ranges {
        let block = margin_blocks.of(range.first_row);
        let mut words = Vec::new();
        copies.rows_of(range, &copies.store.take(range.list)?, |_, place, _| {
            places.insert(Point::at(place));
            words.extend(place.map(f64::to_bits));
            Ok(())
        })?;
        if !done[block] {
            by_block[block].margin_rows += (words.len() / D) as u64;
            by_block[block].margin.push(store.keep(words)?);
        }
    }
    drop(copies);
    let width = points.width + 1;
    let mut owners = Vec::with_capacity(places.len());
    for range in &points.ranges {
        let block = own_blocks.of(range.first_row);
        let number = u32::try_from(block).map_err(|cause| {
            Error::data(format!("block {block} is beyond all blocks")).caused_by(cause)
        })?;
        let mut words = Vec::new();
        points.rows_of(range, &points.store.take(range.list)?, |position, place, id| {
            if places.contains(&Point::at(place)) {
                owners.push((Point::at(place), number));
            }
            words.extend(place.map(f64::to_bits));
            words.push(position);
            words.extend((points.width > D).then_some(id));
            Ok(())
        })?;
        if !done[block] {
            by_block[block].own_rows += (words.len() / width) as u64;
            by_block[block].own.push(store.keep(words)?);
        }
    }
    owners.sort_unstable();
    owners.dedup();
    let rows = by_block.iter().map(|part| part.own_rows + part.margin_rows).collect();
    Ok((StoredOwners { rows, owners, _room: room }, RowsByBlock { store, blocks: by_block, width }))
}

/// Which block a row is filed under, by its number.
struct BlockOf {
    /// The number of the first row of each file, and its block.
    files: Vec<(u64, usize)>,
}

impl BlockOf {
    fn new(table: &SourceTable) -> Result<Self> {
        let rows = table.rows_by_file().unwrap_or_default();
        let mut before = 0;
        let files = table.files.iter().zip(rows).map(|(file, rows)| {
            let block = file.partition.first().map(ToString::to_string);
            let block = block.and_then(|block| block.parse().ok()).ok_or_else(|| {
                Error::data(format!("a file of '{}' is filed under no block", table.name))
            })?;
            let first = before;
            before += rows;
            Ok((first, block))
        });
        Ok(Self { files: files.collect::<Result<_>>()? })
    }

    /// One more than the largest block.
    fn end(&self) -> usize {
        self.files.iter().map(|(_, block)| block + 1).max().unwrap_or_default()
    }

    fn of(&self, row: u64) -> usize {
        let after = self.files.partition_point(|(first, _)| *first <= row);
        self.files[after - 1].1
    }
}
