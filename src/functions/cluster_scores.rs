//! `cluster_scores(model, x1, …, xd [, weight])`: what evaluating centroids needs, in one scan.
//!
//! The answer is that of `centroid_sums` with further sums per cluster: the rest that quantising the
//! squared distances left over (2^-26 of their grain), the distances, the simplified silhouette
//! `(b − a)/b` over the distances to the two nearest centroids (Hruschka, de Castro, Campello 2004),
//! the silhouette over squared distances where the model carries the spread of its clusters, and the
//! largest squared distance. NULL, NaN and weights as in `centroid_sums`.

use std::sync::LazyLock;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::centroid_sums::Summing;
use super::context::FunctionContext;
use super::fold::{self, Fold};
use super::sections::CLUSTERING;
use super::{arguments, totals_array};
use crate::centroids::model::ModelSet;
use crate::centroids::totals::{Measures, Totals};

/// The function, for a session.
pub(super) fn cluster_scores(context: &FunctionContext) -> AggregateUDF {
    fold::function::<ClusterScores>(context)
}

/// Reads row `row` of an answer; `models` is the model it was asked with.
///
/// # Errors
/// Of an array that is not an answer to this model.
pub fn read_cluster_scores(
    models: &ModelSet,
    array: &dyn Array,
    row: usize,
) -> crate::error::Result<Totals> {
    totals_array::from_array(models, Measures::Scores, array, row)
}

#[derive(Debug)]
struct ClusterScores;

impl Fold for ClusterScores {
    type Core = Summing;

    const NAME: &'static str = "cluster_scores";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::coerce(Self::NAME, types, &[DataType::BinaryView])
    }

    fn result() -> DataType {
        totals_array::data_type(Measures::Scores)
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "The sums of `centroid_sums` and those that the figures of a clustering are made of: \
                 distances, silhouettes, the largest squared distance.",
                "cluster_scores(model, x1, …, xd [, weight])",
            )
            .with_argument("model", "A model, as `kmeans_model` makes it: a constant or a bound parameter.")
            .with_argument("x1, …, xd", "The coordinates: numbers, in the order of the model.")
            .with_argument("weight", "The weight of the row, if the model has weights.")
            .with_sql_example(
                "SELECT cluster_scores(kmeans_model([[20], [60]], [18], [99]), age) FROM people",
            )
            .with_related_udf("centroid_sums")
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Summing> {
        Summing::new(Self::NAME, Measures::Scores, args, context)
    }
}
