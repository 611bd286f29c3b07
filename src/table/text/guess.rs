//! What the first bytes of a file say of all of it, and whether its rows obey.
//!
//! The types of a file are those that hold every value, so they are known when all rows have been seen. A query
//! over one file may read it once instead of twice: it begins with what the first bytes say, and every value of
//! the columns that it names is looked at while it is read. What comes out counts only if a look at the whole
//! file would have found the same: each type, no comment, and records where each stream took one to begin.
//! Otherwise nothing of it is shown, and the query begins again with a look at the whole file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use arrow::datatypes::DataType;

use super::values::Seen;

/// A file as its first bytes show it.
#[derive(Debug)]
pub(crate) struct Guess {
    /// Its bytes.
    size: u64,
    /// The rows in its first bytes.
    pub(super) rows: u64,
    /// The places of the columns whose values are looked at, and what the first bytes show of them.
    pub(super) checked: Vec<(usize, Seen)>,
    passed: Mutex<BTreeMap<(u64, u64), Passed>>,
}

/// A range of a file whose rows have all been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    /// Where the first record is that begins in it or behind it, and the first behind it; `None` if there was
    /// nothing to read.
    pub(super) records: Option<(u64, u64)>,
    pub(super) rows: u64,
    /// What the checked columns have shown, the first bytes of the file included.
    pub(super) seen: Vec<Seen>,
    /// Comments between the records.
    pub(super) comments: u64,
    /// Whether a value holds a line end.
    pub(super) has_newlines: bool,
}

/// What is known of a file that was as it looked.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) rows: u64,
    pub(super) has_newlines: bool,
    /// What the checked columns have shown.
    pub(super) seen: Vec<(usize, Seen)>,
}

/// Behind the last record.
pub(super) const END: u64 = u64::MAX;

impl Guess {
    pub(super) fn new(size: u64, rows: u64, checked: Vec<(usize, Seen)>) -> Self {
        Self { size, rows, checked, passed: Mutex::default() }
    }

    /// Says that a range was read to its end.
    pub(super) fn pass(&self, range: &Range<u64>, passed: Passed) {
        let mut all = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((range.start, range.end), passed);
    }

    /// What is known if all of the file was read and is what a look at it would have found.
    pub(super) fn confirmed(&self) -> Option<Confirmed> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Confirmed { rows: 0, has_newlines: false, seen: self.checked.clone() };
        let (mut end, mut next) = (0, None);
        for ((from, to), range) in passed.iter() {
            if *from != end || range.comments > 0 {
                return None;
            }
            if let Some((first, behind)) = range.records {
                if next.is_some_and(|next| next != first) {
                    return None;
                }
                next = Some(behind);
            }
            end = *to;
            found.rows += range.rows;
            found.has_newlines |= range.has_newlines;
            for ((_, all), seen) in found.seen.iter_mut().zip(&range.seen) {
                *all = all.and(*seen);
            }
        }
        let holds = |(before, after): (&(usize, Seen), &(usize, Seen))| {
            let (before, after) = (before.1, after.1);
            type_of(before) == type_of(after)
                && before.has_decimal_commas() == after.has_decimal_commas()
        };
        let is_right = end >= self.size
            && next == Some(END)
            && self.checked.iter().zip(&found.seen).all(holds);
        is_right.then_some(found)
    }
}

/// The type of a column of a table: without values it is text.
fn type_of(seen: Seen) -> DataType {
    match seen.data_type() {
        DataType::Null => DataType::Utf8,
        known => known,
    }
}
