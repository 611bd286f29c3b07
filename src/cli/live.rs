//! A line a standing query on the terminal, while a script runs: its last batch, and what it has left out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::terminal::Terminal;
use super::visible::visible_line;
use crate::error::Result;
use crate::stream::{BatchProgress, Follower};

/// The lines of the queries that run. They are there while a statement runs, so that its rows do not come in between.
pub(super) struct LiveLines {
    terminal: Terminal,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    are_shown: bool,
    of_queries: BTreeMap<String, Line>,
}

#[derive(Default)]
struct Line {
    bar: Option<ProgressBar>,
    said: String,
    late: u64,
    bad: u64,
}

impl LiveLines {
    /// On `terminal`.
    pub(super) fn new(terminal: Terminal) -> Self {
        Self { terminal, lines: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the lines, and those of queries that begin.
    pub(super) fn show(&self) {
        let mut lines = self.lock();
        lines.are_shown = true;
        lines.of_queries.values_mut().for_each(|line| line.draw(&self.terminal));
    }

    /// Leaves no line on the terminal.
    pub(super) fn hide(&self) {
        let mut lines = self.lock();
        lines.are_shown = false;
        lines.of_queries.values_mut().for_each(|line| line.remove(&self.terminal));
    }
}

impl Line {
    fn draw(&mut self, terminal: &Terminal) {
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is our own");
            terminal.bars().add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(self.said.clone());
    }

    fn remove(&mut self, terminal: &Terminal) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            terminal.bars().remove(&bar);
        }
    }
}

impl Follower for LiveLines {
    fn batch(&self, batch: &BatchProgress) -> Result<()> {
        let mut lines = self.lock();
        let are_shown = lines.are_shown;
        let line = lines.of_queries.entry(batch.name.clone()).or_default();
        line.late += dropped(batch);
        line.bad += batch.bad_rows;
        line.said = said(batch, line.late, line.bad);
        if are_shown {
            line.draw(&self.terminal);
        }
        Ok(())
    }

    fn ended(&self, name: &str) {
        if let Some(mut line) = self.lock().of_queries.remove(name) {
            line.remove(&self.terminal);
        }
    }
}

impl Drop for LiveLines {
    fn drop(&mut self) {
        self.hide();
    }
}

fn dropped(batch: &BatchProgress) -> u64 {
    batch.state_operators.iter().map(|state| state.num_rows_dropped_by_watermark).sum()
}

/// `activity: batch 12, 1,234 rows/s, watermark 10 s behind, 3 late, 1 bad, state 1.20 KiB`
fn said(batch: &BatchProgress, late: u64, bad: u64) -> String {
    let number = batch.batch_id + 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    let rate = HumanCount(match batch.batch_id {
        0 => batch.processed_rows_per_second as u64,
        _ => batch.input_rows_per_second as u64,
    });
    let mut said = format!("{}: batch {number}, {rate} rows/s", visible_line(&batch.name));
    let watermark = batch.event_time.and_then(|times| times.watermark);
    if let Some(watermark) = watermark {
        let behind = batch.timestamp.duration_since(watermark).as_secs();
        said.push_str(&format!(", watermark {behind} s behind"));
    }
    for (count, what) in [(late, "late"), (bad, "bad")] {
        if count > 0 {
            said.push_str(&format!(", {} {what}", HumanCount(count)));
        }
    }
    let state: u64 = batch.state_operators.iter().map(|state| state.memory_used_bytes).sum();
    if state > 0 {
        said.push_str(&format!(", state {}", HumanBytes(state)));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_a_query_is() {
        let text = r#"{"runId": "r", "name": "v", "timestamp": "2026-01-01T00:01:00Z", "batchId": 11,
            "batchDuration": 1.0, "numInputRows": 9, "inputRowsPerSecond": 1234.0, "processedRowsPerSecond": 9.0,
            "durationMs": {"triggerExecution": 1.0, "getBatch": 0.1, "addBatch": 0.9},
            "eventTime": {"watermark": "2026-01-01T00:00:50Z"},
            "stateOperators": [{"numRowsTotal": 1, "memoryUsedBytes": 2048, "numRowsDroppedByWatermark": 3}],
            "sources": [], "sink": {"description": "view"}, "badRows": 1, "inexactIntegers": 0,
            "nullEventTime": 0, "aheadRows": 0}"#;
        let mut batch: BatchProgress = serde_json::from_str(text).unwrap();
        assert_eq!(
            said(&batch, dropped(&batch), 1),
            "v: batch 12, 1,234 rows/s, watermark 10 s behind, 3 late, 1 bad, state 2.00 KiB"
        );
        (batch.event_time, batch.state_operators) = (None, Vec::new());
        assert_eq!(said(&batch, 0, 0), "v: batch 12, 1,234 rows/s");
    }
}
