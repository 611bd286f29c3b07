//! The type that holds every value of a column of text, and no other text than they are written in.
//!
//! | type | values |
//! | --- | --- |
//! | `Int64` | digits, `-` before them allowed; no leading zero, no `+`, at most 18 digits |
//! | `Float64` | such integers of at most 15 digits, so that none is rounded, or decimal numbers |
//! | `Boolean` | `true` and `false`, in small letters |
//! | `Date32` | `2024-02-29` |
//! | `Timestamp`, µs | `2024-02-29 12:30:00` or with `T`, up to six digits of a second, no time zone |
//! | `Utf8` | all else: `07`, `1e`, `NaN`, 30 digits, times with a zone, kinds that do not mix |
//!
//! An empty value is NULL and says nothing; a column without values is `Null`, which its reader
//! takes for text.

use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, TimeUnit};

/// The kinds of value a column has shown, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(u8);

const INTEGER: u8 = 1;
/// An integer that a float may not hold exactly.
const WIDE: u8 = 2;
const FLOAT: u8 = 4;
const BOOLEAN: u8 = 8;
const DATE: u8 = 16;
const TIMESTAMP: u8 = 32;
const TEXT: u8 = 64;

impl Seen {
    /// Adds a value.
    pub(super) fn look_at(&mut self, value: &str) {
        if self.0 & TEXT == 0 && !value.is_empty() {
            self.0 |= kind(value);
        }
    }

    /// The type of the column.
    pub(super) fn data_type(self) -> DataType {
        const NUMBERS: u8 = INTEGER | FLOAT;
        const INTEGERS: u8 = INTEGER | WIDE;
        match self.0 {
            0 => DataType::Null,
            INTEGER | WIDE | INTEGERS => DataType::Int64,
            FLOAT | NUMBERS => DataType::Float64,
            BOOLEAN => DataType::Boolean,
            DATE => DataType::Date32,
            TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8,
        }
    }
}

/// The type that holds the values of two columns; text where no other does.
pub(crate) fn wider(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => {
            DataType::Float64
        }
        _ => DataType::Utf8,
    }
}

fn kind(value: &str) -> u8 {
    match value.as_bytes()[0] {
        b'0'..=b'9' | b'-' | b'.' => number(value).or_else(|| time(value)).unwrap_or(TEXT),
        b't' | b'f' if matches!(value, "true" | "false") => BOOLEAN,
        _ => TEXT,
    }
}

fn number(value: &str) -> Option<u8> {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let is_number = digits(whole)
        && fraction.is_none_or(digits)
        && whole.len() + fraction.map_or(0, str::len) > 0
        && !leading_zero
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        });
    let is_integer = is_number && fraction.is_none() && exponent.is_none();
    match (is_number, is_integer, whole.len()) {
        (true, true, ..=15) if value != "-0" => Some(INTEGER),
        (true, true, ..=15) | (true, false, _) => Some(FLOAT),
        (true, true, ..=18) => Some(WIDE),
        _ => None,
    }
}

/// A day of the calendar, or a time of such a day without a zone.
fn time(value: &str) -> Option<u8> {
    let (day, rest) = value.split_at_checked(10)?;
    let is_day = has_shape(day, b"0000-00-00") && Date32Type::parse(day).is_some();
    if !is_day || rest.is_empty() {
        return is_day.then_some(DATE);
    }
    let (clock, fraction) = rest.split_at_checked(9)?;
    let clock = clock.strip_prefix(['T', ' '])?;
    let is_below = |range: std::ops::Range<usize>, limit: &str| &clock[range] < limit;
    let is_clock = has_shape(clock, b"00:00:00")
        && is_below(0..2, "24")
        && is_below(3..5, "60")
        && is_below(6..8, "60");
    let is_fraction = match fraction.strip_prefix('.') {
        Some(digits) => (1..=6).contains(&digits.len()) && has_shape(digits, b"000000"),
        None => fraction.is_empty(),
    };
    (is_clock && is_fraction).then_some(TIMESTAMP)
}

/// Whether `text` has a digit where `pattern` has one, and else its characters; it may be shorter.
fn has_shape(text: &str, pattern: &[u8]) -> bool {
    text.len() <= pattern.len()
        && text.bytes().zip(pattern).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => byte == *wanted,
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    #[rstest]
    #[case("1,-2,0,", DataType::Int64)]
    #[case("1,2.5,1e3,.5,-0", DataType::Float64)]
    #[case("07,8", DataType::Utf8)]
    #[case("1,x", DataType::Utf8)]
    #[case("123456789012345678", DataType::Int64)]
    #[case("1234567890123456789", DataType::Utf8)]
    #[case("123456789012345678,0.5", DataType::Utf8)]
    #[case("NaN,1.0", DataType::Utf8)]
    #[case("+1", DataType::Utf8)]
    #[case("1e", DataType::Utf8)]
    #[case(".", DataType::Utf8)]
    #[case("true,false,,true", DataType::Boolean)]
    #[case("true,1", DataType::Utf8)]
    #[case("True", DataType::Utf8)]
    #[case("2024-02-29,1999-12-31", DataType::Date32)]
    #[case("2023-02-29", DataType::Utf8)]
    #[case("2024-2-9", DataType::Utf8)]
    #[case("2024-02-29 12:30:00,2024-02-29T23:59:59.123456", MICROS)]
    #[case("2024-02-29 12:30:00.1234567", DataType::Utf8)]
    #[case("2024-02-29T12:30:00+01:00", DataType::Utf8)]
    #[case("2024-02-29T12:30:00Z", DataType::Utf8)]
    #[case("2024-02-29 24:00:00", DataType::Utf8)]
    #[case("2024-02-29,2024-02-29 12:30:00", DataType::Utf8)]
    #[case("2024-02-29é", DataType::Utf8)]
    #[case("", DataType::Null)]
    fn a_type_holds_every_value(#[case] values: &str, #[case] expected: DataType) {
        let mut seen = Seen::default();
        values.split(',').for_each(|value| seen.look_at(value));
        assert_eq!(seen.data_type(), expected, "{values}");
    }

    #[test]
    fn of_two_types_one_holds_both() {
        assert_eq!(wider(&DataType::Int64, &DataType::Float64), DataType::Float64);
        assert_eq!(wider(&DataType::Null, &DataType::Date32), DataType::Date32);
        assert_eq!(wider(&DataType::Boolean, &DataType::Int64), DataType::Utf8);
    }
}
