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

use std::cmp::Ordering;

use arrow::datatypes::{DataType, TimeUnit};

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

/// A number of at most 18 digits, as most files hold them: neither `+` nor an exponent.
#[derive(Clone, Copy)]
struct Plain {
    is_negative: bool,
    /// Its digits as an integer.
    number: u64,
    /// Digits before the point.
    whole: usize,
    /// Whether there is a point, and the digits behind it.
    point: bool,
    fraction: usize,
}

impl Plain {
    #[inline]
    fn of(value: &str, decimal: u8) -> Option<Self> {
        let unsigned = value.strip_prefix('-');
        let written = unsigned.unwrap_or(value).as_bytes();
        if written.len() > 19 {
            return None;
        }
        let (mut number, mut point, mut rest) = (0_u64, None, written);
        while let Some((byte, behind)) = rest.split_first() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                if let Some((digits, behind)) = rest.split_first_chunk()
                    && let Some(eight) = eight_digits(*digits)
                {
                    (number, rest) = (number * 100_000_000 + eight, behind);
                    continue;
                }
                number = number * 10 + u64::from(digit);
            } else if *byte == decimal && point.is_none() {
                point = Some(written.len() - rest.len());
            } else {
                return None;
            }
            rest = behind;
        }
        let (whole, fraction) = match point {
            Some(point) => (point, written.len() - point - 1),
            None => (written.len(), 0),
        };
        (1..=18).contains(&(whole + fraction)).then_some(Self {
            is_negative: unsigned.is_some(),
            number,
            whole,
            point: point.is_some(),
            fraction,
        })
    }

    /// The double that is nearest, if a division of two numbers that doubles hold gives it: that is rounded
    /// once (W. D. Clinger 1990, doi:10.1145/93548.93557).
    #[inline]
    fn double(&self) -> Option<f64> {
        if self.number > 1 << f64::MANTISSA_DIGITS {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a double holds both")]
        let number = self.number as f64 / POWERS_OF_TEN[self.fraction] as f64;
        Some(if self.is_negative { -number } else { number })
    }

    /// The integer, if there is no point.
    #[inline]
    fn integer(&self) -> Option<i64> {
        let number = self.number.cast_signed();
        (!self.point).then_some(if self.is_negative { -number } else { number })
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

/// The number that eight digits are.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    let bytes = u64::from_le_bytes(text);
    let digits = bytes.wrapping_sub(0x3030_3030_3030_3030);
    // A byte below `0` borrows, one above `9` carries: each into its highest bit.
    if (bytes.wrapping_add(0x4646_4646_4646_4646) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let [first, second] = [0, 16].map(|shift| (pairs >> shift) & 0x0000_00FF_0000_00FF);
    let first = first.wrapping_mul(0x000F_4240_0000_0064);
    let second = second.wrapping_mul(0x0000_2710_0000_0001);
    Some(first.wrapping_add(second) >> 32)
}

const POWERS_OF_TEN: [u64; 19] = {
    let (mut powers, mut power) = ([1; 19], 1);
    while power < powers.len() {
        powers[power] = powers[power - 1] * 10;
        power += 1;
    }
    powers
};

/// Whether a double is `number` with `places` digits behind the point if it is rounded to them. `None` for
/// what is not computed with integers, and between two numbers.
fn rounds_to(double: f64, number: u64, places: usize) -> Option<bool> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = double.to_bits() & !(1 << 63);
    let exponent = u32::try_from(bits >> FRACTION_BITS).ok().filter(|exponent| *exponent > 0)?;
    let mantissa = (bits & ((1 << FRACTION_BITS) - 1)) | (1 << FRACTION_BITS);
    // The double is the mantissa, divided so many times by two.
    let halvings =
        (1023 + FRACTION_BITS).checked_sub(exponent).filter(|n| (1..=126).contains(n))?;
    let scaled = u128::from(mantissa) * u128::from(*POWERS_OF_TEN.get(places)?);
    let (rounded, half) = (scaled >> halvings, 1_u128 << (halvings - 1));
    match (scaled & ((half << 1) - 1)).cmp(&half) {
        Ordering::Less => Some(rounded == u128::from(number)),
        Ordering::Equal => None,
        Ordering::Greater => Some(rounded + 1 == u128::from(number)),
    }
}

/// Whether the nearest double has the digits that are written.
fn prints_again(value: &str, places: usize, exponent: Option<&str>, decimal: u8) -> bool {
    let plain = value.trim_start_matches('+').replace(char::from(decimal), ".");
    let Ok(number) = plain.parse::<f64>() else { return false };
    let digits = |text: &str| -> String {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_start_matches('0').to_owned()
    };
    let printed = match exponent {
        // What is halfway between two such numbers may be printed as either.
        None if digits(&number.to_string()) == digits(&plain) => return true,
        None => format!("{number:.places$}"),
        Some(_) => {
            let significant = digits(&plain).len();
            format!("{number:.*e}", significant.saturating_sub(1))
        }
    };
    digits(&printed) == digits(&plain)
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

/// The words for what no digits say.
fn not_finite(value: &str) -> Option<f64> {
    let number = match value.len() {
        3 | 8 => value.to_ascii_lowercase(),
        _ => return None,
    };
    match (number.as_str(), value) {
        ("nan", "nan" | "NaN" | "NAN") => Some(f64::NAN),
        ("inf" | "infinity", _) => Some(f64::INFINITY),
        _ => None,
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    value.eq_ignore_ascii_case("false").then_some(false)
}

/// An integer as [`Seen`] takes one.
#[inline]
pub(crate) fn int64(value: &str) -> Option<i64> {
    match Plain::of(value, b'.').and_then(|plain| plain.integer()) {
        Some(number) => Some(number),
        None => value.parse().ok(),
    }
}

/// A double as [`Seen`] takes one.
#[inline]
pub(crate) fn float64(value: &str, decimal: u8) -> Option<f64> {
    match Plain::of(value, decimal).and_then(|plain| plain.double()) {
        Some(number) => Some(number),
        None => long_float64(value, decimal),
    }
}

fn long_float64(value: &str, decimal: u8) -> Option<f64> {
    match decimal {
        b'.' => value.parse().ok(),
        _ if value.contains('.') => None,
        _ => value.replace(char::from(decimal), ".").parse().ok(),
    }
}

/// The days of a date since 1970.
pub(crate) fn date(value: &str) -> Option<i32> {
    days(value.as_bytes().try_into().ok()?)
}

/// The days since 1970 of a date of the Gregorian calendar, as `2024-02-29`.
fn days(text: &[u8; 10]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let [century, of_century] = [two_digits(y1, y2)?, two_digits(y3, y4)?];
    let [year, month, day] = [century * 100 + of_century, two_digits(m1, m2)?, two_digits(d1, d2)?];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(is_leap),
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + of_year - 719_468)
}

fn two_digits(tens: u8, ones: u8) -> Option<i32> {
    let [tens, ones] = [tens, ones].map(|byte| byte.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i32::from(tens) * 10 + i32::from(ones))
}

/// The microseconds of a time since 1970.
pub(crate) fn micros(value: &str) -> Option<i64> {
    let (day, clock) = value.as_bytes().split_first_chunk::<10>()?;
    let (&[b'T' | b' ', h1, h2, b':', m1, m2], rest) = clock.split_first_chunk::<6>()? else {
        return None;
    };
    let ([s1, s2], fraction) = match rest {
        [] => ([b'0'; 2], &[][..]),
        [b':', s1, s2] => ([*s1, *s2], &[][..]),
        [b':', s1, s2, b'.', fraction @ ..] if !fraction.is_empty() => ([*s1, *s2], fraction),
        _ => return None,
    };
    let below = |limit: i32, number: Option<i32>| number.filter(|number| *number < limit);
    let hours = below(24, two_digits(h1, h2))?;
    let minutes = below(60, two_digits(m1, m2))?;
    let seconds = below(60, two_digits(s1, s2))?;
    if fraction.len() > 6 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| fraction.get(place).map_or(0, |byte| i64::from(byte - b'0'));
    let fraction = (0..6).fold(0, |number, place| number * 10 + digit(place));
    let of_day = i64::from((hours * 60 + minutes) * 60 + seconds);
    Some((i64::from(days(day)?) * 86_400 + of_day) * 1_000_000 + fraction)
}

fn time(value: &str) -> Option<u16> {
    date(value).map(|_| DATE).or_else(|| micros(value).map(|_| TIMESTAMP))
}

/// Whether four digits and a `-` come first.
fn is_year(value: &str) -> bool {
    let first = value.as_bytes().first_chunk::<5>();
    first.is_some_and(|[year @ .., dash]| *dash == b'-' && year.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use arrow::compute::kernels::cast_utils::Parser;
    use arrow::datatypes::Date32Type;
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

    /// Seconds from `date -u -d TEXT +%s`.
    #[rstest]
    #[case("1970-01-01 00:00", 0)]
    #[case("2024-02-29 12:30", 1_709_209_800_000_000)]
    #[case("2024-02-29T12:30:01.5", 1_709_209_801_500_000)]
    #[case("1969-12-31 23:59:59.999999", -1)]
    fn times_are_microseconds(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(micros(text), Some(expected));
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

        /// Numbers are those of the standard library, to the bit.
        #[test]
        fn plain_numbers_are_read(
            value in prop_oneof![
                "-?[0-9]{0,19}[.]?[0-9]{0,19}",
                "[-+]?[0-9]{1,16}[.][0-9]{1,6}",
                "[-+]?[0-9.e]{0,9}",
                (0_u64..1 << 54, 0_usize..20).prop_map(|(number, places)| {
                    let digits = format!("{number:0places$}");
                    let (whole, fraction) = digits.split_at(digits.len() - places);
                    format!("{whole}.{fraction}")
                }),
                any::<f64>().prop_map(|number| number.to_string()),
                any::<i64>().prop_map(|number| number.to_string()),
            ],
        ) {
            let expected = value.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(float64(&value, b'.').map(f64::to_bits), expected, "{}", value);
            let comma = value.replace('.', ",");
            prop_assert_eq!(float64(&comma, b',').map(f64::to_bits), expected, "{}", comma);
            prop_assert_eq!(int64(&value), value.parse().ok(), "{}", value);
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

        #[test]
        fn eight_digits_are_a_number(text in prop_oneof!["[0-9]{8}", "[0-9]{3,7}[!-~]{1,5}"]) {
            let Ok(bytes) = <[u8; 8]>::try_from(text.as_bytes()) else { return Ok(()) };
            let expected = bytes.iter().all(u8::is_ascii_digit).then(|| text.parse().unwrap());
            prop_assert_eq!(eight_digits(bytes), expected, "{}", text);
        }

        /// Dates are those of another reader.
        #[test]
        fn dates_are_days(year in 0_u32..10_000, month in 0_u32..14, day in 0_u32..33) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            prop_assert_eq!(date(&text), Date32Type::parse(&text), "{}", text);
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
