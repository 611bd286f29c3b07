//! Boxes around rows, and distances that are safe to skip by.
//!
//! Rounding is monotone: `lo <= x` gives `fl(lo - p) <= fl(x - p)`. A bound computed in the *same
//! expression* as d² is therefore a bound of the computed d² itself, to the bit, and compares with
//! eps² directly. Bounds moved by eps (`lo - eps`) would not be safe.

/// The smallest box around some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hull<const D: usize> {
    lo: [f64; D],
    hi: [f64; D],
}

impl<const D: usize> Hull<D> {
    /// Around one row.
    pub(super) fn at(place: [f64; D]) -> Self {
        Self { lo: place, hi: place }
    }

    /// Around the rows of `columns`, of which there is at least one.
    pub(super) fn around(columns: &[&[f64]; D]) -> Self {
        let bound = |k: usize, pick: fn(f64, f64) -> f64| {
            columns[k].iter().copied().reduce(pick).expect("a hull is around something")
        };
        Self {
            lo: std::array::from_fn(|k| bound(k, smaller)),
            hi: std::array::from_fn(|k| bound(k, larger)),
        }
    }

    /// Around `places`, of which there is at least one.
    pub(super) fn around_places(places: impl Iterator<Item = [f64; D]>) -> Self {
        let grown = |a: Self, b: Self| Self {
            lo: std::array::from_fn(|k| smaller(a.lo[k], b.lo[k])),
            hi: std::array::from_fn(|k| larger(a.hi[k], b.hi[k])),
        };
        places.map(Self::at).reduce(grown).expect("a hull is around something")
    }

    /// The longest side, and its axis.
    pub(super) fn longest(&self) -> (f64, usize) {
        let sides = (0..D).map(|k| (self.hi[k] - self.lo[k], k));
        sides.reduce(|a, b| if b.0 > a.0 { b } else { a }).expect("there is an axis")
    }

    /// No row here is nearer to `p` than this (squared).
    #[inline]
    pub(super) fn nearest(&self, p: &[f64; D]) -> f64 {
        squares::<D>(|k| larger(larger(self.lo[k] - p[k], p[k] - self.hi[k]), 0.0))
    }

    /// No row here is farther from `p` than this (squared).
    #[inline]
    pub(super) fn farthest(&self, p: &[f64; D]) -> f64 {
        squares::<D>(|k| larger(p[k] - self.lo[k], self.hi[k] - p[k]))
    }

    /// No two rows of the two boxes are nearer than this (squared).
    #[inline]
    pub(super) fn nearest_between(&self, other: &Self) -> f64 {
        squares::<D>(|k| larger(larger(self.lo[k] - other.hi[k], other.lo[k] - self.hi[k]), 0.0))
    }

    /// No two rows of the two boxes are farther apart than this (squared).
    #[inline]
    pub(super) fn farthest_between(&self, other: &Self) -> f64 {
        squares::<D>(|k| larger(self.hi[k] - other.lo[k], other.hi[k] - self.lo[k]))
    }
}

/// How many rows of `columns` are near `p`.
#[inline]
pub(super) fn count_near<const D: usize>(
    columns: &[&[f64]; D],
    p: &[f64; D],
    eps_squared: f64,
) -> usize {
    let rows = columns[0].len();
    let columns = columns.map(|column| &column[..rows]);
    let near = |i: usize| u64::from(squares::<D>(|k| columns[k][i] - p[k]) <= eps_squared);
    usize::try_from((0..rows).map(near).sum::<u64>()).expect("rows are counted in usize")
}

/// Whether a row of `columns` is near `p`.
#[inline]
pub(super) fn any_near<const D: usize>(
    columns: &[&[f64]; D],
    p: &[f64; D],
    eps_squared: f64,
) -> bool {
    /// Few enough that finding one early pays, enough to fill the lanes.
    const STRIDE: usize = 32;
    let rows = columns[0].len();
    (0..rows).step_by(STRIDE).any(|from| {
        let stride = columns.map(|column| &column[from..rows.min(from + STRIDE)]);
        count_near(&stride, p, eps_squared) > 0
    })
}

/// t(0)² + t(1)² (+ t(2)²), in this order and rounded after each operation.
#[inline(always)]
fn squares<const D: usize>(t: impl Fn(usize) -> f64) -> f64 {
    (1..D).fold(t(0) * t(0), |sum, k| sum + t(k) * t(k))
}

/// The maximum of two numbers that are not NaN; one instruction, which `f64::max` is not.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}
