//! What a block needs to know of the others: which of its rows they copied, and who owns the rows that
//! it copied. Either blocks were planned, then geometry tells; or they were stored, then the rows
//! themselves tell: a place that stands in a margin belongs to the block that owns a row there.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;

use super::local::Place;
use super::plan::Plan;

/// Blocks, planned or stored.
pub(super) enum Ground<const D: usize> {
    Planned(Arc<Plan<D>>, f64),
    Stored(Stored<D>),
}

/// The blocks of a dataset.
pub(super) struct Stored<const D: usize> {
    /// Rows to cluster in each block, its margin included.
    pub(super) rows: Vec<u64>,
    /// Places in margins with their owners, sorted. Two positions may have one place.
    pub(super) owners: Vec<(Place<D>, u32)>,
    /// The memory of the owners.
    pub(super) _room: MemoryReservation,
}

impl<const D: usize> Ground<D> {
    /// How many blocks there are.
    pub(super) fn blocks(&self) -> usize {
        match self {
            Self::Planned(plan, _) => plan.blocks().len(),
            Self::Stored(stored) => stored.rows.len(),
        }
    }

    /// What a block may take, for the order of blocks.
    pub(super) fn cost(&self, block: usize) -> f64 {
        match self {
            Self::Planned(plan, _) => plan.blocks()[block].cost,
            Self::Stored(stored) => stored.rows[block] as f64,
        }
    }

    /// A block as errors name it.
    pub(super) fn name(&self, block: usize) -> String {
        match self {
            Self::Planned(plan, _) => {
                let corner = |corner: [f64; D]| corner.map(|x| x.to_string()).join(", ");
                let region = plan.blocks()[block].region;
                format!("the block from ({}) to ({})", corner(region.lo), corner(region.hi))
            }
            Self::Stored(_) => format!("block {block}"),
        }
    }

    /// Whether another block may hold a copy of an own row of `block`; a yes too often is safe.
    #[inline]
    pub(super) fn is_copied(&self, block: usize, p: &[f64; D]) -> bool {
        match self {
            Self::Planned(plan, eps) => plan.blocks()[block].region.is_edge(p, *eps),
            Self::Stored(stored) => !stored.owners_of(Place::at(*p)).is_empty(),
        }
    }

    /// Calls `found` with each block that owns a row at the place of a margin row of `block`.
    pub(super) fn owners(&self, block: u32, place: Place<D>, mut found: impl FnMut(u32)) {
        match self {
            Self::Planned(plan, _) => found(plan.owner(&place.coordinates())),
            Self::Stored(stored) => {
                let owners = stored.owners_of(place).iter().map(|(_, owner)| *owner);
                owners.filter(|owner| *owner != block).for_each(found);
            }
        }
    }
}

impl<const D: usize> Stored<D> {
    #[inline]
    fn owners_of(&self, place: Place<D>) -> &[(Place<D>, u32)] {
        let from = self.owners.partition_point(|(other, _)| *other < place);
        let rest = &self.owners[from..];
        &rest[..rest.iter().take_while(|(other, _)| *other == place).count()]
    }
}
