//! The cells in which rows are counted: the blocks themselves, or finer cells inside some blocks.

use super::bytes::{Reader, Writer};
use super::{Bounds, Edges, Located, Plan};
use crate::error::Result;

/// The most cells of one counting: 8 MiB of u64 a stream.
pub(super) const MAX_CELLS: u32 = 1 << 20;

const MAGIC: [u8; 4] = *b"PLC1";
const NOT_COUNTED: u32 = u32::MAX;

/// Which cell a row is counted in: the aggregate `block_counts` needs this.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    plan: Plan,
    /// Blocks with cells of their own; none of them: every block is one cell, its id the index.
    parts: Vec<Part>,
    /// Per block the index of its part, or [`NOT_COUNTED`].
    part_of: Vec<u32>,
}

/// The cells of one block. Index inside: `column * rows + row`, as in a grid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) block: u32,
    /// Where all rows of the block lie.
    pub(super) region: Bounds,
    pub(super) columns: Edges,
    pub(super) rows: Edges,
    /// The index of the first cell.
    pub(super) first: u32,
}

impl Part {
    /// Its cells, as indices into all counts.
    pub(super) fn cells(&self) -> std::ops::Range<usize> {
        let first = self.first as usize;
        first..first + self.columns.cells() as usize * self.rows.cells() as usize
    }
}

impl Cells {
    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        let edges: usize = self.parts.iter().map(|p| p.columns.bytes() + p.rows.bytes()).sum();
        self.plan.bytes() + edges + size_of_val(&*self.parts) + size_of_val(&*self.part_of)
    }

    /// Every block one cell: counts are rows of blocks.
    pub fn of_blocks(plan: Plan) -> Self {
        Self { plan, parts: Vec::new(), part_of: Vec::new() }
    }

    /// This number of columns and rows of cells inside these regions of some blocks, `MAX_CELLS` in all
    /// at most. All rows of a block must lie in its region; the rest of the block counts as the
    /// nearest cell.
    pub(super) fn inside(plan: Plan, regions: &[(u32, Bounds, u32, u32)]) -> Self {
        let mut part_of = vec![NOT_COUNTED; plan.blocks().len()];
        let mut parts = Vec::with_capacity(regions.len());
        let mut first = 0;
        for (index, &(block, region, columns, rows)) in (0..).zip(regions) {
            part_of[block as usize] = index;
            parts.push(Part {
                block,
                region,
                columns: Edges::equal(region.lon_min, region.lon_max, columns),
                rows: Edges::equal(region.lat_min, region.lat_max, rows),
                first,
            });
            first += columns * rows;
        }
        assert!(first <= MAX_CELLS, "{first} cells are more than {MAX_CELLS}");
        Self { plan, parts, part_of }
    }

    /// How many counts there are.
    pub fn count(&self) -> usize {
        match self.parts.last() {
            Some(part) => part.cells().end,
            None => self.plan.blocks().len(),
        }
    }

    /// The plan whose blocks are counted.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The cell that counts a position of the grid's frame; none where [`Plan::block_of`] is none
    /// and in blocks that are not counted.
    #[inline]
    pub fn index_of(&self, lon_deg: f64, lat_deg: f64) -> Option<u32> {
        self.plan.grid().locate(lon_deg, lat_deg).and_then(|at| self.index_at(&at))
    }

    /// As [`Self::index_of`], of a position that the grid has located.
    #[inline]
    pub fn index_at(&self, at: &Located) -> Option<u32> {
        let block = self.plan.block_at(at);
        if self.parts.is_empty() {
            return Some(block);
        }
        let part = self.parts.get(self.part_of[block as usize] as usize)?;
        let (column, row) = (part.columns.nearest(at.lon), part.rows.nearest(at.lat));
        Some(part.first + column * part.rows.cells() + row)
    }

    /// The cells as bytes: one literal of a query.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Writer::new(MAGIC);
        self.plan.write(&mut bytes);
        bytes.u32(u32::try_from(self.parts.len()).expect("at most MAX_CELLS"));
        for part in &self.parts {
            bytes.u32(part.block);
            bytes.bounds(&part.region);
            bytes.u32(part.columns.cells());
            bytes.u32(part.rows.cells());
        }
        bytes.finish()
    }

    /// The cells of [`Self::encode`].
    ///
    /// # Errors
    /// Bytes that are not cells.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, MAGIC, "plan of cells")?;
        let plan = Plan::read(&mut reader)?;
        let count = reader.count(44)?;
        let mut regions = Vec::with_capacity(count);
        let mut cells = 0_u64;
        for _ in 0..count {
            let region = (reader.u32()?, reader.bounds()?, reader.u32()?, reader.u32()?);
            let (block, bounds, columns, rows) = region;
            cells = cells.saturating_add(u64::from(columns) * u64::from(rows));
            let sound = (block as usize) < plan.blocks().len()
                && bounds.is_sound()
                && columns > 0
                && rows > 0
                && cells <= u64::from(MAX_CELLS);
            if !sound {
                return Err(reader.broken("has cells that make no sense"));
            }
            regions.push(region);
        }
        reader.finish()?;
        if regions.is_empty() {
            Ok(Self::of_blocks(plan))
        } else {
            Ok(Self::inside(plan, &regions))
        }
    }
}
