//! The grid of base blocks that a plan begins with, and what a block is.

use super::{Bounds, Edges, Frame, GridShape};
use crate::error::{Error, Result};

/// Equal cells over the bounds, in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    frame: Frame,
    seam_deg: f64,
    /// The seam as it is compared with: no longitude reaches it where there is none.
    wrap_from: f64,
    shape: GridShape,
    columns: Edges,
    rows: Edges,
}

impl Grid {
    /// How many bytes its edges occupy.
    pub(super) fn bytes(&self) -> usize {
        self.columns.bytes() + self.rows.bytes()
    }

    /// A grid of `shape` over `bounds`; from `seam_deg` on, 360 is subtracted from a longitude,
    /// unless it is 0.
    ///
    /// # Errors
    /// Bounds that are not finite, not in order or not on the sphere; a seam that is not in
    /// `[0, 360)`.
    pub fn new(frame: Frame, seam_deg: f64, bounds: Bounds, shape: GridShape) -> Result<Self> {
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
            shape,
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

    /// Columns and rows.
    pub fn shape(&self) -> GridShape {
        self.shape
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
