//! What is told of a run: its blocks, and `properties`.

use std::collections::BTreeMap;

use crate::dbscan::input::Input;
use crate::dbscan::options::Params;
use crate::dbscan::outcome::{BlockSummary, Outcome};
use crate::dbscan::plan::BlockPlan;
use crate::dbscan::plan::block_rows::{RowsByBlock, row_bytes};

/// The blocks of a plan.
pub(crate) fn planned<const D: usize>(plan: &BlockPlan<D>) -> Vec<BlockSummary> {
    facts(plan, plan.blocks().iter().map(|block| (block.own, block.margin)))
}

/// The blocks as they got their rows.
pub(crate) fn scattered<const D: usize>(
    plan: &BlockPlan<D>,
    by_block: &RowsByBlock<D>,
) -> Vec<BlockSummary> {
    facts(plan, by_block.blocks.iter().map(|part| (part.own_rows, part.margin_rows)))
}

fn facts<const D: usize>(
    plan: &BlockPlan<D>,
    rows: impl Iterator<Item = (u64, u64)>,
) -> Vec<BlockSummary> {
    let cost: f64 = plan.blocks().iter().map(|block| block.cost).sum();
    let numbered = (0..).zip(plan.blocks()).zip(rows);
    let facts = numbered.map(|((block, planned), (own_rows, margin_rows))| BlockSummary {
        block,
        lo: planned.region.lo.to_vec(),
        hi: planned.region.hi.to_vec(),
        own_rows,
        margin_rows,
        cost_share: if cost > 0.0 { planned.cost / cost } else { 0.0 },
        bytes: (own_rows + margin_rows) * row_bytes::<D>(),
    });
    facts.collect()
}

/// The stored blocks as they were read; where they lie, their dataset says.
pub(crate) fn stored<const D: usize>(by_block: &RowsByBlock<D>) -> Vec<BlockSummary> {
    let all: u64 = by_block.blocks.iter().map(|part| part.own_rows + part.margin_rows).sum();
    let facts = (0..).zip(&by_block.blocks).map(|(block, part)| {
        let rows = part.own_rows + part.margin_rows;
        BlockSummary {
            block,
            lo: Vec::new(),
            hi: Vec::new(),
            own_rows: part.own_rows,
            margin_rows: part.margin_rows,
            cost_share: rows as f64 / all.max(1) as f64,
            bytes: rows * row_bytes::<D>(),
        }
    });
    facts.collect()
}

/// What `properties` says.
pub(crate) fn properties(
    input: &Input,
    params: &Params,
    outcome: &Outcome,
) -> BTreeMap<String, String> {
    let counts = &outcome.counts;
    let own = [
        ("driver", "dbscan".to_owned()),
        ("input.location", input.location().to_string()),
        ("margin_rows", outcome.margin_rows().to_string()),
        ("blocks.count", outcome.blocks.len().to_string()),
        ("verify", params.options.verify.map_or("no".to_owned(), |verify| verify.to_string())),
        ("rows", outcome.rows.to_string()),
        ("skipped", outcome.skipped.to_string()),
        ("clusters", outcome.clusters().to_string()),
        ("core", counts.core.to_string()),
        ("border_rows", counts.border.to_string()),
        ("noise", counts.noise.to_string()),
        ("ambiguous", counts.ambiguous.to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    params.record().into_iter().chain(own).collect()
}
