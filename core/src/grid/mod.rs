//! The geometry of the sky partitioner: frames, angles, half-open blocks, margins, splitting.
//!
//! Pure: numbers and slices in, values out. No Arrow, no IO, no engine. All angles are degrees in
//! float64 unless a name says otherwise. A position that is not finite or out of range is never
//! given a block; there are no NULLs here.
//!
//! The words of the 2017 programs and ours:
//!
//! | 2017 | here |
//! | --- | --- |
//! | map, `nb_ligne` x `nb_col` | [`Grid`] with a [`GridShape`] of columns (longitude) x rows (latitude) |
//! | block, zone | [`Block`]; its id is its index in the [`Plan`] |
//! | `min_ra`, `max_decl`, … | [`Bounds`], half open, the upper border of the grid closed |
//! | overlap | [`Margin`], with a radius that is proved ([`Assigner::radius_deg`]) |
//! | second partitioning | [`Splitting`] |
//! | the formulas themselves | [`legacy2017`] |
//!
//! The way of a row: [`canonical`] position → [`Frame::from_equatorial`] → [`Plan::block_of`], or
//! [`Assigner::assign`] where margins are wanted; a batch of them is located first by
//! [`Grid::locate_all`]. The way of a driver: [`Extent`] of all rows → [`Grid`] → counts →
//! [`Splitting`] → [`Plan`].

mod assign;
mod base;
mod bounds;
mod bytes;
mod cells;
mod distance;
mod edges;
mod extent;
mod frame;
pub mod legacy2017;
mod locate;
mod margin;
mod margin_area;
mod plan;
mod position;
mod shape;
mod split;
mod stop;
mod tree;
mod trig;
mod vector;
mod zorder;

pub use assign::{Assigner, Assignment};
pub use base::{Block, Grid};
pub use bounds::Bounds;
pub use cells::Cells;
pub use distance::{angular_distance, distance_to_block};
pub use edges::Edges;
pub use extent::{Extent, Seam};
pub use frame::Frame;
pub use locate::Located;
pub use margin::{MAX_MARGIN_ARCSEC, Margin};
pub use plan::Plan;
pub use position::{Reason, all_canonical, canonical};
pub use shape::{GridShape, MAX_BLOCKS, blocks_for_bytes};
pub use split::{Rule, Split, Splitting};
pub use vector::UnitVector;
pub use zorder::z_order;
