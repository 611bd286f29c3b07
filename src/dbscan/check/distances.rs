//! The k-distance curve: how far the `min_points`-th nearest row is, itself the first, for a sample of
//! rows. Sorted, it *is* the share of core rows as a function of eps (Ester et al. 1996, §4.2).
//!
//! All coordinates are held in memory: 16 bytes a row in the plane, 24 in space and on the sphere.

use datafusion::execution::memory_pool::MemoryConsumer;

use super::advise::{FEW_ROWS, percent};
use super::tree::KdTree;
use crate::dbscan::input::{Input, in_unit_of};
use crate::dbscan::options::{Params, Space, chord_arcsec};
use crate::dbscan::points::is_chosen;
use crate::dbscan::threads::{self, parallel_for};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer};
use crate::session::Session;
use crate::table::Source;

/// Shares of core rows, in percent, for which an eps is reported.
const SHARES: [u32; 5] = [50, 75, 90, 95, 99];

/// This share of rows or more that are core for any eps.
const SAME_PLACE_SHARE: f64 = 0.1;

/// The curve and what it advises. Distances are in the unit of the coordinates, on the sphere in arc
/// seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The distances of the sample, rising.
    pub distances: Vec<f64>,
    /// Which nearest row they are of.
    pub min_points: usize,
    /// Rows of the table with a usable position.
    pub rows: u64,
    /// `arcsec`, or nothing in the plane.
    pub unit: &'static str,
}

impl Curve {
    /// The eps at which this many percent of the rows are core.
    pub fn eps_of(&self, percent: u32) -> f64 {
        let rank = (self.distances.len() * percent as usize).div_ceil(100);
        self.distances[rank.clamp(1, self.distances.len()) - 1]
    }

    /// The eps of some shares of core rows, in percent.
    pub fn shares(&self) -> Vec<(u32, f64)> {
        SHARES.iter().map(|percent| (*percent, self.eps_of(*percent))).collect()
    }

    /// The share of the rows whose position `min_points` rows share: they are core for any eps.
    pub fn same_place(&self) -> f64 {
        let here = self.distances.partition_point(|distance| *distance <= 0.0);
        here as f64 / self.distances.len() as f64
    }

    /// Where the curve turns upwards: the place farthest below the straight line between its ends,
    /// both axes scaled to 1 (Satopää et al. 2011, doi 10.1109/ICDCSW.2011.20).
    pub fn knee(&self) -> f64 {
        let (first, last) = (self.distances[0], self.distances[self.distances.len() - 1]);
        let below = |(rank, distance): (usize, &f64)| {
            let along = rank as f64 / (self.distances.len() - 1).max(1) as f64;
            let up = if last > first { (distance - first) / (last - first) } else { 0.0 };
            (along - up, *distance)
        };
        let all = self.distances.iter().enumerate().map(below);
        all.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(first, |(_, distance)| distance)
    }
}

/// Measures the curve on about `sample` rows of `source`, chosen by a hash of their number.
///
/// # Errors
/// As [`run`](crate::dbscan::run); fewer rows than `min_points`; coordinates that do not fit the memory.
pub async fn measure(
    session: &Session,
    source: &Source,
    params: &Params,
    sample: u64,
    watch: &dyn Observer,
) -> Result<Curve> {
    let params = &in_unit_of(source, params)?;
    let input = Input::open(session, source, params)?;
    match params.dimensions() {
        2 => measure_in::<2>(&input, params, sample, watch).await,
        _ => measure_in::<3>(&input, params, sample, watch).await,
    }
}

async fn measure_in<const D: usize>(
    input: &Input,
    params: &Params,
    sample: u64,
    watch: &dyn Observer,
) -> Result<Curve> {
    let session = input.session();
    let points = input.read::<D>(watch).await?;
    let (rows, min_points) = (points.usable(), params.density().min_points());
    if rows < min_points as u64 {
        return Err(Error::data(format!(
            "'{}' has {rows} rows with a usable position, expected at least {min_points} (--min-points)",
            input.table.name
        )));
    }
    let bytes = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(size_of::<[f64; D]>());
    let room = MemoryConsumer::new("dbscan distances").register(&session.memory_pool());
    room.try_grow(bytes).map_err(|cause| {
        let mib = bytes >> 20;
        let message = format!("the positions of {rows} rows need {mib} MiB: raise --memory-limit");
        Error::new(Kind::Limit, message).caused_by(cause)
    })?;
    let (is_sky, total) = (matches!(params.space(), Space::Sky { .. }), points.rows);
    let (tree, chosen) = threads::run(move |thread| {
        let mut places = Vec::with_capacity(bytes / size_of::<[f64; D]>());
        let mut chosen = Vec::new();
        for range in &points.ranges {
            points.rows_of(range, &points.store.take(range.list, thread)?, |row, place, _| {
                places.push(place);
                if is_chosen(row, sample, total) {
                    chosen.push(place);
                }
                Ok(())
            })?;
        }
        // A hash may choose no row of a small table.
        chosen.extend(places.first().copied().filter(|_| chosen.is_empty()));
        Ok((KdTree::new(places, thread.watch())?, chosen))
    })
    .await?;
    let parts = parallel_for(session.streams(), chosen.len(), move |queue| {
        let mut distances = Vec::new();
        while let Some(index) = queue.next() {
            let squared = tree.nearest(&chosen[index], min_points, queue.thread().watch())?;
            let distance = squared.sqrt();
            distances.push(if is_sky { chord_arcsec(distance) } else { distance });
        }
        Ok(distances)
    });
    let parts = parts.await?;
    let distances = threads::run(move |_| {
        let mut distances: Vec<f64> = parts.into_iter().flatten().collect();
        distances.sort_by(f64::total_cmp);
        Ok(distances)
    })
    .await?;
    drop(room);
    let unit = if is_sky { "arcsec" } else { "" };
    let curve = Curve { distances, min_points, rows, unit };
    if let Some(flag) = same_place(&curve) {
        watch.report(Event::Warning(flag));
    }
    Ok(curve)
}

/// What the nearest rows say.
fn same_place(curve: &Curve) -> Option<String> {
    let share = curve.same_place();
    (curve.rows >= FEW_ROWS && share >= SAME_PLACE_SHARE).then(|| {
        format!(
            "{} of the rows are at a position that {} rows or more share, and are core for any eps: \
             raise --min-points, or remove duplicate positions",
            percent(share),
            curve.min_points
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_one_position_are_flagged() {
        let of = |same: usize, rows: u64| {
            let distances = (0..10).map(|row| if row < same { 0.0 } else { 1.0 }).collect();
            same_place(&Curve { distances, min_points: 4, rows, unit: "" })
        };
        assert_eq!((of(0, 1000), of(1, 99)), (None, None));
        let flag = of(3, 1000).expect("a flag");
        assert!(
            flag.starts_with("30.0 % of the rows are at a position that 4 rows or more share"),
            "{flag}"
        );
    }

    #[test]
    fn shares_are_ranks_and_the_knee_is_where_the_curve_turns() {
        let flat = (1..=90).map(f64::from);
        let steep = (1..=10).map(|i| 90.0 + 100.0 * f64::from(i));
        let distances = flat.chain(steep).collect();
        let curve = Curve { distances, min_points: 4, rows: 100, unit: "" };
        assert_eq!(curve.eps_of(50).to_bits(), 50f64.to_bits());
        assert_eq!(curve.eps_of(99).to_bits(), 990f64.to_bits());
        assert_eq!(curve.knee().to_bits(), 90f64.to_bits());
        assert_eq!(curve.same_place().to_bits(), 0f64.to_bits());
        let stacked = Curve { distances: vec![0.0, 0.0, 1.0, 2.0], ..curve.clone() };
        assert_eq!(stacked.same_place().to_bits(), 0.5f64.to_bits());
        let one = Curve { distances: vec![3.0], ..curve };
        assert_eq!(
            (one.eps_of(99).to_bits(), one.knee().to_bits()),
            (3f64.to_bits(), 3f64.to_bits())
        );
    }
}
