//! What all blocks found, put away until they are merged.

use std::collections::BTreeMap;

use super::block_result::{BlockResult, touch_words};
use crate::dbscan::local::Touch;
use crate::dbscan::plan::margin_owners::MarginOwners;
use crate::dbscan::spill_store::{ListId, SpillStore};
use crate::error::Result;

/// What all blocks found.
pub(crate) struct BlockResults {
    pub(crate) store: SpillStore,
    /// For each block with own rows: its number and its lists.
    pub(crate) blocks: Vec<BlockLists>,
}

/// Where the findings of a block are.
pub(crate) struct BlockLists {
    pub(crate) block: u32,
    /// Positions and labels.
    pub(crate) rows: ListId,
    pub(crate) facts: ListId,
    /// The touches about the rows of each other block: its number, and the list.
    pub(crate) touches: Vec<(u32, ListId)>,
}

impl BlockResults {
    /// Puts away what a block found; its touches are sorted out by the block they are about.
    pub(crate) fn add<const D: usize>(
        &mut self,
        block: u32,
        found: BlockResult<D>,
        owners: &MarginOwners<D>,
    ) -> Result<()> {
        let BlockResult { rows, mut facts } = found;
        let mut by_owner: BTreeMap<u32, Vec<Touch<D>>> = BTreeMap::new();
        for touch in std::mem::take(&mut facts.contacts.touches) {
            let note = |owner| by_owner.entry(owner).or_default().push(touch);
            owners.owners(block, touch.point, note);
        }
        let keep =
            |(owner, touches): (u32, Vec<_>)| Ok((owner, self.store.keep(touch_words(&touches))?));
        self.blocks.push(BlockLists {
            block,
            touches: by_owner.into_iter().map(keep).collect::<Result<_>>()?,
            rows: self.store.keep(rows)?,
            facts: self.store.keep(facts.to_words())?,
        });
        Ok(())
    }
}
