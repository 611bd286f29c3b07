//! The rows of the input, as they were read: coordinates and ids, in ranges of rows that follow each
//! other.

use super::spill_store::{ListId, SpillStore};
use crate::error::Result;
use crate::splitmix;

/// Rows that follow each other: for each row `D` coordinates, and its id if there is one.
pub(crate) struct RowRange {
    pub(crate) list: ListId,
    pub(crate) first_row: u64,
}

/// All rows of the input, as they were read.
pub(crate) struct Points<const D: usize> {
    pub(crate) store: SpillStore,
    pub(crate) ranges: Vec<RowRange>,
    /// Words a row has.
    pub(crate) width: usize,
    /// All rows.
    pub(crate) rows: u64,
    /// Rows without a usable position.
    pub(crate) skipped: u64,
    /// The box around the others.
    pub(crate) lo: [f64; D],
    pub(crate) hi: [f64; D],
}

impl<const D: usize> Points<D> {
    /// The rows of a range: their number, place and id, skipped ones left out.
    pub(crate) fn rows_of(
        &self,
        range: &RowRange,
        words: &[u64],
        mut row: impl FnMut(u64, [f64; D], u64) -> Result<()>,
    ) -> Result<()> {
        for (number, words) in (range.first_row..).zip(words.chunks_exact(self.width)) {
            let place: [f64; D] = std::array::from_fn(|k| f64::from_bits(words[k]));
            if place[0].is_finite() {
                row(number, place, words.get(D).copied().unwrap_or(number))?;
            }
        }
        Ok(())
    }

    /// The largest magnitude of a coordinate.
    pub(crate) fn largest(&self) -> f64 {
        (0..D).map(|k| self.lo[k].abs().max(self.hi[k].abs())).fold(0.0, f64::max)
    }

    /// Rows with a usable position.
    pub(crate) fn usable(&self) -> u64 {
        self.rows - self.skipped
    }
}

/// Whole numbers as words in the same order.
pub(crate) fn ordered(id: i64) -> u64 {
    id.cast_unsigned() ^ (1 << 63)
}

/// The number of [`ordered`].
pub(crate) fn id_of(word: u64) -> i64 {
    (word ^ (1 << 63)).cast_signed()
}

/// Whether a row is among the chosen, of which there are about `wanted` in `rows`.
#[inline]
pub(crate) fn is_chosen(row: u64, wanted: u64, rows: u64) -> bool {
    u128::from(splitmix::hash(row)) * u128::from(rows) < u128::from(wanted) << 64
}
