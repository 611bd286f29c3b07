//! Which blocks a row belongs to: the one that owns it, and every one that holds it as a margin row.

use super::margin_area::MarginArea;
use super::stop;
use super::{Bounds, Located, Plan};
use crate::cancel::CancelFlag;
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
    areas: Vec<MarginArea>,
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
        Self::unless(&CancelFlag::default(), plan)
    }

    /// As [`Self::new`]; an error soon after `stop` is raised.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn unless(stop: &CancelFlag, plan: Plan) -> Result<Self> {
        let areas = areas(&plan, stop)?;
        let (first, neighbours) = neighbours(&plan, &areas, stop)?;
        let mut quiet = Vec::new();
        for (id, block) in plan.blocks().iter().enumerate().take(areas.len()) {
            stop::check(stop, id)?;
            let near = neighbours[first[id]..first[id + 1]].iter();
            quiet.push(quiet_part(block.bounds, near.map(|of| &areas[*of as usize])));
        }
        Ok(Self { plan, areas, quiet, first, neighbours })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        let areas: usize = self.areas.iter().map(|reach| size_of_val(&*reach.areas)).sum();
        self.plan.bytes()
            + areas
            + size_of_val(&*self.areas)
            + size_of_val(&*self.quiet)
            + size_of_val(&*self.first)
            + size_of_val(&*self.neighbours)
    }

    /// The angle within which the margin of a block holds every row; 0 without margins.
    ///
    /// For every own row of the block, all rows nearer than this are own rows or margin rows.
    pub fn radius_deg(&self, block: u32) -> f64 {
        self.areas.get(block as usize).map_or(0.0, |area| area.radius_deg)
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
            if self.areas[other as usize].holds(lon, lat) {
                into.push(Assignment::margin(other));
            }
        }
    }
}

/// The margin of every block; none at all without margins.
fn areas(plan: &Plan, stop: &CancelFlag) -> Result<Vec<MarginArea>> {
    let mut parts = vec![0_u32; plan.grid().base_blocks() as usize];
    for block in plan.blocks() {
        parts[block.parent as usize] += 1;
    }
    let mut areas = Vec::new();
    for (id, block) in plan.blocks().iter().enumerate() {
        stop::check(stop, id)?;
        let is_cut = parts[block.parent as usize] > 1;
        areas.extend(MarginArea::new(plan, block.bounds, is_cut));
    }
    Ok(areas)
}

/// The blocks whose margin may enter each block, ascending: where those of a block begin, one more
/// for the end, and all of them.
fn neighbours(
    plan: &Plan,
    areas: &[MarginArea],
    stop: &CancelFlag,
) -> Result<(Vec<usize>, Vec<u32>)> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for (of, area) in (0..).zip(areas) {
        stop::check(stop, of as usize)?;
        let begin = pairs.len();
        visit(plan, area, |into| {
            if into != of {
                pairs.push((into, of));
            }
        });
        // Boxes overlap, and a wide one meets a block at several turns.
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
                    "the margin of {} blocks reaches more than {MAX_NEIGHBOURS} neighbours: lower \
                     the margin or take larger blocks",
                    plan.blocks().len()
                ),
            ));
        }
    }
    // Pairs are in the order of `of`, so filing them by `into` sorts them.
    let mut first = vec![0; plan.blocks().len() + 1];
    for (into, _) in &pairs {
        first[*into as usize + 1] += 1;
    }
    for id in 1..first.len() {
        first[id] += first[id - 1];
    }
    let (mut next, mut neighbours) = (first.clone(), vec![0; pairs.len()]);
    for (step, (into, of)) in pairs.into_iter().enumerate() {
        stop::check(stop, step)?;
        let next = &mut next[into as usize];
        neighbours[*next] = of;
        *next += 1;
    }
    Ok((first, neighbours))
}

/// The same areas a turn down, in place and a turn up: everywhere they meet the grid.
const TURNS: [f64; 3] = [-360.0, 0.0, 360.0];

/// Calls `found` with every block that owns a place of a margin; some come more than once.
fn visit(plan: &Plan, margin: &MarginArea, mut found: impl FnMut(u32)) {
    for area in &margin.areas {
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
    for area in near.flat_map(|margin| &margin.areas) {
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
