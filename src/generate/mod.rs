//! Tables made from a seed: the same seed gives the same rows, and any slice alone gives its rows. And
//! lines made from a seed, for feeds.
//!
//! `draws`, `discrete`, `slice`, `people`, `shapes`, `sky` and what makes lines know no Arrow: row number in,
//! values out. The others lay rows out as Arrow columns and offer them to the engine as a table.

mod broken; // lines that are cut
mod changes; // lines of changes of wikis
mod discrete; // whole numbers with integer probabilities
mod draws; // random bits by seed, column and row
mod iot; // lines of phones and watches
mod options; // rows, seed, slice
mod people; // the three people tables
mod people_batches; // people as record batches
mod provider; // rows as a table of the engine
mod quotes; // lines of plays
mod shape_batches; // points as record batches
mod shapes; // points of the plane in shapes
mod sky; // sources over the whole sphere
mod sky_batches; // sources as record batches, narrow or wide
mod slice; // i/n: a contiguous part of the rows

pub use broken::Broken;
pub use changes::Changes;
pub use iot::{Device, Iot};
pub use options::Options;
pub use people::{People, PeopleTable, Person};
pub use people_batches::{PeopleRows, PeopleSource};
pub use provider::{Generator, StreamProvider};
pub use quotes::quotes;
pub use shape_batches::{ShapeRows, ShapeSource};
pub use shapes::{Shape, ShapePoint, Shapes};
pub use sky::{Detection, Sky};
pub use sky_batches::{SkyRows, SkySource, Width};
pub use slice::Slice;
