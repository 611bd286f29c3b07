//! The steps of the driver, as SQL. What goes in and comes out is written in each file.

/// The columns, to be held in memory.
pub(super) const LOAD: &str = include_str!("../../sql/steps/kmeans_load.sql");
/// The given centroids, from a table of their own.
pub(super) const GIVEN: &str = include_str!("../../sql/steps/kmeans_given.sql");
/// The given centroids, from the result of another run.
pub(super) const GIVEN_MODELS: &str = include_str!("../../sql/steps/kmeans_given_models.sql");
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
/// The rows with their clusters.
pub(super) const ASSIGN: &str = include_str!("../../sql/steps/kmeans_assign.sql");
