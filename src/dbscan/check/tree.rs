//! The distance to the k-th nearest row: a k-d tree (Bentley, CACM 18, 1975) that is the rows
//! themselves, in the order of medians.
//!
//! Exact: a half is passed over only if its plane is farther (squared) than the k-th row found, which
//! is safe by monotony of rounding.

use std::collections::BinaryHeap;

use crate::error::Result;
use pleiad_core::dbscan::sort::select;
use pleiad_core::dbscan::{Watch, stopped};

/// Rows that are not divided further.
const LEAF: usize = 24;

/// Rows in the order of a tree: the median of a range divides it, on axes in turn.
pub(crate) struct KdTree<const D: usize> {
    rows: Vec<[f64; D]>,
}

impl<const D: usize> KdTree<D> {
    /// A tree of rows with finite coordinates.
    ///
    /// # Errors
    /// It has been asked to stop.
    pub(crate) fn new(mut rows: Vec<[f64; D]>, watch: Watch<'_>) -> Result<Self> {
        let mut open = vec![(0, rows.len(), 0)];
        while let Some((from, to, axis)) = open.pop() {
            if to - from > LEAF {
                let middle = usize::midpoint(from, to);
                let by = |a: &[f64; D], b: &[f64; D]| a[axis].total_cmp(&b[axis]);
                select(&mut rows[from..to], middle - from, watch, by).ok_or_else(stopped)?;
                open.push((from, middle, (axis + 1) % D));
                open.push((middle + 1, to, (axis + 1) % D));
            }
        }
        Ok(Self { rows })
    }

    /// The squared distance from `p` to the `k`-th nearest row, from 1; of all if there are fewer.
    ///
    /// # Errors
    /// It has been asked to stop.
    pub(crate) fn nearest(&self, p: &[f64; D], k: usize, watch: Watch<'_>) -> Result<f64> {
        // Squares are not negative: their bits are in their order.
        let mut best: BinaryHeap<u64> = BinaryHeap::with_capacity(k + 1);
        // A range, its axis, and how far it is away at least.
        let mut open = vec![(0, self.rows.len(), 0, 0.0)];
        while let Some((from, to, axis, away)) = open.pop() {
            watch.check()?;
            let farthest = match best.peek() {
                Some(farthest) if best.len() >= k => f64::from_bits(*farthest),
                _ => f64::INFINITY,
            };
            if away > farthest {
                continue;
            }
            if to - from <= LEAF {
                self.rows[from..to].iter().for_each(|row| offer(&mut best, k, p, row));
                continue;
            }
            let middle = usize::midpoint(from, to);
            let row = &self.rows[middle];
            offer(&mut best, k, p, row);
            let gap = p[axis] - row[axis];
            let next = (axis + 1) % D;
            let (left, right) = ((from, middle), (middle + 1, to));
            let (near, far) = if gap < 0.0 { (left, right) } else { (right, left) };
            open.push((far.0, far.1, next, f64::max(away, gap * gap)));
            open.push((near.0, near.1, next, away));
        }
        Ok(best.peek().map_or(0.0, |farthest| f64::from_bits(*farthest)))
    }
}

fn offer<const D: usize>(best: &mut BinaryHeap<u64>, k: usize, p: &[f64; D], row: &[f64; D]) {
    let t = |k: usize| row[k] - p[k];
    let squared = (1..D).fold(t(0) * t(0), |sum, k| sum + t(k) * t(k)).to_bits();
    if best.len() < k {
        best.push(squared);
    } else if best.peek().is_some_and(|farthest| squared < *farthest) {
        best.pop();
        best.push(squared);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_sorting_all_distances_finds(
            rows in prop::collection::vec(prop::array::uniform3((0i8..9).prop_map(f64::from)), 1..200),
            k in 1usize..30,
        ) {
            let stop = AtomicBool::new(false);
            let watch = Watch::new(&stop);
            let tree = KdTree::new(rows.clone(), watch).unwrap();
            let k = k.min(rows.len());
            for p in &rows {
                let squared = |row: &[f64; 3]| (0..3).map(|i| (row[i] - p[i]).powi(2)).sum::<f64>();
                let mut all: Vec<f64> = rows.iter().map(squared).collect();
                all.sort_by(f64::total_cmp);
                prop_assert_eq!(tree.nearest(p, k, watch).unwrap().to_bits(), all[k - 1].to_bits());
            }
        }
    }
}
