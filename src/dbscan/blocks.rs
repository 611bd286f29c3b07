//! Blocks one by one: each is clustered on a thread of its own, under a reservation of the memory it
//! may need; what it found is kept for a later run and put away until blocks are merged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::divide::{Piles, row_bytes};
use super::found::{Found, touch_words};
use super::ground::Ground;
use super::local::{Density, Local, Touch, cluster};
use super::options::{Border, Params};
use super::resume::Kept;
use super::shelf::{Shelf, Slip};
use super::sizes::Scale;
use super::threads::{Stop, died};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::session::Session;
use crate::table::Run;

/// What all blocks found.
pub(super) struct Findings {
    pub(super) shelf: Shelf,
    /// For each block with own rows: its number and its lists.
    pub(super) blocks: Vec<Lists>,
}

/// Where the findings of a block are.
pub(super) struct Lists {
    pub(super) block: u32,
    /// Positions and labels.
    pub(super) rows: Slip,
    pub(super) facts: Slip,
    /// The touches about the rows of each other block: its number, and the list.
    pub(super) touches: Vec<(u32, Slip)>,
}

/// What blocks are clustered by.
pub(super) struct Work<const D: usize> {
    pub(super) ground: Ground<D>,
    pub(super) density: Density,
    pub(super) border: Border,
    pub(super) scale: Scale,
}

impl<const D: usize> Work<D> {
    pub(super) fn new(ground: Ground<D>, params: &Params, scale: Scale) -> Self {
        Self { ground, density: params.density, border: params.options.border, scale }
    }

    /// Clusters one block; none once it has been asked to stop.
    fn block(&self, piles: &Piles<D>, block: usize, stop: &AtomicBool) -> Result<Option<Found<D>>> {
        let pile = &piles.blocks[block];
        let rows = usize::try_from(pile.own_rows + pile.margin_rows).unwrap_or(usize::MAX);
        let own = usize::try_from(pile.own_rows).unwrap_or(usize::MAX);
        let mut places: Vec<[f64; D]> = Vec::with_capacity(rows);
        let (mut positions, mut ids) = (Vec::with_capacity(own), Vec::new());
        let place = |words: &[u64]| std::array::from_fn(|k| f64::from_bits(words[k]));
        for slip in &pile.own {
            for words in piles.shelf.take(*slip)?.chunks_exact(piles.width) {
                places.push(place(words));
                positions.push(words[D]);
                ids.extend(words.get(D + 1));
            }
        }
        for slip in &pile.margin {
            places.extend(piles.shelf.take(*slip)?.chunks_exact(D).map(place));
        }
        let own_places = places[..own].to_vec();
        let copied = |p: &[f64; D]| self.ground.is_copied(block, p);
        let Some(local): Option<Local<D>> = cluster(places, own, &self.density, copied, stop)?
        else {
            return Ok(None);
        };
        let ids = if ids.is_empty() { &positions } else { &ids };
        let own = own_places.into_iter();
        Ok(Some(Found::new(own, &positions, ids, local, self.border, self.scale)))
    }
}

/// Clusters all blocks, the dearest first, and keeps each in the run's record.
pub(super) async fn cluster_all<const D: usize>(
    work: Work<D>,
    piles: Piles<D>,
    kept: Kept,
    run: Option<&Run>,
    session: &Session,
    watch: &dyn Observer,
) -> Result<Findings> {
    let mut findings =
        Findings { shelf: Shelf::new(session, "labels of blocks"), blocks: Vec::new() };
    let keeps = work.ground.blocks() > 1;
    for (at, block) in kept.blocks().enumerate() {
        findings.add(block, kept.read(at).await?, &work.ground)?;
    }
    let mut queue: Vec<usize> =
        (0..piles.blocks.len()).filter(|block| piles.blocks[*block].own_rows > 0).collect();
    let cost = |block: &usize| work.ground.cost(*block);
    queue.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(b.cmp(a)));
    let total = queue.len() as u64;
    watch.report(Event::Stage {
        name: "clustering".into(),
        total: Some(total),
        unit: Unit::Blocks,
    });
    let (work, piles) = (Arc::new(work), Arc::new(piles));
    let stop = Stop::default();
    let mut running = JoinSet::new();
    let mut done = 0;
    loop {
        while running.len() < session.streams()
            && let Some(block) = queue.last()
        {
            let Some(room) = room::<D>(session, &work, &piles, *block, running.is_empty())? else {
                break; // until another block is done
            };
            let block = queue.pop().expect("a block is waiting");
            let (work, piles, stop) = (Arc::clone(&work), Arc::clone(&piles), stop.flag());
            running.spawn_blocking(move || {
                let found = work.block(&piles, block, &stop);
                drop(room);
                found.map(|found| (block, found))
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (block, found) = ended.map_err(died)??;
        let found = found.ok_or_else(|| Error::internal("a block was stopped"))?;
        let number = u32::try_from(block).expect("blocks are counted in 30 bits");
        if let Some(run) = run.filter(|_| keeps) {
            run.checkpoint(&super::resume::block_name(number), Bytes::from(found.to_bytes()))
                .await?;
        }
        findings.add(number, found, &work.ground)?;
        done += 1;
        watch.report(Event::Progress { done });
    }
    watch.report(Event::Done);
    findings.blocks.sort_by_key(|lists| lists.block);
    Ok(findings)
}

/// Memory for a block; none while others hold too much of it.
fn room<const D: usize>(
    session: &Session,
    work: &Work<D>,
    piles: &Piles<D>,
    block: usize,
    is_alone: bool,
) -> Result<Option<MemoryReservation>> {
    let pile = &piles.blocks[block];
    let rows = pile.own_rows + pile.margin_rows;
    let bytes = usize::try_from(rows * row_bytes::<D>()).unwrap_or(usize::MAX);
    let room = MemoryConsumer::new("dbscan block").register(&session.memory_pool());
    match room.try_grow(bytes) {
        Ok(()) => Ok(Some(room)),
        Err(_) if !is_alone => Ok(None),
        Err(cause) => {
            let (own, margin, mib) = (pile.own_rows, pile.margin_rows, bytes >> 20);
            Err(Error::new(
                Kind::Limit,
                format!(
                    "{} has {own} rows and {margin} within eps of it, which need {mib} MiB: raise \
                     --memory-limit, or take a smaller eps",
                    work.ground.name(block),
                ),
            )
            .caused_by(cause))
        }
    }
}

impl Findings {
    /// Puts away what a block found; its touches are sorted out by the block they are about.
    fn add<const D: usize>(
        &mut self,
        block: u32,
        found: Found<D>,
        ground: &Ground<D>,
    ) -> Result<()> {
        let Found { rows, mut facts } = found;
        let mut by_owner: BTreeMap<u32, Vec<Touch<D>>> = BTreeMap::new();
        for touch in std::mem::take(&mut facts.contacts.touches) {
            let note = |owner| by_owner.entry(owner).or_default().push(touch);
            ground.owners(block, touch.place, note);
        }
        let keep =
            |(owner, touches): (u32, Vec<_>)| Ok((owner, self.shelf.keep(touch_words(&touches))?));
        self.blocks.push(Lists {
            block,
            touches: by_owner.into_iter().map(keep).collect::<Result<_>>()?,
            rows: self.shelf.keep(rows)?,
            facts: self.shelf.keep(facts.to_words())?,
        });
        Ok(())
    }
}
