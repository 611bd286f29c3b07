//! The space of the rows: its range, which fixes every scale of the exact sums, and how columns are
//! weighed inside distances.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::Array;
use ndarray::Array2;

use super::coordinates::{ColumnRange, Coordinates};
use super::input::Input;
use super::options::{Nulls, Scaling};
use super::params::Params;
use super::steps::{EXTENT, STEP};
use crate::centroids::model::{BoundingBox, Model, ModelSet, Weight};
use crate::centroids::totals::Totals;
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::functions::{TableExtent, model_literal, read_centroid_sums, read_extent};
use crate::table::input_changed;

/// A spread below this (2^-400) counts as none: its inverse would leave the range of the sums.
const LEAST_SPREAD: f64 = f64::from_bits((1023 - 400) << 52);

/// The range of the input and the factors of its columns.
#[derive(Debug, Clone)]
pub(super) struct FeatureSpace {
    /// Where the numbers of each column are.
    coordinates: Coordinates,
    bounds: BoundingBox,
    /// What differences of a column are multiplied by: d² = Σ ((x − c)·f)².
    factors: Vec<f64>,
    /// Rows of each partition when the run began, usable or not.
    rows: BTreeMap<usize, u64>,
}

impl FeatureSpace {
    /// Measures the input in one scan; `--scale standard` needs another.
    ///
    /// # Errors
    /// NULL, NaN or infinite values where they are an error, with their counts; an input without
    /// usable rows; a negative weight.
    pub(super) async fn measure(input: &mut Input, params: &Params) -> Result<Self> {
        let parts = input.step(EXTENT, &[], read_extent).await?;
        if params.nulls() == Nulls::Error {
            refuse_unusable(input, params, &parts)?;
        }
        let d = params.columns().len();
        let mut whole = TableExtent::new(params.measured().count());
        for part in parts.values() {
            whole.merge(part)?;
        }
        if whole.usable == 0 {
            let found = if whole.rows == 0 { "no rows" } else { "no row that can be used" };
            return Err(Error::data(format!("the input has {found}: there is nothing to cluster")));
        }
        let columns = params.columns().iter().zip(&whole.columns).map(|(name, found)| {
            let integer = params.sky().is_none() && input.is_integer(name);
            ColumnRange { lo: found.lo, hi: found.hi, integer }
        });
        let is_scaled = params.scale() != Scaling::None;
        let coordinates = Coordinates::of(&columns.collect::<Vec<_>>(), is_scaled);
        input.place(&coordinates);
        let bounds = BoundingBox {
            lows: coordinates.ranges().iter().map(|range| range.0).collect(),
            highs: coordinates.ranges().iter().map(|range| range.1).collect(),
            weight: weight(
                input,
                params,
                whole.columns.get(d).map(|column| (column.lo, column.hi)),
            )?,
        };
        let mut space = Self {
            factors: vec![1.0; d],
            coordinates,
            bounds,
            rows: parts.iter().map(|(&partition, part)| (partition, part.rows)).collect(),
        };
        space.factors = match params.scale() {
            Scaling::None => space.coordinates.factors(),
            Scaling::Range => space.ranges().map(inverse).collect(),
            Scaling::Standard => space.deviations(input).await?.into_iter().map(inverse).collect(),
        };
        Ok(space)
    }

    /// Where the numbers of each column are.
    pub(super) fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// A model as a value for SQL, over the user's numbers; none where a function could not use it.
    pub(super) fn users_bytes(&self, centroids: &Array2<f64>) -> Option<Vec<u8>> {
        let ends = [0, 1].map(|end| {
            let ranges = self.coordinates.ranges().iter();
            let ends: Vec<f64> = ranges.map(|range| [range.0, range.1][end]).collect();
            let ends = Array2::from_shape_vec((1, ends.len()), ends);
            self.coordinates.users(ends.expect("one row")).into_raw_vec_and_offset().0
        });
        let [lows, highs] = ends;
        let users = Self {
            bounds: BoundingBox { lows, highs, ..self.bounds.clone() },
            factors: self.coordinates.users_factors(&self.factors),
            ..self.clone()
        };
        let centroids = self.coordinates.users(centroids.clone());
        users.set([&centroids]).ok().map(|set| set.encode())
    }

    /// The factors of the columns.
    pub(super) fn factors(&self) -> &[f64] {
        &self.factors
    }

    /// Models with these centroids in this space.
    ///
    /// # Errors
    /// Centroids that do not fit: their number, a NaN, a magnitude above 2^500.
    pub(super) fn set<'a>(
        &self,
        models: impl IntoIterator<Item = &'a Array2<f64>>,
    ) -> Result<ModelSet> {
        let scaled = self.factors.iter().any(|factor| factor.to_bits() != 1.0_f64.to_bits());
        let models = models.into_iter().map(|centroids| Model {
            factors: scaled.then(|| self.factors.clone()),
            ..Model::new(centroids.clone())
        });
        Ok(ModelSet::new(self.bounds.clone(), models.collect())?)
    }

    /// Checks that a scan saw as many rows in each partition as there were when the run began.
    ///
    /// # Errors
    /// An input that changed; trying again is safe.
    pub(super) fn check_rows(&self, input: &Input, sums: &BTreeMap<usize, Totals>) -> Result<()> {
        for (partition, &expected) in &self.rows {
            let found = sums.get(partition).map_or(0, |sums| sums.rows() + sums.skipped());
            if found != expected {
                let name = input.partitions[*partition].name();
                return Err(input_changed(&format!(
                    "'{name}' has {found} rows now, had {expected}"
                )));
            }
        }
        Ok(())
    }

    fn ranges(&self) -> impl Iterator<Item = f64> {
        self.bounds.lows.iter().zip(&self.bounds.highs).map(|(lo, hi)| hi - lo)
    }

    /// Standard deviations, from exact sums: one model of one cluster for each column, its centroid
    /// m at mid-range and all other columns invisible; σ² = cost/n − (mean − m)².
    async fn deviations(&self, input: &Input) -> Result<Vec<f64>> {
        let d = self.factors.len();
        let lows = self.bounds.lows.iter().zip(&self.bounds.highs);
        let middle: Vec<f64> = lows.map(|(lo, hi)| lo / 2.0 + hi / 2.0).collect();
        let (bounds, center) = (self.bounds.clone(), middle.clone());
        let set = compute(move |_| {
            let models = (0..d).map(|column| Model {
                factors: Some((0..d).map(|j| f64::from(u8::from(j == column))).collect()),
                ..Model::new(Array2::from_shape_fn((1, d), |(_, j)| center[j]))
            });
            Ok(Arc::new(ModelSet::new(bounds, models.collect())?))
        });
        let set = set.await?;
        let (model, of) = (model_literal(&set), Arc::clone(&set));
        let read = move |array: &dyn Array, row| read_centroid_sums(&of, array, row);
        let parts = input.step(STEP, &[("model", model)], read).await?;
        compute(move |_| Ok(deviations(&set, &middle, &parts))).await
    }
}

/// σ of each column, from the sums of its model.
fn deviations(set: &ModelSet, middle: &[f64], parts: &BTreeMap<usize, Totals>) -> Vec<f64> {
    let lines: Vec<Vec<_>> = parts.values().map(|totals| totals.clusters().collect()).collect();
    let deviation = |column: usize| {
        let lines = || lines.iter().map(|lines| &lines[column]);
        let weight: i128 = lines().map(|line| line.weight).sum();
        let cost: i128 = lines().map(|line| line.cost).sum();
        let mean = set.mean(column, lines().map(|line| line.sums[column]).sum(), weight);
        let shift = mean.unwrap_or(middle[column]) - middle[column];
        let cost = set.distance_scales(column).cost.to_float(cost);
        let variance = cost / (weight as f64) - shift * shift;
        variance.max(0.0).sqrt()
    };
    (0..middle.len()).map(deviation).collect()
}

/// 1/x, and 0 for a column that is constant, or nearly so: it then has no say.
fn inverse(x: f64) -> f64 {
    if x > LEAST_SPREAD { 1.0 / x } else { 0.0 }
}

fn weight(input: &Input, params: &Params, range: Option<(f64, f64)>) -> Result<Weight> {
    let (Some(name), Some((lo, hi))) = (params.weight(), range) else { return Ok(Weight::None) };
    if lo < 0.0 {
        return Err(Error::data(format!("weight '{name}' is {lo} in a row, expected 0 or more")));
    }
    if hi <= 0.0 {
        return Err(Error::data(format!("weight '{name}' is 0 in all rows: nothing counts")));
    }
    Ok(if input.is_integer(name) { Weight::Integer } else { Weight::Float { largest: hi } })
}

/// Says how many values cannot be used, in which column of which partition.
fn refuse_unusable(
    input: &Input,
    params: &Params,
    parts: &BTreeMap<usize, TableExtent>,
) -> Result<()> {
    let mut found = Vec::new();
    for (&partition, part) in parts {
        let position = params.sky().map(|[ra, dec]| format!("{ra}, {dec}"));
        let measured = params.measured().zip(&part.columns);
        // The parts of a vector are NULL together.
        let measured = measured.skip(if position.is_some() { 2 } else { 0 }).enumerate();
        for (place, (name, column)) in measured {
            let name = position.as_ref().filter(|_| place == 0).unwrap_or(name);
            let counts =
                [(column.nulls, "NULL"), (column.nans, "NaN"), (column.infinite, "infinite")];
            let counts = counts.into_iter().filter(|(count, _)| *count > 0);
            let counts: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
            if !counts.is_empty() {
                let place = input.partitions[partition].name();
                found.push(format!("'{name}' in '{place}': {}", counts.join(", ")));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let what = match params.sky() {
        Some(_) => "rows have no position, or no weight",
        None => "columns hold values that are not numbers",
    };
    let more = found.len().saturating_sub(5);
    found.truncate(5);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(Error::data(format!(
        "{what} ({}{more}): pass --nulls skip to leave these rows \
         out, or filter them",
        found.join("; ")
    )))
}
