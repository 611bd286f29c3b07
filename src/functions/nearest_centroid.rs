//! `nearest_centroid(centroids, x1, …, xd)`, INT: the number of the centroid nearest to a row, from 0;
//! `nearest_centroid_distance(…)`, DOUBLE: how far away it is.
//!
//! The Euclidean distance in the units of the columns, ties to the lowest number; the same kernel, and
//! so the same labels, as `centroid_sums`. `centroids` is a list of lists of coordinates, or a model
//! with one set of centroids, which may be scaled. NULL, NaN or an infinity in a row give NULL.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::arguments::{self, failed, misused};
use super::context::FunctionContext;
use super::kmeans_model::{coerce_list, matrix, matrix_type};
use super::sections::CLUSTERING;
use crate::cancel::CancelFlag;
use crate::centroids::block::{Number, with_values};
use crate::centroids::kernel::{self, BLOCK, Centroids, Lanes, Nearest};
use crate::centroids::model::{Model, ModelSet};
use crate::error::Error;
use crate::isa::Isa;

/// The function that gives the number, for a session.
pub(super) fn nearest_centroid(context: &FunctionContext) -> ScalarUDF {
    function(Output::Number, context)
}

/// The function that gives the distance, for a session.
pub(super) fn nearest_centroid_distance(context: &FunctionContext) -> ScalarUDF {
    function(Output::Distance, context)
}

fn function(output: Output, context: &FunctionContext) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    let context = context.clone();
    ScalarUDF::new_from_impl(NearestCentroid { signature, output, context })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Output {
    Number,
    Distance,
}

#[derive(Debug)]
struct NearestCentroid {
    signature: Signature,
    output: Output,
    context: FunctionContext,
}

/// A name means one function.
impl PartialEq for NearestCentroid {
    fn eq(&self, other: &Self) -> bool {
        self.output == other.output
    }
}

impl Eq for NearestCentroid {}

impl Hash for NearestCentroid {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.output.hash(hasher);
    }
}

impl ScalarUDFImpl for NearestCentroid {
    fn name(&self) -> &str {
        match self.output {
            Output::Number => "nearest_centroid",
            Output::Distance => "nearest_centroid_distance",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let first = match types.first() {
            // An unbound placeholder is Null: drivers bind models.
            Some(DataType::Null) => DataType::BinaryView,
            Some(found) if found.is_binary() => DataType::BinaryView,
            Some(found) => coerce_list(self.name(), found, matrix_type())?,
            None => DataType::BinaryView,
        };
        arguments::coerce(self.name(), types, &[first])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.output {
            Output::Number => DataType::Int32,
            Output::Distance => DataType::Float64,
        })
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.output {
            Output::Number => &NUMBER,
            Output::Distance => &DISTANCE,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let (centroids, columns) = args.args.split_first().expect("coerced to at least two");
        let columns = columns.iter().map(|column| column.to_array(rows));
        let mut search = Search::new(self, columns.collect::<Result<_>>()?, rows);
        match centroids {
            ColumnarValue::Scalar(ScalarValue::BinaryView(Some(bytes))) => {
                let models = self.context.models(bytes).map_err(failed)?;
                search.all(0, rows, only_model(self.name(), &models)?)?;
            }
            ColumnarValue::Scalar(value) => {
                let centroids = value.to_array()?;
                if let Some(model) = read_model(self.name(), &centroids, 0)? {
                    search.all(0, rows, &model)?;
                }
            }
            ColumnarValue::Array(centroids) => {
                for row in 0..rows {
                    if let Some(model) = read_model(self.name(), centroids, row)? {
                        search.all(row, row + 1, &model)?;
                    }
                }
            }
        }
        let found: ArrayRef = match self.output {
            Output::Number => Arc::new(search.labels.into_iter().collect::<Int32Array>()),
            Output::Distance => Arc::new(search.distances.into_iter().collect::<Float64Array>()),
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?));
        }
        Ok(ColumnarValue::Array(found))
    }
}

/// The centroids of a row of the first argument; `None` where it is NULL.
fn read_model(function: &str, centroids: &ArrayRef, row: usize) -> Result<Option<Model>> {
    if centroids.is_null(row) {
        return Ok(None);
    }
    if let Some(lists) = centroids.as_list_opt::<i32>() {
        return matrix(function, &lists.value(row)).map(|matrix| Some(Model::new(matrix)));
    }
    let bytes = centroids.as_binary_view().value(row);
    let models = ModelSet::decode(bytes).map_err(failed)?;
    only_model(function, &models).map(|model| Some(model.clone()))
}

fn only_model<'a>(function: &str, models: &'a ModelSet) -> Result<&'a Model> {
    match models.models() {
        [model] => Ok(model),
        models => {
            let found = models.len();
            misused(function, format_args!("the model holds {found} models, expected one"))
        }
    }
}

/// The rows of a batch, and what was found for them so far.
struct Search {
    function: String,
    cancelled: CancelFlag,
    isa: Isa,
    columns: Vec<ArrayRef>,
    x: Vec<Lanes<f64>>,
    nearest: Nearest,
    labels: Vec<Option<i32>>,
    distances: Vec<Option<f64>>,
}

impl Search {
    fn new(function: &NearestCentroid, columns: Vec<ArrayRef>, rows: usize) -> Self {
        Self {
            function: function.name().to_owned(),
            cancelled: function.context.cancelled().clone(),
            isa: Isa::best(),
            x: vec![Lanes::filled(0.0); columns.len()],
            columns,
            nearest: Nearest::default(),
            labels: vec![None; rows],
            distances: vec![None; rows],
        }
    }

    /// Labels the rows `start .. end`, as long as somebody waits.
    fn all(&mut self, start: usize, end: usize, model: &Model) -> Result<()> {
        let (found, expected) = (self.columns.len(), model.centroids.ncols());
        if model.clusters() == 0 || found != expected {
            return Err(failed(Error::data(format!(
                "{}: found {found} columns and {} centroids of {expected} coordinates, expected as \
                 many columns as coordinates and at least one centroid",
                self.function,
                model.clusters(),
            ))));
        }
        for first in (start..end).step_by(BLOCK) {
            self.cancelled.check().map_err(failed)?;
            self.block(first, end.min(first + BLOCK), model)?;
        }
        Ok(())
    }

    fn block(&mut self, start: usize, end: usize, model: &Model) -> Result<()> {
        for (x, array) in self.x.iter_mut().zip(&self.columns) {
            with_values!(arguments::column(array)?, values => {
                for (x, value) in x.iter_mut().zip(&values[start..end]) {
                    *x = value.widen();
                }
            });
        }
        kernel::nearest(self.isa, &self.x, end - start, Centroids::of(model), &mut self.nearest);
        for row in start..end {
            let i = row - start;
            let finite = self.x.iter().all(|x| x[i].is_finite());
            if finite && self.columns.iter().all(|array| array.is_valid(row)) {
                self.labels[row] = i32::try_from(self.nearest.labels[i]).ok();
                self.distances[row] = Some(self.nearest.squared[i].sqrt());
            }
        }
        Ok(())
    }
}

static NUMBER: LazyLock<Documentation> = LazyLock::new(|| {
    documentation("The number of the nearest centroid, from 0; ties go to the lowest.", "")
});

static DISTANCE: LazyLock<Documentation> =
    LazyLock::new(|| documentation("The distance to the nearest centroid.", "_distance"));

fn documentation(description: &str, suffix: &str) -> Documentation {
    let name = format!("nearest_centroid{suffix}");
    Documentation::builder(CLUSTERING, description, format!("{name}(centroids, x1, …, xd)"))
        .with_argument("centroids", "A list of centroids, each a list of coordinates; or a model.")
        .with_argument("x1, …, xd", "The coordinates: numbers, as many as a centroid has.")
        .with_sql_example(format!("SELECT {name}([[20, 60], [40, 70]], age, weight) FROM people"))
        .with_related_udf("kmeans_model")
        .build()
}
