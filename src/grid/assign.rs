//! Which blocks a row belongs to: the one that owns it, and every one that holds it as a margin row.

use super::margin_area::MarginArea;
use super::{Bounds, Located, Plan};
use crate::error::{Error, Kind, Result};

/// The most pairs of a block and a neighbour whose margin enters it: 8 bytes each while sorting.
const MAX_NEIGHBOURS: usize = 1 << 24;

/// A block, and whether the row is its own or a margin row there.
///
/// As a number `2 * id` for the own block and `2 * id + 1` for a margin: the order of places is
/// that of blocks, own rows first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment(u32);

impl Assignment {
    /// The row's own block.
    pub const fn own(block: u32) -> Self {
        Self(block * 2)
    }

    /// A block whose margin holds the row.
    pub const fn margin(block: u32) -> Self {
        Self(block * 2 + 1)
    }

    /// The place as a number, below `2 * MAX_BLOCKS`.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The block.
    pub const fn block(self) -> u32 {
        self.0 / 2
    }

    /// True in a margin.
    pub const fn is_margin(self) -> bool {
        self.0 % 2 == 1
    }
}

/// A plan made ready for rows: built once, asked millions of times.
#[derive(Debug, Clone)]
pub struct Assigner {
    plan: Plan,
    reaches: Vec<MarginArea>,
    /// Per block, the part of it that no margin of another block enters; its border is outside.
    quiet: Vec<Bounds>,
    /// Where the neighbours of each block begin in `neighbours`, and one more for the end.
    first: Vec<usize>,
    /// The blocks whose margin may enter a block.
    neighbours: Vec<u32>,
}

impl Assigner {
    /// Finds which margins enter which blocks.
    ///
    /// # Errors
    /// A margin so wide, for blocks so small, that each block has thousands of neighbours.
    pub fn new(plan: Plan) -> Result<Self> {
        let reaches = reaches(&plan);
        let mut pairs = Vec::new();
        for (of, reach) in (0..).zip(&reaches) {
            let begin = pairs.len();
            visit(&plan, reach, |into| {
                if into != of {
                    pairs.push((into, of));
                }
            });
            // Areas overlap, and a wide one meets a block at several turns.
            pairs[begin..].sort_unstable();
            let mut kept = begin;
            for at in begin..pairs.len() {
                if at == begin || pairs[at] != pairs[kept - 1] {
                    pairs[kept] = pairs[at];
                    kept += 1;
                }
            }
            pairs.truncate(kept);
            if pairs.len() > MAX_NEIGHBOURS {
                return Err(Error::new(
                    Kind::Limit,
                    format!(
                        "the margin of {} blocks reaches more than {MAX_NEIGHBOURS} neighbours: \
                         lower the margin or take larger blocks",
                        plan.blocks().len()
                    ),
                ));
            }
        }
        pairs.sort_unstable();
        let mut first = vec![0; plan.blocks().len() + 1];
        for (into, _) in &pairs {
            first[*into as usize + 1] += 1;
        }
        for id in 1..first.len() {
            first[id] += first[id - 1];
        }
        let neighbours: Vec<u32> = pairs.into_iter().map(|(_, of)| of).collect();
        let quiet = if reaches.is_empty() {
            Vec::new()
        } else {
            (0..plan.blocks().len())
                .map(|id| {
                    let near = &neighbours[first[id]..first[id + 1]];
                    quiet_part(
                        plan.blocks()[id].bounds,
                        near.iter().map(|of| &reaches[*of as usize]),
                    )
                })
                .collect()
        };
        Ok(Self { plan, reaches, quiet, first, neighbours })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        let areas: usize = self.reaches.iter().map(|reach| size_of_val(&*reach.areas)).sum();
        self.plan.bytes()
            + areas
            + size_of_val(&*self.reaches)
            + size_of_val(&*self.quiet)
            + size_of_val(&*self.first)
            + size_of_val(&*self.neighbours)
    }

    /// The angle within which the margin of a block holds every row; 0 without margins.
    ///
    /// For every own row of the block, all rows nearer than this are own rows or margin rows.
    pub fn radius_deg(&self, block: u32) -> f64 {
        self.reaches.get(block as usize).map_or(0.0, |reach| reach.radius_deg)
    }

    /// Appends the places of a position of the grid's frame to `into`: the own block first, then
    /// margins by ascending block. Appends nothing and is false where [`Plan::block_of`] is none.
    #[inline]
    pub fn assign(&self, lon_deg: f64, lat_deg: f64, into: &mut Vec<Assignment>) -> bool {
        let at = self.plan.grid().locate(lon_deg, lat_deg);
        at.inspect(|at| self.assign_at(at, into)).is_some()
    }

    /// As [`Self::assign`], of a position that the grid has located.
    #[inline]
    pub fn assign_at(&self, at: &Located, into: &mut Vec<Assignment>) {
        let Located { lon, lat, .. } = *at;
        let own = self.plan.block_at(at);
        into.push(Assignment::own(own));
        let own = own as usize;
        if let Some(quiet) = self.quiet.get(own) {
            let undisturbed = lon > quiet.lon_min
                && lon < quiet.lon_max
                && lat > quiet.lat_min
                && lat < quiet.lat_max;
            if !undisturbed {
                self.margins_of(own, lon, lat, into);
            }
        }
    }

    fn margins_of(&self, own: usize, lon: f64, lat: f64, into: &mut Vec<Assignment>) {
        for &other in &self.neighbours[self.first[own]..self.first[own + 1]] {
            if self.reaches[other as usize].holds(lon, lat) {
                into.push(Assignment::margin(other));
            }
        }
    }
}

/// The margin of every block; none at all without margins.
fn reaches(plan: &Plan) -> Vec<MarginArea> {
    let mut parts = vec![0_u32; plan.grid().base_blocks() as usize];
    for block in plan.blocks() {
        parts[block.parent as usize] += 1;
    }
    (0..)
        .zip(plan.blocks())
        .filter_map(|(id, block)| MarginArea::new(plan, id, parts[block.parent as usize] > 1))
        .collect()
}

/// The same areas a turn down, in place and a turn up: everywhere they meet the grid.
const TURNS: [f64; 3] = [-360.0, 0.0, 360.0];

/// Calls `found` with every block that owns a place of the areas of `reach`; some come more than once.
fn visit(plan: &Plan, reach: &MarginArea, mut found: impl FnMut(u32)) {
    for area in &reach.areas {
        let turns = if area.lon_min.is_finite() { &TURNS[..] } else { &TURNS[1..2] };
        for turn in turns {
            plan.blocks_holding(&area.shifted(*turn), &mut found);
        }
    }
}

/// What is left of a block when the areas of its neighbours are taken away: one box, on each
/// occasion the largest that remains.
fn quiet_part<'a>(block: Bounds, near: impl Iterator<Item = &'a MarginArea>) -> Bounds {
    let mut left = block;
    for area in near.flat_map(|reach| &reach.areas) {
        for turn in TURNS {
            let area = area.shifted(turn);
            if !area.meets(&left) {
                continue;
            }
            left = [
                Bounds { lon_min: left.lon_min.max(area.lon_max), ..left },
                Bounds { lon_max: left.lon_max.min(area.lon_min), ..left },
                Bounds { lat_min: left.lat_min.max(area.lat_max), ..left },
                Bounds { lat_max: left.lat_max.min(area.lat_min), ..left },
            ]
            .into_iter()
            .max_by(|a, b| size(a).total_cmp(&size(b)))
            .expect("four boxes");
        }
    }
    left
}

fn size(bounds: &Bounds) -> f64 {
    bounds.width_deg().max(0.0) * bounds.height_deg().max(0.0)
}
