//! What `OPTIONS (…)` of a stream or a sink and `WITH (…)` of a materialized view may say: closed lists.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::IntervalMonthDayNano;
use pleiad_core::records::Dialect;

use super::decode::{CsvOptions, Format, OnError};
use super::rate::Rate;
use super::shared::Limits;
use super::watermark::{Lateness, Nanos, Policy};
use crate::error::{Error, Result};
use crate::intervals;

/// How often a version of a dataset is published, where nothing else is said.
const FILES_EVERY: Duration = Duration::from_secs(10);

/// What of an answer a batch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// New rows.
    Append,
    /// The groups that the batch touched.
    Update,
    /// All of it.
    Complete,
}

/// When a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// When rows are there.
    AtOnce,
    /// Each time this has passed, if rows are there.
    Every(Duration),
    /// When rows are there, until all are read that are there.
    AvailableNow,
}

/// How a standing query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOptions {
    /// When its batches begin.
    pub(crate) trigger: Trigger,
    /// What they show, if it is said.
    pub(crate) mode: Option<OutputMode>,
    /// By which of several streams windows close.
    pub(crate) policy: Policy,
}

impl QueryOptions {
    /// As `given` says, of a folder of files called `what`: a version every ten seconds, unless it says
    /// otherwise.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_files(what: &str, given: &BTreeMap<String, String>) -> Result<Self> {
        let options = Self::new(what, given)?;
        Ok(match given.contains_key("trigger") {
            true => options,
            false => Self { trigger: Trigger::Every(FILES_EVERY), ..options },
        })
    }

    /// As `given` says, of something called `what`.
    ///
    /// # Errors
    /// An option that is not known, or has another value than expected.
    pub fn new(what: &str, given: &BTreeMap<String, String>) -> Result<Self> {
        let mut options = Self { trigger: Trigger::AtOnce, mode: None, policy: Policy::Least };
        for (name, value) in given {
            match name.as_str() {
                "trigger" => options.trigger = trigger(value)?,
                "mode" => options.mode = Some(mode(value)?),
                "watermark_policy" => {
                    options.policy = match value.to_lowercase().as_str() {
                        "min" => Policy::Least,
                        "max" => Policy::Greatest,
                        _ => return Err(wrong(name, value, "min or max")),
                    }
                }
                _ => return Err(unknown(name, what, "trigger, mode, watermark_policy")),
            }
        }
        Ok(options)
    }
}

fn mode(value: &str) -> Result<OutputMode> {
    match value.to_lowercase().as_str() {
        "append" => Ok(OutputMode::Append),
        "update" => Ok(OutputMode::Update),
        "complete" => Ok(OutputMode::Complete),
        _ => Err(wrong("mode", value, "append, update or complete")),
    }
}

fn trigger(value: &str) -> Result<Trigger> {
    if ["available now", "once"].contains(&value.to_lowercase().as_str()) {
        return Ok(Trigger::AvailableNow);
    }
    let every = intervals::parse(value);
    every
        .map(Trigger::Every)
        .ok_or_else(|| wrong("trigger", value, "a time such as '2 seconds', or 'available now'"))
}

/// What a stream may say, what one of CSV, and what a clock.
const OF_STREAMS: &str = "event_time, watermark, idle_timeout, idle_close, max_ahead, on_error, on_close, \
                          buffer, max_files, max_bytes, poll, settle, latest_first, max_file_age";
const OF_CSV: &str = "event_time, watermark, idle_timeout, idle_close, max_ahead, on_error, on_close, buffer, \
                      max_files, max_bytes, poll, settle, latest_first, max_file_age, delimiter, has_header";
const OF_RATES: &str = "event_time, watermark, idle_timeout, idle_close, max_ahead, buffer, max_bytes, \
                        rows_per_second, rows, start";

/// Which files of a folder are read, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listing {
    /// How often the folder is listed, if it is said.
    pub(super) poll: Option<Duration>,
    /// How long a file must have been left alone.
    pub(super) settle: Duration,
    /// Whether of those that are there the newest comes first.
    pub(super) latest_first: bool,
    /// How much older than the newest file one may be.
    pub(super) max_age: Option<Duration>,
}

/// How the lines of a stream are read.
#[derive(Clone, Debug)]
pub(super) struct StreamOptions {
    pub(super) format: Format,
    pub(super) on_error: OnError,
    /// Whether a connection that is closed is the end.
    pub(super) ends: bool,
    /// Bytes of lines that may wait for the slowest query.
    pub(super) buffer: usize,
    /// What a batch takes at most.
    pub(super) limits: Limits,
    /// Which files of a folder are read, and when.
    pub(super) listing: Listing,
    /// Of a clock, how many rows come.
    pub(super) rate: Rate,
    /// The column, or the expression, that is the time of a row.
    pub(super) event_time: Option<String>,
    /// How much older than the newest row a row may be, and what silence means.
    pub(super) lateness: Option<Lateness>,
    /// How far ahead of the clock a time may be.
    pub(super) max_ahead: Duration,
}

impl StreamOptions {
    /// As `given` says for a table `STORED AS file_type`.
    pub(super) fn new(file_type: &str, given: &BTreeMap<String, String>) -> Result<Self> {
        let word = file_type.to_uppercase();
        let known = match word.as_str() {
            "CSV" => OF_CSV,
            "JSON" | "TEXT" => OF_STREAMS,
            "RATE" => OF_RATES,
            _ => {
                return Err(Error::usage(format!(
                    "format '{file_type}' is not one of a stream, expected JSON, CSV, TEXT or RATE"
                )));
            }
        };
        let mut csv = CsvOptions::default();
        let mut options = Self {
            format: if word == "TEXT" { Format::Text } else { Format::Json },
            on_error: OnError::Null,
            ends: false,
            buffer: 64 << 20,
            limits: Limits::default(),
            listing: Listing::default(),
            rate: Rate { per_second: 1, rows: None, start: None },
            event_time: None,
            lateness: None,
            max_ahead: Duration::from_secs(86_400),
        };
        let (mut delay, mut idle, mut close) = (None, None, None);
        for (name, value) in given {
            if !known.split(", ").any(|word| word == name) {
                return Err(unknown(name, &format!("a stream of {word}"), known));
            }
            match name.as_str() {
                "event_time" => options.event_time = Some(value.clone()),
                "watermark" => delay = Some(time_or_none(name, value)?),
                "idle_timeout" => idle = Some(time(name, value)?),
                "idle_close" => close = Some(time(name, value)?),
                "max_ahead" => options.max_ahead = time(name, value)?,
                "on_error" => {
                    options.on_error = match value.to_lowercase().as_str() {
                        "null" => OnError::Null,
                        "skip" => OnError::Skip,
                        "fail" => OnError::Fail,
                        _ => return Err(wrong(name, value, "null, skip or fail")),
                    }
                }
                "on_close" => {
                    options.ends = match value.to_lowercase().as_str() {
                        "end" => true,
                        "reconnect" => false,
                        _ => return Err(wrong(name, value, "end or reconnect")),
                    }
                }
                "buffer" => options.buffer = size(name, value)?,
                "max_files" => options.limits.files = Some(number(name, value)?),
                "max_bytes" => options.limits.bytes = Some(size(name, value)?),
                "poll" => options.listing.poll = Some(time(name, value)?),
                "settle" => options.listing.settle = time(name, value)?,
                "latest_first" => options.listing.latest_first = truth(name, value)?,
                "max_file_age" => options.listing.max_age = Some(time(name, value)?),
                "rows_per_second" => options.rate.per_second = number(name, value)?,
                "rows" => options.rate.rows = Some(number(name, value)?),
                "start" => {
                    let start = value.parse::<jiff::Timestamp>().ok();
                    // Rows have nanoseconds, which end in 2262.
                    let start = start.filter(|start| i64::try_from(start.as_nanosecond()).is_ok());
                    let expected = "a time such as '2026-01-01T00:00:00Z', up to the year 2262";
                    options.rate.start = Some(start.ok_or_else(|| wrong(name, value, expected))?);
                }
                "delimiter" => {
                    let delimiter = crate::table::delimiter(value);
                    let delimiter =
                        delimiter.map_err(|_unlike| wrong(name, value, crate::table::DELIMITER))?;
                    csv.dialect = Dialect { delimiter, ..csv.dialect };
                }
                _ => csv.has_header = truth(name, value)?,
            }
        }
        options.lateness = match (delay, idle.or(close)) {
            (Some(_), _) if options.event_time.is_none() => {
                return Err(Error::usage(
                    "option 'watermark' says how late a row may be, so it needs 'event_time', the time of a row",
                ));
            }
            (Some(delay), _) => {
                let delay = Nanos::try_from(delay.as_nanos()).unwrap_or(Nanos::MAX);
                Some(Lateness { delay, idle: idle.unwrap_or(Duration::from_secs(5)), close })
            }
            (None, Some(_)) => {
                return Err(Error::usage(
                    "options 'idle_timeout' and 'idle_close' move the watermark, so they need 'watermark'",
                ));
            }
            (None, None) => None,
        };
        if ["CSV", "RATE"].contains(&word.as_str()) {
            options.format = Format::Csv { options: csv };
        }
        Ok(options)
    }
}

fn truth(name: &str, value: &str) -> Result<bool> {
    let truth = value.to_lowercase().parse();
    truth.map_err(|_unlike| wrong(name, value, "true or false"))
}

fn time(name: &str, value: &str) -> Result<Duration> {
    intervals::parse(value).ok_or_else(|| wrong(name, value, "a time such as '10 seconds'"))
}

/// A time, or none at all.
fn time_or_none(name: &str, value: &str) -> Result<Duration> {
    match parse_interval_month_day_nano(value) {
        Ok(interval) if interval == IntervalMonthDayNano::ZERO => Ok(Duration::ZERO),
        _ => time(name, value),
    }
}

fn size(name: &str, value: &str) -> Result<usize> {
    let bytes = crate::sizes::parse(value);
    let bytes = bytes.map_err(|_unlike| wrong(name, value, "a size such as 64MiB"))?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX).max(1))
}

fn number<T: FromStr + PartialOrd + From<u8>>(name: &str, value: &str) -> Result<T> {
    let number = value.parse().ok().filter(|number: &T| *number > T::from(0));
    number.ok_or_else(|| wrong(name, value, "a number above 0"))
}

fn unknown(name: &str, what: &str, known: &str) -> Error {
    Error::usage(format!("option '{name}' of {what} is not known, expected {known}"))
}

fn wrong(name: &str, value: &str, expected: &str) -> Error {
    Error::usage(format!("option '{name}' is '{value}', expected {expected}"))
}
