//! `farthest_rows(model, m, x1, …, xd [, weight])`: the `m` distinct rows farthest from their nearest
//! centroid, for each model.
//!
//! The answer is `LIST(STRUCT(model, squared_distance, values LIST))`, by model, then squared distance
//! descending, then values ascending. Rows on a centroid are left out, and so are the rows that
//! `centroid_sums` skips, those of weight zero among them.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, CallColumns};
use super::constants::{Constants, Ready};
use super::fold::{self, Core, Fold};
use super::row_lists;
use super::sections::CLUSTERING;
use crate::centroids::block::RowBlock;
use crate::centroids::farthest::{FarRow, Farthest};
use crate::centroids::groups::Groups;
use crate::centroids::kernel::{self, BLOCK, Centroids, Nearest};
use crate::centroids::model::{CLUSTER_LIMIT, ModelSet};
use crate::error::Error;
use crate::isa::Isa;

/// The function, for a session.
pub(super) fn farthest_rows(constants: &Arc<Constants>) -> AggregateUDF {
    fold::function::<FarthestRows>(constants)
}

/// Reads row `row` of an answer of up to `limit` rows for each of `models`.
///
/// # Errors
/// Of an array that is no such answer.
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
    type Core = Searching;

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
                "The distinct rows that lie farthest from their nearest centroid.",
                "farthest_rows(model, m, x1, …, xd [, weight])",
            )
            .with_argument("model", "A model as `kmeans_model` makes it, constant or bound.")
            .with_argument("m", "The most rows to keep for each model.")
            .with_argument("x1, …, xd", "The coordinates: numbers, in the order of the model.")
            .with_argument("weight", "What a row counts, if the model says that rows have weights.")
            .with_sql_example(
                "SELECT farthest_rows(kmeans_model([[20]], [18], [99]), 3, age) FROM people",
            )
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, constants: &Constants) -> Result<Searching> {
        let models = arguments::model(Self::NAME, constants, args, 0)?;
        #[expect(clippy::cast_possible_wrap, reason = "65,535")]
        let limit = arguments::count(Self::NAME, "number of rows", args, 1, CLUSTER_LIMIT as i64)?;
        let columns = CallColumns::of(Self::NAME, &models, args, 2)?;
        Ok(Searching { isa: Isa::best(), limit, models, columns })
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

#[derive(Debug)]
struct Searching {
    isa: Isa,
    limit: usize,
    models: Ready<ModelSet>,
    columns: CallColumns,
}

#[derive(Debug)]
struct Scratch {
    block: RowBlock,
    nearest: Nearest,
    values: Vec<f64>,
}

impl Core for Searching {
    type State = Farthest;
    type Scratch = Scratch;

    fn start(&self) -> Farthest {
        Farthest::new(self.limit, self.models.columns(), self.models.models().len())
    }

    fn scratch(&self) -> Scratch {
        let columns = self.models.columns();
        Scratch {
            block: RowBlock::new(columns, 0),
            nearest: Nearest::default(),
            values: Vec::with_capacity(columns),
        }
    }

    fn update(
        &self,
        scratch: &mut Scratch,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut into: Groups<'_, Farthest>,
    ) -> Result<usize> {
        let mut grown = 0;
        self.columns.for_each_block(
            self.isa,
            &self.models,
            (values, filter),
            scratch,
            |scratch| &mut scratch.block,
            |scratch| {
                for number in 0..self.models.models().len() {
                    grown += self.search(number, scratch, &mut into);
                }
                Ok(())
            },
        )?;
        Ok(grown)
    }

    fn write(&self, state: &Farthest, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn merge(&self, state: &mut Farthest, bytes: &[u8]) -> Result<()> {
        state.merge_bytes(bytes).map_err(arguments::failed)
    }

    fn evaluate(&self, states: &[Farthest]) -> Result<ArrayRef> {
        let numbered = |far| (0..).zip(self.models.models()).map(move |(n, _)| (n, far));
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
        Ok(row_lists::answer(row_fields(), columns, states.iter().map(found)))
    }

    fn state_bytes(&self, state: &Farthest) -> usize {
        state.bytes()
    }

    fn scratch_bytes(&self, scratch: &Scratch) -> usize {
        scratch.block.bytes() + scratch.nearest.bytes() + scratch.values.capacity() * 8
    }
}

impl Searching {
    /// Offers the rows of the block to model `number`; by how many bytes the states grew.
    fn search(
        &self,
        number: usize,
        Scratch { block, nearest, values }: &mut Scratch,
        into: &mut Groups<'_, Farthest>,
    ) -> usize {
        debug_assert!(block.rows() <= BLOCK);
        let to = Centroids::of(&self.models.models()[number]);
        kernel::nearest(self.isa, &block.x, block.rows(), to, nearest);
        let mut grown = 0;
        for (row, squared) in nearest.squared[..block.rows()].iter().enumerate() {
            let far = into.of(block.origins[row]);
            if !far.could_take(number, *squared) {
                continue;
            }
            values.clear();
            values.extend(block.coordinates(row));
            let before = far.bytes();
            far.add(number, *squared, values);
            grown += far.bytes() - before;
        }
        grown
    }
}
