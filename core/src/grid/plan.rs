//! A plan of blocks: a grid of base blocks, some of them cut further, and the margin of each.

use super::base::{Block, Grid};
use super::bytes::{Reader, Writer};
use super::shape::MAX_BLOCKS;
use super::tree::Tree;
use super::{Bounds, Frame, GridShape, Located, Margin};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};

const MAGIC: [u8; 4] = *b"PLP1";

/// Blocks that tile the bounds of a grid, and their margin.
///
/// A block is `[lon_min, lon_max) x [lat_min, lat_max)`, closed where it lies on the upper border
/// of the grid. Its id is its index.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    grid: Grid,
    margin: Margin,
    blocks: Vec<Block>,
    /// Empty while no base block is cut: then the id of a block is that of its base block.
    tree: Tree,
}

impl Plan {
    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.grid.bytes() + size_of_val(&*self.blocks) + self.tree.bytes()
    }

    /// A plan whose blocks are the base blocks of the grid.
    pub fn uncut(grid: Grid, margin: Margin) -> Self {
        let blocks =
            (0..grid.base_blocks()).map(|id| Block { parent: id, bounds: grid.base(id) }).collect();
        Self { grid, margin, blocks, tree: Tree::default() }
    }

    /// A plan of these blocks, in the order of their ids: of a splitting, or as they were stored.
    ///
    /// # Errors
    /// Blocks that do not tile their base blocks by straight cuts, or more than [`MAX_BLOCKS`].
    pub fn new(grid: Grid, margin: Margin, blocks: Vec<Block>) -> Result<Self> {
        Self::unless(&CancelFlag::default(), grid, margin, blocks)
    }

    /// As [`Self::new`]; an error soon after `stop` is raised.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn unless(
        stop: &CancelFlag,
        grid: Grid,
        margin: Margin,
        blocks: Vec<Block>,
    ) -> Result<Self> {
        if blocks.len() > MAX_BLOCKS as usize {
            return Err(Error::usage(format!(
                "the plan has {} blocks, expected at most {MAX_BLOCKS}: raise max_rows",
                blocks.len()
            )));
        }
        let tree = Tree::new(&grid, &blocks, stop)?;
        Ok(Self { grid, margin, blocks, tree })
    }

    /// The grid that the blocks tile.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The margin of every block.
    pub fn margin(&self) -> Margin {
        self.margin
    }

    /// All blocks; the index is the id.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block that holds a position of the grid's frame, in degrees.
    ///
    /// None for an unusable position ([`canonical`](super::canonical)) and outside the bounds; never
    /// two.
    #[inline]
    pub fn block_of(&self, lon_deg: f64, lat_deg: f64) -> Option<u32> {
        self.grid.locate(lon_deg, lat_deg).map(|at| self.block_at(&at))
    }

    /// As [`Self::block_of`], of a position that the grid has located.
    #[inline]
    pub fn block_at(&self, at: &Located) -> u32 {
        if self.tree.is_empty() { at.base } else { self.tree.leaf(at.base, at.lon, at.lat) }
    }

    /// Calls `found` with every block that owns a place of `area`, borders included, once each.
    pub(super) fn blocks_holding(&self, area: &Bounds, mut found: impl FnMut(u32)) {
        let rows = self.grid.rows().holding(area.lat_min, area.lat_max);
        for column in self.grid.columns().holding(area.lon_min, area.lon_max) {
            for row in rows.clone() {
                let base = column * self.grid.rows().cells() + row;
                if self.tree.is_empty() {
                    found(base);
                } else {
                    self.tree.leaves_holding(base, area, &mut found);
                }
            }
        }
    }

    /// The plan as bytes: one literal of a query.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Writer::new(MAGIC);
        self.write(&mut bytes);
        bytes.finish()
    }

    /// The plan of [`Self::encode`], with the same edges to the bit.
    ///
    /// # Errors
    /// Bytes that are not a plan.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, MAGIC, "plan")?;
        let plan = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(plan)
    }

    pub(super) fn write(&self, bytes: &mut Writer) {
        bytes.u32(match self.grid.frame() {
            Frame::Equatorial => 0,
            Frame::Ecliptic => 1,
            Frame::Galactic => 2,
        });
        bytes.f64(self.grid.seam_deg());
        bytes.bounds(&self.grid.bounds());
        bytes.u32(self.grid.columns().cells());
        bytes.u32(self.grid.rows().cells());
        self.margin.write(bytes);
        let cut: &[Block] = if self.tree.is_empty() { &[] } else { &self.blocks };
        bytes.u32(u32::try_from(cut.len()).expect("at most MAX_BLOCKS"));
        for block in cut {
            bytes.u32(block.parent);
            bytes.bounds(&block.bounds);
        }
    }

    pub(super) fn read(bytes: &mut Reader<'_>) -> Result<Self> {
        let frame = match bytes.u32()? {
            0 => Frame::Equatorial,
            1 => Frame::Ecliptic,
            2 => Frame::Galactic,
            _ => return Err(bytes.broken("names no frame")),
        };
        let seam_deg = bytes.f64()?;
        let bounds = bytes.bounds()?;
        let shape = GridShape::new(bytes.u32()?, bytes.u32()?)?;
        let grid = Grid::new(frame, seam_deg, bounds, shape)?;
        let margin = Margin::read(bytes)?;
        let blocks = (0..bytes.count(36)?)
            .map(|_| Ok(Block { parent: bytes.u32()?, bounds: bytes.bounds()? }))
            .collect::<Result<Vec<_>>>()?;
        if blocks.is_empty() {
            Ok(Self::uncut(grid, margin))
        } else {
            Self::new(grid, margin, blocks)
        }
    }
}
