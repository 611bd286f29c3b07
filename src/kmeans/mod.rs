//! k-means over partitions: Lloyd's algorithm (IEEE Trans. Inf. Theory 28, 1982) by SQL aggregates
//! under a driver loop.
//!
//! 1. Measure the range of the columns: it fixes the scales of the fixed-point sums.
//! 2. Draw first centroids from a sample of distinct rows ([`start`]), or take given ones.
//! 3. Step: `centroid_sums` answers, for each partition, the exact sums of the rows nearest to each
//!    centroid; the driver adds them and takes the means ([`model`]). No row leaves its partition.
//! 4. Repeat until the centroids are still, move less than the tolerance, or the steps are used up.
//!    An empty cluster moves to the farthest row.
//! 5. One more scan measures the returned centroids ([`evaluate`](mod@evaluate)).
//!
//! Exact: all rows count in every step, and every sum is an integer, so the result has the same bits
//! for any number of streams, batch sizes, files and partitions. Means and distances are rounded as
//! IEEE 754 says. All models (several k, several starts) advance in the same scans.
//!
//! Memory: the used columns if they fit half of the pool, otherwise nothing but a batch a stream;
//! beside it 16 bytes · (columns + 3) for each cluster of each model in each partition.

pub mod evaluate; // the last scan
pub mod figures; // cost, silhouettes, indices
pub mod input; // partitions, scans, memory or streaming
pub mod iterate; // the loop
pub mod model; // merge, means, stop
pub mod options; // as the user wrote them, and checked
pub mod record; // steps kept for resuming
pub mod result; // what was found, as tables
pub mod space; // range and factors
pub mod start; // first centroids

pub use options::{Options, Params};
pub use result::Outcome;
