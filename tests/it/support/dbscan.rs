//! Slow answers to the questions of DBSCAN, and a plain way through its blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use pleiad::dbscan::local::{Density, Local, cluster};
use pleiad::dbscan::merge::{Merge, RowLabel};

/// The labels of scikit-learn, in quadratic time.
pub(crate) fn brute_force<const D: usize>(rows: &[[f64; D]], density: &Density) -> Vec<i64> {
    let near: Vec<_> = rows.iter().map(|p| all_near(rows, p, density)).collect();
    flood(&near, density.min_points())
}

/// What scikit-learn's `dbscan_inner` does with the rows near each row: rows are walked in order, a
/// cluster is flooded from the first core row without one, and a border row keeps the first flood.
pub(crate) fn flood(near: &[Vec<usize>], min_points: usize) -> Vec<i64> {
    let is_core = |row: usize| near[row].len() >= min_points;
    let mut labels = vec![-1; near.len()];
    let mut clusters = 0;
    for start in 0..near.len() {
        if labels[start] != -1 || !is_core(start) {
            continue;
        }
        let mut stack = vec![start];
        while let Some(row) = stack.pop() {
            if labels[row] == -1 {
                labels[row] = clusters;
                if is_core(row) {
                    stack.extend(near[row].iter().filter(|other| labels[**other] == -1));
                }
            }
        }
        clusters += 1;
    }
    labels
}

/// The rows near `p`: d² <= eps².
pub(crate) fn all_near<const D: usize>(
    rows: &[[f64; D]],
    p: &[f64; D],
    density: &Density,
) -> Vec<usize> {
    let near = |row: &usize| squared_distance(&rows[*row], p) <= density.eps() * density.eps();
    (0..rows.len()).filter(near).collect()
}

fn squared_distance<const D: usize>(p: &[f64; D], q: &[f64; D]) -> f64 {
    let (dx, dy) = (p[0] - q[0], p[1] - q[1]);
    let flat = dx * dx + dy * dy;
    if D == 2 { flat } else { flat + (p[2] - q[2]) * (p[2] - q[2]) }
}

/// A part of space, half open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region<const D: usize> {
    pub(crate) lo: [f64; D],
    pub(crate) hi: [f64; D],
}

impl<const D: usize> Region<D> {
    /// All of space.
    pub(crate) const EVERYWHERE: Self = Self { lo: [f64::NEG_INFINITY; D], hi: [f64::INFINITY; D] };

    /// The two sides of a plane.
    pub(crate) fn cut(self, axis: usize, at: f64) -> [Self; 2] {
        let (mut below, mut above) = (self, self);
        below.hi[axis] = at;
        above.lo[axis] = at;
        [below, above]
    }

    pub(crate) fn owns(&self, p: &[f64; D]) -> bool {
        (0..D).all(|k| self.lo[k] <= p[k] && p[k] < self.hi[k])
    }

    /// Whether the region may hold a row within `eps`; the expression of d², so never a no too much.
    fn near(&self, p: &[f64; D], eps: f64) -> bool {
        let gap = |k: usize| (self.lo[k] - p[k]).max(p[k] - self.hi[k]).max(0.0);
        squared_distance(&std::array::from_fn(gap), &[0.0; D]) <= eps * eps
    }
}

/// Space after cutting whichever region holds each of the points, at that point.
pub(crate) fn split_at<const D: usize>(cuts: &[(usize, [f64; D])]) -> Vec<Region<D>> {
    let mut regions = vec![Region::EVERYWHERE];
    for (axis, point) in cuts {
        let holder = regions.iter().position(|region| region.owns(point)).unwrap();
        let region = regions.swap_remove(holder);
        let halves = region.cut(axis % D, point[axis % D]);
        regions.extend(halves.into_iter().filter(|half| (0..D).all(|k| half.lo[k] < half.hi[k])));
    }
    regions
}

/// A block as a driver would make it.
pub(crate) struct Block<const D: usize> {
    /// Own rows, then margin rows.
    pub(crate) rows: Vec<[f64; D]>,
    /// The row number of each own row.
    pub(crate) ids: Vec<u64>,
}

/// The blocks of `regions`: every row goes to its owner and to each region within `margin`.
pub(crate) fn blocks<const D: usize>(
    rows: &[[f64; D]],
    regions: &[Region<D>],
    margin: f64,
) -> Vec<Block<D>> {
    let block = |region: &Region<D>| {
        let own = |row: &usize| region.owns(&rows[*row]);
        let margin = |row: &usize| !own(row) && region.near(&rows[*row], margin);
        let ids: Vec<usize> = (0..rows.len()).filter(own).collect();
        let all = ids.iter().copied().chain((0..rows.len()).filter(margin));
        Block {
            rows: all.map(|row| rows[row]).collect(),
            ids: ids.iter().map(|row| *row as u64).collect(),
        }
    };
    regions.iter().map(block).collect()
}

/// Each block of `regions` on its own.
pub(crate) fn locals<const D: usize>(
    rows: &[[f64; D]],
    regions: &[Region<D>],
    density: &Density,
) -> Vec<(Local<D>, Vec<u64>)> {
    let local = |(number, block): (usize, Block<D>)| {
        let others = regions.iter().enumerate().filter(|(other, _)| *other != number);
        let copied = |p: &[f64; D]| others.clone().any(|(_, other)| other.near(p, density.eps()));
        let own = block.ids.len();
        let local = cluster(block.rows, own, density, copied, &AtomicBool::new(false));
        (local.unwrap().expect("nothing stops it"), block.ids)
    };
    blocks(rows, regions, density.eps()).into_iter().enumerate().map(local).collect()
}

/// DBSCAN by the blocks `regions`: a label for each row, in the order of the input.
pub(crate) fn by_blocks<const D: usize>(
    rows: &[[f64; D]],
    regions: &[Region<D>],
    density: &Density,
) -> Vec<RowLabel> {
    let locals = locals(rows, regions, density);
    let mut merge = Merge::new();
    for (local, ids) in &locals {
        merge.add(&local.first_rows(ids), &local.contacts);
    }
    for (from, (local, _)) in locals.iter().enumerate() {
        for (owner, region) in regions.iter().enumerate() {
            let touches = local.contacts.touches.iter().copied();
            let touches: Vec<_> =
                touches.filter(|touch| region.owns(&touch.point.coordinates())).collect();
            merge.meet(owner, &locals[owner].0.contacts, from, &touches).unwrap();
        }
    }
    let numbers = merge.number(&AtomicBool::new(false)).unwrap().expect("nothing stops it");
    let mut labels = vec![RowLabel::Noise; rows.len()];
    for (block, (local, ids)) in locals.iter().enumerate() {
        for (label, id) in local.labels.iter().zip(ids) {
            labels[usize::try_from(*id).unwrap()] = numbers.label(block, *label);
        }
    }
    labels
}

/// The cluster of each row, noise as -1.
pub(crate) fn numbers(labels: &[RowLabel]) -> Vec<i64> {
    labels.iter().map(|label| label.cluster()).collect()
}

/// DBSCAN in one block.
pub(crate) fn whole<const D: usize>(rows: &[[f64; D]], density: &Density) -> Vec<RowLabel> {
    by_blocks(rows, &[Region::EVERYWHERE], density)
}

/// Clusters, core, border, ambiguous border and noise rows.
pub(crate) fn counts(labels: &[RowLabel]) -> (usize, usize, usize, usize, usize) {
    let clusters = numbers(labels).into_iter().max().map_or(0, |last| last + 1);
    let count = |is: fn(&RowLabel) -> bool| labels.iter().filter(|label| is(label)).count();
    (
        usize::try_from(clusters).unwrap(),
        count(|label| matches!(label, RowLabel::Core(_))),
        count(|label| matches!(label, RowLabel::Border { .. })),
        count(|label| matches!(label, RowLabel::Border { ambiguous: true, .. })),
        count(|label| *label == RowLabel::Noise),
    )
}

/// The same labels by other means: margins of twice eps and any DBSCAN in each block. Every copy of
/// a row near a block then has its true label there, so copies of one core row are one cluster.
pub(crate) fn by_wide_margins<const D: usize>(
    rows: &[[f64; D]],
    regions: &[Region<D>],
    density: &Density,
) -> Vec<i64> {
    let owner = |row: usize| regions.iter().position(|region| region.owns(&rows[row])).unwrap();
    let core: Vec<bool> =
        rows.iter().map(|p| all_near(rows, p, density).len() >= density.min_points()).collect();
    // Of each block, the label of each of its rows.
    let mut found: Vec<BTreeMap<usize, i64>> = Vec::new();
    for region in regions {
        let within: Vec<usize> =
            (0..rows.len()).filter(|row| region.near(&rows[*row], 2.0 * density.eps())).collect();
        let places: Vec<_> = within.iter().map(|row| rows[*row]).collect();
        found.push(within.into_iter().zip(brute_force(&places, density)).collect());
    }
    // Labels of one core row, near the regions whose labels they are, are one cluster.
    let mut groups: Vec<BTreeSet<(usize, i64)>> = Vec::new();
    for row in (0..rows.len()).filter(|row| core[*row]) {
        let near = |block: &usize| regions[*block].near(&rows[row], density.eps());
        let same = (0..regions.len()).filter(near).map(|block| (block, found[block][&row]));
        let mut group: BTreeSet<(usize, i64)> = same.collect();
        groups.retain_mut(|other| {
            let joined = !other.is_disjoint(&group);
            if joined {
                group.append(other);
            }
            !joined
        });
        groups.push(group);
    }
    let group_of = |row: usize| {
        let label = (owner(row), found[owner(row)][&row]);
        groups.iter().position(|group| group.contains(&label)).unwrap()
    };
    let mut numbers = BTreeMap::new();
    for row in (0..rows.len()).filter(|row| core[*row]) {
        let next = numbers.len();
        numbers.entry(group_of(row)).or_insert(next);
    }
    let label = |row: usize| {
        let near = all_near(rows, &rows[row], density).into_iter().filter(|other| core[*other]);
        let clusters = near.map(|other| numbers[&group_of(other)]);
        let own = if core[row] { Some(numbers[&group_of(row)]) } else { clusters.min() };
        own.map_or(-1, |number| i64::try_from(number).unwrap())
    };
    (0..rows.len()).map(label).collect()
}
