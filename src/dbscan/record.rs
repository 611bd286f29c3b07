//! What is told of a run: its blocks, and `properties`.

use std::collections::BTreeMap;

use super::divide::{Piles, row_bytes};
use super::input::Input;
use super::options::Params;
use super::plan::Plan;
use super::{BlockFacts, Outcome};

/// The blocks of a plan.
pub(super) fn planned<const D: usize>(plan: &Plan<D>) -> Vec<BlockFacts> {
    facts(plan, plan.blocks().iter().map(|block| (block.own, block.margin)))
}

/// The blocks as they got their rows.
pub(super) fn scattered<const D: usize>(plan: &Plan<D>, piles: &Piles<D>) -> Vec<BlockFacts> {
    facts(plan, piles.blocks.iter().map(|pile| (pile.own_rows, pile.margin_rows)))
}

fn facts<const D: usize>(
    plan: &Plan<D>,
    rows: impl Iterator<Item = (u64, u64)>,
) -> Vec<BlockFacts> {
    let cost: f64 = plan.blocks().iter().map(|block| block.cost).sum();
    let numbered = (0..).zip(plan.blocks()).zip(rows);
    let facts = numbered.map(|((block, planned), (own_rows, margin_rows))| BlockFacts {
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
pub(super) fn stored<const D: usize>(piles: &Piles<D>) -> Vec<BlockFacts> {
    let all: u64 = piles.blocks.iter().map(|pile| pile.own_rows + pile.margin_rows).sum();
    let facts = (0..).zip(&piles.blocks).map(|(block, pile)| {
        let rows = pile.own_rows + pile.margin_rows;
        BlockFacts {
            block,
            lo: Vec::new(),
            hi: Vec::new(),
            own_rows: pile.own_rows,
            margin_rows: pile.margin_rows,
            cost_share: rows as f64 / all.max(1) as f64,
            bytes: rows * row_bytes::<D>(),
        }
    });
    facts.collect()
}

/// What `properties` says.
pub(super) fn properties(
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
