//! `pleiad plot stream`: the batches of standing queries over time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::report::{self, Curve, Picture};
use crate::stream::BatchProgress;

/// Draw the batches of standing queries over time: rows a second, milliseconds, state, lag
///
/// Each query is a line. The lag is how far its watermark is behind the clock, if it has one.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot stream batches.jsonl -o batches.svg
  pleiad plot stream batches.jsonl -o -")]
pub(super) struct StreamArgs {
    /// A file that `pleiad run --progress-file` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl StreamArgs {
    /// Draws.
    ///
    /// # Errors
    /// A file that cannot be read, or a line of it that is not a batch.
    pub(super) async fn figure(&self) -> Result<Picture> {
        let shown = self.file.display().to_string();
        let text = tokio::fs::read_to_string(&self.file).await;
        let text = text.map_err(|cause| Error::io(format!("cannot read '{shown}'"), cause))?;
        let batches = batches(&shown, &text)?;
        let (Some(first), Some(last)) = (
            batches.iter().map(|batch| batch.timestamp).min(),
            batches.iter().map(|batch| batch.timestamp).max(),
        ) else {
            return Err(Error::data(format!("'{shown}' has no batches")));
        };
        let curves = |value: fn(&BatchProgress) -> Option<f64>| {
            let mut of_queries: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
            for batch in &batches {
                let seconds = batch.timestamp.duration_since(first).as_secs_f64();
                if let Some(value) = value(batch) {
                    of_queries.entry(&batch.name).or_default().push((seconds, value));
                }
            }
            let curve = |(name, points): (&str, _)| Curve { name: name.to_owned(), points };
            of_queries.into_iter().map(curve).collect::<Vec<_>>()
        };
        let panels = [
            ("rows a second", curves(|batch| Some(batch.input_rows_per_second))),
            ("milliseconds a batch", curves(|batch| Some(batch.batch_duration))),
            ("bytes of state", curves(state)),
            ("seconds behind the clock", curves(lag)),
        ];
        let title = format!("{shown}: {} batches, {first:.0} to {last:.0}", batches.len());
        Ok(report::panels(&title, "seconds", &panels))
    }
}

fn batches(shown: &str, text: &str) -> Result<Vec<BatchProgress>> {
    let read = |(number, line): (usize, &str)| {
        let what = format!("line {} of '{shown}' is not a batch of a standing query", number + 1);
        serde_json::from_str(line).map_err(|cause| Error::data(what).caused_by(cause))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a picture has a thousand places")]
fn state(batch: &BatchProgress) -> Option<f64> {
    Some(batch.state_operators.iter().map(|state| state.memory_used_bytes as f64).sum())
}

fn lag(batch: &BatchProgress) -> Option<f64> {
    let watermark = batch.event_time?.watermark?;
    Some(batch.timestamp.duration_since(watermark).as_secs_f64())
}
