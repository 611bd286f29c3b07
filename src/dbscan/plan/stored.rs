//! The blocks and margins that `pleiad partition` stored, used as they are if every margin holds all
//! rows within eps of its block: nothing is planned then.
//!
//! Each file lies in the directory of a block, which its rows belong to.

use std::collections::{HashMap, HashSet};

use datafusion::execution::memory_pool::MemoryConsumer;

use super::block_rows::{BlockRows, RowsByBlock};
use super::divide::rows_in_memory;
use super::margin_owners::StoredOwners;
use super::resume::Checkpoint;
use crate::dbscan::input::{BLOCKS, Input};
use crate::dbscan::options::{Params, Space};
use crate::dbscan::points::Points;
use crate::dbscan::spill_store::SpillStore;
use crate::dbscan::threads::{self, BlockingThread};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::partition::stored::Stored;
use crate::session::Session;
use crate::table::{Source, SourceTable};
use pleiad_core::dbscan::sort::sort;
use pleiad_core::dbscan::{Point, stopped};

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
    let table = source.tables.iter().find(|table| table.name == MARGINS)?;
    let usable = match Stored::read(manifest) {
        Ok(stored) => usable(&stored?, table, &source.tables, params, session)?,
        Err(unreadable) => Err(unreadable.to_string()),
    };
    match usable {
        Ok(()) => Some(table),
        Err(why) => {
            let warning = format!("{why}: using planned blocks instead of the stored ones");
            watch.report(Event::Warning(warning));
            None
        }
    }
}

/// Whether stored blocks can be used, else why not; `None` where this run has no use for them.
fn usable(
    stored: &Stored,
    margins: &SourceTable,
    tables: &[SourceTable],
    params: &Params,
    session: &Session,
) -> Option<Result<(), String>> {
    let blocks = stored.blocks.as_ref()?;
    let Space::Sky { columns, eps_deg } = params.space() else { return None };
    let is_same = stored.columns == *columns && blocks.unit == params.unit();
    if !is_same || params.options().max_rows.is_some() || margins.rows_by_file().is_none() {
        return None;
    }
    let radius = blocks.margin_radius_arcsec?;
    let (largest, rows) = largest(tables);
    // One block at a time may take what those of all threads may take together.
    let room = rows_in_memory::<3>(session).saturating_mul(session.streams() as u64);
    let eps = params.space().eps();
    Some(if radius < eps_deg * 3600.0 * SLACK {
        Err(format!("margin radius is {radius} arcsec, below eps {eps}"))
    } else if rows > room {
        Err(format!(
            "block {largest} has {rows} rows with its margin, but only {room} fit in memory"
        ))
    } else {
        Ok(())
    })
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

/// Sorts the rows of `own`, which are `points`, and of `margins`, which are `copies`, by their blocks.
pub(crate) async fn sort_rows<const D: usize>(
    own: &Input,
    points: Points<D>,
    margins: &Input,
    copies: Points<D>,
    checkpoint: &Checkpoint,
) -> Result<(StoredOwners<D>, RowsByBlock<D>)> {
    let (own_blocks, margin_blocks) = (BlockOf::new(&own.table)?, BlockOf::new(&margins.table)?);
    let blocks = own_blocks.end().max(margin_blocks.end());
    let done = checkpoint.done(blocks)?;
    let store = SpillStore::new(own.session(), "rows of blocks");
    let room = MemoryConsumer::new("dbscan margins").register(&own.session().memory_pool());
    room.try_grow(usize::try_from(copies.usable()).unwrap_or(usize::MAX).saturating_mul(COPY))?;
    threads::run(move |thread| {
        let width = points.width + 1;
        let mut by_block = RowsByBlock { store, blocks: vec![BlockRows::default(); blocks], width };
        let places = by_block.take_margins(&copies, &margin_blocks, &done, thread)?;
        drop(copies);
        let owners = by_block.take_own(&points, &own_blocks, &places, &done, thread)?;
        let rows = by_block.blocks.iter().map(|block| block.own_rows + block.margin_rows).collect();
        Ok((StoredOwners { rows, owners, _room: room }, by_block))
    })
    .await
}

impl<const D: usize> RowsByBlock<D> {
    /// Takes the margin rows, but those of blocks that are `done`; answers the places of all of them:
    /// touches of blocks that are done are about these places too.
    fn take_margins(
        &mut self,
        copies: &Points<D>,
        blocks: &BlockOf,
        done: &[bool],
        thread: &BlockingThread,
    ) -> Result<HashSet<Point<D>>> {
        let mut places = HashSet::new();
        for range in &copies.ranges {
            let block = blocks.of(range.first_row);
            let mut words = Vec::new();
            copies.rows_of(range, &copies.store.take(range.list, thread)?, |_, place, _| {
                places.insert(Point::at(place));
                words.extend(place.map(f64::to_bits));
                Ok(())
            })?;
            if !done[block] {
                self.blocks[block].margin_rows += (words.len() / D) as u64;
                self.blocks[block].margin.push(self.store.add(words, thread)?);
            }
        }
        Ok(places)
    }

    /// Takes the own rows, but those of blocks that are `done`; answers the owners of `places`,
    /// sorted.
    fn take_own(
        &mut self,
        points: &Points<D>,
        blocks: &BlockOf,
        places: &HashSet<Point<D>>,
        done: &[bool],
        thread: &BlockingThread,
    ) -> Result<Vec<(Point<D>, u32)>> {
        let mut owners = Vec::with_capacity(places.len());
        for range in &points.ranges {
            let block = blocks.of(range.first_row);
            let number = u32::try_from(block).map_err(|cause| {
                Error::data(format!(
                    "block {block} is not a block: the largest number is {}",
                    u32::MAX
                ))
                .caused_by(cause)
            })?;
            let mut words = Vec::new();
            points.rows_of(
                range,
                &points.store.take(range.list, thread)?,
                |position, place, id| {
                    if places.contains(&Point::at(place)) {
                        owners.push((Point::at(place), number));
                    }
                    words.extend(place.map(f64::to_bits));
                    words.push(position);
                    words.extend((points.width > D).then_some(id));
                    Ok(())
                },
            )?;
            if !done[block] {
                self.blocks[block].own_rows += (words.len() / self.width) as u64;
                self.blocks[block].own.push(self.store.add(words, thread)?);
            }
        }
        sort(&mut owners, thread.watch()).ok_or_else(stopped)?;
        owners.dedup();
        Ok(owners)
    }
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
                Error::data(format!(
                    "a file of '{}' is not in the directory of a block",
                    table.name
                ))
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
