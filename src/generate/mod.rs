//! Tables made from a seed: the same seed gives the same rows, and any slice alone gives its rows.
//!
//! `draws`, `discrete`, `slice`, `people`, `shapes` and `sky` know no Arrow: row number in, values out. The
//! others lay rows out as Arrow columns and offer a table to the engine, one contiguous row range a
//! stream.

mod batches; // rows as record batches, and as a table of the engine
mod discrete; // whole numbers with integer probabilities
mod draws; // random bits by seed, column and row
mod people; // the three people tables
mod shape_batches; // points as record batches
mod shapes; // points of the plane in shapes
mod sky; // sources over the whole sphere
mod sky_batches; // sources as record batches, narrow or wide
mod slice; // i/n: a contiguous part of the rows

pub use batches::PeopleSource;
pub use people::{People, PeopleTable, Person};
pub use shape_batches::ShapeSource;
pub use shapes::{Shape, ShapePoint, Shapes};
pub use sky::{Detection, Sky};
pub use sky_batches::{SkySource, Width};
pub use slice::Slice;
