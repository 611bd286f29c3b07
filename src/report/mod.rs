//! Figures of answers, as SVG or text; nothing here runs a query or writes a file.

mod axes; // a box with round numbers
mod bars; // shares of clusters, and how often values occur
mod block_bars; // rows of blocks as bars
mod braille; // a picture drawn with text
mod curves; // costs over k and over steps, streams over time
mod mollweide; // the whole sky on an ellipse
mod nearest; // distances of nearest rows
mod picture; // elements, as SVG
mod scatter; // rows as dots
mod sky_map; // blocks on the sky

pub use bars::{PartitionShares, histogram, partition_shares};
pub use block_bars::block_bars;
pub use curves::{Curve, elbow, panels, steps};
pub use mollweide::mollweide;
pub use nearest::{nearest, short};
pub use picture::Picture;
pub use scatter::{Dot, Plane, scatter};
pub use sky_map::sky_map;

use crate::grid::Bounds;

/// What figures show of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnBlock {
    /// Its id.
    pub id: u32,
    /// Where it lies, in the frame of its grid.
    pub bounds: Bounds,
    /// Rows that it owns.
    pub own_rows: u64,
    /// Copies of rows of its neighbours.
    pub margin_rows: u64,
    /// Whether it holds more than asked for.
    pub is_dense: bool,
}
