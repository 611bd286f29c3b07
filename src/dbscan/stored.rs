//! The blocks and margins that `pleiad partition` stored, used as they are: nothing is planned or
//! shared out, where every margin holds all rows within eps of its block.
//!
//! Rows are filed by block, so a file tells the block of its rows.

use std::collections::{HashMap, HashSet};

use datafusion::execution::memory_pool::MemoryConsumer;

use super::divide::{Pile, Piles, rows_in_memory};
use super::ground::Stored;
use super::input::{BLOCKS, Held, Input};
use super::local::Place;
use super::options::{Params, Space};
use super::resume::Kept;
use super::shelf::Shelf;
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
pub(super) fn margins<'a>(
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
pub(super) async fn read<const D: usize>(
    own: &Input,
    held: Held<D>,
    margins: &Input,
    kept: &Kept,
    watch: &dyn Observer,
) -> Result<(Stored<D>, Piles<D>)> {
    let copies = margins.read::<D>(watch).await?;
    let (own_blocks, margin_blocks) = (BlockOf::new(&own.table)?, BlockOf::new(&margins.table)?);
    let blocks = own_blocks.most().max(margin_blocks.most());
    let done = kept.done(blocks)?;
    let shelf = Shelf::new(own.session(), "rows of blocks");
    let mut piles = vec![Pile::default(); blocks];
    let room = MemoryConsumer::new("dbscan margins").register(&own.session().memory_pool());
    room.try_grow(usize::try_from(copies.usable()).unwrap_or(usize::MAX).saturating_mul(COPY))?;
    // Touches of blocks that are done are about these places too.
    let mut places = HashSet::new();
    for run in &copies.runs {
        let block = margin_blocks.of(run.first_row);
        let mut words = Vec::new();
        copies.rows_of(run, &copies.shelf.take(run.slip)?, |_, place, _| {
            places.insert(Place::at(place));
            words.extend(place.map(f64::to_bits));
            Ok(())
        })?;
        if !done[block] {
            piles[block].margin_rows += (words.len() / D) as u64;
            piles[block].margin.push(shelf.keep(words)?);
        }
    }
    drop(copies);
    let width = held.width + 1;
    let mut owners = Vec::with_capacity(places.len());
    for run in &held.runs {
        let block = own_blocks.of(run.first_row);
        let number = u32::try_from(block).map_err(|cause| {
            Error::data(format!("block {block} is beyond all blocks")).caused_by(cause)
        })?;
        let mut words = Vec::new();
        held.rows_of(run, &held.shelf.take(run.slip)?, |position, place, id| {
            if places.contains(&Place::at(place)) {
                owners.push((Place::at(place), number));
            }
            words.extend(place.map(f64::to_bits));
            words.push(position);
            words.extend((held.width > D).then_some(id));
            Ok(())
        })?;
        if !done[block] {
            piles[block].own_rows += (words.len() / width) as u64;
            piles[block].own.push(shelf.keep(words)?);
        }
    }
    owners.sort_unstable();
    owners.dedup();
    let rows = piles.iter().map(|pile| pile.own_rows + pile.margin_rows).collect();
    Ok((Stored { rows, owners, _room: room }, Piles { shelf, blocks: piles, width }))
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
    fn most(&self) -> usize {
        self.files.iter().map(|(_, block)| block + 1).max().unwrap_or_default()
    }

    fn of(&self, row: u64) -> usize {
        let after = self.files.partition_point(|(first, _)| *first <= row);
        self.files[after - 1].1
    }
}
