//! The table `quarantine`: rows without a position, each with the reason.

use super::job::Job;
use crate::error::Result;
use crate::event::Event;
use crate::table::input_changed;
use crate::table::{Run, TableSpec};

const QUARANTINE: &str = include_str!("../../../sql/steps/partition_quarantine.sql");

/// Writes the table, if there are such rows.
///
/// # Errors
/// An input that changed since it was counted; the engine's; storage that fails.
pub async fn write(job: Job<'_>, run: &Run) -> Result<()> {
    let bad = job.counted.bad();
    if bad == 0 {
        return Ok(());
    }
    job.stage("writing quarantine", bad);
    let plan = job.catalogue.plan(QUARANTINE, &[], Vec::new()).await?;
    let spec = TableSpec { name: "quarantine".to_owned(), aside: true, ..TableSpec::default() };
    let state = job.catalogue.session().state();
    let written = run.write(&state, plan, spec, job.watch).await?;
    job.watch.report(Event::Done);
    if written.rows == bad {
        return Ok(());
    }
    Err(input_changed("the number of rows without a position differs"))
}
