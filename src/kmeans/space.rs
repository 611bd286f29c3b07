//! The space of the rows: its range, which fixes every scale of the exact sums, and how columns are
//! weighed inside distances.

use std::collections::BTreeMap;

use datafusion::scalar::ScalarValue;
use ndarray::Array2;

use super::input::{Input, changed};
use super::options::{Nulls, Params, Scale};
use crate::error::{Error, Result};
use crate::functions::centroids::model::{Extent, Model, ModelSet, Weight};
use crate::functions::centroids::totals::Totals;
use crate::functions::{ColumnRange, read_centroid_sums, read_extent};

const EXTENT: &str = include_str!("../../sql/steps/kmeans_extent.sql");
const STEP: &str = include_str!("../../sql/steps/kmeans_step.sql");

/// The range of the input and the factors of its columns.
#[derive(Debug, Clone)]
pub struct Space {
    extent: Extent,
    factors: Vec<f64>,
    /// Rows of each partition when the run began, usable or not.
    rows: BTreeMap<usize, u64>,
}

impl Space {
    /// Measures the input in one scan, two with `--scale standard`.
    ///
    /// # Errors
    /// NULL, NaN or infinite values where they are an error, with their counts; an input without
    /// usable rows; a negative weight.
    pub async fn measure(input: &Input, params: &Params) -> Result<Self> {
        let parts = input.step(EXTENT, &[], read_extent).await?;
        if params.nulls == Nulls::Error {
            refuse_unusable(input, params, &parts)?;
        }
        let d = params.columns.len();
        let names = params.columns.iter().chain(&params.weight);
        let mut whole = Vec::with_capacity(d + 1);
        for (number, name) in names.enumerate() {
            let ranges = parts.values().map(|part| &part.columns[number]);
            let range = ranges.filter_map(|range| range.bounds).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            whole.push(range.ok_or_else(|| Error::data(format!("column '{name}' has no usable value: there is nothing to cluster")))?);
        }
        Ok(Self { extent: todo!(), factors: vec![1.0; d], rows: BTreeMap::new() })
    }
}
