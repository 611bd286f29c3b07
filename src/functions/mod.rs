//! What SQL gains: one file a function, and here the only list of them.
//!
//! The functions of k-means stand on a pure core in [`centroids`]; `fold` is what aggregates share.

use datafusion::logical_expr::{AggregateUDF, DocSection, ScalarUDF};

mod arguments; // constants, coordinates, weights
pub mod centroids; // k-means without an engine: fixed point, kernel, model, totals
mod fold; // one core, both accumulators
pub mod groups; // where the rows of a batch go
mod row_lists; // lists of rows in Arrow
#[cfg(test)]
mod tester; // plays the engine
mod totals_array; // totals as an Arrow struct

mod centroid_sums;
mod cluster_scores;
mod extent;
mod farthest_rows;
mod kmeans_model;
mod nearest_centroid;
mod sample_rows;

pub use centroid_sums::{centroid_sums, read_centroid_sums};
pub use cluster_scores::{cluster_scores, read_cluster_scores};
pub use extent::{ColumnExtent, TableExtent, extent, read_extent};
pub use farthest_rows::{farthest_rows, read_farthest_rows};
pub use kmeans_model::kmeans_model;
pub use nearest_centroid::{nearest_centroid, nearest_centroid_distance};
pub use sample_rows::{read_sample_rows, sample_rows};

/// Where the documentation of our functions appears.
const SECTION: DocSection =
    DocSection { include: true, label: "Clustering Functions", description: None };

/// Every scalar function.
pub fn scalars() -> Vec<ScalarUDF> {
    vec![kmeans_model(), nearest_centroid(), nearest_centroid_distance()]
}

/// Every aggregate function.
pub fn aggregates() -> Vec<AggregateUDF> {
    vec![centroid_sums(), cluster_scores(), extent(), farthest_rows(), sample_rows()]
}
