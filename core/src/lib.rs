//! The pure core of Pleiad: numbers and text in, numbers and text out. No Arrow, no engine, no IO.
//!
//! It is a package of its own so that a development build can optimise it, and nothing else of Pleiad.
//! Users of the library find it at `pleiad::grid`, `pleiad::centroids` and `pleiad::dbscan::local`.

pub mod error; // one error type, its kinds and exit codes
pub mod cancel; // ends work that no one waits for
pub mod splitmix; // random bits from a counter
pub mod isa; // loops compiled for each instruction set
pub mod grid; // the sphere: frames, angles, half-open blocks, margins, splitting
pub mod centroids; // k-means: fixed point, kernel, model, totals
pub mod records; // text cut into records, and records into fields
pub mod json_line; // a line with a JSON object, cut into its members
pub mod json_led; // lines that are written like one before them
pub mod dbscan; // DBSCAN of one block: coordinates in, labels and contacts out
