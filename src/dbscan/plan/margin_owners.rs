//! What a block needs to know of the others: which of its rows they copied, and which block owns the
//! rows that it copied. For planned blocks this follows from their bounds. For stored blocks it follows
//! from the rows: a position in a margin belongs to the block that owns a row there.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;

use super::BlockPlan;
use pleiad_core::dbscan::Point;

/// Blocks, planned or stored.
pub(crate) enum MarginOwners<const D: usize> {
    Planned(Arc<BlockPlan<D>>, f64),
    Stored(StoredOwners<D>),
}

/// The blocks of a dataset.
pub(crate) struct StoredOwners<const D: usize> {
    /// Rows to cluster in each block, its margin included.
    pub(crate) rows: Vec<u64>,
    /// Places in margins with their owners, sorted. Two positions may have one place.
    pub(crate) owners: Vec<(Point<D>, u32)>,
    /// The memory of the owners.
    pub(crate) _room: MemoryReservation,
}

impl<const D: usize> MarginOwners<D> {
    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        match self {
            Self::Planned(plan, _) => plan.blocks().len(),
            Self::Stored(stored) => stored.rows.len(),
        }
    }

    /// What a block may take, for the order of blocks.
    pub(crate) fn cost(&self, block: usize) -> f64 {
        match self {
            Self::Planned(plan, _) => plan.blocks()[block].cost,
            Self::Stored(stored) => stored.rows[block] as f64,
        }
    }

    /// A block as errors name it.
    pub(crate) fn name(&self, block: usize) -> String {
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
    pub(crate) fn is_copied(&self, block: usize, p: &[f64; D]) -> bool {
        match self {
            Self::Planned(plan, eps) => plan.blocks()[block].region.is_edge(p, *eps),
            Self::Stored(stored) => !stored.owners_of(Point::at(*p)).is_empty(),
        }
    }

    /// Calls `found` with each block that owns a row at the place of a margin row of `block`.
    pub(crate) fn owners(&self, block: u32, place: Point<D>, mut found: impl FnMut(u32)) {
        match self {
            Self::Planned(plan, _) => found(plan.owner(&place.coordinates())),
            Self::Stored(stored) => {
                let owners = stored.owners_of(place).iter().map(|(_, owner)| *owner);
                owners.filter(|owner| *owner != block).for_each(found);
            }
        }
    }
}

impl<const D: usize> StoredOwners<D> {
    #[inline]
    fn owners_of(&self, place: Point<D>) -> &[(Point<D>, u32)] {
        let from = self.owners.partition_point(|(other, _)| *other < place);
        let rest = &self.owners[from..];
        &rest[..rest.iter().take_while(|(other, _)| *other == place).count()]
    }
}
