//! Dates and times as text writes them.

/// The days of a date since 1970.
pub(super) fn date(value: &str) -> Option<i32> {
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
pub(super) fn micros(value: &str) -> Option<i64> {
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

/// Whether four digits and a `-` come first.
pub(super) fn is_year(value: &str) -> bool {
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
        /// Dates are those of another reader.
        #[test]
        fn dates_are_days(year in 0_u32..10_000, month in 0_u32..14, day in 0_u32..33) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            prop_assert_eq!(date(&text), Date32Type::parse(&text), "{}", text);
        }
    }
}
