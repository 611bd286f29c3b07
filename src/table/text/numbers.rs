//! Numbers as text writes them.

use std::cmp::Ordering;

/// A number of at most 18 digits, as most files hold them: neither `+` nor an exponent.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) is_negative: bool,
    /// Its digits as an integer.
    pub(super) number: u64,
    /// Digits before the point.
    pub(super) whole: usize,
    /// Whether there is a point, and the digits behind it.
    pub(super) point: bool,
    pub(super) fraction: usize,
}

impl Plain {
    #[inline]
    pub(super) fn of(value: &str, decimal: u8) -> Option<Self> {
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
    pub(super) fn double(&self) -> Option<f64> {
        if self.number > 1 << f64::MANTISSA_DIGITS {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a double holds both")]
        let number = self.number as f64 / POWERS_OF_TEN[self.fraction] as f64;
        Some(if self.is_negative { -number } else { number })
    }

    /// The integer, if there is no point.
    #[inline]
    pub(super) fn integer(&self) -> Option<i64> {
        let number = self.number.cast_signed();
        (!self.point).then_some(if self.is_negative { -number } else { number })
    }
}

/// An integer as [`super::values::Seen`] takes one.
#[inline]
pub(super) fn int64(value: &str) -> Option<i64> {
    match Plain::of(value, b'.').and_then(|plain| plain.integer()) {
        Some(number) => Some(number),
        None => value.parse().ok(),
    }
}

/// A double as [`super::values::Seen`] takes one.
#[inline]
pub(super) fn float64(value: &str, decimal: u8) -> Option<f64> {
    match Plain::of(value, decimal).and_then(|plain| plain.double()) {
        Some(number) => Some(number),
        None => long_float64(value, decimal),
    }
}

pub(super) fn long_float64(value: &str, decimal: u8) -> Option<f64> {
    match decimal {
        b'.' => value.parse().ok(),
        _ if value.contains('.') => None,
        _ => value.replace(char::from(decimal), ".").parse().ok(),
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
pub(super) fn rounds_to(double: f64, number: u64, places: usize) -> Option<bool> {
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
pub(super) fn prints_again(
    value: &str,
    places: usize,
    exponent: Option<&str>,
    decimal: u8,
) -> bool {
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

/// The words for what no digits say.
pub(super) fn not_finite(value: &str) -> Option<f64> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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

        #[test]
        fn eight_digits_are_a_number(text in prop_oneof!["[0-9]{8}", "[0-9]{3,7}[!-~]{1,5}"]) {
            let Ok(bytes) = <[u8; 8]>::try_from(text.as_bytes()) else { return Ok(()) };
            let expected = bytes.iter().all(u8::is_ascii_digit).then(|| text.parse().unwrap());
            prop_assert_eq!(eight_digits(bytes), expected, "{}", text);
        }
    }
}
