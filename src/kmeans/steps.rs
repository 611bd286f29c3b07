//! The steps of the driver, as SQL. What goes in and comes out is written in each file.

/// Range and unusable values of the columns.
pub(super) const EXTENT: &str = include_str!("../../sql/steps/kmeans_extent.sql");
/// A sample of distinct rows.
pub(super) const SAMPLE: &str = include_str!("../../sql/steps/kmeans_sample.sql");
/// Exact sums of the rows nearest to each centroid.
pub(super) const STEP: &str = include_str!("../../sql/steps/kmeans_step.sql");
/// The rows farthest from all centroids.
pub(super) const FAR: &str = include_str!("../../sql/steps/kmeans_far.sql");
/// What the figures of a finished model are made of.
pub(super) const SCORES: &str = include_str!("../../sql/steps/kmeans_scores.sql");
