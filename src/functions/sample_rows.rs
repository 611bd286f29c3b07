//! `sample_rows(model, seed, m, x1, …, xd [, weight])`: the `m` distinct rows of lowest hash.
//!
//! The answer is `LIST(STRUCT(hash, values LIST, rows, weight))`, by hash, then values: each row with
//! its exact multiplicity and, as an integer of the model's weight scale, the sum of its weights. Of
//! the model only the box is used; it may have no centroids. NULL, NaN and weights as in
//! `centroid_sums`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, UInt64Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, Fields, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, CallColumns};
use super::context::FunctionContext;
use super::fold::{self, Fold};
use super::picks::{Pick, Picked, Picking};
use super::row_lists;
use super::sections::CLUSTERING;
use crate::centroids::block::RowBlock;
use crate::centroids::kernel::Lanes;
use crate::centroids::model::ModelSet;
use crate::centroids::sample::{HashRows, RowSample, SampleRow};
use crate::error::Error;
use crate::isa::Isa;

/// The most rows of a sample.
const ROWS_LIMIT: i64 = 10_000_000;

const SUM: DataType = DataType::Decimal128(38, 0);

/// The function, for a session.
pub(super) fn sample_rows(context: &FunctionContext) -> AggregateUDF {
    fold::function::<SampleRows>(context)
}

/// Reads row `row` of an answer of up to `limit` rows of `columns` coordinates.
///
/// # Errors
/// Of an array that is not such an answer.
pub fn read_sample_rows(
    limit: usize,
    columns: usize,
    array: &dyn Array,
    row: usize,
) -> crate::error::Result<RowSample> {
    let foreign = || Error::internal("expected sampled rows of this query");
    let list = row_lists::rows_of(row_fields(), array, row).ok_or_else(foreign)?;
    let hashes = list.column(0).as_primitive::<UInt64Type>();
    let rows = list.column(2).as_primitive::<Int64Type>();
    let weights = list.column(3).as_primitive::<Decimal128Type>();
    let mut sample = RowSample::new(limit, columns);
    for i in 0..list.len() {
        let values = row_lists::values_of(list.column(1), i);
        let values = values.values();
        let rows = u64::try_from(rows.value(i)).ok().filter(|_| values.len() == columns);
        let (hash, weight) = (hashes.value(i), weights.value(i));
        sample.add(&SampleRow { hash, values, rows: rows.ok_or_else(foreign)?, weight });
    }
    Ok(sample)
}

#[derive(Debug)]
struct SampleRows;

impl Fold for SampleRows {
    type Core = Picking<ByHash>;

    const NAME: &'static str = "sample_rows";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        let constants = [DataType::BinaryView, DataType::Int64, DataType::Int64];
        arguments::coerce(Self::NAME, types, &constants)
    }

    fn result() -> DataType {
        row_lists::data_type(row_fields())
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "The `m` distinct rows with the lowest hash, and how often each occurs. They are the \
                 same rows however the table is stored.",
                "sample_rows(model, seed, m, x1, …, xd [, weight])",
            )
            .with_argument("model", "A model; only its ranges are used.")
            .with_argument("seed", "An integer; another seed gives another sample.")
            .with_argument("m", "The most distinct rows to keep.")
            .with_argument("x1, …, xd", "The coordinates: numbers, in the order of the model.")
            .with_argument("weight", "The weight of the row, if the model has weights.")
            .with_sql_example(
                "SELECT sample_rows(kmeans_model([[20]], [18], [99]), 1, 100, age) FROM people",
            )
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, context: &FunctionContext) -> Result<Self::Core> {
        let models = arguments::model(Self::NAME, context, args, 0)?;
        let seed = match arguments::constant(Self::NAME, "seed", args, 1)? {
            ScalarValue::Int64(Some(seed)) => seed.cast_unsigned(),
            other => return internal_err!("a seed was not coerced: {}", other.data_type()),
        };
        let limit = arguments::count(Self::NAME, "number of rows", args, 2, ROWS_LIMIT)?;
        let columns = CallColumns::of(Self::NAME, &models, args, 3)?;
        Ok(Picking::new(context, models, columns, ByHash { seed, limit }))
    }
}

fn row_fields() -> Fields {
    vec![
        Field::new("hash", DataType::UInt64, false),
        row_lists::values_field(),
        Field::new("rows", DataType::Int64, false),
        Field::new("weight", SUM, false),
    ]
    .into()
}

/// Rows rank by the hash of their values.
#[derive(Debug)]
struct ByHash {
    seed: u64,
    limit: usize,
}

impl Picked for RowSample {
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

impl Pick for ByHash {
    type Picked = RowSample;
    type Ranks = Box<Lanes<u64>>;

    fn start(&self, models: &ModelSet) -> RowSample {
        RowSample::new(self.limit, models.columns())
    }

    fn ranks(&self) -> Box<Lanes<u64>> {
        Box::new(Lanes::filled(0))
    }

    fn ranks_bytes(hashes: &Box<Lanes<u64>>) -> usize {
        size_of_val(&**hashes)
    }

    fn rankings(&self, _: &ModelSet) -> usize {
        1
    }

    fn rank(
        &self,
        isa: Isa,
        _: &ModelSet,
        _: usize,
        block: &RowBlock,
        hashes: &mut Box<Lanes<u64>>,
    ) {
        isa.run(HashRows { x: &block.x, rows: block.rows(), seed: self.seed, hashes });
    }

    #[inline]
    fn could_take(sample: &RowSample, _: usize, hashes: &Box<Lanes<u64>>, row: usize) -> bool {
        sample.could_take(hashes[row])
    }

    fn add(
        sample: &mut RowSample,
        _: usize,
        hashes: &Box<Lanes<u64>>,
        row: usize,
        values: &[f64],
        weight: i64,
    ) {
        sample.add(&SampleRow { hash: hashes[row], values, rows: 1, weight: weight.into() });
    }

    fn answer(&self, _: &ModelSet, states: &[RowSample]) -> ArrayRef {
        let samples: Vec<Vec<SampleRow<'_>>> = states.iter().map(RowSample::rows).collect();
        let rows = || samples.iter().flatten();
        let count = |n: u64| i64::try_from(n).expect("at most 2^44 rows");
        let weights = Decimal128Array::from_iter_values(rows().map(|row| row.weight));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.hash))),
            row_lists::values(rows().map(|row| row.values)),
            Arc::new(Int64Array::from_iter_values(rows().map(|row| count(row.rows)))),
            Arc::new(weights.with_data_type(SUM)),
        ];
        row_lists::answer(row_fields(), columns, samples.iter().map(Vec::len))
    }
}
