//! `farthest_rows(model, m, x1, …, xd [, weight])`: the `m` distinct rows farthest from their nearest
//! centroid, for each model.
//!
//! The answer is `LIST(STRUCT(model, squared_distance, values LIST))`, by model, then squared distance
//! descending, then values ascending. Rows on a centroid are left out, and so are the rows that
//! `centroid_sums` skips, those of weight zero among them.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, CallColumns};
use super::context::FunctionContext;
use super::fold::{self, Fold};
use super::picks::{Pick, Picked, Picking};
use super::row_lists;
use super::sections::CLUSTERING;
use crate::centroids::block::RowBlock;
use crate::centroids::farthest::{FarRow, Farthest};
use crate::centroids::kernel::{self, Centroids, Nearest};
use crate::centroids::model::{CLUSTER_LIMIT, ModelSet};
use crate::error::Error;
use crate::isa::Isa;

/// The function, for a session.
pub(super) fn farthest_rows(context: &FunctionContext) -> AggregateUDF {
    fold::function::<FarthestRows>(context)
}

/// Reads row `row` of an answer of up to `limit` rows for each of `models`.
///
/// # Errors
/// Of an array that is not such an answer.
pub fn read_farthest_rows(
    models: &ModelSet,
    limit: usize,
    array: &dyn Array,
    row: usize,
) -> crate::error::Result<Farthest> {
    let foreign = || Error::internal("expected the farthest rows of this query");
    let list = row_lists::rows_of(row_fields(), array, row).ok_or_else(foreign)?;
    let numbers = list.column(0).as_primitive::<Int32Type>();
    let squared = list.column(1).as_primitive::<Float64Type>();
    let mut far = Farthest::new(limit, models.columns(), models.models().len());
    for i in 0..list.len() {
        let values = row_lists::values_of(list.column(2), i);
        let number = usize::try_from(numbers.value(i)).ok();
        let number = number.filter(|n| *n < far.models() && values.len() == models.columns());
        far.add(number.ok_or_else(foreign)?, squared.value(i), values.values());
    }
    Ok(far)
}

#[derive(Debug)]
struct FarthestRows;

impl Fold for FarthestRows {
    type Core = Picking<ByDistance>;

    const NAME: &'static str = "farthest_rows";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::coerce(Self::NAME, types, &[DataType::BinaryView, DataType::Int64])
    }

    fn result() -> DataType {
        row_lists::data_type(row_fields())
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "The `m` distinct rows that are farthest from their nearest centroid.",
                "farthest_rows(model, m, x1, …, xd [, weight])",
            )
            .with_argument(
                "model",
                "A model, as `kmeans_model` makes it: a constant or a bound parameter.",
            )
            .with_argument("m", "The most rows to keep for each model.")
            .with_argument("x1, …, xd", "The coordinates: numbers, in the order of the model.")
            .with_argument("weight", "The weight of the row, if the model has weights.")
            .with_sql_example(
                "SELECT farthest_rows(kmeans_model([[20]], [18], [99]), 3, age) FROM people",
            )
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Self::Core> {
        let models = arguments::model(Self::NAME, context, args, 0)?;
        #[expect(clippy::cast_possible_wrap, reason = "65,535")]
        let limit = arguments::count(Self::NAME, "number of rows", args, 1, CLUSTER_LIMIT as i64)?;
        let columns = CallColumns::of(Self::NAME, &models, args, 2)?;
        Ok(Picking::new(context, models, columns, ByDistance { limit }))
    }
}

fn row_fields() -> Fields {
    vec![
        Field::new("model", DataType::Int32, false),
        Field::new("squared_distance", DataType::Float64, false),
        row_lists::values_field(),
    ]
    .into()
}

/// Rows rank by their distance to the nearest centroid, once for each model.
#[derive(Debug)]
struct ByDistance {
    limit: usize,
}

impl Picked for Farthest {
    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    fn merge_bytes(&mut self, bytes: &[u8]) -> crate::error::Result<()> {
        Ok(self.merge_bytes(bytes)?)
    }
}

impl Pick for ByDistance {
    type Picked = Farthest;
    type Ranks = Nearest;

    fn start(&self, models: &ModelSet) -> Farthest {
        Farthest::new(self.limit, models.columns(), models.models().len())
    }

    fn ranks(&self) -> Nearest {
        Nearest::default()
    }

    fn ranks_bytes(nearest: &Nearest) -> usize {
        nearest.bytes()
    }

    fn rankings(&self, models: &ModelSet) -> usize {
        models.models().len()
    }

    fn rank(
        &self,
        isa: Isa,
        models: &ModelSet,
        number: usize,
        block: &RowBlock,
        nearest: &mut Nearest,
    ) {
        let to = Centroids::of(&models.models()[number]);
        kernel::nearest(isa, &block.x, block.rows(), to, nearest);
    }

    #[inline]
    fn could_take(far: &Farthest, number: usize, nearest: &Nearest, row: usize) -> bool {
        far.could_take(number, nearest.squared[row])
    }

    fn add(
        far: &mut Farthest,
        number: usize,
        nearest: &Nearest,
        row: usize,
        values: &[f64],
        _weight: i64,
    ) {
        far.add(number, nearest.squared[row], values);
    }

    fn answer(&self, models: &ModelSet, states: &[Farthest]) -> ArrayRef {
        let numbered = |far| (0..).zip(models.models()).map(move |(n, _)| (n, far));
        let lists = || {
            states.iter().flat_map(numbered).map(|(n, far): (usize, &Farthest)| (n, far.rows(n)))
        };
        let rows = || lists().flat_map(|(number, rows)| rows.iter().map(move |row| (number, row)));
        let number = |n: usize| i32::try_from(n).expect("models are few");
        let squared = |(_, row): (usize, &FarRow)| row.squared;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(rows().map(|(n, _)| number(n)))),
            Arc::new(Float64Array::from_iter_values(rows().map(squared))),
            row_lists::values(rows().map(|(_, row)| row.values.as_slice())),
        ];
        let found = |far: &Farthest| (0..far.models()).map(|number| far.rows(number).len()).sum();
        row_lists::answer(row_fields(), columns, states.iter().map(found))
    }
}
