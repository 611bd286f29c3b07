//! `angle_deg(text, unit)`: an angle as catalogues write it, in degrees.
//!
//! `00:42:44.35`, `+41 16 08.6`, `05h00m00s`, `-00d12m30s` and `41°16′08.6″` are sexagesimal: `h` says hours, of 15
//! degrees each, and `d` or `°` degrees; without a letter `unit` says it, 'hour' or 'deg'. A plain number is
//! degrees. NULL for NULL and for anything else: minutes and seconds are below 60.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};

use super::arguments::misused;
use super::sky_function::{SkyFunction, documented};

const NAME: &str = "angle_deg";

/// The function, for a session.
pub(super) fn angle_deg() -> ScalarUDF {
    let documentation = documented(
        "An angle as catalogues write it, in degrees: 00:42:44.35, +41 16 08.6, 05h00m00s, -00d12m30s, or a \
         number of degrees. NULL for anything else.",
        "angle_deg(text, unit)",
    )
    .with_argument("text", "The angle.")
    .with_argument("unit", "What three numbers without letters are in: 'hour' or 'deg'.")
    .with_sql_example("SELECT angle_deg('05:00:00', 'hour'), angle_deg('-00:12:30', 'deg')")
    .build();
    SkyFunction::new(NAME, (coerce as _, DataType::Float64), documentation, angles).udf()
}

fn coerce(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let is_text = |found: &DataType| found.is_string() || found.is_null();
    match types {
        [text, unit] if is_text(text) && is_text(unit) => Ok(vec![DataType::Utf8; 2]),
        [_, _] => misused(function, format_args!("expected two texts")),
        _ => misused(function, format_args!("found {} arguments, expected 2", types.len())),
    }
}

fn angles(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let [text, unit] = [0, 1].map(|index| arguments[index].to_array(rows));
    let (text, unit) = (text?, unit?);
    let (text, unit) = (text.as_string::<i32>(), unit.as_string::<i32>());
    let mut angles = Vec::with_capacity(rows);
    for (text, unit) in text.iter().zip(unit) {
        let in_hours = match unit {
            Some("hour") => true,
            Some("deg") | None => false,
            Some(other) => {
                return misused(NAME, format_args!("unit is '{other}', expected 'hour' or 'deg'"));
            }
        };
        angles.push(text.zip(unit).and_then(|(text, _)| angle(text.trim(), in_hours)));
    }
    Ok(Arc::new(Float64Array::from(angles)))
}

/// The angle in degrees.
fn angle(text: &str, in_hours: bool) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    let (is_negative, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (parts, in_hours) = parts(text, in_hours)?;
    let whole: f64 = digits(parts[0])?;
    let minutes: f64 = digits(parts[1])?;
    let seconds: f64 = if parts[2].is_empty() { 0.0 } else { decimal(parts[2])? };
    if minutes >= 60.0 || seconds >= 60.0 {
        return None;
    }
    let degrees = (whole * 3600.0 + minutes * 60.0 + seconds) / 3600.0;
    let degrees = if in_hours { degrees * 15.0 } else { degrees };
    Some(if is_negative { -degrees } else { degrees })
}

/// The three numbers of an angle, the last of which may be missing, and whether the first is hours.
fn parts(text: &str, in_hours: bool) -> Option<([&str; 3], bool)> {
    for (marks, is_hours) in [
        (["h", "m", "s"], true),
        (["d", "m", "s"], false),
        (["°", "'", "\""], false),
        (["°", "′", "″"], false),
    ] {
        if let Some((whole, rest)) = text.split_once(marks[0])
            && let Some((minutes, rest)) = rest.split_once(marks[1])
        {
            let seconds = rest.trim();
            let seconds = seconds.strip_suffix(marks[2]).unwrap_or(seconds);
            return Some(([whole.trim(), minutes.trim(), seconds.trim()], is_hours));
        }
    }
    let separator = if text.contains(':') { ':' } else { ' ' };
    let mut parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let found = [parts.next()?, parts.next()?, parts.next().unwrap_or("")];
    parts.next().is_none().then_some((found, in_hours))
}

fn digits(text: &str) -> Option<f64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn decimal(text: &str) -> Option<f64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Exact fractions of a degree; M 31 from SIMBAD.
    #[rstest]
    #[case("05:00:00", true, Some(75.0))]
    #[case("-00:12:30", false, Some(-0.208_333_333_333_333_34))]
    #[case("00:42:44.35", true, Some(10.684_791_666_666_666))]
    #[case("+41 16 08.6", false, Some(41.269_055_555_555_56))]
    #[case("05h00m00s", false, Some(75.0))]
    #[case("-00d12m30s", true, Some(-0.208_333_333_333_333_34))]
    #[case("41°16′30″", true, Some(41.275))]
    #[case("12:30", false, Some(12.5))]
    #[case(" 161.25 ", true, Some(161.25))]
    #[case("-58:38.58.4", false, None)]
    #[case("12:60:00", false, None)]
    #[case("12:00:60", false, None)]
    #[case("1:2:3:4", false, None)]
    #[case("x", false, None)]
    #[case("", false, None)]
    #[case("-inf", false, Some(f64::NEG_INFINITY))]
    fn angles_are_degrees(
        #[case] text: &str,
        #[case] in_hours: bool,
        #[case] expected: Option<f64>,
    ) {
        assert_eq!(angle(text.trim(), in_hours), expected, "{text}");
    }
}
