//! One of n contiguous parts of a table's rows: `1/4`, `2/4`, `3/4`, `4/4`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The `index`-th of `count` contiguous slices, counted from 1. Joined in order they are the whole,
/// and their lengths differ by one row at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    index: u64,
    count: u64,
}

impl Slice {
    /// Everything: slice 1 of 1.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Slice `index` of `count`, with `1 <= index <= count`.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) for any other numbers.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        if index == 0 || index > count {
            let remedy = match count {
                0 => "expected a count of at least 1, for example 1/4".to_owned(),
                _ => format!("expected '1/{count}' to '{count}/{count}'"),
            };
            return Err(Error::usage(format!("slice is '{index}/{count}', {remedy}")));
        }
        Ok(Self { index, count })
    }

    /// The part of `rows` that belongs to this slice.
    pub fn of(self, rows: Range<u64>) -> Range<u64> {
        let length = u128::from(rows.end.saturating_sub(rows.start));
        let bound = |index: u64| {
            let before = length * u128::from(index) / u128::from(self.count);
            rows.start + u64::try_from(before).expect("a part of a length that fits")
        };
        bound(self.index - 1)..bound(self.index)
    }
}

impl Default for Slice {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Slice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some((index.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        let (index, count) = numbers.ok_or_else(|| {
            Error::usage(format!(
                "slice is '{text}', expected i/n with 1 <= i <= n, for example 1/4"
            ))
        })?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_follow_each_other_and_are_even(
            start in 0..1_u64 << 60, length in 0..1_u64 << 60, count in 1..200_u64,
        ) {
            let rows = start..start + length;
            let mut next = rows.start;
            for index in 1..=count {
                let part = Slice::new(index, count).unwrap().of(rows.clone());
                prop_assert_eq!(part.start, next);
                let size = part.end - part.start;
                prop_assert!(size == length / count || size == length / count + 1);
                next = part.end;
            }
            prop_assert_eq!(next, rows.end);
        }
    }

    #[test]
    fn a_slice_reads_as_it_prints() {
        assert_eq!("3/4".parse::<Slice>().unwrap().to_string(), "3/4");
        assert_eq!("1/1".parse::<Slice>().unwrap(), Slice::default());
    }

    #[test]
    fn other_texts_are_refused_with_the_remedy() {
        for (text, message) in [
            ("4", "slice is '4', expected i/n with 1 <= i <= n, for example 1/4"),
            ("-1/4", "slice is '-1/4', expected i/n with 1 <= i <= n, for example 1/4"),
            ("0/4", "slice is '0/4', expected '1/4' to '4/4'"),
            ("5/4", "slice is '5/4', expected '1/4' to '4/4'"),
            ("0/0", "slice is '0/0', expected a count of at least 1, for example 1/4"),
        ] {
            assert_eq!(text.parse::<Slice>().unwrap_err().to_string(), message);
        }
    }
}
