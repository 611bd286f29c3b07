//! What SQL gains: one file a function, and here the only list of them.
//!
//! The functions of k-means stand on [`centroids`](crate::centroids), those of the sky on
//! [`grid`](crate::grid); digests are those of text; `fold` is what aggregates share.

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

mod arguments; // constants, coordinates, weights
mod context; // what the functions of a session share
mod fold; // one core, both accumulators
mod picks; // the rows of the best ranks
mod positions; // positions and plans of blocks as arguments
mod row_lists; // lists of rows in Arrow
mod sections; // of the documentation
mod sky_function; // what scalar functions of the sky are to the engine
#[cfg(test)]
mod tester; // plays the engine
mod totals_array; // totals as an Arrow struct

mod angle_deg;
mod angular_distance;
mod block_counts;
mod block_of;
mod centroid_sums;
mod cluster_scores;
mod digests;
mod extent;
mod farthest_rows;
mod frame_angles;
mod hop_starts;
mod kmeans_model;
mod nearest_centroid;
mod places_of;
mod position_fault;
mod sample_rows;
mod sky_grid;
mod sky_vector;
mod windows; // relations: TUMBLE, HOP, drop_nulls

pub use arguments::model_literal;
pub use block_counts::read_block_counts;
pub use centroid_sums::read_centroid_sums;
pub use cluster_scores::read_cluster_scores;
pub use context::FunctionContext;
pub use extent::{ColumnExtent, TableExtent, read_extent};
pub use farthest_rows::read_farthest_rows;
pub use sample_rows::read_sample_rows;
pub use windows::{WindowRelations, table_as_query};

/// Every scalar function; those of a session share its context.
pub fn scalars(context: &FunctionContext) -> Vec<ScalarUDF> {
    let mut scalars = vec![
        angle_deg::angle_deg(),
        angular_distance::angular_distance(),
        block_of::block_of(context),
        hop_starts::hop_starts(),
        kmeans_model::kmeans_model(),
        nearest_centroid::nearest_centroid(context),
        nearest_centroid::nearest_centroid_distance(context),
        places_of::places_of(context),
        position_fault::position_fault(),
        sky_grid::sky_grid(),
        frame_angles::sky_position(),
        sky_vector::sky_vector(),
    ];
    scalars.extend(frame_angles::frame_angles());
    scalars.extend(digests::digests());
    scalars
}

/// Every aggregate function; those of a session share its context.
pub fn aggregates(context: &FunctionContext) -> Vec<AggregateUDF> {
    vec![
        block_counts::block_counts(context),
        centroid_sums::centroid_sums(context),
        cluster_scores::cluster_scores(context),
        extent::extent(context),
        farthest_rows::farthest_rows(context),
        sample_rows::sample_rows(context),
    ]
}
