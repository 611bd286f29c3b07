//! Some rows of a result with their places, for a picture.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;

use super::record::Clustering;
use crate::dbscan::input::Input;
use crate::dbscan::options::{Params, Space};
use crate::dbscan::points::is_chosen;
use crate::dbscan::threads;
use crate::error::{Error, Result};
use crate::event::Observer;
use crate::grid::UnitVector;
use crate::session::Session;
use crate::table::{Manifest, Source, SourceOptions};

/// Rows of a batch.
const BATCH: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("not zero");

/// A row of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// The first coordinate; on the sphere the right ascension in degrees.
    pub x: f64,
    /// The second one; on the sphere the declination.
    pub y: f64,
    /// Its cluster; -1 is noise.
    pub cluster: i64,
}

/// Some rows of a result.
#[derive(Debug, Clone)]
pub struct LabelSample {
    /// The rows.
    pub dots: Vec<Dot>,
    /// The columns of their coordinates.
    pub axes: [String; 2],
    /// Whether they are on the sphere.
    pub is_sky: bool,
    /// Rows of the table.
    pub rows: u64,
    /// Clusters that were found.
    pub clusters: u64,
    /// What they were found with.
    pub params: Params,
}

/// About `wanted` rows of what `manifest` says a run of dbscan published at `location`, with their
/// places in the input, which must be what it was then.
///
/// # Errors
/// A dataset of another kind; an input that is gone or has changed; storage that fails.
pub async fn sample(
    session: &Session,
    location: &str,
    manifest: &Manifest,
    wanted: u64,
    watch: &dyn Observer,
) -> Result<LabelSample> {
    let Clustering { input, params, rows, clusters: found } =
        Clustering::read(location, &manifest.properties)?;
    let options = SourceOptions { allow_incomplete: true, ..SourceOptions::default() };
    let source = Source::open(session.stores(), &input, &options).await?;
    let input = Input::open(session, &source, &params)?.without_ids();
    let known = &manifest.inputs;
    if let Some(other) = input.table.input_records().iter().find(|file| !known.contains(file)) {
        return Err(Error::data(format!(
            "file '{}' is not the one that was clustered: cluster it again",
            other.location
        )));
    }
    let clusters = clusters(session, location, rows, wanted).await?;
    let dots = match params.dimensions() {
        2 => dots::<2>(&input, &params, (clusters, rows), watch).await?,
        _ => dots::<3>(&input, &params, (clusters, rows), watch).await?,
    };
    let is_sky = matches!(params.space(), Space::Sky { .. });
    let axes = [0, 1].map(|k| params.space().columns().get(k).cloned().unwrap_or_default());
    Ok(LabelSample { dots, axes, is_sky, rows, clusters: found, params })
}

/// The clusters of the chosen rows that have a place, by their position.
async fn clusters(
    session: &Session,
    location: &str,
    rows: u64,
    wanted: u64,
) -> Result<HashMap<u64, i64>> {
    let labels = format!("{}/labels", location.trim_end_matches('/'));
    let labels = Source::open(session.stores(), &labels, &SourceOptions::default()).await?;
    let session = session.in_order(BATCH);
    let table = labels.tables.first().ok_or_else(|| Error::internal("labels without a table"))?;
    session.register("labels", table.provider())?;
    let plan = session.plan("SELECT cluster FROM labels", &[], Vec::new()).await?;
    let frame = session.context().execute_logical_plan(plan).await?;
    let mut batches = frame.execute_stream().await?;
    let (mut clusters, mut position) = (HashMap::new(), 0);
    while let Some(batch) = batches.try_next().await? {
        let column = Arc::clone(batch.column(0));
        for cluster in column.as_primitive::<Int64Type>() {
            if let Some(cluster) = cluster.filter(|_| is_chosen(position, wanted, rows)) {
                clusters.insert(position, cluster);
            }
            position += 1;
        }
    }
    Ok(clusters)
}

async fn dots<const D: usize>(
    input: &Input,
    params: &Params,
    (clusters, rows): (HashMap<u64, i64>, u64),
    watch: &dyn Observer,
) -> Result<Vec<Dot>> {
    let points = input.read::<D>(watch).await?;
    if points.rows != rows {
        return Err(Error::data(format!(
            "the input has {} rows, and {rows} were clustered: cluster it again",
            points.rows
        )));
    }
    let is_sky = matches!(params.space(), Space::Sky { .. });
    threads::run(move |thread| {
        let mut dots = Vec::with_capacity(clusters.len());
        for range in &points.ranges {
            points.rows_of(range, &points.store.take(range.list, thread)?, |row, place, _| {
                if let Some(cluster) = clusters.get(&row) {
                    let direction = UnitVector { x: place[0], y: place[1], z: place[D - 1] };
                    let (x, y) = match is_sky {
                        true => (direction.lon_deg(), direction.lat_deg()),
                        false => (place[0], place[1]),
                    };
                    dots.push(Dot { x, y, cluster: *cluster });
                }
                Ok(())
            })?;
        }
        Ok(dots)
    })
    .await
}
