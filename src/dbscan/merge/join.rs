//! From blocks to the whole table: clusters are joined and numbered, rows labelled and put back into
//! the order of the input, clusters measured.

use std::sync::Arc;

use super::block_result::{BlockFacts, rows_of, touches_of};
use super::block_results::{BlockLists, BlockResults};
use super::row_labels::{RANGE_BITS, RANGE_ROWS, RowLabels, to_usize, word};
use super::sizes::{ClusterSize, Scale};
use super::{Merge, Numbers, RowLabel};
use crate::dbscan::options::Border;
use crate::dbscan::outcome::LabelCounts;
use crate::dbscan::points::id_of;
use crate::dbscan::spill_store::{ListId, RowScatter, SpillStore};
use crate::dbscan::threads::{self, BlockingThread, parallel_for};
use crate::error::{Error, Result};
use crate::session::Session;
use pleiad_core::dbscan::stopped;

/// The results of all blocks with the numbers of their clusters, and the clusters themselves.
pub(crate) struct Merged<const D: usize> {
    pub(crate) results: BlockResults,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) sizes: Vec<ClusterSize<D>>,
}

/// Joins, numbers and measures the clusters of all blocks.
///
/// # Errors
/// Ids of the column `id` that are not unique.
pub(crate) async fn merge<const D: usize>(
    results: BlockResults,
    id: Option<String>,
    border: Border,
    scale: Scale,
) -> Result<Merged<D>> {
    threads::run(move |thread| {
        let numbers = number::<D>(&results, id.as_deref(), thread)?;
        let sizes = sizes(&results, &numbers, border, scale, thread)?;
        Ok(Merged { results, numbers: Arc::new(numbers), sizes })
    })
    .await
}

/// Joins and numbers the clusters of all blocks. The number of a block in the answer is its index in
/// `results`.
///
/// # Errors
/// Ids of the column `id` that are not unique.
fn number<const D: usize>(
    results: &BlockResults,
    id: Option<&str>,
    thread: &BlockingThread,
) -> Result<Numbers> {
    let mut merge = Merge::new();
    let facts =
        |lists: &BlockLists| BlockFacts::<D>::from_words(&results.store.read(lists.facts, thread)?);
    for lists in &results.blocks {
        thread.check()?;
        let facts = facts(lists)?;
        merge.add(&facts.first_rows, &facts.contacts);
    }
    let index = |block: u32| {
        let found = results.blocks.binary_search_by_key(&block, |lists| lists.block);
        found.map_err(|_at| Error::internal(format!("block {block} owns no row, and is touched")))
    };
    let mut about: Vec<Vec<(usize, ListId)>> = vec![Vec::new(); results.blocks.len()];
    for (from, lists) in results.blocks.iter().enumerate() {
        for (owner, list) in &lists.touches {
            about[index(*owner)?].push((from, *list));
        }
    }
    for (owner, about) in about.into_iter().enumerate().filter(|(_, about)| !about.is_empty()) {
        let contacts = facts(&results.blocks[owner])?.contacts;
        for (from, list) in about {
            thread.check()?;
            merge.meet(owner, &contacts, from, &touches_of(&results.store.take(list, thread)?))?;
        }
    }
    let numbers = merge.number(thread.stop()).map_err(|twice| match id {
        Some(id) => Error::data(format!(
            "id column '{id}' is not unique: {} appears twice; pass another column, or leave out --id",
            id_of(twice)
        )),
        None => Error::internal(format!("row {twice} appears twice")),
    })?;
    Ok(numbers.ok_or_else(stopped)?)
}

/// The clusters by their number.
fn sizes<const D: usize>(
    results: &BlockResults,
    numbers: &Numbers,
    border: Border,
    scale: Scale,
    thread: &BlockingThread,
) -> Result<Vec<ClusterSize<D>>> {
    let mut all = vec![ClusterSize::NONE; numbers.clusters()];
    for (block, lists) in results.blocks.iter().enumerate() {
        thread.check()?;
        let facts = BlockFacts::<D>::from_words(&results.store.take(lists.facts, thread)?)?;
        for (cluster, size) in (0..).zip(&facts.sizes) {
            all[to_usize(numbers.number(block, cluster))].join(size);
        }
        let open = facts.contacts.open.iter().zip(&facts.open_rows).zip(numbers.open(block));
        for ((place, rows), label) in open {
            if let (RowLabel::Border { cluster, .. }, Border::First) = (label, border) {
                all[to_usize(*cluster)].add(&place.coordinates(), *rows, scale);
            }
        }
    }
    Ok(all)
}

/// Labels every row and sorts rows into ranges.
pub(crate) async fn label(
    results: BlockResults,
    numbers: Arc<Numbers>,
    border: Border,
    rows: u64,
    session: &Session,
) -> Result<(RowLabels, LabelCounts)> {
    let ranges = to_usize(rows.div_ceil(RANGE_ROWS));
    let store = Arc::new(SpillStore::new(session, "labels"));
    let (to, results) = (Arc::clone(&store), Arc::new(results));
    let parts = parallel_for(session.streams(), results.blocks.len(), move |queue| {
        let mut scatter = RowScatter::new(&to, ranges, queue.thread());
        let mut counts = LabelCounts::default();
        while let Some(block) = queue.next() {
            let found = results.store.take(results.blocks[block].rows, queue.thread())?;
            for (position, label) in rows_of(&found) {
                queue.thread().check()?;
                let label = numbers.label(block, label);
                counts.add(label, border);
                let offset = position % RANGE_ROWS;
                scatter.push(
                    to_usize(position / RANGE_ROWS),
                    &[word(label, border) << RANGE_BITS | offset],
                )?;
            }
        }
        Ok((scatter.finish()?, counts))
    });
    let (mut lists, mut counts) = (vec![Vec::new(); ranges], LabelCounts::default());
    for (part, part_counts) in parts.await? {
        part.into_iter().for_each(|(range, list)| lists[range].push(list));
        counts.join(part_counts);
    }
    let store = Arc::into_inner(store).expect("the threads are over");
    Ok((RowLabels { store, ranges: lists, rows }, counts))
}
