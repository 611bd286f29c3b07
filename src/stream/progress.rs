//! What each batch of a standing query did, in the names of Spark's `StreamingQueryProgress`, so that what reads
//! those reads these. A number that is not measured is left out.

use serde::{Deserialize, Serialize};

/// A batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchProgress {
    /// Of this start of the query.
    pub run_id: String,
    /// The view, or the table that rows go to.
    pub name: String,
    /// When the batch began, in UTC.
    pub timestamp: jiff::Timestamp,
    /// From 0.
    pub batch_id: u64,
    /// Milliseconds from its begin to its end.
    pub batch_duration: f64,
    /// Rows that were read.
    pub num_input_rows: u64,
    /// Rows a second since the batch before began; 0 of the first.
    pub input_rows_per_second: f64,
    /// Rows a second while the batch ran.
    pub processed_rows_per_second: f64,
    /// Milliseconds of its parts.
    pub duration_ms: Durations,
    /// If rows have a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTimes>,
    /// One, of all groups and kept rows.
    pub state_operators: Vec<StateProgress>,
    /// Of each stream.
    pub sources: Vec<SourceProgress>,
    /// Where rows went.
    pub sink: SinkProgress,
    /// Lines that could not be read.
    pub bad_rows: u64,
    /// Integers that may not be exact.
    pub inexact_integers: u64,
    /// Rows without a time.
    pub null_event_time: u64,
    /// Rows whose time is too far ahead.
    pub ahead_rows: u64,
}

/// Milliseconds of the parts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// All of it.
    pub trigger_execution: f64,
    /// Rows are taken from their sources.
    pub get_batch: f64,
    /// The query runs, and its rows are made visible.
    pub add_batch: f64,
}

/// The times of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTimes {
    /// The newest of the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<jiff::Timestamp>,
    /// How far the query has come; nothing before the first rows, and when its streams have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<jiff::Timestamp>,
}

/// The state of a query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProgress {
    /// Partial rows of groups, and rows that a join keeps.
    pub num_rows_total: u64,
    /// Bytes that they take.
    pub memory_used_bytes: u64,
    /// Rows that came to windows which were closed.
    pub num_rows_dropped_by_watermark: u64,
}

/// What came from a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    /// Its table.
    pub description: String,
    /// Rows of the batch.
    pub num_input_rows: u64,
}

/// What went out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkProgress {
    /// `view`, `console` or `files`.
    pub description: String,
    /// Rows that were shown or written; nothing of a view, which is read when someone wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_output_rows: Option<u64>,
}

/// Who is told of batches.
pub trait Follower: Send + Sync {
    /// Takes what a batch did.
    ///
    /// # Errors
    /// If it cannot be noted, which ends the query.
    fn batch(&self, batch: &BatchProgress) -> crate::error::Result<()>;

    /// The query `name` runs no more.
    fn ended(&self, name: &str);
}
