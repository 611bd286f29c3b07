//! The Arrow form of [`Totals`]: what `centroid_sums` and `cluster_scores` answer, and its reader.
//!
//! Sums are DECIMAL(38, 0), so that `sum()` in SQL repeats the driver's merge exactly.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Fields, Float64Type, Int32Type, Int64Type,
};

use crate::centroids::model::ModelSet;
use crate::centroids::totals::{ClusterScores, ClusterTotals, Measures, Totals};
use crate::error::{Error, Result};

/// The scores after the columns of a step; the last one is a float.
const SCORES: [&str; 5] =
    ["cost_rest", "distance", "simplified_silhouette", "silhouette", "farthest"];

const SUM: DataType = DataType::Decimal128(38, 0);

/// `STRUCT(rows, skipped, clusters LIST(model, cluster, rows, weight, sums LIST, cost, …))`.
pub(super) fn data_type(measures: Measures) -> DataType {
    DataType::Struct(fields(measures))
}

fn fields(measures: Measures) -> Fields {
    let clusters = Field::new_list("clusters", cluster_field(measures), false);
    vec![
        Field::new("rows", DataType::Int64, false),
        Field::new("skipped", DataType::Int64, false),
        clusters,
    ]
    .into()
}

fn cluster_field(measures: Measures) -> Field {
    Field::new_list_field(DataType::Struct(cluster_fields(measures)), false)
}

fn cluster_fields(measures: Measures) -> Fields {
    let mut fields = vec![
        Field::new("model", DataType::Int32, false),
        Field::new("cluster", DataType::Int32, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("weight", SUM, false),
        Field::new_list("sums", Field::new_list_field(SUM, false), false),
        Field::new("cost", SUM, false),
    ];
    if measures == Measures::Scores {
        let kind = |name: &str| if name == "farthest" { DataType::Float64 } else { SUM };
        fields.extend(SCORES.map(|name| Field::new(name, kind(name), false)));
    }
    fields.into()
}

/// One result for each of `totals`; all are of `models`.
pub(super) fn to_array(models: &ModelSet, measures: Measures, totals: &[Totals]) -> ArrayRef {
    let count = |n: u64| i64::try_from(n).expect("at most 2^44 rows");
    let all = || totals.iter().flat_map(Totals::clusters);
    let sums = |of: fn(&ClusterTotals<'_>) -> i128| -> ArrayRef {
        decimals(all().map(|cluster| of(&cluster)))
    };
    let scores = |of: fn(&ClusterScores) -> i128| -> ArrayRef {
        decimals(all().filter_map(|cluster| cluster.scores.as_ref().map(of)))
    };

    let ids = || {
        let numbered = (0_i32..).zip(models.models());
        numbered
            .flat_map(|(number, model)| (0_i32..).take(model.clusters()).map(move |c| (number, c)))
    };
    let repeated = || totals.iter().flat_map(|_| ids());
    let sums_field = Arc::new(Field::new_list_field(SUM, false));
    let coordinates = decimals(all().flat_map(|cluster| cluster.sums.iter().copied()));
    let lengths = std::iter::repeat_n(models.columns(), all().count());
    let coordinates =
        ListArray::new(sums_field, OffsetBuffer::from_lengths(lengths), coordinates, None);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(repeated().map(|(model, _)| model))),
        Arc::new(Int32Array::from_iter_values(repeated().map(|(_, cluster)| cluster))),
        Arc::new(Int64Array::from_iter_values(all().map(|cluster| count(cluster.rows)))),
        sums(|cluster| cluster.weight),
        Arc::new(coordinates),
        sums(|cluster| cluster.cost),
    ];
    if measures == Measures::Scores {
        let farthest = all().filter_map(|cluster| cluster.scores.map(|scores| scores.farthest));
        columns.extend([
            scores(|scores| scores.cost_rest),
            scores(|scores| scores.distance),
            scores(|scores| scores.simplified_silhouette),
            scores(|scores| scores.silhouette),
            Arc::new(Float64Array::from_iter_values(farthest)),
        ]);
    }
    let clusters = StructArray::new(cluster_fields(measures), columns, None);
    let lengths = std::iter::repeat_n(models.clusters(), totals.len());
    let clusters = ListArray::new(
        Arc::new(cluster_field(measures)),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(clusters),
        None,
    );
    let counts = |of: fn(&Totals) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(totals.iter().map(|totals| count(of(totals)))))
    };
    let columns = vec![counts(Totals::rows), counts(Totals::skipped), Arc::new(clusters) as _];
    Arc::new(StructArray::new(fields(measures), columns, None))
}

fn decimals(values: impl Iterator<Item = i128>) -> ArrayRef {
    Arc::new(Decimal128Array::from_iter_values(values).with_data_type(SUM))
}

/// Reads row `row` of a result; `models` is the model it was asked with.
pub(super) fn from_array(
    models: &ModelSet,
    measures: Measures,
    array: &dyn Array,
    row: usize,
) -> Result<Totals> {
    if *array.data_type() != data_type(measures) || row >= array.len() || array.is_null(row) {
        let found = array.data_type();
        return Err(Error::internal(format!("expected k-means sums in row {row}, found {found}")));
    }
    let count = |n: i64| {
        u64::try_from(n)
            .map_err(|e| Error::internal(format!("k-means sums hold the count {n}")).caused_by(e))
    };
    let result = array.as_struct();
    let counts = |column| result.column(column).as_primitive::<Int64Type>().value(row);
    let mut totals = Totals::new(models, measures);
    totals.set_rows(count(counts(0))?, count(counts(1))?);

    let clusters = result.column(2).as_list::<i32>().value(row);
    let clusters = clusters.as_struct();
    let sum = |column: usize, i| clusters.column(column).as_primitive::<Decimal128Type>().value(i);
    let id = |column: usize, i| {
        usize::try_from(clusters.column(column).as_primitive::<Int32Type>().value(i)).ok()
    };
    let first = |model: usize| -> Option<usize> {
        models.models().get(model)?;
        Some(models.models()[..model].iter().map(|model| model.clusters()).sum())
    };
    for i in 0..clusters.len() {
        let place = id(0, i).and_then(first).zip(id(1, i));
        let Some((first, cluster)) = place else {
            return Err(Error::internal("k-means sums are of another model"));
        };
        let sums = clusters.column(4).as_list::<i32>().value(i);
        totals.set(
            first + cluster,
            &ClusterTotals {
                rows: count(clusters.column(2).as_primitive::<Int64Type>().value(i))?,
                weight: sum(3, i),
                sums: sums.as_primitive::<Decimal128Type>().values(),
                cost: sum(5, i),
                scores: (measures == Measures::Scores).then(|| ClusterScores {
                    cost_rest: sum(6, i),
                    distance: sum(7, i),
                    simplified_silhouette: sum(8, i),
                    silhouette: sum(9, i),
                    farthest: clusters.column(10).as_primitive::<Float64Type>().value(i),
                }),
            },
        )?;
    }
    Ok(totals)
}
