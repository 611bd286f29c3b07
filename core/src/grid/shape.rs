//! How many blocks a base grid has, and in which shape.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The most blocks a plan can have: 36 bytes each as a literal, some 200 in memory.
pub const MAX_BLOCKS: u32 = 1 << 20;

/// A ratio of columns to rows, or of rows to columns, above which a shape is worth a warning.
const SLENDER: u32 = 8;

/// The smallest number of blocks that is not prime and holds `input_bytes` in blocks of
/// `block_bytes`; 1 counts as not prime.
///
/// A prime number would make a single row or column of slivers. The rule of 2017, but for its
/// floating-point division: there one block became 2, and two became 3.
///
/// # Errors
/// No bytes, no block size, or more than [`MAX_BLOCKS`] blocks.
pub fn blocks_for_bytes(input_bytes: u64, block_bytes: u64) -> Result<u32> {
    if block_bytes == 0 {
        return Err(Error::usage("block_bytes is 0, expected at least 1"));
    }
    if input_bytes == 0 {
        return Err(Error::data("the input has 0 bytes, expected at least one row"));
    }
    let mut blocks = input_bytes.div_ceil(block_bytes);
    if blocks <= u64::from(MAX_BLOCKS) {
        while blocks > 1 && smallest_factor(blocks) == blocks {
            blocks += 1;
        }
    }
    u32::try_from(blocks).ok().filter(|blocks| *blocks <= MAX_BLOCKS).ok_or_else(|| {
        Error::usage(format!(
            "block_bytes is {block_bytes}, which makes {blocks} blocks, expected at most \
             {MAX_BLOCKS}: raise it"
        ))
    })
}

/// The smallest prime factor of a number above 1.
fn smallest_factor(number: u64) -> u64 {
    (2..)
        .take_while(|factor| factor * factor <= number)
        .find(|factor| number.is_multiple_of(*factor))
        .unwrap_or(number)
}

/// Columns (longitude) and rows (latitude) of a grid, at most [`MAX_BLOCKS`] cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GridShape {
    columns: u32,
    rows: u32,
}

impl GridShape {
    /// A shape of this number of columns and rows.
    ///
    /// # Errors
    /// No column, no row, or more than [`MAX_BLOCKS`] cells.
    pub fn new(columns: u32, rows: u32) -> Result<Self> {
        let cells = u64::from(columns) * u64::from(rows);
        if cells == 0 || cells > u64::from(MAX_BLOCKS) {
            return Err(Error::usage(format!(
                "grid is {columns}x{rows}, expected at least 1x1 and at most {MAX_BLOCKS} blocks"
            )));
        }
        Ok(Self { columns, rows })
    }

    /// The shape of `blocks` blocks: prime factors in ascending order, dealt to columns and rows
    /// in turn, columns first. 40 gives 4x10, 94 gives 2x47.
    ///
    /// # Errors
    /// No block, or more than [`MAX_BLOCKS`].
    pub fn of_blocks(blocks: u32) -> Result<Self> {
        if blocks == 0 || blocks > MAX_BLOCKS {
            return Err(Error::usage(format!(
                "blocks is {blocks}, expected at least 1 and at most {MAX_BLOCKS}"
            )));
        }
        let (mut dealt_to, mut other) = (1, 1);
        let mut left = u64::from(blocks);
        let mut columns_next = true;
        while left > 1 {
            let factor = smallest_factor(left);
            left /= factor;
            dealt_to *= factor;
            std::mem::swap(&mut dealt_to, &mut other);
            columns_next = !columns_next;
        }
        let (columns, rows) = if columns_next { (dealt_to, other) } else { (other, dealt_to) };
        let narrow = |count| u32::try_from(count).expect("a divisor of a u32");
        Self::new(narrow(columns), narrow(rows))
    }

    /// Cells along the longitude.
    pub const fn columns(self) -> u32 {
        self.columns
    }

    /// Cells along the latitude.
    pub const fn rows(self) -> u32 {
        self.rows
    }

    /// Cells in all.
    pub const fn blocks(self) -> u32 {
        self.columns * self.rows
    }

    /// True if one side has over eight times as many cells as the other: worth a warning.
    pub const fn is_slender(self) -> bool {
        self.columns > self.rows.saturating_mul(SLENDER)
            || self.rows > self.columns.saturating_mul(SLENDER)
    }
}

impl fmt::Display for GridShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

impl FromStr for GridShape {
    type Err = Error;

    /// Reads `COLSxROWS`, as `16x10`.
    fn from_str(text: &str) -> Result<Self> {
        let (columns, rows) = text
            .split_once('x')
            .and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)))
            .ok_or_else(|| {
                Error::usage(format!("grid is '{text}', expected columns and rows such as 16x10"))
            })?;
        Self::new(columns, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // In units of 128 bytes, the table of the 2017 rule above two blocks.
    #[rstest]
    #[case(1, 1)]
    #[case(128, 1)]
    #[case(129, 4)]
    #[case(257, 4)]
    #[case(512, 4)]
    #[case(640, 6)]
    #[case(5000, 40)]
    #[case(12800, 100)]
    fn blocks_are_never_prime(#[case] bytes: u64, #[case] expected: u32) {
        assert_eq!(blocks_for_bytes(bytes, 128).unwrap(), expected);
    }

    #[rstest]
    #[case(0, 128, "the input has 0 bytes, expected at least one row")]
    #[case(1, 0, "block_bytes is 0, expected at least 1")]
    #[case(
        u64::MAX,
        1,
        "block_bytes is 1, which makes 18446744073709551615 blocks, expected at most 1048576: \
         raise it"
    )]
    fn senseless_sizes_are_refused(#[case] bytes: u64, #[case] block: u64, #[case] says: &str) {
        assert_eq!(blocks_for_bytes(bytes, block).unwrap_err().to_string(), says);
    }

    #[rstest]
    #[case(1, "1x1")]
    #[case(4, "2x2")]
    #[case(6, "2x3")]
    #[case(7, "7x1")]
    #[case(8, "4x2")]
    #[case(12, "6x2")]
    #[case(36, "6x6")]
    #[case(40, "4x10")]
    #[case(48, "12x4")]
    #[case(60, "6x10")]
    #[case(94, "2x47")]
    #[case(100, "10x10")]
    #[case(160, "8x20")]
    fn factors_are_dealt_in_turn(#[case] blocks: u32, #[case] expected: &str) {
        let shape = GridShape::of_blocks(blocks).unwrap();
        assert_eq!(shape.to_string(), expected);
        assert_eq!(shape, expected.parse().unwrap());
        assert_eq!(shape.is_slender(), blocks == 94);
    }

    #[rstest]
    #[case("16", "grid is '16', expected columns and rows such as 16x10")]
    #[case("0x10", "grid is 0x10, expected at least 1x1 and at most 1048576 blocks")]
    #[case("70000x70000", "grid is 70000x70000, expected at least 1x1 and at most 1048576 blocks")]
    fn senseless_shapes_are_refused(#[case] text: &str, #[case] says: &str) {
        assert_eq!(text.parse::<GridShape>().unwrap_err().to_string(), says);
    }
}
