//! Going on where a killed run stopped: the blocks it had done are in its record.
//!
//! `OUT/_runs/<run>/kept/plan.json` holds what the plan follows from, besides the rows themselves:
//! options, pinned files and limits. A plan is a pure function of these, so that the blocks of two
//! such runs are the same; `kept/blocks/00012` is what block 12 found.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::planner::Limits;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::storage::Location;
use crate::table::{DeadRun, InputRecord, Premises, Run};

const PLAN: &str = "plan.json";

/// What a plan follows from, besides the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlanRecord {
    options: Vec<(String, String)>,
    inputs: Vec<InputRecord>,
    own_rows: u64,
    rows: u64,
    /// As bits.
    share: u64,
}

/// Where block `block` is kept.
pub(crate) fn block_name(block: u32) -> String {
    format!("blocks/{block:05}")
}

/// What a killed run left: its limits and the blocks it had done.
#[derive(Debug, Clone)]
pub struct Killed {
    record: PlanRecord,
    checkpoint: Checkpoint,
}

/// The blocks that need no work, sorted, each with the run that did it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checkpoint {
    blocks: Vec<(u32, Arc<DeadRun>)>,
}

/// The newest run on `out` that died while it clustered, if one did, with all blocks of its plan that
/// it and older ones had done.
///
/// # Errors
/// Storage that fails; a record that cannot be read.
pub async fn killed(session: &Session, out: &Location) -> Result<Option<Killed>> {
    let mut found: Option<Killed> = None;
    for run in Run::resumable(session.stores(), out).await?.into_iter().rev() {
        if !run.files.iter().any(|name| name == PLAN) {
            continue;
        }
        let record: PlanRecord = serde_json::from_slice(&run.read(PLAN).await?)
            .map_err(|cause| damaged().caused_by(cause))?;
        let killed = found.get_or_insert_with(|| Killed {
            record: record.clone(),
            checkpoint: Checkpoint::default(),
        });
        if killed.record != record {
            continue;
        }
        let run = Arc::new(run);
        let numbers =
            run.files.iter().filter_map(|name| name.strip_prefix("blocks/")?.parse().ok());
        killed.checkpoint.blocks.extend(numbers.map(|block| (block, Arc::clone(&run))));
    }
    if let Some(Killed { checkpoint, .. }) = &mut found {
        checkpoint.blocks.sort_by_key(|(block, _)| *block);
        checkpoint.blocks.dedup_by_key(|(block, _)| *block);
    }
    Ok(found)
}

impl Killed {
    /// How many blocks it had done.
    pub fn blocks(&self) -> usize {
        self.checkpoint.blocks.len()
    }

    /// Its limits, if a run with these options over these files may go on.
    ///
    /// # Errors
    /// The first difference, as a usage error.
    pub(crate) fn limits(
        &self,
        options: &[(String, String)],
        inputs: &[InputRecord],
    ) -> Result<Limits> {
        let killed = Premises { options: &self.record.options, inputs: &self.record.inputs };
        Premises { options, inputs }.check_resume(killed)?;
        let PlanRecord { own_rows, rows, share, .. } = self.record;
        Ok(Limits { own_rows, rows, share: f64::from_bits(share) })
    }

    /// The blocks it had done.
    pub(crate) fn into_checkpoint(self) -> Checkpoint {
        self.checkpoint
    }
}

impl Checkpoint {
    /// Their numbers.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = u32> + '_ {
        self.blocks.iter().map(|(block, _)| *block)
    }

    /// What a block found, by its place among the kept ones.
    pub(crate) async fn read(&self, at: usize) -> Result<Bytes> {
        let (block, run) = &self.blocks[at];
        run.read(&block_name(*block)).await
    }

    /// Which of this many blocks are done.
    pub(crate) fn done(&self, blocks: usize) -> Result<Arc<Vec<bool>>> {
        let mut done = vec![false; blocks];
        for block in self.blocks() {
            *done.get_mut(block as usize).ok_or_else(damaged)? = true;
        }
        Ok(Arc::new(done))
    }
}

/// Keeps what the plan of a run follows from.
pub(crate) async fn keep_plan(
    run: &Run,
    options: Vec<(String, String)>,
    inputs: &[InputRecord],
    limits: Limits,
) -> Result<()> {
    let record = PlanRecord {
        options,
        inputs: inputs.to_vec(),
        own_rows: limits.own_rows,
        rows: limits.rows,
        share: limits.share.to_bits(),
    };
    let bytes = serde_json::to_vec(&record)
        .map_err(|cause| Error::internal("a plan cannot be written down").caused_by(cause))?;
    run.checkpoint(PLAN, Bytes::from(bytes)).await
}

fn damaged() -> Error {
    Error::data("the saved plan of the killed run is damaged: run without --resume")
}
