//! What SQL gains: one file a function, and here the only list of them.
//!
//! The functions of k-means stand on [`centroids`](crate::centroids), those of the sky on
//! [`grid`](crate::grid); `fold` is what aggregates share.

use datafusion::logical_expr::{AggregateUDF, DocSection, ScalarUDF};

mod arguments; // constants, coordinates, weights
mod fold; // one core, both accumulators
mod positions; // positions and plans of blocks as arguments
mod row_lists; // lists of rows in Arrow
mod sky_function; // what scalar functions of the sky are to the engine
#[cfg(test)]
mod tester; // plays the engine
mod totals_array; // totals as an Arrow struct

mod angular_distance;
mod block_counts;
mod block_of;
mod centroid_sums;
mod cluster_scores;
mod extent;
mod farthest_rows;
mod frame_angles;
mod kmeans_model;
mod nearest_centroid;
mod places_of;
mod position_fault;
mod sample_rows;
mod sky_grid;

pub use angular_distance::angular_distance;
pub use arguments::model_literal;
pub use block_counts::{block_counts, read_block_counts};
pub use block_of::block_of;
pub use centroid_sums::{centroid_sums, read_centroid_sums};
pub use cluster_scores::{cluster_scores, read_cluster_scores};
pub use extent::{ColumnExtent, TableExtent, extent, read_extent};
pub use farthest_rows::{farthest_rows, read_farthest_rows};
pub use frame_angles::{frame_angles, sky_position};
pub use kmeans_model::kmeans_model;
pub use nearest_centroid::{nearest_centroid, nearest_centroid_distance};
pub use places_of::places_of;
pub use position_fault::position_fault;
pub use sample_rows::{read_sample_rows, sample_rows};
pub use sky_grid::sky_grid;

/// Where the documentation of our functions appears.
const SECTION: DocSection =
    DocSection { include: true, label: "Clustering Functions", description: None };

const SKY: DocSection = DocSection { include: true, label: "Sky Functions", description: None };

/// Every scalar function.
pub fn scalars() -> Vec<ScalarUDF> {
    let mut scalars = vec![
        angular_distance(),
        block_of(),
        kmeans_model(),
        nearest_centroid(),
        nearest_centroid_distance(),
        places_of(),
        position_fault(),
        sky_grid(),
        sky_position(),
    ];
    scalars.extend(frame_angles());
    scalars
}

/// Every aggregate function.
pub fn aggregates() -> Vec<AggregateUDF> {
    vec![
        block_counts(),
        centroid_sums(),
        cluster_scores(),
        extent(),
        farthest_rows(),
        sample_rows(),
    ]
}
