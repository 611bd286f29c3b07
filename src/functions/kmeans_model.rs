//! `kmeans_model(centroids, lows, highs)`: a model for the k-means functions, for SQL by hand.
//!
//! `centroids` is a list of centroids, each a list of coordinates; `lows` and `highs` bound the rows,
//! column by column (see `extent`). The answer is BINARY; NULL if an argument is NULL. A NULL inside a
//! list is an error. Drivers make models of several k, with factors and weights, by
//! [`ModelSet::encode`].

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use ndarray::Array2;

use super::arguments::{failed, misused};
use super::sections::CLUSTERING;
use crate::centroids::model::{BoundingBox, Model, ModelSet, Weight};
use crate::error::Error;

/// The function, for a session.
pub(super) fn kmeans_model() -> ScalarUDF {
    ScalarUDF::new_from_impl(KmeansModel {
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct KmeansModel {
    signature: Signature,
}

const NAME: &str = "kmeans_model";

impl ScalarUDFImpl for KmeansModel {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [centroids, lows, highs] = types else {
            let found = types.len();
            return misused(NAME, format_args!("found {found} arguments, expected 3"));
        };
        let row = DataType::new_list(DataType::Float64, true);
        let lists = [(centroids, matrix_type()), (lows, row.clone()), (highs, row)];
        lists.into_iter().map(|(found, wanted)| coerce_list(NAME, found, wanted)).collect()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::BinaryView)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "A k-means model as bytes: centroids, and the range of each column.",
                "kmeans_model(centroids, lows, highs)",
            )
            .with_argument("centroids", "A list of centroids, each a list of coordinates.")
            .with_argument("lows", "The least value of each column.")
            .with_argument("highs", "The greatest value of each column.")
            .with_sql_example("SELECT kmeans_model([[20, 60], [40, 70]], [18, 50], [99, 99])")
            .with_related_udf("nearest_centroid")
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = arrays[0].len();
        let models = (0..rows).map(|row| encode(&arrays, row)).collect::<Result<Vec<_>>>()?;
        let models: BinaryViewArray = models.into_iter().collect();
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&models, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(models)))
    }
}

fn encode(arrays: &[ArrayRef], row: usize) -> Result<Option<Vec<u8>>> {
    let lists = || arrays.iter().map(|array| array.as_list::<i32>());
    if lists().any(|list| list.is_null(row)) {
        return Ok(None);
    }
    let mut lists = lists().map(|list| list.value(row));
    let mut next = || lists.next().expect("three arguments");
    let centroids = matrix(NAME, &next())?;
    let (lows, highs) = (coordinates(NAME, &next())?, coordinates(NAME, &next())?);
    let bounds = BoundingBox { lows, highs, weight: Weight::None };
    let models = ModelSet::new(bounds, vec![Model::new(centroids)]).map_err(failed)?;
    Ok(Some(models.encode()))
}

/// A list of centroids, each a list of coordinates.
pub(super) fn matrix_type() -> DataType {
    DataType::new_list(DataType::new_list(DataType::Float64, true), true)
}

/// What a list of any kind is cast to; an unbound placeholder is Null.
pub(super) fn coerce_list(function: &str, found: &DataType, wanted: DataType) -> Result<DataType> {
    match found {
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Null => Ok(wanted),
        _ => misused(function, format_args!("found {found}, expected a list of numbers")),
    }
}

/// The centroids of a list of lists.
pub(super) fn matrix(function: &str, list: &ArrayRef) -> Result<Array2<f64>> {
    let rows = list.as_list::<i32>();
    let mut values = Vec::new();
    let mut columns = 0;
    for row in 0..rows.len() {
        if rows.is_null(row) {
            return Err(failed(Error::data(format!("{function}: centroid {row} is NULL"))));
        }
        let centroid = coordinates(function, &rows.value(row))?;
        if row > 0 && centroid.len() != columns {
            let found = centroid.len();
            return Err(failed(Error::data(format!(
                "{function}: centroid {row} has {found} coordinates, expected {columns} like the first"
            ))));
        }
        columns = centroid.len();
        values.extend(centroid);
    }
    Ok(Array2::from_shape_vec((rows.len(), columns), values).expect("rows of one length"))
}

fn coordinates(function: &str, list: &ArrayRef) -> Result<Vec<f64>> {
    if list.null_count() > 0 {
        return Err(failed(Error::data(format!("{function}: a coordinate is NULL"))));
    }
    Ok(list.as_primitive::<Float64Type>().values().to_vec())
}
