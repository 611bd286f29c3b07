//! `--verify`: the labels of some rows against the definition, and of all rows against each other.
//!
//! Rows are chosen by a hash of their number and put into a plain grid of cells a hair wider than
//! eps; then all rows are read again, and each is compared with the chosen ones in the 3^D cells
//! around it. Neither blocks nor the core take part. A chosen row must be
//!
//! 1. core if and only if `min_points` rows are near it, itself included;
//! 2. in the cluster of every core row near it, if it is core;
//! 3. in the first of the clusters near it, if it is a border row;
//! 4. near no core row, if it is noise (with `--border noise` it may be).
//!
//! Of all rows: every number has a core row, and numbers are in the order of first core rows. Two
//! clusters wrongly joined are not seen here: `--verify full` clusters once more by other blocks.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dbscan::merge::row_labels::{LabelRange, RANGE_ROWS, RowKind, RowLabels};
use crate::dbscan::options::{Border, Params};
use crate::dbscan::points::{Points, is_chosen};
use crate::dbscan::threads::{self, BlockingThread, parallel_for};
use crate::error::{Error, Result};

/// A row that is looked at.
#[derive(Debug, Clone, Copy)]
struct Chosen<const D: usize> {
    row: u64,
    place: [f64; D],
    kind: RowKind,
}

/// What was found near a row.
#[derive(Debug, Clone, Copy, Default)]
struct Near {
    rows: u64,
    /// The first and the last number of a core row near.
    clusters: Option<(i64, i64)>,
}

/// Checks the labels of about `wanted` rows, and those of all rows against each other.
///
/// # Errors
/// The first row whose label is wrong, as a broken promise of this program.
pub(crate) async fn verify<const D: usize>(
    points: &Arc<Points<D>>,
    labels: &Arc<RowLabels>,
    params: &Params,
    wanted: u64,
    threads: usize,
) -> Result<()> {
    let chosen = choose(points, labels, wanted, threads).await?;
    let grid = ProbeGrid::new(points, params.density().eps());
    let near = look_around(points, labels, params, grid, chosen, threads).await?;
    let (labels, params) = (Arc::clone(labels), params.clone());
    threads::run(move |thread| {
        for (chosen, near) in &near {
            judge(chosen, near, &params)?;
        }
        check_numbers(&labels, params.options().id.is_none(), thread)
    })
    .await
}

/// Checks that two results label every row alike.
///
/// # Errors
/// They do not: a broken promise of this program.
pub(crate) async fn compare(labels: &Arc<RowLabels>, others: &Arc<RowLabels>) -> Result<()> {
    let (labels, others) = (Arc::clone(labels), Arc::clone(others));
    threads::run(move |thread| {
        for range in 0..labels.len() as u64 {
            if labels.range(range, thread)? != others.range(range, thread)? {
                return Err(Error::internal("the labels of other blocks are not the same"));
            }
        }
        Ok(())
    })
    .await
}

/// About `wanted` rows with their labels.
async fn choose<const D: usize>(
    points: &Arc<Points<D>>,
    labels: &Arc<RowLabels>,
    wanted: u64,
    threads: usize,
) -> Result<Vec<Chosen<D>>> {
    let (rows, labels) = (Arc::clone(points), Arc::clone(labels));
    let chosen = parallel_for(threads, points.ranges.len(), move |queue| {
        let mut reader = LabelReader::new(&labels, queue.thread());
        let mut chosen = Vec::new();
        while let Some(index) = queue.next() {
            let range = &rows.ranges[index];
            rows.rows_of(range, &rows.store.read(range.list, queue.thread())?, |row, place, _| {
                if is_chosen(row, wanted, rows.rows) {
                    chosen.push(Chosen { row, place, kind: reader.kind(row)? });
                }
                Ok(())
            })?;
        }
        Ok(chosen)
    });
    Ok(chosen.await?.into_iter().flatten().collect())
}

/// The chosen rows, each with what is near it.
async fn look_around<const D: usize>(
    points: &Arc<Points<D>>,
    labels: &Arc<RowLabels>,
    params: &Params,
    mut grid: ProbeGrid<D>,
    chosen: Vec<Chosen<D>>,
    threads: usize,
) -> Result<Vec<(Chosen<D>, Near)>> {
    let eps_squared = params.density().eps_squared();
    let (rows, labels) = (Arc::clone(points), Arc::clone(labels));
    let (grid, chosen) = threads::run(move |_| {
        grid.fill(&chosen);
        Ok((grid, Arc::new(chosen)))
    })
    .await?;
    let all = Arc::clone(&chosen);
    let parts = parallel_for(threads, points.ranges.len(), move |queue| {
        let mut reader = LabelReader::new(&labels, queue.thread());
        let mut near = vec![Near::default(); chosen.len()];
        while let Some(index) = queue.next() {
            let range = &rows.ranges[index];
            rows.rows_of(range, &rows.store.read(range.list, queue.thread())?, |row, place, _| {
                let mut kind = None;
                grid.around(&place, |number| {
                    queue.thread().check()?;
                    let other = chosen[number].place;
                    let t = |k: usize| place[k] - other[k];
                    let squared = (1..D).fold(t(0) * t(0), |sum, k| sum + t(k) * t(k));
                    if squared <= eps_squared {
                        let kind = match kind {
                            Some(kind) => kind,
                            None => *kind.insert(reader.kind(row)?),
                        };
                        near[number].add(kind);
                    }
                    Ok(())
                })
            })?;
        }
        Ok(near)
    });
    let parts = parts.await?;
    threads::run(move |_| {
        let mut near = vec![Near::default(); all.len()];
        for part in parts {
            near.iter_mut().zip(part).for_each(|(near, part)| near.join(part));
        }
        Ok(all.iter().copied().zip(near).collect())
    })
    .await
}

impl Near {
    fn add(&mut self, kind: RowKind) {
        self.rows += 1;
        if let RowKind::Core(cluster) = kind {
            self.join(Self { rows: 0, clusters: Some((cluster, cluster)) });
        }
    }

    fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.clusters = match (self.clusters, other.clusters) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
}

fn judge<const D: usize>(chosen: &Chosen<D>, near: &Near, params: &Params) -> Result<()> {
    let is_core = near.rows >= params.density().min_points() as u64;
    let expected = match (is_core, near.clusters, params.options().border) {
        (true, Some((first, last)), _) if first == last => RowKind::Core(first),
        (true, ..) => return Err(wrong(chosen, near, "core rows of one cluster near it")),
        (false, Some((first, _)), Border::First) => RowKind::Border(first),
        (false, ..) => RowKind::Noise,
    };
    if expected == chosen.kind {
        return Ok(());
    }
    let cluster = expected.cluster().unwrap_or_default();
    Err(wrong(chosen, near, &format!("{} of cluster {cluster}", expected.name())))
}

fn wrong<const D: usize>(chosen: &Chosen<D>, near: &Near, expected: &str) -> Error {
    let Chosen { row, kind, .. } = chosen;
    let cluster = kind.cluster().unwrap_or_default();
    Error::internal(format!(
        "row {row} is {} of cluster {cluster} with {} rows near, expected {expected}",
        kind.name(),
        near.rows
    ))
}

/// Every number has a core row; without ids numbers are in the order of these.
fn check_numbers(labels: &RowLabels, in_order: bool, thread: &BlockingThread) -> Result<()> {
    let mut has_core: Vec<bool> = Vec::new();
    let mut others = 0;
    for range in 0..labels.len() as u64 {
        for kind in labels.range(range, thread)?.kinds() {
            let (RowKind::Core(cluster) | RowKind::Border(cluster)) = kind else { continue };
            let cluster = usize::try_from(cluster)
                .map_err(|cause| Error::internal("a cluster below 0").caused_by(cause))?;
            if has_core.len() <= cluster {
                has_core.resize(cluster + 1, false);
            }
            if matches!(kind, RowKind::Core(_)) && !has_core[cluster] {
                if in_order && has_core[..cluster].last() == Some(&false) {
                    return Err(Error::internal(format!(
                        "cluster {cluster} begins before cluster {}",
                        cluster - 1
                    )));
                }
                has_core[cluster] = true;
                others += 1;
            }
        }
    }
    if others == has_core.len() {
        return Ok(());
    }
    Err(Error::internal(format!("{} clusters have no core row", has_core.len() - others)))
}

/// The label of any row; the labels around it are read with it.
struct LabelReader<'a> {
    labels: &'a RowLabels,
    thread: &'a BlockingThread,
    loaded: Option<(u64, LabelRange)>,
}

impl<'a> LabelReader<'a> {
    fn new(labels: &'a RowLabels, thread: &'a BlockingThread) -> Self {
        Self { labels, thread, loaded: None }
    }

    fn kind(&mut self, row: u64) -> Result<RowKind> {
        let range = row / RANGE_ROWS;
        let labels = match &self.loaded {
            Some((loaded, labels)) if *loaded == range => labels,
            _ => &self.loaded.insert((range, self.labels.range(range, self.thread)?)).1,
        };
        Ok(labels.kind(row % RANGE_ROWS))
    }
}

/// The chosen rows by cell.
struct ProbeGrid<const D: usize> {
    lo: [f64; D],
    side: f64,
    rows: HashMap<[i64; D], Vec<usize>>,
}

impl<const D: usize> ProbeGrid<D> {
    fn new(points: &Points<D>, eps: f64) -> Self {
        // A hair wider than eps, and never so narrow that rounding could miss a cell.
        let widest = (0..D).map(|k| points.hi[k] - points.lo[k]).fold(0.0, f64::max);
        let side = (eps * (1.0 + 2f64.powi(-20))).max(widest * 2f64.powi(-30));
        Self { lo: points.lo, side, rows: HashMap::new() }
    }

    fn fill(&mut self, chosen: &[Chosen<D>]) {
        for (number, chosen) in chosen.iter().enumerate() {
            self.rows.entry(self.cell(&chosen.place)).or_default().push(number);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding down below 2^31 is what is wanted"
    )]
    fn cell(&self, place: &[f64; D]) -> [i64; D] {
        std::array::from_fn(|k| ((place[k] - self.lo[k]) / self.side) as i64)
    }

    /// Calls `found` with the chosen rows in the cells around a place.
    fn around(&self, place: &[f64; D], mut found: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let cell = self.cell(place);
        for neighbour in 0..3_i64.pow(if D == 2 { 2 } else { 3 }) {
            let mut rest = neighbour;
            let at = cell.map(|index| {
                let step = rest % 3 - 1;
                rest /= 3;
                index + step
            });
            for chosen in self.rows.get(&at).into_iter().flatten() {
                found(*chosen)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbscan::options::Options;

    fn params(border: Border) -> Params {
        let column = |name: &str| Some(name.to_owned());
        let (x, y) = (column("x"), column("y"));
        let options =
            Options { x, y, eps: Some(1.0), min_points: Some(3), border, ..Options::default() };
        Params::new(options).unwrap()
    }

    #[test]
    fn about_as_many_rows_are_chosen_as_were_wanted() {
        let chosen = (0..100_000).filter(|row| is_chosen(*row, 4096, 100_000)).count();
        assert!((3800..4400).contains(&chosen), "{chosen}");
        assert!((0..50).all(|row| is_chosen(row, 4096, 50)));
    }

    #[test]
    fn a_wrong_label_is_found() {
        let judged = |kind, rows, clusters, border| {
            let chosen = Chosen { row: 7, place: [0.0, 0.0], kind };
            judge(&chosen, &Near { rows, clusters }, &params(border)).map_err(|e| e.to_string())
        };
        let first = Border::First;
        for right in [
            judged(RowKind::Core(2), 3, Some((2, 2)), first),
            judged(RowKind::Border(1), 2, Some((1, 4)), first),
            judged(RowKind::Noise, 2, None, first),
            judged(RowKind::Noise, 2, Some((1, 4)), Border::Noise),
        ] {
            right.unwrap();
        }
        for (wrong, said) in [
            (judged(RowKind::Core(2), 2, Some((2, 2)), first), "expected border of cluster 2"),
            (judged(RowKind::Core(2), 3, Some((2, 3)), first), "expected core rows of one cluster"),
            (judged(RowKind::Border(4), 2, Some((1, 4)), first), "expected border of cluster 1"),
            (judged(RowKind::Noise, 1, Some((0, 0)), first), "expected border of cluster 0"),
            (judged(RowKind::Border(0), 1, None, first), "expected noise"),
        ] {
            let message = wrong.unwrap_err();
            assert!(message.starts_with("row 7 is ") && message.contains(said), "{message}");
        }
    }
}
