//! Lengths of time as people write them in SQL: `10 seconds`, `1 minute 30 seconds`.

use std::time::Duration;

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;

/// The length of time that `text` names, if it is one above 0 and without months, which differ in length.
pub fn parse(text: &str) -> Option<Duration> {
    let interval = parse_interval_month_day_nano(text).ok()?;
    let days = i64::from(interval.days).checked_mul(86_400_000_000_000)?;
    let all = days.checked_add(interval.nanoseconds)?;
    let all = u64::try_from(all).ok().filter(|all| *all > 0 && interval.months == 0)?;
    Some(Duration::from_nanos(all))
}
