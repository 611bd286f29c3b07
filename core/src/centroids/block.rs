//! A block of rows, ready for the kernels: widened to floats, quantised, without unusable rows.
//!
//! A row with a NaN or an infinity is skipped, and so is one whose weight is zero or rounds to zero.
//! A value far outside the model's box and a negative or NaN weight are errors: sums would be wrong.

use super::fixed::{self, Scale, WEIGHT_LIMIT};
use super::kernel::{BLOCK, Lanes};
use super::model::{ModelSet, Weight};
use crate::error::{Error, Kind, Result};
use crate::isa::{Isa, Task};

/// A column of a batch in its own type.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each variant is the type it names")]
pub enum ColumnSlice<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// Runs `$body` with `$values` bound to the slice of whichever type the column has.
#[macro_export]
macro_rules! with_values {
    ($column:expr, $values:ident => $body:expr) => {
        match $column {
            $crate::centroids::block::ColumnSlice::I8($values) => $body,
            $crate::centroids::block::ColumnSlice::I16($values) => $body,
            $crate::centroids::block::ColumnSlice::I32($values) => $body,
            $crate::centroids::block::ColumnSlice::I64($values) => $body,
            $crate::centroids::block::ColumnSlice::U8($values) => $body,
            $crate::centroids::block::ColumnSlice::U16($values) => $body,
            $crate::centroids::block::ColumnSlice::U32($values) => $body,
            $crate::centroids::block::ColumnSlice::U64($values) => $body,
            $crate::centroids::block::ColumnSlice::F32($values) => $body,
            $crate::centroids::block::ColumnSlice::F64($values) => $body,
        }
    };
}
pub use with_values;

/// A type of column.
pub trait Number: Copy {
    /// The nearest float; beyond 2^53 integers are rounded.
    fn widen(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Number for $number {
            #[inline(always)]
            fn widen(self) -> f64 {
                self as f64
            }
        }
    )* };
}
numbers!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

/// The rows `start .. end` of a batch, and which of them to take.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first row.
    pub start: usize,
    /// One past the last row, at most [`BLOCK`] further.
    pub end: usize,
}

/// What to do with a row before its values are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Use it.
    Use,
    /// A used column is NULL: count it as skipped.
    Skip,
    /// A filter excludes it: it does not exist.
    Ignore,
}

/// Up to [`BLOCK`] usable rows. Reused from block to block: it allocates once.
#[derive(Debug)]
pub struct RowBlock {
    rows: usize,
    columns: usize,
    /// The coordinates, a column after another; rows past [`Self::rows`] hold anything.
    pub x: Vec<Lanes<f64>>,
    /// The shifted bits (see [`fixed`]) of the coordinates, then room for a caller's measures.
    pub measures: Vec<Lanes<i64>>,
    /// The quantised weights; only of weighted models.
    pub weights: Box<Lanes<i64>>,
    /// The row of the batch that each row of the block came from.
    pub origins: Box<Lanes<u32>>,
    /// Rows of the batch that cannot be used.
    pub skipped: Vec<u32>,
}

impl RowBlock {
    /// Room for rows of `columns` coordinates and `extra` measures.
    pub fn new(columns: usize, extra: usize) -> Self {
        Self {
            rows: 0,
            columns,
            x: vec![Lanes::filled(0.0); columns],
            measures: vec![Lanes::filled(0); columns + extra],
            weights: Box::new(Lanes::filled(1)),
            origins: Box::new(Lanes::filled(0)),
            skipped: Vec::with_capacity(BLOCK),
        }
    }

    /// How many usable rows it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        (self.x.len() + self.measures.len() + 2) * size_of::<Lanes<f64>>()
    }

    /// The coordinates of a row, with +0.0 for -0.0: equal rows have equal bits.
    pub fn coordinates(&self, row: usize) -> impl Iterator<Item = f64> {
        self.x.iter().map(move |column| column[row] + 0.0)
    }

    /// Reads the rows of `span`; without `take` all of them.
    ///
    /// # Errors
    /// Of a value far outside the box and of an unusable weight.
    pub fn load<'a>(
        &mut self,
        isa: Isa,
        models: &ModelSet,
        columns: impl Iterator<Item = ColumnSlice<'a>>,
        weight: Option<ColumnSlice<'a>>,
        span: Span,
        take: Option<impl Fn(usize) -> Take>,
    ) -> Result<()> {
        let whole = self.choose(span, take);
        let mut outside = 0;
        for (j, column) in columns.enumerate() {
            let scale = models.column_scale(j);
            let (x, bits) = (&mut self.x[j], &mut self.measures[j]);
            outside |= with_values!(column, values => if whole {
                let mut outside = 0;
                let (values, rows) = (&values[span.start..span.end], self.rows);
                let (x, bits) = (&mut x[..rows], &mut bits[..rows]);
                isa.run(Widen { values, factor: scale.factor(), x, bits, outside: &mut outside });
                outside
            } else {
                gather(values, scale, &self.origins[..self.rows], x, bits)
            });
        }
        match weight {
            Some(weight) => self.weed(models, |row| quantise_weight(models, weight, row)),
            None if outside != 0 => self.weed(models, |_| Ok(1)),
            None => Ok(()),
        }
    }

    /// Notes which rows to read; whether they are all of `span`.
    fn choose(&mut self, span: Span, take: Option<impl Fn(usize) -> Take>) -> bool {
        debug_assert!(span.end - span.start <= BLOCK);
        self.skipped.clear();
        let number = |row: usize| u32::try_from(row).expect("a batch has less than 2^32 rows");
        let first = number(span.start);
        let Some(take) = take else {
            self.rows = span.end - span.start;
            for (origin, row) in self.origins[..self.rows].iter_mut().zip(first..) {
                *origin = row;
            }
            return true;
        };
        self.rows = 0;
        for (row, origin) in (span.start..span.end).zip(first..) {
            match take(row) {
                Take::Use => {
                    self.origins[self.rows] = origin;
                    self.rows += 1;
                }
                Take::Skip => self.skipped.push(origin),
                Take::Ignore => {}
            }
        }
        self.rows == span.end - span.start
    }

    /// Looks at each row: drops the unusable ones, and finds out what else is wrong with them.
    fn weed(&mut self, models: &ModelSet, weigh: impl Fn(usize) -> Result<i64>) -> Result<()> {
        let mut kept = 0;
        for row in 0..self.rows {
            let weight = if self.is_finite(row) {
                self.check_inside(models, row)?;
                weigh(self.origins[row] as usize)?
            } else {
                0
            };
            if weight == 0 {
                self.skipped.push(self.origins[row]);
                continue;
            }
            for j in 0..self.columns {
                self.x[j][kept] = self.x[j][row];
                self.measures[j][kept] = self.measures[j][row];
            }
            self.origins[kept] = self.origins[row];
            self.weights[kept] = weight;
            kept += 1;
        }
        self.rows = kept;
        Ok(())
    }

    fn is_finite(&self, row: usize) -> bool {
        self.x.iter().all(|column| column[row].is_finite())
    }

    fn check_inside(&self, models: &ModelSet, row: usize) -> Result<()> {
        let outside = |j: &usize| !fixed::is_in_range(self.measures[*j][row]);
        let Some(j) = (0..self.columns).find(outside) else { return Ok(()) };
        let (lo, hi) = (models.bounds().lows[j], models.bounds().highs[j]);
        Err(outside_error(format_args!(
            "column {} holds {}, expected {lo} to {hi}",
            j + 1,
            self.x[j][row]
        )))
    }
}

/// A row that does not lie in the box the model was made for.
pub(super) fn outside_error(found: impl std::fmt::Display) -> Error {
    Error::new(
        Kind::Retry,
        format!("{found}: the input changed during the run, or the model is of other rows"),
    )
}

fn quantise_weight(models: &ModelSet, weight: ColumnSlice<'_>, row: usize) -> Result<i64> {
    let refused = |found: &dyn std::fmt::Display, expected: &str| {
        Err(Error::data(format!("a weight is {found}, expected {expected}")))
    };
    let (x, whole) = (with_values!(weight, w => w[row].widen()), weight.integer(row));
    match (models.bounds().weight, whole) {
        (Weight::Integer, Some(whole)) => match i64::try_from(whole) {
            Ok(w) if (0..=WEIGHT_LIMIT).contains(&w) => Ok(w),
            _ => refused(&whole, "0 to 2147483648"),
        },
        _ if !(x >= 0.0 && x.is_finite()) => refused(&x, "a finite number, not below 0"),
        _ => match models.weight_scale().quantise(x) {
            Some(w) if w <= WEIGHT_LIMIT => Ok(w),
            _ => Err(outside_error(format_args!("a weight is {x}, above the largest one"))),
        },
    }
}

impl ColumnSlice<'_> {
    /// The value of a row of an integer column.
    fn integer(&self, row: usize) -> Option<i128> {
        Some(match self {
            Self::I8(values) => values[row].into(),
            Self::I16(values) => values[row].into(),
            Self::I32(values) => values[row].into(),
            Self::I64(values) => values[row].into(),
            Self::U8(values) => values[row].into(),
            Self::U16(values) => values[row].into(),
            Self::U32(values) => values[row].into(),
            Self::U64(values) => values[row].into(),
            Self::F32(_) | Self::F64(_) => return None,
        })
    }
}

/// Widens and quantises consecutive rows.
struct Widen<'a, T> {
    values: &'a [T],
    factor: f64,
    x: &'a mut [f64],
    bits: &'a mut [i64],
    outside: &'a mut u64,
}

impl<T: Number> Task for Widen<'_, T> {
    #[inline(always)]
    fn run(self) {
        let mut outside = 0;
        let rows = self.x.iter_mut().zip(self.bits.iter_mut()).zip(self.values);
        for ((x, bits), value) in rows {
            *x = value.widen();
            *bits = fixed::shifted_bits(*x * self.factor);
            outside |= fixed::range_difference(*bits);
        }
        *self.outside = outside;
    }
}

/// Widens and quantises chosen rows.
fn gather<T: Number>(
    values: &[T],
    scale: Scale,
    origins: &[u32],
    x: &mut Lanes<f64>,
    bits: &mut Lanes<i64>,
) -> u64 {
    let (factor, mut outside) = (scale.factor(), 0);
    for (row, origin) in origins.iter().enumerate() {
        x[row] = values[*origin as usize].widen();
        bits[row] = fixed::shifted_bits(x[row] * factor);
        outside |= fixed::range_difference(bits[row]);
    }
    outside
}
