//! `centroid_sums(model, x1, …, xd [, weight])`: one step of k-means over the rows of a group.
//!
//! Each row goes to the nearest centroid of every model (squared Euclidean distance, ties to the
//! lowest cluster), where its coordinates and its squared distance are added as integers of the
//! model's scales: exactly, so in any order (Lloyd 1982, doi:10.1109/TIT.1982.1056489). The answer is
//! `STRUCT(rows, skipped, clusters LIST(model, cluster, rows, weight, sums LIST, cost))`, all clusters
//! of all models, with zeros where there are no rows.
//!
//! A row with a NULL, a NaN or an infinity in a used column is skipped and counted, and so is one of
//! weight zero. A value outside the model's box or a negative weight is an error.

use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, CallColumns, failed};
use super::context::{FunctionContext, Ready};
use super::fold::{self, Core, Fold};
use super::sections::CLUSTERING;
use super::totals_array;
use crate::cancel::CancelFlag;
use crate::centroids::adder::Adder;
use crate::centroids::groups::Groups;
use crate::centroids::model::ModelSet;
use crate::centroids::totals::{Measures, Totals};
use crate::isa::Isa;

/// The function, for a session.
pub(super) fn centroid_sums(context: &FunctionContext) -> AggregateUDF {
    fold::function::<CentroidSums>(context)
}

/// Reads row `row` of an answer; `models` is the model it was asked with.
///
/// # Errors
/// Of an array that is not an answer to this model.
pub fn read_centroid_sums(
    models: &ModelSet,
    array: &dyn Array,
    row: usize,
) -> crate::error::Result<Totals> {
    totals_array::from_array(models, Measures::Step, array, row)
}

#[derive(Debug)]
struct CentroidSums;

impl Fold for CentroidSums {
    type Core = Summing;

    const NAME: &'static str = "centroid_sums";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::coerce(Self::NAME, types, &[DataType::BinaryView])
    }

    fn result() -> DataType {
        totals_array::data_type(Measures::Step)
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "One step of k-means: for each model and cluster the exact sums of the rows that are \
                 nearest to its centroid, as integers in the scales of the model.",
                "centroid_sums(model, x1, …, xd [, weight])",
            )
            .with_argument("model", "A model, as `kmeans_model` makes it: a constant or a bound parameter.")
            .with_argument("x1, …, xd", "The coordinates: numbers, in the order of the model.")
            .with_argument("weight", "The weight of the row, if the model has weights.")
            .with_sql_example(
                "SELECT centroid_sums(kmeans_model([[20], [60]], [18], [99]), age) FROM people",
            )
            .with_related_udf("cluster_scores")
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Summing> {
        Summing::new(Self::NAME, Measures::Step, args, context)
    }
}

/// Summing over the rows nearest to each centroid; also the core of `cluster_scores`.
#[derive(Debug)]
pub(super) struct Summing {
    isa: Isa,
    measures: Measures,
    models: Ready<ModelSet>,
    columns: CallColumns,
    cancelled: CancelFlag,
}

impl Summing {
    pub(super) fn new(
        function: &str,
        measures: Measures,
        args: &AccumulatorArgs<'_>,
        context: &FunctionContext,
    ) -> Result<Self> {
        let models = arguments::model(function, context, args, 0)?;
        let columns = CallColumns::of(function, &models, args, 1)?;
        let cancelled = context.cancelled().clone();
        Ok(Self { isa: Isa::best(), measures, models, columns, cancelled })
    }

    /// The same with another instruction set.
    #[cfg(test)]
    pub(super) fn on(self, isa: Isa) -> Self {
        Self { isa, ..self }
    }
}

impl Core for Summing {
    type State = Totals;
    type Scratch = Adder;

    fn start(&self) -> Totals {
        Totals::new(&self.models, self.measures)
    }

    fn scratch(&self) -> Adder {
        Adder::new(self.isa, &self.models, self.measures)
    }

    fn update(
        &self,
        adder: &mut Adder,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut into: Groups<'_, Totals>,
    ) -> Result<usize> {
        self.columns.for_each_block(
            self.isa,
            (&self.models, &self.cancelled),
            (values, filter),
            adder,
            |adder| &mut adder.block,
            |adder| adder.add(&self.models, &mut into, &self.cancelled).map_err(failed),
        )?;
        adder.flush(&self.models, &mut into);
        Ok(0)
    }

    fn write(&self, state: &Totals, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn merge(&self, state: &mut Totals, bytes: &[u8]) -> Result<()> {
        state.merge_bytes(bytes).map_err(failed)
    }

    fn evaluate(&self, states: &[Totals]) -> Result<ArrayRef> {
        Ok(totals_array::to_array(&self.models, self.measures, states))
    }

    fn state_bytes(&self, state: &Totals) -> usize {
        state.bytes()
    }

    fn scratch_bytes(&self, adder: &Adder) -> usize {
        adder.bytes()
    }
}
