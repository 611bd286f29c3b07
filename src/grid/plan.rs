//! A plan of blocks: a grid of base blocks, some of them cut further, and the margin of each.

use super::bytes::{Reader, Writer};
use super::tree::Tree;
use super::{Bounds, Edges, Frame, Located, Margin, Shape};
use crate::error::{Error, Result};

/// The most blocks a plan can have: 36 bytes each as a literal, some 200 in memory.
pub const MAX_BLOCKS: u32 = 1 << 20;

const MAGIC: [u8; 4] = *b"PLP1";

/// Equal cells over the bounds, in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    frame: Frame,
    seam_deg: f64,
    /// The seam as it is compared with: no longitude reaches it where there is none.
    wrap_from: f64,
    columns: Edges,
    rows: Edges,
}

impl Grid {
    /// A grid of `shape` over `bounds`; from `seam_deg` on, 360 is subtracted from a longitude,
    /// unless it is 0.
    ///
    /// # Errors
    /// Bounds that are not finite, not in order or not on the sphere; a seam that is not in
    /// `[0, 360)`.
    pub fn new(frame: Frame, seam_deg: f64, bounds: Bounds, shape: Shape) -> Result<Self> {
        if !(0.0..360.0).contains(&seam_deg) {
            return Err(Error::data(format!(
                "seam_deg is {seam_deg}, expected at least 0 and below 360"
            )));
        }
        if !bounds.is_sound() {
            let Bounds { lon_min, lon_max, lat_min, lat_max } = bounds;
            return Err(Error::data(format!(
                "bounds are {lon_min}..{lon_max} x {lat_min}..{lat_max}, expected two ranges on \
                 the sphere"
            )));
        }
        Ok(Self {
            frame,
            seam_deg,
            wrap_from: if seam_deg > 0.0 { seam_deg } else { f64::INFINITY },
            columns: Edges::equal(bounds.lon_min, bounds.lon_max, shape.columns()),
            rows: Edges::equal(bounds.lat_min, bounds.lat_max, shape.rows()),
        })
    }

    /// The frame of all longitudes and latitudes here.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// The longitude from which on 360 is subtracted; 0 if none.
    pub fn seam_deg(&self) -> f64 {
        self.seam_deg
    }

    /// The edges in longitude.
    pub fn columns(&self) -> &Edges {
        &self.columns
    }

    /// The edges in latitude.
    pub fn rows(&self) -> &Edges {
        &self.rows
    }

    /// How many base blocks there are.
    pub fn base_blocks(&self) -> u32 {
        self.columns.cells() * self.rows.cells()
    }

    /// The bounds of the whole grid.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            lon_min: self.columns.min(),
            lon_max: self.columns.max(),
            lat_min: self.rows.min(),
            lat_max: self.rows.max(),
        }
    }

    /// The bounds of a base block; the id is `column * rows + row`.
    pub fn base(&self, id: u32) -> Bounds {
        let (lon_min, lon_max) = self.columns.cell(id / self.rows.cells());
        let (lat_min, lat_max) = self.rows.cell(id % self.rows.cells());
        Bounds { lon_min, lon_max, lat_min, lat_max }
    }

    pub(super) fn wrap_from(&self) -> f64 {
        self.wrap_from
    }
}

/// One block of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// The base block that it is, or was cut from.
    pub parent: u32,
    /// Where it lies.
    pub bounds: Bounds,
}

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
        if blocks.len() > MAX_BLOCKS as usize {
            return Err(Error::usage(format!(
                "the plan has {} blocks, expected at most {MAX_BLOCKS}: raise max_rows",
                blocks.len()
            )));
        }
        let tree = Tree::new(&grid, &blocks)?;
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
        let rows = self.grid.rows.holding(area.lat_min, area.lat_max);
        for column in self.grid.columns.holding(area.lon_min, area.lon_max) {
            for row in rows.clone() {
                let base = column * self.grid.rows.cells() + row;
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
    /// Bytes that are no plan.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, MAGIC, "plan")?;
        let plan = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(plan)
    }

    pub(super) fn write(&self, bytes: &mut Writer) {
        bytes.u32(match self.grid.frame {
            Frame::Equatorial => 0,
            Frame::Ecliptic => 1,
            Frame::Galactic => 2,
        });
        bytes.f64(self.grid.seam_deg);
        write_bounds(bytes, &self.grid.bounds());
        bytes.u32(self.grid.columns.cells());
        bytes.u32(self.grid.rows.cells());
        self.margin.write(bytes);
        let cut: &[Block] = if self.tree.is_empty() { &[] } else { &self.blocks };
        bytes.u32(u32::try_from(cut.len()).expect("at most MAX_BLOCKS"));
        for block in cut {
            bytes.u32(block.parent);
            write_bounds(bytes, &block.bounds);
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
        let bounds = read_bounds(bytes)?;
        let shape = Shape::new(bytes.u32()?, bytes.u32()?)?;
        let grid = Grid::new(frame, seam_deg, bounds, shape)?;
        let margin = Margin::read(bytes)?;
        let blocks = (0..bytes.count(36)?)
            .map(|_| Ok(Block { parent: bytes.u32()?, bounds: read_bounds(bytes)? }))
            .collect::<Result<Vec<_>>>()?;
        if blocks.is_empty() {
            Ok(Self::uncut(grid, margin))
        } else {
            Self::new(grid, margin, blocks)
        }
    }
}

pub(super) fn write_bounds(bytes: &mut Writer, bounds: &Bounds) {
    for value in [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max] {
        bytes.f64(value);
    }
}

pub(super) fn read_bounds(bytes: &mut Reader<'_>) -> Result<Bounds> {
    Ok(Bounds {
        lon_min: bytes.f64()?,
        lon_max: bytes.f64()?,
        lat_min: bytes.f64()?,
        lat_max: bytes.f64()?,
    })
}
