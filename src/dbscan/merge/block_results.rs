//! What all blocks found, put away until they are merged.

use std::collections::BTreeMap;

use super::block_result::{BlockResult, touch_words};
use crate::dbscan::plan::margin_owners::MarginOwners;
use crate::dbscan::spill_store::{ListId, SpillStore};
use crate::dbscan::threads::BlockingThread;
use crate::error::Result;
use pleiad_core::dbscan::Touch;

/// What all blocks found.
pub(crate) struct BlockResults {
    pub(crate) store: SpillStore,
    /// For each block with own rows: its number and its lists.
    pub(crate) blocks: Vec<BlockLists>,
}

/// Where what a block found is stored.
pub(crate) struct BlockLists {
    pub(crate) block: u32,
    /// Positions and labels.
    pub(crate) rows: ListId,
    pub(crate) facts: ListId,
    /// The touches about the rows of each other block: its number, and the list.
    pub(crate) touches: Vec<(u32, ListId)>,
}

impl BlockLists {
    /// Puts away what a block found; its touches are sorted out by the block they are about.
    pub(crate) fn new<const D: usize>(
        block: u32,
        result: BlockResult<D>,
        owners: &MarginOwners<D>,
        store: &SpillStore,
        thread: &BlockingThread,
    ) -> Result<Self> {
        let BlockResult { rows, mut facts } = result;
        let mut by_owner: BTreeMap<u32, Vec<Touch<D>>> = BTreeMap::new();
        for touch in std::mem::take(&mut facts.contacts.touches) {
            thread.check()?;
            let note = |owner| by_owner.entry(owner).or_default().push(touch);
            owners.owners(block, touch.point, note);
        }
        let add = |(owner, touches): (u32, Vec<_>)| {
            Ok((owner, store.add(touch_words(&touches), thread)?))
        };
        let touches = by_owner.into_iter().map(add).collect::<Result<_>>()?;
        let rows = store.add(rows, thread)?;
        let facts = store.add(facts.to_words(), thread)?;
        Ok(Self { block, rows, facts, touches })
    }
}
