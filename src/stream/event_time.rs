//! The time of rows: where it is, and what rows have of it.

use std::time::Duration;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, Scalar};
use arrow::compute::kernels::cmp::lt_eq;
use arrow::compute::{cast, filter, max};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use super::watermark::Nanos;
use crate::error::{Error, Result};

/// The column with the time of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventTime {
    pub(super) column: usize,
    /// How far ahead of the clock a time may be.
    pub(super) max_ahead: Duration,
}

/// What rows have of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The newest that is not too far ahead.
    pub(super) newest: Option<Nanos>,
    /// How many have none.
    pub(super) missing: u64,
    /// How many are too far ahead.
    pub(super) ahead: u64,
}

impl Times {
    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            newest: self.newest.max(other.newest),
            missing: self.missing + other.missing,
            ahead: self.ahead + other.ahead,
        }
    }
}

impl EventTime {
    /// The times of `rows`, where the clock says `now`.
    pub(super) fn times(&self, rows: &RecordBatch, now: Nanos) -> Result<Times> {
        let column = rows.column(self.column);
        let unit = unit_of(column.data_type())
            .ok_or_else(|| Error::internal("the time of a stream is not a timestamp"))?;
        let values = cast(column, &DataType::Int64)?;
        let values: &Int64Array = values.as_primitive::<Int64Type>();
        let nanos = |value: Option<i64>| value.map(|value| Nanos::from(value) * unit);
        let missing = values.null_count() as u64;
        let ahead = Nanos::try_from(self.max_ahead.as_nanos()).unwrap_or(Nanos::MAX);
        let latest = now.saturating_add(ahead);
        let newest = nanos(max(values));
        if newest <= Some(latest) {
            return Ok(Times { newest, missing, ahead: 0 });
        }
        let limit = in_units(latest, unit);
        let near = lt_eq(values, &Scalar::new(Int64Array::from(vec![limit])))?;
        let kept = filter(values, &near)?;
        let newest = nanos(max(kept.as_primitive::<Int64Type>()));
        let ahead = (values.len() - values.null_count() - kept.len()) as u64;
        Ok(Times { newest, missing, ahead })
    }
}

/// Nanoseconds of the unit of a timestamp.
pub(super) fn unit_of(time: &DataType) -> Option<Nanos> {
    let DataType::Timestamp(unit, _) = time else { return None };
    Some(match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    })
}

/// The last value in units of `unit` that is not behind `time`.
pub(super) fn in_units(time: Nanos, unit: Nanos) -> i64 {
    let units = time.div_euclid(unit);
    i64::try_from(units).unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, TimestampMillisecondArray};

    use super::*;

    const MILLI: Nanos = 1_000_000;

    fn times(values: Vec<Option<i64>>, now: Nanos) -> Times {
        let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(values));
        let rows = RecordBatch::try_from_iter([("t", column)]).unwrap();
        let time = EventTime { column: 0, max_ahead: Duration::from_secs(1) };
        time.times(&rows, now).unwrap()
    }

    #[test]
    fn times_far_ahead_of_the_clock_do_not_count() {
        let values = vec![Some(-5), None, Some(40), Some(1_001), Some(2_000), None];
        let seen = |newest, ahead| Times { newest: Some(newest), missing: 2, ahead };
        assert_eq!(times(values.clone(), 0), seen(40 * MILLI, 2));
        assert_eq!(times(values.clone(), MILLI), seen(1_001 * MILLI, 1));
        assert_eq!(times(values.clone(), Nanos::MAX), seen(2_000 * MILLI, 0));
        // The clock jumped back: what it has no answer for moves nothing.
        assert_eq!(times(values, -2_000 * MILLI), Times { newest: None, missing: 2, ahead: 4 });
        assert_eq!(times(vec![None], 0), Times { newest: None, missing: 1, ahead: 0 });
        assert_eq!(times(Vec::new(), 0), Times::default());
    }

    #[test]
    fn units_are_rounded_down() {
        assert_eq!(in_units(-1, 1_000), -1);
        assert_eq!(in_units(1_999, 1_000), 1);
        assert_eq!(in_units(Nanos::MAX, 1_000), i64::MAX);
        assert_eq!(in_units(Nanos::MIN, 1), i64::MIN);
    }
}
