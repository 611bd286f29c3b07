//! The parameter of the k-means functions: centroids of one or more models, and the box of the rows.
//!
//! A [`ModelSet`] is an ordinary value here and a short run of bytes in a plan, where it is bound as
//! one binary literal. The bytes open with an eight-byte hash of the rest: it notices damage, and its
//! first half is what plans print, so that two models have two names.
//!
//! Everything that turns rows into integers (the [`Scale`]s) follows from these values alone, so it
//! is the same in every stream and on every machine.

use ndarray::{Array2, ArrayView1};

use super::fixed::{MAGNITUDE_LIMIT, Scale};
use crate::error::{Error, Result};

/// The most clusters of one model.
pub const CLUSTER_LIMIT: usize = 65_535;

/// The most columns of a row.
pub const COLUMN_LIMIT: usize = 4_096;

/// What weighs a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weight {
    /// Each row counts once; there is no weight column.
    None,
    /// An integer column, at most 2^31: a row counts as if it were repeated.
    Integer,
    /// A float column, kept to 2^-31 of its largest value.
    Float {
        /// The largest weight of the table.
        largest: f64,
    },
}

/// The box that holds all rows: the least and greatest value of each column, in the user's units.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundingBox {
    /// The least value of each column.
    pub lows: Vec<f64>,
    /// The greatest value of each column.
    pub highs: Vec<f64>,
    /// What weighs the rows.
    pub weight: Weight,
}

/// What the silhouette needs to know about the rows of each cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// The mean of the rows of each cluster, clusters × columns; any numbers for empty clusters.
    pub means: Array2<f64>,
    /// The mean squared distance of a cluster's rows to their mean; infinite for empty clusters.
    pub variances: Vec<f64>,
    /// `N/(N − 1)` of a cluster that weighs `N`, which leaves a row out of its own cluster's mean; 0
    /// for clusters of one row, whose silhouette is 0 by definition.
    pub own_factors: Vec<f64>,
}

/// The centroids of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Clusters × columns, in the user's units.
    pub centroids: Array2<f64>,
    /// What differences are multiplied by, column by column: `d² = Σ ((x − c)·f)²`.
    pub factors: Option<Vec<f64>>,
    /// Asks `cluster_scores` for the silhouette.
    pub spread: Option<Spread>,
}

impl Model {
    /// A model without factors.
    pub fn new(centroids: Array2<f64>) -> Self {
        Self { centroids, factors: None, spread: None }
    }

    /// How many clusters it has.
    pub fn clusters(&self) -> usize {
        self.centroids.nrows()
    }

    /// A bound of the squared distance of any row of the box to its nearest centroid.
    fn distance_bound(&self, bounds: &BoundingBox) -> f64 {
        let far = |centroid: ArrayView1<'_, f64>| -> f64 {
            let side = |(j, c): (usize, &f64)| {
                let side = f64::max((bounds.lows[j] - c).abs(), (bounds.highs[j] - c).abs());
                let side = side * self.factors.as_ref().map_or(1.0, |factors| factors[j]);
                side * side
            };
            centroid.iter().enumerate().map(side).sum()
        };
        self.centroids.rows().into_iter().map(far).fold(f64::INFINITY, f64::min)
    }
}

/// The scales of one model's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistanceScales {
    /// Of the squared distance, the cost.
    pub cost: Scale,
    /// Of what quantising the squared distance left over.
    pub cost_rest: Scale,
    /// Of the distance.
    pub distance: Scale,
}

/// How many bits finer the second integer of a cost is than the first.
pub const REST_BITS: i32 = 26;

/// Models over one box, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSet {
    bounds: BoundingBox,
    models: Vec<Model>,
    columns: Vec<Scale>,
    weight: Scale,
    distances: Vec<DistanceScales>,
}

impl ModelSet {
    /// Checks that every model fits the box. No model at all is allowed: sampling needs only a box.
    ///
    /// # Errors
    /// Of another number of columns, a NaN or infinity, a magnitude above 2^500, no or more than
    /// 65,535 clusters, a largest weight that is not above zero.
    pub fn new(bounds: BoundingBox, models: Vec<Model>) -> Result<Self> {
        check_bounds(&bounds)?;
        let columns = bounds.lows.len();
        for (number, model) in models.iter().enumerate() {
            check_model(number, model, columns)?;
        }
        let scale = |(lo, hi): (&f64, &f64)| Scale::of_column(f64::max(lo.abs(), hi.abs()));
        let distances =
            models.iter().map(|model| distance_scales(model, &bounds)).collect::<Result<_>>()?;
        Ok(Self {
            columns: bounds.lows.iter().zip(&bounds.highs).map(scale).collect(),
            weight: match bounds.weight {
                Weight::None | Weight::Integer => Scale::ONE,
                Weight::Float { largest } => Scale::of_weight(largest),
            },
            distances,
            bounds,
            models,
        })
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        let floats = |model: &Model| {
            let spread = model.spread.as_ref().map_or(0, |spread| {
                spread.means.len() + spread.variances.len() + spread.own_factors.len()
            });
            model.centroids.len() + model.factors.as_ref().map_or(0, Vec::len) + spread
        };
        let floats: usize = self.models.iter().map(floats).sum();
        size_of::<Self>()
            + 8 * (floats + 2 * self.bounds.lows.len())
            + size_of_val(&*self.models)
            + size_of_val(&*self.columns)
            + size_of_val(&*self.distances)
    }

    /// The box of the rows.
    pub fn bounds(&self) -> &BoundingBox {
        &self.bounds
    }

    /// The models, in the order of their numbers.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// How many coordinates a row has.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// How many clusters all models have together.
    pub fn clusters(&self) -> usize {
        self.models.iter().map(Model::clusters).sum()
    }

    /// The scale of column `j`.
    pub fn column_scale(&self, j: usize) -> Scale {
        self.columns[j]
    }

    /// The scale of weights.
    pub fn weight_scale(&self) -> Scale {
        self.weight
    }

    /// The scales of the distances to the centroids of model `number`.
    pub fn distance_scales(&self, number: usize) -> DistanceScales {
        self.distances[number]
    }

    /// The mean of column `j`, from the sum of its quantised values times weights and the sum of
    /// quantised weights; `None` without rows.
    pub fn mean(&self, j: usize, sum: i128, weight: i128) -> Option<f64> {
        self.columns[j].mean(sum, weight)
    }
}

fn check_bounds(bounds: &BoundingBox) -> Result<()> {
    let columns = bounds.lows.len();
    if columns == 0 || columns > COLUMN_LIMIT || bounds.highs.len() != columns {
        return Err(Error::data(format!(
            "the box of the model has {columns} lows and {} highs, expected as many of each, \
             at least 1 and at most {COLUMN_LIMIT}",
            bounds.highs.len(),
        )));
    }
    for (j, (lo, hi)) in bounds.lows.iter().zip(&bounds.highs).enumerate() {
        if !(is_usable(*lo) && is_usable(*hi) && lo <= hi) {
            return Err(Error::data(format!(
                "column {} ranges from {lo} to {hi}, expected finite bounds in ascending order and \
                 below 2^500",
                j + 1
            )));
        }
    }
    match bounds.weight {
        Weight::Float { largest } if !(is_usable(largest) && largest > 0.0) => Err(Error::data(
            format!("the largest weight is {largest}, expected a finite number above 0"),
        )),
        _ => Ok(()),
    }
}

fn check_model(number: usize, model: &Model, columns: usize) -> Result<()> {
    let clusters = model.clusters();
    if clusters == 0 || clusters > CLUSTER_LIMIT {
        return Err(Error::data(format!(
            "model {number} has {clusters} clusters, expected 1 to {CLUSTER_LIMIT}"
        )));
    }
    let found = model.centroids.ncols();
    if found != columns {
        return Err(Error::data(format!(
            "the centroids of model {number} have {found} columns, expected {columns}"
        )));
    }
    if !model.centroids.is_standard_layout() {
        return Err(Error::internal("centroids are not in row order"));
    }
    if let Some(bad) = model.centroids.iter().find(|x| !is_usable(**x)) {
        return Err(Error::data(format!(
            "a centroid of model {number} has the coordinate {bad}, expected finite ones below 2^500"
        )));
    }
    if let Some(factors) = &model.factors
        && !(factors.len() == columns && factors.iter().all(|f| is_usable(*f) && *f >= 0.0))
    {
        return Err(Error::data(format!(
            "the factors of model {number} are {factors:?}, expected {columns} finite ones, none \
             below 0"
        )));
    }
    if let Some(spread) = &model.spread
        && !(spread.means.dim() == model.centroids.dim()
            && spread.means.iter().all(|x| is_usable(*x))
            && spread.variances.len() == clusters
            && spread.variances.iter().all(|v| *v >= 0.0)
            && spread.own_factors.len() == clusters
            && spread.own_factors.iter().all(|f| f.is_finite() && *f >= 0.0))
    {
        return Err(Error::data(format!(
            "the spread of model {number} does not fit its {clusters} clusters"
        )));
    }
    Ok(())
}

fn is_usable(x: f64) -> bool {
    x.abs() <= MAGNITUDE_LIMIT
}

fn distance_scales(model: &Model, bounds: &BoundingBox) -> Result<DistanceScales> {
    let bound = model.distance_bound(bounds);
    if !bound.is_finite() {
        return Err(Error::data(
            "squared distances between rows and centroids overflow: expected columns and factors of \
             a common magnitude",
        ));
    }
    let cost = Scale::of_distance(bound);
    let cost_rest = cost.finer(REST_BITS);
    Ok(DistanceScales { cost, cost_rest, distance: Scale::of_distance(bound.sqrt()) })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn bounds() -> BoundingBox {
        BoundingBox { lows: vec![18.0, 50.0], highs: vec![99.0, 99.0], weight: Weight::None }
    }

    fn sample() -> ModelSet {
        let scaled = Model {
            factors: Some(vec![0.1, 0.0]),
            spread: Some(Spread {
                means: array![[21.0, 60.0]],
                variances: vec![f64::INFINITY],
                own_factors: vec![0.0],
            }),
            ..Model::new(array![[20.0, 60.0]])
        };
        let plain = Model::new(array![[20.0, 60.0], [30.0, -0.0]]);
        let weight = Weight::Float { largest: 2.5 };
        ModelSet::new(BoundingBox { weight, ..bounds() }, vec![plain, scaled]).expect("valid")
    }

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        let models = sample();
        let decoded = ModelSet::decode(&models.encode()).expect("readable");
        assert_eq!(decoded, models);
        let second = decoded.models()[0].centroids[[1, 1]];
        assert_eq!(second.to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(ModelSet::decode(&changed).is_err(), "byte {at} changed");
            assert!(ModelSet::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn different_models_differ_in_their_first_eight_bytes() {
        let one = ModelSet::new(bounds(), vec![Model::new(array![[20.0, 60.0]])]).expect("valid");
        let two = ModelSet::new(bounds(), vec![Model::new(array![[20.0, 61.0]])]).expect("valid");
        assert_ne!(one.encode()[..8], two.encode()[..8]);
    }

    #[track_caller]
    fn check_refused(bounds: BoundingBox, model: Model, words: &str) {
        let error = ModelSet::new(bounds, vec![model]).expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let good = || Model::new(array![[20.0, 60.0]]);
        check_refused(bounds(), Model::new(Array2::zeros((0, 2))), "0 clusters");
        check_refused(bounds(), Model::new(array![[20.0]]), "1 columns, expected 2");
        check_refused(bounds(), Model::new(array![[20.0, f64::NAN]]), "coordinate NaN");
        check_refused(BoundingBox { lows: vec![18.0], ..bounds() }, good(), "1 lows and 2 highs");
        check_refused(BoundingBox { lows: vec![18.0, 1e200], ..bounds() }, good(), "below 2^500");
        let weight = Weight::Float { largest: 0.0 };
        check_refused(BoundingBox { weight, ..bounds() }, good(), "the largest weight is 0");
        let scaled = |f| Model { factors: Some(vec![f, 1.0]), ..good() };
        check_refused(bounds(), scaled(-1.0), "factors");
        let wide = BoundingBox { highs: vec![1e150, 99.0], ..bounds() };
        check_refused(wide, scaled(1e150), "overflow");
    }

    #[test]
    fn the_bound_of_distances_holds_for_the_corners() {
        let models = sample();
        // Nearest of the two: (20, 60) to the corner (99, 99): 79² + 39² = 7762 < 2^13.
        assert_eq!(models.distance_scales(0).cost, Scale::of_distance(7762.0));
    }
}
