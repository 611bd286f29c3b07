//! The labels of all rows, in the order of the input: a word a row, range by range.

use std::ops::Range;

use super::RowLabel;
use crate::dbscan::options::Border;
use crate::dbscan::spill_store::{ListId, SpillStore};
use crate::dbscan::threads::BlockingThread;
use crate::error::Result;

/// Rows of a range: rows are put into order range by range. 2^21.
pub(crate) const RANGE_ROWS: u64 = 1 << RANGE_BITS;
pub(crate) const RANGE_BITS: u32 = 21;
const KIND_BITS: u32 = 2;

/// What a row is, in its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Skipped,
    Core(i64),
    Border(i64),
    Noise,
}

impl RowKind {
    /// The kind as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Core(_) => "core",
            Self::Border(_) => "border",
            Self::Noise => "noise",
        }
    }

    /// The cluster as it is written: noise is -1, and a row without a usable position has none.
    pub(crate) fn cluster(self) -> Option<i64> {
        match self {
            Self::Skipped => None,
            Self::Core(cluster) | Self::Border(cluster) => Some(cluster),
            Self::Noise => Some(-1),
        }
    }

    /// The kind of the word of a row, its place in the range already taken off; 0 is skipped.
    fn of(word: u64) -> Self {
        let cluster = (word >> KIND_BITS).cast_signed();
        match word & 3 {
            0 => Self::Skipped,
            1 => Self::Core(cluster),
            2 => Self::Border(cluster),
            _ => Self::Noise,
        }
    }
}

pub(crate) fn word(label: RowLabel, border: Border) -> u64 {
    match label {
        RowLabel::Core(cluster) => cluster << KIND_BITS | 1,
        RowLabel::Border { cluster, .. } if border == Border::First => cluster << KIND_BITS | 2,
        RowLabel::Border { .. } | RowLabel::Noise => 3,
    }
}

/// The labels of all rows, range by range.
pub(crate) struct RowLabels {
    pub(crate) store: SpillStore,
    pub(crate) ranges: Vec<Vec<ListId>>,
    /// All rows, skipped ones too.
    pub(crate) rows: u64,
}

impl RowLabels {
    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The rows of a range, in order. It stays.
    pub(crate) fn range(&self, range: u64, thread: &BlockingThread) -> Result<LabelRange> {
        let rows = (self.rows - range * RANGE_ROWS).min(RANGE_ROWS);
        let mut words = vec![0; to_usize(rows)];
        for list in &self.ranges[to_usize(range)] {
            for word in self.store.read(*list, thread)?.iter() {
                words[to_usize(word % RANGE_ROWS)] = word >> RANGE_BITS;
            }
        }
        Ok(LabelRange { words })
    }
}

/// A place in a list.
pub(crate) fn to_usize(place: u64) -> usize {
    usize::try_from(place).expect("ranges and their rows are counted in usize")
}

/// The labels of rows that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LabelRange {
    words: Vec<u64>,
}

impl LabelRange {
    /// The labels of all rows of the range.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = RowKind> + '_ {
        self.words.iter().map(|word| RowKind::of(*word))
    }

    /// The label of one row of the range.
    pub(crate) fn kind(&self, row: u64) -> RowKind {
        RowKind::of(self.words[to_usize(row)])
    }

    /// The labels of some rows of the range.
    pub(crate) fn part(&self, rows: Range<u64>) -> impl Iterator<Item = RowKind> + '_ {
        self.words[to_usize(rows.start)..to_usize(rows.end)].iter().map(|word| RowKind::of(*word))
    }
}
