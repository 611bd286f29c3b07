//! The nearest centroid of each row of a block, with the same bits on every processor.
//!
//! `d² = ((t_0·t_0 + t_1·t_1) + t_2·t_2) + …` in the order of the columns, where `t_j = x_j − c_j`,
//! times `f_j` in a scaled model. No fused multiply-add, which would round once less and change
//! labels near ties, and no `‖x‖² − 2x·c + ‖c‖²`, which cancels. Ties go to the lowest cluster.
//!
//! There is one body, written for sixteen rows at a time and compiled once per instruction set
//! ([`Isa`]): all sets agree.

use std::ops::{Deref, DerefMut};

use super::model::Model;
use crate::isa::{Isa, Task};

/// How many rows the kernels take at once: the scratch of few columns stays in the first caches.
pub const BLOCK: usize = 512;

/// Rows whose best distance and label live in registers during the loop over clusters: two of the
/// widest registers, so that one comparison need not wait for the other.
const LANES: usize = 16;

/// One column of a block. It begins with a cache line, as wide loads like it.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct Lanes<T>([T; BLOCK]);

impl<T: Copy> Lanes<T> {
    /// Every row holds `value`.
    pub fn filled(value: T) -> Self {
        Self([value; BLOCK])
    }
}

impl<T> Deref for Lanes<T> {
    type Target = [T; BLOCK];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Lanes<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// For each row of a block: its cluster and how far away the nearest centroids are.
#[derive(Debug)]
pub struct Nearest {
    /// The squared distance to the nearest centroid.
    pub squared: Box<Lanes<f64>>,
    /// The squared distance to the second nearest; infinite in a model of one cluster. Only
    /// [`nearest_two`] sets it.
    pub second: Box<Lanes<f64>>,
    /// The cluster; 64 bits wide, like the distance it is chosen by.
    pub labels: Box<Lanes<u64>>,
}

impl Default for Nearest {
    fn default() -> Self {
        Self {
            squared: Box::new(Lanes::filled(0.0)),
            second: Box::new(Lanes::filled(f64::INFINITY)),
            labels: Box::new(Lanes::filled(0)),
        }
    }
}

impl Nearest {
    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.squared) + size_of_val(&*self.second) + size_of_val(&*self.labels)
    }
}

/// The centroids of one model, as the kernel reads them.
#[derive(Debug, Clone, Copy)]
pub struct Centroids<'a> {
    /// One cluster after another, each with a coordinate per column.
    pub coordinates: &'a [f64],
    /// What differences are multiplied by, a factor per column.
    pub factors: Option<&'a [f64]>,
}

impl<'a> Centroids<'a> {
    /// Those of `model`.
    pub fn of(model: &'a Model) -> Self {
        Self {
            coordinates: model.centroids.as_slice().expect("checked to lie in row order"),
            factors: model.factors.as_deref(),
        }
    }
}

/// Finds the nearest centroid of the first `rows` rows. Rows up to the next multiple of sixteen are
/// computed too, whatever they hold.
pub fn nearest(isa: Isa, x: &[Lanes<f64>], rows: usize, to: Centroids<'_>, out: &mut Nearest) {
    search::<false>(isa, x, rows, to, out);
}

/// [`nearest`], and the distance of the second nearest centroid.
pub fn nearest_two(isa: Isa, x: &[Lanes<f64>], rows: usize, to: Centroids<'_>, out: &mut Nearest) {
    search::<true>(isa, x, rows, to, out);
}

fn search<const SECOND: bool>(
    isa: Isa,
    x: &[Lanes<f64>],
    rows: usize,
    to: Centroids<'_>,
    out: &mut Nearest,
) {
    match to.factors {
        None => search_scaled::<SECOND, false>(isa, x, rows, to.coordinates, &[], out),
        Some(f) => search_scaled::<SECOND, true>(isa, x, rows, to.coordinates, f, out),
    }
}

fn search_scaled<const SECOND: bool, const SCALED: bool>(
    isa: Isa,
    x: &[Lanes<f64>],
    rows: usize,
    centroids: &[f64],
    factors: &[f64],
    out: &mut Nearest,
) {
    debug_assert!(rows <= BLOCK && centroids.len().is_multiple_of(x.len()));
    macro_rules! few {
        ($d:literal) => {
            isa.run(Few::<$d, SECOND, SCALED> {
                x: x.try_into().expect("matched on its length"),
                centroids: centroids.as_chunks().0,
                factors: if SCALED { factors.try_into().expect("checked") } else { [1.0; $d] },
                rows,
                out,
            })
        };
    }
    match x.len() {
        1 => few!(1),
        2 => few!(2),
        3 => few!(3),
        4 => few!(4),
        5 => few!(5),
        6 => few!(6),
        7 => few!(7),
        8 => few!(8),
        _ => isa.run(Many::<SECOND, SCALED> { x, centroids, factors, rows, out }),
    }
}

/// Up to eight columns: their number is a constant and the rows stay in registers.
struct Few<'a, const D: usize, const SECOND: bool, const SCALED: bool> {
    x: &'a [Lanes<f64>; D],
    centroids: &'a [[f64; D]],
    factors: [f64; D],
    rows: usize,
    out: &'a mut Nearest,
}

impl<const D: usize, const SECOND: bool, const SCALED: bool> Task for Few<'_, D, SECOND, SCALED> {
    #[inline(always)]
    fn run(self) {
        for at in (0..self.rows).step_by(LANES) {
            let mut x = [[0.0; LANES]; D];
            for (x, column) in x.iter_mut().zip(self.x) {
                x.copy_from_slice(&column[at..at + LANES]);
            }
            let mut best = Best::new();
            for (cluster, centroid) in self.centroids.iter().enumerate() {
                let mut squared = [0.0; LANES];
                for lane in 0..LANES {
                    for j in 0..D {
                        let mut t = x[j][lane] - centroid[j];
                        if SCALED {
                            t *= self.factors[j];
                        }
                        squared[lane] = if j == 0 { t * t } else { squared[lane] + t * t };
                    }
                }
                best.take::<SECOND>(&squared, cluster);
            }
            best.store::<SECOND>(self.out, at);
        }
    }
}

/// Any number of columns, read again for each cluster.
struct Many<'a, const SECOND: bool, const SCALED: bool> {
    x: &'a [Lanes<f64>],
    centroids: &'a [f64],
    factors: &'a [f64],
    rows: usize,
    out: &'a mut Nearest,
}

impl<const SECOND: bool, const SCALED: bool> Task for Many<'_, SECOND, SCALED> {
    #[inline(always)]
    fn run(self) {
        for at in (0..self.rows).step_by(LANES) {
            let mut best = Best::new();
            for (cluster, centroid) in self.centroids.chunks_exact(self.x.len()).enumerate() {
                let mut squared = [0.0; LANES];
                for (j, (column, center)) in self.x.iter().zip(centroid).enumerate() {
                    let x: &[f64; LANES] = column[at..].first_chunk().expect("blocks are whole");
                    for (squared, x) in squared.iter_mut().zip(x) {
                        let mut t = x - center;
                        if SCALED {
                            t *= self.factors[j];
                        }
                        *squared += t * t;
                    }
                }
                best.take::<SECOND>(&squared, cluster);
            }
            best.store::<SECOND>(self.out, at);
        }
    }
}

/// The nearest centroids so far of sixteen rows.
struct Best {
    squared: [f64; LANES],
    second: [f64; LANES],
    labels: [u64; LANES],
}

impl Best {
    #[inline(always)]
    fn new() -> Self {
        Self { squared: [f64::INFINITY; LANES], second: [f64::INFINITY; LANES], labels: [0; LANES] }
    }

    /// Compares with `<`: a tie stays with the cluster that came first.
    #[inline(always)]
    fn take<const SECOND: bool>(&mut self, squared: &[f64; LANES], cluster: usize) {
        if SECOND {
            // The larger of the two that compete for the first place competes for the second.
            for (lane, new) in squared.iter().enumerate() {
                let best = self.squared[lane];
                let passed = if *new < best { best } else { *new };
                let second = self.second[lane];
                self.second[lane] = if passed < second { passed } else { second };
            }
        }
        for (lane, squared) in squared.iter().enumerate() {
            let less = *squared < self.squared[lane];
            self.squared[lane] = if less { *squared } else { self.squared[lane] };
            self.labels[lane] = if less { cluster as u64 } else { self.labels[lane] };
        }
    }

    #[inline(always)]
    fn store<const SECOND: bool>(&self, out: &mut Nearest, at: usize) {
        out.squared[at..at + LANES].copy_from_slice(&self.squared);
        out.labels[at..at + LANES].copy_from_slice(&self.labels);
        if SECOND {
            out.second[at..at + LANES].copy_from_slice(&self.second);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One row after another, one cluster after another, as the definition reads.
    fn reference(row: &[f64], centroids: &[f64], factors: Option<&[f64]>) -> (u64, f64, f64) {
        let squared = |centroid: &[f64]| {
            let term = |j: usize| {
                let t = (row[j] - centroid[j]) * factors.map_or(1.0, |f| f[j]);
                t * t
            };
            (1..row.len()).fold(term(0), |sum, j| sum + term(j))
        };
        let all: Vec<f64> = centroids.chunks(row.len()).map(squared).collect();
        let label = (1..all.len()).fold(0, |best, c| if all[c] < all[best] { c } else { best });
        let others = all.iter().enumerate().filter(|(c, _)| *c != label).map(|(_, d)| *d);
        (label as u64, all[label], others.fold(f64::INFINITY, f64::min))
    }

    #[track_caller]
    fn check(rows: &[Vec<f64>], centroids: &[f64], factors: Option<&[f64]>) {
        let columns = rows[0].len();
        let mut x = vec![Lanes::filled(0.0); columns];
        for (i, row) in rows.iter().enumerate() {
            for j in 0..columns {
                x[j][i] = row[j];
            }
        }
        let to = Centroids { coordinates: centroids, factors };
        for isa in Isa::available() {
            let (mut one, mut two) = (Nearest::default(), Nearest::default());
            nearest(isa, &x, rows.len(), to, &mut one);
            nearest_two(isa, &x, rows.len(), to, &mut two);
            for (i, row) in rows.iter().enumerate() {
                let (label, squared, second) = reference(row, centroids, factors);
                assert_eq!((one.labels[i], two.labels[i]), (label, label), "{isa:?} row {i}");
                assert_eq!(one.squared[i].to_bits(), squared.to_bits(), "{isa:?} row {i}");
                assert_eq!(two.squared[i].to_bits(), squared.to_bits(), "{isa:?} row {i}");
                assert_eq!(two.second[i].to_bits(), second.to_bits(), "{isa:?} row {i}");
            }
        }
    }

    /// Coordinates on a coarse grid tie and repeat; others do neither.
    fn coordinate() -> impl Strategy<Value = f64> {
        prop_oneof![(-3..3i32).prop_map(f64::from), -100.0..100.0f64, Just(-0.0), Just(1e150)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn every_instruction_set_agrees_with_the_definition(
            (rows, centroids, factors) in (1..=10usize).prop_flat_map(|d| (
                prop::collection::vec(prop::collection::vec(coordinate(), d), 1..40),
                (1..20usize).prop_flat_map(move |k| prop::collection::vec(coordinate(), k * d)),
                prop::option::of(prop::collection::vec(0.0..3.0f64, d)),
            ))
        ) {
            check(&rows, &centroids, factors.as_deref());
        }
    }

    #[test]
    fn ties_go_to_the_lowest_cluster() {
        // 5 lies between 0 and 10; 10 is there twice.
        let rows = [vec![5.0], vec![10.0], vec![-1.0]];
        let x = {
            let mut x = vec![Lanes::filled(0.0)];
            for (i, row) in rows.iter().enumerate() {
                x[0][i] = row[0];
            }
            x
        };
        for isa in Isa::available() {
            let mut out = Nearest::default();
            let to = Centroids { coordinates: &[10.0, 0.0, 10.0], factors: None };
            nearest_two(isa, &x, 3, to, &mut out);
            assert_eq!(out.labels[..3], [0, 0, 1], "{isa:?}");
            assert_eq!(out.second[..3], [25.0, 0.0, 121.0], "{isa:?}");
        }
    }

    #[test]
    fn a_full_block_is_labelled_to_its_last_row() {
        let rows: Vec<Vec<f64>> =
            (0..BLOCK).map(|i| vec![f64::from(u16::try_from(i).unwrap()), 1.0]).collect();
        check(&rows, &[0.0, 0.0, 512.0, 1.0, 1023.0, 2.0], None);
    }
}
