//! The type that holds every value of a column of text as it is written, and the values in that type.
//!
//! | type | values |
//! | --- | --- |
//! | `Int64` | digits, with `-` or, up to six digits, `+` before them; no leading zero |
//! | `UInt64` | the same where one is beyond `Int64` and none is negative |
//! | `Float64` | decimal numbers that a double holds, `NaN`, `inf`, and integers that it holds exactly |
//! | `Decimal128` | numbers that a double or an integer does not hold, up to 38 digits |
//! | `Boolean` | `true` and `false`, in letters of any case |
//! | `Date32` | `2024-02-29` |
//! | `Timestamp`, µs | `2024-02-29 12:30`, with seconds and up to six digits of one, or with `T`; no time zone |
//! | `Utf8` | all else: `07`, `1e`, times with a zone, kinds that do not mix |
//!
//! A double holds a decimal number if it prints the same digits again. Blanks around a value that is
//! not text do not count. An empty value is NULL and says nothing. The [words for NULL](NULLS) are NULL
//! in columns that are not text. A column without values is `Null`, which its reader takes for text.

use arrow::datatypes::{DataType, TimeUnit};

use super::numbers::{Plain, float64, int64, long_float64, not_finite, prints_again, rounds_to};
use super::times::{date, is_year, micros};

/// Words for NULL, in columns that are not text.
pub(crate) const NULLS: [&str; 5] = ["NULL", "null", "NA", "N/A", "\\N"];

/// What a column has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Kinds of values, as a set.
    kinds: u16,
    /// The most digits before and behind the point.
    whole: u8,
    fraction: u8,
}

/// An integer that a double holds exactly.
const INTEGER: u16 = 1;
/// Another integer of 64 bits.
const WIDE: u16 = 1 << 1;
/// A positive integer of 64 bits without a sign.
const UNSIGNED: u16 = 1 << 2;
/// A longer integer.
const HUGE: u16 = 1 << 3;
/// A number below 0.
const NEGATIVE: u16 = 1 << 4;
/// A decimal number that a double holds.
const FLOAT: u16 = 1 << 5;
/// A number with an exponent.
const DOUBLE: u16 = 1 << 6;
/// A decimal number that a double does not hold.
const EXACT: u16 = 1 << 7;
const BOOLEAN: u16 = 1 << 8;
const DATE: u16 = 1 << 9;
const TIMESTAMP: u16 = 1 << 10;
const TEXT: u16 = 1 << 11;
/// A word for NULL.
const WORD: u16 = 1 << 12;
/// A number with a decimal comma.
const COMMA: u16 = 1 << 13;
/// Text that is no number with a decimal comma.
const OTHER: u16 = 1 << 14;
/// Not a number, or infinite.
const NOT_FINITE: u16 = 1 << 15;

const MAX_DIGITS: u8 = 38;
const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

impl Seen {
    /// Adds a value.
    pub(crate) fn look_at(&mut self, value: &str, decimal: u8) {
        if self.is_settled() {
            return;
        }
        let trimmed = trim(value);
        let Some(first) = trimmed.as_bytes().first() else { return };
        self.kinds |= match first {
            // A number has no `-` behind four digits.
            b'0'..=b'9' if is_year(trimmed) => time(trimmed),
            b'0'..=b'9' | b'-' | b'+' | b'.' | b',' => self
                .plain_number(trimmed, decimal)
                .map(|(kind, ..)| kind)
                .or_else(|| self.number(trimmed, decimal))
                .or_else(|| time(trimmed)),
            b't' | b'T' | b'f' | b'F' => boolean(trimmed).map(|_| BOOLEAN),
            _ => None,
        }
        .or_else(|| is_null_word(trimmed).then_some(WORD))
        .or_else(|| not_finite(trimmed).map(|_| NOT_FINITE))
        .unwrap_or_else(|| match trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            true => TEXT, // a code
            false if decimal == b'.' && is_decimal_comma(trimmed) => TEXT | COMMA,
            false => TEXT | OTHER,
        });
    }

    /// Whether no value can change anything: text stays text, and no comma is why.
    #[inline]
    pub(crate) fn is_settled(self) -> bool {
        self.kinds & OTHER != 0
    }

    /// What both columns have shown.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            kinds: self.kinds | other.kinds,
            whole: self.whole.max(other.whole),
            fraction: self.fraction.max(other.fraction),
        }
    }

    /// The type of the column.
    pub(crate) fn data_type(self) -> DataType {
        const SMALL: u16 = INTEGER | WIDE;
        const INTEGERS: u16 = SMALL | UNSIGNED | HUGE;
        const NUMBERS: u16 = INTEGERS | FLOAT | EXACT;
        let kinds = self.kinds & !(WORD | NEGATIVE);
        let is_only = |some: u16| kinds & !some == 0;
        let decimal = || match self.whole.max(1) + self.fraction {
            digits @ ..=MAX_DIGITS => DataType::Decimal128(digits, self.fraction.cast_signed()),
            _ => DataType::Utf8,
        };
        match kinds {
            0 if self.kinds == 0 => DataType::Null,
            0 | NOT_FINITE => DataType::Utf8, // words alone are what they say
            _ if is_only(SMALL) => DataType::Int64,
            _ if is_only(SMALL | UNSIGNED) && self.kinds & NEGATIVE == 0 => DataType::UInt64,
            _ if is_only(INTEGER | FLOAT | DOUBLE | NOT_FINITE) => DataType::Float64,
            _ if is_only(NUMBERS) => decimal(),
            BOOLEAN => DataType::Boolean,
            DATE => DataType::Date32,
            TIMESTAMP => MICROS,
            _ => DataType::Utf8,
        }
    }

    /// Whether a column of this type holds every value.
    pub(crate) fn fits(self, data_type: &DataType) -> bool {
        let own = self.data_type();
        match (&own, data_type) {
            (_, DataType::Utf8) | (DataType::Null, _) => true,
            // The words for NULL alone.
            _ if self.is_empty() => true,
            (DataType::Int64, DataType::Float64) => self.kinds & WIDE == 0,
            (DataType::Int64, DataType::UInt64) => self.kinds & NEGATIVE == 0,
            (DataType::Utf8, DataType::Float64) => self.kinds & !(WORD | NEGATIVE) == NOT_FINITE,
            (own, other) => own == other,
        }
    }

    /// Whether the column is text because its numbers have a decimal comma.
    pub(crate) fn has_decimal_commas(self) -> bool {
        self.kinds & (COMMA | OTHER) == COMMA
    }

    /// Whether there is a value, and each is text.
    pub(crate) fn is_text(self) -> bool {
        self.kinds & TEXT != 0
    }

    /// Whether there are values, and each is a number.
    pub(crate) fn is_number(self) -> bool {
        let kinds = self.kinds & !(WORD | NEGATIVE);
        kinds != 0 && kinds & (BOOLEAN | DATE | TIMESTAMP | TEXT) == 0
    }

    /// Whether all values are integers.
    pub(crate) fn is_integer(self) -> bool {
        self.is_number() && self.kinds & (FLOAT | DOUBLE | EXACT | NOT_FINITE) == 0
    }

    /// Whether there is no value.
    pub(crate) fn is_empty(self) -> bool {
        self.kinds & !WORD == 0
    }

    /// Adds a value that is not NULL and has no blanks around it, and reads it as an integer.
    #[inline]
    pub(crate) fn int64(&mut self, value: &str, decimal: u8) -> Option<i64> {
        match self.plain_number(value, decimal) {
            Some((kind, plain, _)) => {
                self.kinds |= kind;
                plain.integer()
            }
            None => {
                self.look_at(value, decimal);
                int64(value)
            }
        }
    }

    /// The same as a double.
    #[inline]
    pub(crate) fn float64(&mut self, value: &str, decimal: u8) -> Option<f64> {
        match self.plain_number(value, decimal) {
            Some((kind, plain, known)) => {
                self.kinds |= kind;
                known.or_else(|| plain.double()).or_else(|| long_float64(value, decimal))
            }
            None => {
                self.look_at(value, decimal);
                float64(value, decimal)
            }
        }
    }

    /// The same as a time.
    #[inline]
    pub(crate) fn micros(&mut self, value: &str, decimal: u8) -> Option<i64> {
        let found = micros(value);
        match found {
            Some(_) => self.kinds |= TIMESTAMP,
            None => self.look_at(value, decimal),
        }
        found
    }

    /// What [`Self::number`] says of the numbers that most files hold: at most 18 digits without an
    /// exponent; and the double, if it took that. `None` if it must be asked.
    #[inline]
    fn plain_number(&mut self, value: &str, decimal: u8) -> Option<(u16, Plain, Option<f64>)> {
        let plain = Plain::of(value, decimal)?;
        let Plain { is_negative, number, whole, point, fraction } = plain;
        let mut double = None;
        let negative = if is_negative { NEGATIVE } else { 0 };
        let digits = whole + fraction;
        let written = &value.as_bytes()[usize::from(is_negative)..];
        let zeros = written[..whole].iter().take_while(|byte| **byte == b'0').count();
        let kind = match point {
            false if (zeros > 0 && whole > 1) || (number == 0 && negative != 0) => return None,
            false if digits <= 15 => INTEGER,
            false => {
                #[expect(clippy::cast_precision_loss, reason = "compared with what it came from")]
                #[expect(clippy::cast_possible_truncation, reason = "of 18 digits")]
                #[expect(clippy::cast_sign_loss, reason = "it has no sign")]
                let is_held = number as f64 as u64 == number;
                if is_held { INTEGER } else { WIDE }
            }
            // Doubles are less than half a unit of the last digit from it.
            true if number < 1 << (f64::MANTISSA_DIGITS - 1) => FLOAT,
            true if rounds_to(*double.insert(long_float64(value, decimal)?), number, fraction)? => {
                FLOAT
            }
            true => EXACT,
        };
        let length = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        self.whole = self.whole.max(length(whole - zeros));
        self.fraction = self.fraction.max(length(fraction));
        Some((kind | negative, plain, double))
    }

    /// The kind of a number; `None` if it is none, or a code such as 007.
    fn number(&mut self, value: &str, decimal: u8) -> Option<u16> {
        let (sign, unsigned) = match value.as_bytes()[0] {
            sign @ (b'-' | b'+') => (Some(sign), &value[1..]),
            _ => (None, value),
        };
        if sign.is_some() && not_finite(unsigned).is_some() {
            return Some(NOT_FINITE);
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once(char::from(decimal)) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = digits(whole)
            && fraction.is_none_or(digits)
            && whole.len() + fraction.map_or(0, str::len) > 0
            && exponent.is_none_or(|exponent| {
                let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                !exponent.is_empty() && digits(exponent)
            });
        let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_number || (has_leading_zero && fraction.is_none()) {
            return None;
        }
        let significant = whole.trim_start_matches('0');
        if exponent.is_none() {
            let short = |length: usize| u8::try_from(length).unwrap_or(u8::MAX / 2).min(100);
            self.whole = self.whole.max(short(significant.len()));
            self.fraction = self.fraction.max(short(fraction.map_or(0, str::len)));
        }
        let negative = if sign == Some(b'-') { NEGATIVE } else { 0 };
        let kind = match (fraction, exponent) {
            (None, None) if value == "-0" => FLOAT,
            // A number with a country before it is no number.
            (None, None) if sign == Some(b'+') && whole.len() > MAX_PLUS_DIGITS => return None,
            (None, None) => integer(value, whole.len())?,
            _ => {
                let is_held = significant.len() + fraction.map_or(0, str::len) <= 15
                    || prints_again(value, fraction.map_or(0, str::len), exponent, decimal);
                match (is_held, exponent) {
                    (true, None) => FLOAT,
                    (true, Some(_)) => DOUBLE,
                    (false, None) => EXACT,
                    (false, Some(_)) => return None,
                }
            }
        };
        Some(kind | negative)
    }
}

/// The most digits of an integer with `+`: longer ones are telephone numbers.
const MAX_PLUS_DIGITS: usize = 6;

fn integer(value: &str, digits: usize) -> Option<u16> {
    if digits <= 15 {
        return Some(INTEGER);
    }
    if let Ok(number) = value.parse::<i64>() {
        #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
        let is_held = number as f64 as i128 == i128::from(number);
        return Some(if is_held { INTEGER } else { WIDE });
    }
    match value.parse::<u64>() {
        Ok(_) => Some(UNSIGNED),
        Err(_) if digits <= usize::from(MAX_DIGITS) => Some(HUGE),
        Err(_) => None,
    }
}

/// `48,8566`: digits, a comma, digits.
fn is_decimal_comma(value: &str) -> bool {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    unsigned.split_once(',').is_some_and(|(whole, fraction)| digits(whole) && digits(fraction))
}

/// A value without the blanks around it.
#[inline]
pub(crate) fn trim(value: &str) -> &str {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    match is_blank(bytes.first()) || is_blank(bytes.last()) {
        true => value.trim_matches([' ', '\t']),
        false => value,
    }
}

/// Whether a value is NULL in columns that are not text.
#[inline]
pub(crate) fn is_null_word(value: &str) -> bool {
    matches!(value.as_bytes().first(), Some(b'N' | b'n' | b'\\')) && NULLS.contains(&value)
}

/// `true` or `false`.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    value.eq_ignore_ascii_case("false").then_some(false)
}

fn time(value: &str) -> Option<u16> {
    date(value).map(|_| DATE).or_else(|| micros(value).map(|_| TIMESTAMP))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn seen(values: &str) -> Seen {
        let mut seen = Seen::default();
        values.split(';').for_each(|value| seen.look_at(value, b'.'));
        seen
    }

    #[rstest]
    #[case("1;-2;0;", DataType::Int64)]
    #[case("+1; 2 ;-3", DataType::Int64)]
    #[case("+33612345678", DataType::Utf8)]
    #[case("1;2.5;1e3;.5;-0;+20.0; 20.0;020.0;-00.5;5.", DataType::Float64)]
    #[case("07;8", DataType::Utf8)]
    #[case("007", DataType::Utf8)]
    #[case("00", DataType::Utf8)]
    #[case("1;x", DataType::Utf8)]
    #[case("123456789012345678", DataType::Int64)]
    #[case("1234567890123456789;9223372036854775807;-9223372036854775808", DataType::Int64)]
    #[case("9223372036854775808;18446744073709551615;0", DataType::UInt64)]
    #[case("9223372036854775808;-1", DataType::Decimal128(19, 0))]
    #[case("18446744073709551616", DataType::Decimal128(20, 0))]
    #[case("123456789012345678901234567890123456789", DataType::Utf8)]
    #[case("123456789012345678;0.5", DataType::Decimal128(19, 1))]
    #[case("9007199254740992;0.5", DataType::Float64)]
    #[case("9007199254740993;0.5", DataType::Decimal128(17, 1))]
    #[case("9007199254740993;NaN", DataType::Utf8)]
    #[case("0.1234567890123456789;1", DataType::Decimal128(20, 19))]
    #[case("263.6462533418661;226.09963750763330", DataType::Float64)]
    #[case("6.663799999999999724e-01;0.10000000000000001", DataType::Float64)]
    #[case("1355058323832561.3;1355058323832561.2", DataType::Float64)]
    #[case("NaN;1.0;nan;inf;-inf;Infinity", DataType::Float64)]
    #[case("NaN;1", DataType::Float64)]
    #[case("inf;nan", DataType::Utf8)]
    #[case("1;NULL;null;NA;N/A;\\N", DataType::Int64)]
    #[case("1.5;NA", DataType::Float64)]
    #[case("NA;NULL", DataType::Utf8)]
    #[case("NA;FR", DataType::Utf8)]
    #[case("1e", DataType::Utf8)]
    #[case(".", DataType::Utf8)]
    #[case("true;false;;True;FALSE", DataType::Boolean)]
    #[case("true;1", DataType::Utf8)]
    #[case("t;f", DataType::Utf8)]
    #[case("2024-02-29;1999-12-31", DataType::Date32)]
    #[case("2023-02-29", DataType::Utf8)]
    #[case("2024-2-9", DataType::Utf8)]
    #[case("2024-02-29 12:30:00;2024-02-29T23:59:59.123456;2024-02-29 12:30", MICROS)]
    #[case("2024-02-29 12:30:00.1234567", DataType::Utf8)]
    #[case("2024-02-29T12:30:00+01:00", DataType::Utf8)]
    #[case("2024-02-29T12:30:00Z", DataType::Utf8)]
    #[case("2024-02-29 24:00:00", DataType::Utf8)]
    #[case("2024-02-29;2024-02-29 12:30:00", DataType::Utf8)]
    #[case("2024-02-29é", DataType::Utf8)]
    #[case("48,85", DataType::Utf8)]
    #[case(" ", DataType::Null)]
    #[case("", DataType::Null)]
    fn a_type_holds_every_value(#[case] values: &str, #[case] expected: DataType) {
        assert_eq!(seen(values).data_type(), expected, "{values}");
    }

    #[test]
    fn decimal_commas_are_told_apart_from_text() {
        assert!(seen("48,85;-2,1;3").has_decimal_commas());
        assert!(!seen("48,85;x").has_decimal_commas());
        assert!(!seen("01001;2").has_decimal_commas());
        assert!(!seen("48.85;3").has_decimal_commas());
        let mut seen = Seen::default();
        for value in ["48,85", "-2,1", "3"] {
            seen.look_at(value, b',');
        }
        assert_eq!(seen.data_type(), DataType::Float64);
        assert_eq!(float64("-12,30", b','), Some(-12.3));
        assert_eq!(float64("-12.30", b','), None);
    }

    #[test]
    fn two_columns_are_held_by_the_type_of_both() {
        let both = |a: &str, b: &str| seen(a).and(seen(b)).data_type();
        assert_eq!(both("1", "0.5"), DataType::Float64);
        assert_eq!(both("", "2024-02-29"), DataType::Date32);
        assert_eq!(both("true", "1"), DataType::Utf8);
        assert_eq!(both("NA", "1"), DataType::Int64);
        assert_eq!(both("9007199254740993", "0.25"), DataType::Decimal128(18, 2));
    }

    proptest! {
        /// What printers of doubles write is a double again: shortest, %.17g, %.18e, any %.nf.
        #[test]
        fn printed_doubles_are_doubles(number in any::<f64>(), places in 0_usize..25) {
            prop_assume!(number.is_finite());
            for text in [format!("{number:?}"), format!("{number:.16e}"), format!("{number:.18e}")] {
                let found = seen(&text).data_type();
                prop_assert!(matches!(found, DataType::Float64 | DataType::Int64), "{text}: {found}");
            }
            if number.abs() < 1e15 {
                let text = format!("{number:.places$}");
                let found = seen(&text).data_type();
                prop_assert!(matches!(found, DataType::Float64 | DataType::Int64), "{text}: {found}");
            }
        }

        /// The short way to a kind is the long way.
        #[test]
        fn plain_numbers_are_numbers(
            value in prop_oneof![
                "-?[0-9]{0,19}[.,]?[0-9]{0,18}",
                "-?[0-9]{1,3}[.][0-9]{12,17}",
                any::<f64>().prop_map(|number| number.to_string()),
                (0_u64..1 << 40, 0_i32..30).prop_map(|(n, by)| (n as f64 / 2_f64.powi(by)).to_string()),
                (0.0..360.0).prop_map(|number: f64| number.to_string()),
                (0.0..1.0).prop_map(|number: f64| format!("{number:.17}")),
            ],
            comma in any::<bool>(),
        ) {
            let decimal = if comma { b',' } else { b'.' };
            let (mut short, mut long) = (Seen::default(), Seen::default());
            if !value.is_empty() && let Some((kind, ..)) = short.plain_number(&value, decimal) {
                prop_assert_eq!(Some(kind), long.number(&value, decimal), "{}", value);
                prop_assert_eq!(short, long, "{}", value);
            }
        }

        /// What is looked at while it is read is as if it had been looked at before.
        #[test]
        fn a_value_that_is_read_is_looked_at(
            value in prop_oneof![
                "-?[0-9]{0,19}[.,]?[0-9]{0,18}",
                "[-+]?[0-9]{1,3}[.][0-9]{12,17}",
                "[-+]?[0-9]{1,16}",
                "[0-9]{4}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9](:[0-5][0-9]([.][0-9]{1,7})?)?)?",
                "NA|NaN|-inf|true|1e5|[ -~]{1,5}",
            ],
            comma in any::<bool>(),
        ) {
            let (value, decimal) = (trim(&value), if comma { b',' } else { b'.' });
            prop_assume!(!value.is_empty());
            let mut expected = Seen::default();
            expected.look_at(value, decimal);
            let [mut integer, mut double, mut time] = [Seen::default(); 3];
            let read = integer.int64(value, decimal);
            if expected.data_type() == DataType::Int64 {
                prop_assert_eq!(read, int64(value), "{}", value);
            }
            let read = double.float64(value, decimal).map(f64::to_bits);
            prop_assert_eq!(read, float64(value, decimal).map(f64::to_bits), "{}", value);
            prop_assert_eq!(time.micros(value, decimal), micros(value), "{}", value);
            prop_assert_eq!([integer, double, time], [expected; 3], "{}", value);
        }

        /// A type is only given if its reader takes the value.
        #[test]
        fn what_is_typed_is_read(value in "[-+]?[0-9]{0,20}[.]?[0-9]{0,4}(e[-+]?[0-9]{1,2})?") {
            let read = match seen(&value).data_type() {
                DataType::Int64 => int64(&value).is_some(),
                DataType::Float64 => float64(&value, b'.').is_some(),
                _ => true,
            };
            prop_assert!(read, "{value}");
        }
    }
}
