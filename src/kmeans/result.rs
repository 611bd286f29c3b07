//! What a run found, as values and as the tables that are published and printed.
//!
//! | table | a row per | columns |
//! | --- | --- | --- |
//! | `model` | model, cluster | k, rows, weight, `c_<column>` …, cost, mean_distance, max_distance |
//! | `figures` | model | k, start, seed, steps, stopped_by, rows, clusters_used, cost, … |
//! | `history` | model, step | k, cost of the centroids that entered the step, movement, … |
//! | `partitions` | model, partition | k, table, the Hive keys, rows, skipped, share, cost, mean_distance |
//! | `partition_clusters` | model, partition, cluster | k, table, the Hive keys, rows |
//! | `diagnosis` | model | what averaging over partitions would have given |
//!
//! Models count from 0 in the order (k, start); clusters from 0 in the order of their first
//! centroids, and are never renumbered. A model with its `c_…` columns is also what
//! `--start given --centroids` reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::scalar::ScalarValue;
use ndarray::Array2;

use super::coordinates::{Coordinates, Place};
use super::figures::{ClusterFigures, ModelFigures};
use super::input::InputPartition;
use super::model::{StepFacts, StopReason};
use crate::error::Result;
use crate::grid::UnitVector;

/// A finished model and its figures.
#[derive(Debug, Clone)]
pub struct ModelResult {
    /// Number of the start among those of the same k, from 0.
    pub start: u32,
    /// True for the model of lowest cost among those of the same k.
    pub best: bool,
    /// One centroid a row.
    pub centroids: Array2<f64>,
    /// Steps in order.
    pub history: Vec<StepFacts>,
    /// Why it stopped.
    pub stopped: StopReason,
    /// Figures over all rows.
    pub figures: ModelFigures,
    /// Figures of each cluster.
    pub clusters: Vec<ClusterFigures>,
    /// Figures of each partition, by its number.
    pub partitions: BTreeMap<usize, PartitionFigures>,
    /// The model as a value for `nearest_centroid`, over the columns in their places.
    pub(super) placed_bytes: Vec<u8>,
    /// The same over the user's numbers; none where a function could not use it.
    pub bytes: Option<Vec<u8>>,
    /// What averaging would have given, if it was asked for.
    pub diagnosis: Option<Diagnosis>,
}

impl ModelResult {
    /// Number of clusters.
    pub fn k(&self) -> usize {
        self.centroids.nrows()
    }

    /// The same, with centroids, distances and costs as the user's numbers.
    pub(super) fn in_users_units(mut self, coordinates: &Coordinates) -> Self {
        let cost = |cost: &mut f64| *cost = coordinates.users_cost(*cost);
        let distance = |distance: &mut f64| *distance = coordinates.users_distance(*distance);
        for step in &mut self.history {
            cost(&mut step.cost);
            distance(&mut step.movement);
        }
        for cluster in &mut self.clusters {
            cost(&mut cluster.cost);
            distance(&mut cluster.distance);
            distance(&mut cluster.max_distance);
        }
        for part in self.partitions.values_mut() {
            cost(&mut part.cost);
            part.mean_distance.iter_mut().for_each(distance);
        }
        if let Some(found) = &mut self.diagnosis {
            distance(&mut found.mean_distance);
            distance(&mut found.local_mean_distance);
            cost(&mut found.cost);
            cost(&mut found.unweighted_cost);
        }
        cost(&mut self.figures.cost);
        distance(&mut self.figures.mean_distance);
        Self { centroids: coordinates.users(self.centroids), ..self }
    }
}

/// Figures of one partition under one model.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionFigures {
    /// Rows that counted.
    pub rows: u64,
    /// Rows left out: for NULL, NaN or an infinity in a used column, or a weight of zero.
    pub skipped: u64,
    /// Σ w·d².
    pub cost: f64,
    /// Σ w·d / Σ w; NULL without rows.
    pub mean_distance: Option<f64>,
    /// Rows of each cluster.
    pub clusters: Vec<u64>,
}

/// What clustering each partition alone, or averaging partition means, gives instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diagnosis {
    /// Mean distance of the model.
    pub mean_distance: f64,
    /// Σ rows · (mean distance of the partition's own model) / Σ rows. It measures distances to
    /// other centroids in each partition, so it does not compare to `mean_distance`.
    pub local_mean_distance: f64,
    /// Cost of the model.
    pub cost: f64,
    /// Cost of the model whose centroids are plain means of partition means.
    pub unweighted_cost: f64,
}

impl Diagnosis {
    /// How much worse plain averaging is: 0.083 is 8.3 %.
    pub fn excess(&self) -> Option<f64> {
        (self.cost > 0.0).then(|| self.unweighted_cost / self.cost - 1.0)
    }
}

/// All that a run found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Columns that span the space.
    pub columns: Vec<String>,
    /// The columns of right ascension and declination, where these are the parts of a unit vector.
    pub sky: Option<[String; 2]>,
    /// Partitions in the order of their numbers.
    pub partitions: Vec<InputPartition>,
    /// Models in the order (k, start).
    pub models: Vec<ModelResult>,
    /// What distances in places are multiplied by for the user, where it is not 1.
    pub(super) distance_factor: Option<f64>,
    /// Where the numbers of each column are summed.
    pub(super) places: Vec<Place>,
    /// Seed of the draws.
    pub seed: u64,
    /// How often all rows were read.
    pub scans: u64,
    /// True if the columns were held in memory.
    pub in_memory: bool,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Clusters with fewer rows are left out of the tables.
    pub min_rows: u64,
}

impl Outcome {
    /// Every table by its name, as it is published.
    ///
    /// # Errors
    /// Arrow's, if columns do not fit; that would be a bug.
    pub fn tables(&self) -> Result<Vec<(&'static str, RecordBatch)>> {
        let mut tables = vec![
            ("model", self.model()?),
            ("figures", self.figures()?),
            ("history", self.history()?),
            ("partitions", self.partitions()?),
            ("partition_clusters", self.partition_clusters()?),
        ];
        if self.models.iter().any(|model| model.diagnosis.is_some()) {
            tables.push(("diagnosis", self.diagnosis()?));
        }
        Ok(tables)
    }

    fn numbered(&self) -> impl Iterator<Item = (i32, &ModelResult)> {
        (0..).zip(&self.models)
    }

    /// Published clusters: (model number, model, cluster).
    fn clusters(&self) -> impl Iterator<Item = (i32, &ModelResult, usize)> {
        self.numbered().flat_map(move |(number, model)| {
            let shown = move |&cluster: &usize| model.clusters[cluster].rows >= self.min_rows;
            (0..model.k()).filter(shown).map(move |cluster| (number, model, cluster))
        })
    }

    fn model(&self) -> Result<RecordBatch> {
        let mut table = TableBuilder::default();
        let each = || self.clusters();
        let figures = || each().map(|(_, model, cluster)| &model.clusters[cluster]);
        table.int("model", each().map(|(number, ..)| number));
        table.int("k", each().map(|(_, model, _)| small(model.k())));
        table.int("cluster", each().map(|(.., cluster)| small(cluster)));
        table.count("rows", figures().map(|cluster| cluster.rows));
        table.float("weight", figures().map(|cluster| Some(cluster.weight)));
        for (column, name) in self.columns.iter().enumerate() {
            let values = each().map(|(_, model, cluster)| Some(model.centroids[[cluster, column]]));
            table.float(&format!("c_{name}"), values);
        }
        if let Some([ra, dec]) = &self.sky {
            let direction = |(_, model, cluster): (i32, &ModelResult, usize)| {
                let [x, y, z] = [0, 1, 2].map(|part| model.centroids[[cluster, part]]);
                let is_somewhere = x != 0.0 || y != 0.0 || z != 0.0;
                is_somewhere.then_some(UnitVector { x, y, z })
            };
            let angles =
                |angle: fn(UnitVector) -> f64| each().map(direction).map(move |at| at.map(angle));
            table.float(&format!("c_{ra}"), angles(UnitVector::lon_deg));
            table.float(&format!("c_{dec}"), angles(UnitVector::lat_deg));
        }
        table.float("cost", figures().map(|cluster| Some(cluster.cost)));
        table.float("mean_distance", figures().map(ClusterFigures::mean_distance));
        table.float("max_distance", figures().map(|cluster| Some(cluster.max_distance)));
        table.batch()
    }

    fn figures(&self) -> Result<RecordBatch> {
        let mut table = TableBuilder::default();
        let each = || self.numbered();
        let figures = || self.models.iter().map(|model| &model.figures);
        table.int("model", each().map(|(number, _)| number));
        table.int("k", each().map(|(_, model)| small(model.k())));
        table.int("start", each().map(|(_, model)| i32::try_from(model.start).unwrap_or(i32::MAX)));
        table.push("best", each().map(|(_, model)| Some(model.best)).collect::<BooleanArray>());
        table.count("seed", each().map(|_| self.seed));
        table.count("steps", each().map(|(_, model)| model.history.len() as u64));
        table.text("stopped_by", each().map(|(_, model)| model.stopped.name().to_owned()));
        table.count("rows", figures().map(|figures| figures.rows));
        table.int("clusters_used", figures().map(|figures| small(figures.clusters_used)));
        table.float("cost", figures().map(|figures| Some(figures.cost)));
        table.float("mean_distance", figures().map(|figures| Some(figures.mean_distance)));
        table.float("share_explained", figures().map(|figures| figures.explained));
        table.float("calinski_harabasz", figures().map(|figures| figures.calinski_harabasz));
        table.float("davies_bouldin", figures().map(|figures| figures.davies_bouldin));
        let simplified = figures().map(|figures| figures.simplified_silhouette);
        table.float("simplified_silhouette", simplified);
        table.float("silhouette", figures().map(|figures| figures.silhouette));
        table.count("scans", each().map(|_| self.scans));
        table.float("seconds", each().map(|_| Some(self.seconds)));
        let bytes = each().map(|(_, model)| model.bytes.as_deref());
        table.push("model_bytes", bytes.collect::<BinaryArray>());
        if !self.places.iter().all(|place| place.is_plain()) {
            let bytes = each().map(|(_, model)| Some(model.placed_bytes.as_slice()));
            table.push("placed_bytes", bytes.collect::<BinaryArray>());
        }
        table.batch()
    }

    fn history(&self) -> Result<RecordBatch> {
        let mut table = TableBuilder::default();
        let each = || {
            let steps = |(number, model): (i32, _)| {
                let model: &ModelResult = model;
                model.history.iter().map(move |facts| (number, model.k(), facts))
            };
            self.numbered().flat_map(steps)
        };
        table.int("model", each().map(|(number, ..)| number));
        table.int("k", each().map(|(_, k, _)| small(k)));
        table.count("step", each().map(|(.., facts)| facts.step));
        table.float("cost", each().map(|(.., facts)| Some(facts.cost)));
        table.float("movement", each().map(|(.., facts)| Some(facts.movement)));
        table.count("smallest_cluster", each().map(|(.., facts)| facts.smallest));
        table.int("repaired", each().map(|(.., facts)| small(facts.repaired)));
        table.float("seconds", each().map(|(.., facts)| Some(facts.seconds)));
        table.batch()
    }

    fn partitions(&self) -> Result<RecordBatch> {
        let each = || {
            self.numbered().flat_map(|(number, model)| {
                model
                    .partitions
                    .iter()
                    .map(move |(&place, figures)| (number, model, place, figures))
            })
        };
        let mut table = TableBuilder::default();
        table.int("model", each().map(|(number, ..)| number));
        table.int("k", each().map(|(_, model, ..)| small(model.k())));
        self.keys(&mut table, &each().map(|(_, _, place, _)| place).collect::<Vec<_>>())?;
        table.count("rows", each().map(|(.., figures)| figures.rows));
        table.count("skipped", each().map(|(.., figures)| figures.skipped));
        let share = each().map(|(_, model, _, figures)| share(figures.rows, model.figures.rows));
        table.float("share", share);
        table.float("cost", each().map(|(.., figures)| Some(figures.cost)));
        table.float("mean_distance", each().map(|(.., figures)| figures.mean_distance));
        table.batch()
    }

    fn partition_clusters(&self) -> Result<RecordBatch> {
        let each = || {
            self.clusters().flat_map(|(number, model, cluster)| {
                let rows = model.partitions.iter();
                rows.map(move |(&place, figures)| {
                    (number, model.k(), place, cluster, figures.clusters[cluster])
                })
            })
        };
        let shown: Vec<_> = each().filter(|&(.., rows)| rows >= self.min_rows).collect();
        let mut table = TableBuilder::default();
        table.int("model", shown.iter().map(|&(number, ..)| number));
        table.int("k", shown.iter().map(|&(_, k, ..)| small(k)));
        self.keys(&mut table, &shown.iter().map(|&(_, _, place, ..)| place).collect::<Vec<_>>())?;
        table.int("cluster", shown.iter().map(|&(_, _, _, cluster, _)| small(cluster)));
        table.count("rows", shown.iter().map(|&(.., rows)| rows));
        table.batch()
    }

    fn diagnosis(&self) -> Result<RecordBatch> {
        let each = || self.numbered().filter_map(|(number, m)| Some((number, m, m.diagnosis?)));
        let mut table = TableBuilder::default();
        table.int("model", each().map(|(number, ..)| number));
        table.int("k", each().map(|(_, model, _)| small(model.k())));
        table.float("mean_distance", each().map(|(.., found)| Some(found.mean_distance)));
        let local = each().map(|(.., found)| Some(found.local_mean_distance));
        table.float("local_mean_distance", local);
        table.float("cost", each().map(|(.., found)| Some(found.cost)));
        table.float("unweighted_cost", each().map(|(.., found)| Some(found.unweighted_cost)));
        table.float("unweighted_excess", each().map(|(.., found)| found.excess()));
        table.batch()
    }

    /// The table and every Hive key of the partitions at `places`; NULL where a table has no such key.
    fn keys(&self, table: &mut TableBuilder, places: &[usize]) -> Result<()> {
        let partitions = || places.iter().map(|&place| &self.partitions[place]);
        table.text("table", partitions().map(|partition| partition.table.clone()));
        let mut keys: Vec<Field> = Vec::new();
        for (key, _) in self.partitions.iter().flat_map(|partition| &partition.keys) {
            match keys.iter_mut().find(|known| known.name() == key.name()) {
                None => keys.push(key.clone()),
                Some(known) if known.data_type() == key.data_type() => {}
                Some(known) => known.set_data_type(DataType::Utf8),
            }
        }
        for key in keys {
            let value = |partition: &InputPartition| {
                let own = partition.keys.iter().find(|(field, _)| field.name() == key.name());
                match own {
                    Some((_, value)) => value.cast_to(key.data_type()),
                    None => ScalarValue::try_from(key.data_type()),
                }
            };
            let values = partitions().map(value).collect::<Result<Vec<_>, _>>()?;
            let array = if values.is_empty() {
                new_null_array(key.data_type(), 0)
            } else {
                ScalarValue::iter_to_array(values)?
            };
            table.push_array(key.name(), array);
        }
        Ok(())
    }
}

/// Columns of a table under construction.
#[derive(Default)]
struct TableBuilder {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl TableBuilder {
    fn push(&mut self, name: &str, array: impl Array + 'static) {
        self.push_array(name, Arc::new(array));
    }

    fn push_array(&mut self, name: &str, array: ArrayRef) {
        self.fields.push(Field::new(name, array.data_type().clone(), true));
        self.arrays.push(array);
    }

    fn int(&mut self, name: &str, values: impl Iterator<Item = i32>) {
        self.push(name, Int32Array::from_iter_values(values));
    }

    fn count(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let signed = values.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        self.push(name, Int64Array::from_iter_values(signed));
    }

    fn float(&mut self, name: &str, values: impl Iterator<Item = Option<f64>>) {
        self.push(name, values.collect::<Float64Array>());
    }

    fn text(&mut self, name: &str, values: impl Iterator<Item = String>) {
        self.push(name, StringArray::from_iter_values(values));
    }

    fn batch(self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)?)
    }
}

fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
