//! A clock as a source: a row has the time when it is due and its number from 0, so many rows a second.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::Timestamp;

use crate::error::{Error, Result};

/// Rows that are made at once.
const AT_ONCE: u64 = 8192;
/// The shortest wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// How many rows come, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Rows a second.
    pub(super) per_second: u32,
    /// Rows after which it ends.
    pub(super) rows: Option<u64>,
    /// The time of row 0; without it now.
    pub(super) start: Option<Timestamp>,
}

/// The columns of such a table, unless a statement names them.
pub(super) fn columns() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let columns = [Field::new("timestamp", time, true), Field::new("value", DataType::Int64, true)];
    Arc::new(Schema::new(columns.to_vec()))
}

/// Refuses columns that are not a time and a number.
pub(super) fn check(columns: &Schema) -> Result<()> {
    match &columns.fields()[..] {
        [time, number]
            if matches!(time.data_type(), DataType::Timestamp(..))
                && number.data_type().is_integer() =>
        {
            Ok(())
        }
        _ => Err(Error::usage(
            "a rate has two columns, a TIMESTAMP and a BIGINT: declare these, or leave the columns out",
        )),
    }
}

/// The rows so far, as lines of CSV.
pub(super) struct Ticks {
    rate: Rate,
    /// The time of row 0.
    start: Timestamp,
    begun: Instant,
    next: u64,
}

impl Ticks {
    /// From now on.
    pub(super) fn new(rate: Rate) -> Self {
        let start = rate.start.unwrap_or_else(Timestamp::now);
        Self { rate, start, begun: Instant::now(), next: 0 }
    }

    /// Whether the last row has come.
    pub(super) fn is_over(&self) -> bool {
        self.rate.rows == Some(self.next)
    }

    /// Rows that are due, or all, a part at a time; if there are none, how long to wait for the next.
    pub(super) fn take(&mut self, all: bool) -> Result<String, Duration> {
        let elapsed = self.begun.elapsed();
        let due = match all {
            true => u64::MAX,
            false => due_in(elapsed, self.rate.per_second),
        };
        let end = due.min(self.rate.rows.unwrap_or(u64::MAX)).min(self.next + AT_ONCE);
        if end <= self.next {
            let wait = self.after(self.next).saturating_sub(elapsed);
            return Err(wait.max(SHORTEST_WAIT));
        }
        let mut lines = String::new();
        for number in self.next..end {
            let time = self.start.saturating_add(self.after(number));
            let time = time.unwrap_or(Timestamp::MAX); // it saturates
            writeln!(lines, "{time:.9},{number}").ok(); // a string takes all
        }
        self.next = end;
        Ok(lines)
    }

    /// How long after the start a row is due.
    fn after(&self, number: u64) -> Duration {
        let per_second = u64::from(self.rate.per_second);
        let nanos = number % per_second * 1_000_000_000 / per_second;
        Duration::from_secs(number / per_second) + Duration::from_nanos(nanos)
    }
}

/// How many rows are due after this long: the first at once.
fn due_in(elapsed: Duration, per_second: u32) -> u64 {
    let rows = elapsed.as_nanos() * u128::from(per_second) / 1_000_000_000;
    u64::try_from(rows).unwrap_or(u64::MAX).saturating_add(1)
}
