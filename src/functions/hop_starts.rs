//! `hop_starts(ts, slide, size)`: the starts of the windows that hold a time, in order, as a list.
//!
//! A window begins at each multiple of `slide` since 1970-01-01T00:00:00Z, before it too, and holds the times
//! from its start up to `size` later, without the end: `start <= ts < start + size`. The intervals are constants
//! without months. NULL for a time that is NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::sections::TIME;
use crate::error::Error;

/// Windows that may hold one time.
const MOST: i64 = 100_000;

/// The function, for a session.
pub(super) fn hop_starts() -> ScalarUDF {
    let documentation = Documentation::builder(
        TIME,
        "The starts of the windows that hold a time, as a list: windows of one size that begin at each \
         multiple of slide since 1970 and overlap if slide is less than size.",
        "hop_starts(ts, slide, size)",
    )
    .with_argument("ts", "A timestamp.")
    .with_argument("slide", "From the start of a window to that of the next, an interval.")
    .with_argument("size", "From the start of a window to its end, which is not in it, an interval.")
    .with_sql_example(
        "SELECT hop_starts(TIMESTAMP '2021-04-27 22:25:07', INTERVAL '5 seconds', INTERVAL '10 seconds')",
    )
    .build();
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(HopStarts { signature, documentation })
}

/// Nanoseconds of a constant interval that says no months, as the argument `what` of `function`.
pub(super) fn nanoseconds(function: &str, what: &str, value: &ScalarValue) -> Result<i64> {
    let refused = |why: String| -> Result<i64> {
        Err(Error::usage(format!("{what} of {function} is {why}")).into())
    };
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = value else {
        return refused(format!("{value}, expected an interval, as in INTERVAL '5 seconds'"));
    };
    if interval.months != 0 {
        return refused("of months or years, which differ in length: write days".to_owned());
    }
    let days = i64::from(interval.days).checked_mul(86_400_000_000_000);
    match days.and_then(|days| days.checked_add(interval.nanoseconds)) {
        Some(length) if length > 0 => Ok(length),
        _ => refused("not above 0, or too long".to_owned()),
    }
}

/// Units of `unit` in a number of nanoseconds.
pub(super) fn in_units(function: &str, what: &str, length: i64, unit: TimeUnit) -> Result<i64> {
    let (one, name) = match unit {
        TimeUnit::Second => (1_000_000_000, "seconds"),
        TimeUnit::Millisecond => (1_000_000, "milliseconds"),
        TimeUnit::Microsecond => (1_000, "microseconds"),
        TimeUnit::Nanosecond => (1, "nanoseconds"),
    };
    if length % one == 0 {
        return Ok(length / one);
    }
    let why =
        format!("{what} of {function} is not a whole number of {name}, in which the time is kept");
    Err(Error::usage(why).into())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HopStarts {
    signature: Signature,
    documentation: Documentation,
}

fn item(time: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(time.clone(), true))
}

impl ScalarUDFImpl for HopStarts {
    fn name(&self) -> &'static str {
        "hop_starts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, slide, size] = types else {
            return Err(Error::usage("hop_starts takes a time, slide and size").into());
        };
        if !matches!(time, DataType::Timestamp(..)) {
            return Err(not_a_time("hop_starts", time).into());
        }
        Ok(vec![time.clone(), slide.clone(), size.clone()])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item(&types[0])))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, slide, size] = &args.args[..] else {
            return Err(Error::internal("hop_starts has three arguments").into());
        };
        let constant = |what: &str, value: &ColumnarValue| match value {
            ColumnarValue::Scalar(value) => nanoseconds("hop_starts", what, value),
            ColumnarValue::Array(_) => {
                Err(Error::usage(format!("{what} of hop_starts is not a constant")).into())
            }
        };
        let lengths = (constant("slide", slide)?, constant("size", size)?);
        match time {
            ColumnarValue::Array(times) => Ok(ColumnarValue::Array(lists(times, lengths)?)),
            ColumnarValue::Scalar(time) => {
                let found = lists(&time.to_array()?, lengths)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?))
            }
        }
    }
}

/// What is wrong with something that is no time.
pub(super) fn not_a_time(function: &str, found: &DataType) -> Error {
    Error::usage(format!(
        "the time of {function} is {found}, expected a timestamp: use CAST(… AS TIMESTAMP)"
    ))
}

fn lists(times: &ArrayRef, (slide, size): (i64, i64)) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, _) = times.data_type() else {
        return Err(not_a_time("hop_starts", times.data_type()).into());
    };
    let slide = in_units("hop_starts", "slide", slide, *unit)?;
    let size = in_units("hop_starts", "size", size, *unit)?;
    if size / slide > MOST {
        return Err(
            Error::usage(format!("a time is in more than {MOST} windows: slide further")).into()
        );
    }
    if times.null_count() == times.len() {
        return Ok(new_null_array(&DataType::List(item(times.data_type())), times.len()));
    }
    let numbers = cast(times, &DataType::Int64)?;
    let mut starts = Vec::with_capacity(times.len());
    let mut lengths = Vec::with_capacity(times.len());
    for time in numbers.as_primitive::<Int64Type>() {
        let before = starts.len();
        if let Some(time) = time {
            push_starts(&mut starts, time, slide, size);
        }
        lengths.push(starts.len() - before);
    }
    let starts = cast(&arrow::array::Int64Array::from(starts), times.data_type())?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = times.logical_nulls();
    Ok(Arc::new(ListArray::try_new(item(times.data_type()), offsets, starts, nulls)?))
}

/// The starts of the windows that hold `time`, in order. A window that would begin before the first time that
/// there is, or end after the last, is none.
fn push_starts(starts: &mut Vec<i64>, time: i64, slide: i64, size: i64) {
    let before = starts.len();
    let mut start = i128::from(time).div_euclid(i128::from(slide)) * i128::from(slide);
    while start + i128::from(size) > i128::from(time) {
        let ends = i64::try_from(start + i128::from(size)).is_ok();
        match i64::try_from(start) {
            Ok(found) if ends => starts.push(found),
            Ok(_) => {}
            Err(_too_early) => break,
        }
        start -= i128::from(slide);
    }
    starts[before..].reverse();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn starts(time: i64, slide: i64, size: i64) -> Vec<i64> {
        let mut starts = Vec::new();
        push_starts(&mut starts, time, slide, size);
        starts
    }

    #[rstest]
    #[case(0, 5, 10, &[-5, 0])]
    #[case(-1, 5, 10, &[-10, -5])]
    #[case(5, 5, 5, &[5])] // on an edge: of the window that begins there
    #[case(4, 5, 5, &[0])]
    #[case(3, 5, 2, &[])] // between windows
    #[case(7, 3, 7, &[3, 6])] // size is no multiple of slide
    #[case(i64::MIN, 5, 10, &[])]
    #[case(i64::MAX, 5, 10, &[])]
    fn windows_that_hold_a_time(
        #[case] time: i64,
        #[case] slide: i64,
        #[case] size: i64,
        #[case] expected: &[i64],
    ) {
        assert_eq!(starts(time, slide, size), expected);
    }

    proptest! {
        /// Every start in reach is looked at.
        #[test]
        fn starts_are_those_of_brute_force(time in -300_i64..300, slide in 1_i64..40, size in 1_i64..90) {
            let all = (-400..400).filter(|start| start % slide == 0);
            let holding = all.filter(|start| *start <= time && time < *start + size);
            prop_assert_eq!(starts(time, slide, size), holding.collect::<Vec<_>>());
        }
    }
}
