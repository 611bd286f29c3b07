//! From a base block and a place to the block: a small tree of cuts per base block.
//!
//! The tree is found from the blocks themselves, so blocks read back from a file and blocks of a
//! fresh splitting make the same plan. A node has sorted cuts on one axis and one more child than
//! cuts; `value < cut` goes to the lower child.

use std::ops::Range;

use super::base::{Block, Grid};
use super::{Bounds, stop};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};

/// A node, or a block if the highest bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(u32);

const LEAF: u32 = 1 << 31;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Lon,
    Lat,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    axis: Axis,
    /// Its cuts, in the array of all cuts.
    cuts: Range<u32>,
    /// Its first child, in the array of all links.
    children: u32,
}

/// The trees of all base blocks; empty if none is needed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tree {
    /// The roots of the base blocks, then the children of all nodes.
    links: Vec<Link>,
    nodes: Vec<Node>,
    cuts: Vec<f64>,
}

/// Some of the blocks, the area they must tile, and the link that waits for their tree.
struct Group {
    ids: Range<usize>,
    area: Bounds,
    link: usize,
}

impl Tree {
    /// How many bytes it occupies.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.links) + size_of_val(&*self.nodes) + size_of_val(&*self.cuts)
    }

    /// The trees for `blocks`, which must tile their base blocks by straight cuts.
    pub(super) fn new(grid: &Grid, blocks: &[Block], stop: &CancelFlag) -> Result<Self> {
        let (mut ids, ends) = by_parent(grid, blocks)?;
        let links = vec![Link(0); grid.base_blocks() as usize];
        let mut tree = Self { links, ..Self::default() };
        let mut groups = Vec::new();
        let mut begin = 0;
        for (base, end) in (0..).zip(ends) {
            groups.push(Group { ids: begin..end, area: grid.base(base), link: base as usize });
            begin = end;
        }
        let mut step = 0;
        while let Some(group) = groups.pop() {
            stop::check(stop, step)?;
            tree.grow(&group, &mut ids, blocks, &mut groups)?;
            step += 1;
        }
        Ok(tree)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The block of a place that is in base block `base`.
    #[inline]
    pub(super) fn leaf(&self, base: u32, lon: f64, lat: f64) -> u32 {
        let mut link = self.links[base as usize];
        while link.0 & LEAF == 0 {
            let node = &self.nodes[link.0 as usize];
            let value = match node.axis {
                Axis::Lon => lon,
                Axis::Lat => lat,
            };
            let cuts = &self.cuts[node.cuts.start as usize..node.cuts.end as usize];
            // Most nodes have one cut: no search, no branch.
            let child = match cuts {
                [cut] => usize::from(value >= *cut),
                _ => cuts.partition_point(|cut| *cut <= value),
            };
            link = self.links[node.children as usize + child];
        }
        link.0 & !LEAF
    }

    /// Calls `found` with the blocks of `base` that own a place of `area`.
    pub(super) fn leaves_holding(&self, base: u32, area: &Bounds, found: &mut impl FnMut(u32)) {
        let mut open = vec![self.links[base as usize]];
        while let Some(link) = open.pop() {
            if link.0 & LEAF != 0 {
                found(link.0 & !LEAF);
                continue;
            }
            let node = &self.nodes[link.0 as usize];
            let (from, to) = match node.axis {
                Axis::Lon => (area.lon_min, area.lon_max),
                Axis::Lat => (area.lat_min, area.lat_max),
            };
            let cuts = &self.cuts[node.cuts.start as usize..node.cuts.end as usize];
            let first = cuts.partition_point(|cut| *cut <= from);
            let last = cuts.partition_point(|cut| *cut <= to);
            let children = node.children as usize;
            open.extend_from_slice(&self.links[children + first..=children + last]);
        }
    }

    /// Makes the node of one group, and leaves its parts in `groups`.
    fn grow(
        &mut self,
        group: &Group,
        ids: &mut [usize],
        blocks: &[Block],
        groups: &mut Vec<Group>,
    ) -> Result<()> {
        let members = &mut ids[group.ids.clone()];
        if let [only] = *members {
            if blocks[only].bounds != group.area {
                return Err(untiled(&group.area));
            }
            self.links[group.link] = Link(narrow(only) | LEAF);
            return Ok(());
        }
        let (axis, cuts) = [Axis::Lon, Axis::Lat]
            .into_iter()
            .map(|axis| (axis, cuts_along(axis, members, blocks, &group.area)))
            .find(|(_, cuts)| !cuts.is_empty())
            .ok_or_else(|| untiled(&group.area))?;
        let children = self.links.len();
        self.links[group.link] = Link(narrow(self.nodes.len()));
        self.links.resize(children + cuts.len() + 1, Link(0));
        let first_cut = self.cuts.len();
        let mut area = group.area;
        let mut begin = group.ids.start;
        for (part, (end, cut)) in cuts.iter().enumerate() {
            let (lower, upper) = divided(axis, area, *cut);
            let end = group.ids.start + end;
            groups.push(Group { ids: begin..end, area: lower, link: children + part });
            self.cuts.push(*cut);
            (begin, area) = (end, upper);
        }
        groups.push(Group { ids: begin..group.ids.end, area, link: children + cuts.len() });
        self.nodes.push(Node {
            axis,
            cuts: narrow(first_cut)..narrow(self.cuts.len()),
            children: narrow(children),
        });
        Ok(())
    }
}

/// The blocks of all base blocks in turn, ascending in each, and where those of each base block end.
fn by_parent(grid: &Grid, blocks: &[Block]) -> Result<(Vec<usize>, Vec<usize>)> {
    let mut next = vec![0; grid.base_blocks() as usize];
    for (id, block) in blocks.iter().enumerate() {
        let count = next.get_mut(block.parent as usize).ok_or_else(|| {
            Error::data(format!(
                "block {id} has the parent {}, expected one below {}",
                block.parent,
                grid.base_blocks()
            ))
        })?;
        *count += 1;
    }
    let mut begin = 0;
    for next in &mut next {
        begin += std::mem::replace(next, begin);
    }
    let mut ids = vec![0; blocks.len()];
    for (id, block) in blocks.iter().enumerate() {
        let next = &mut next[block.parent as usize];
        ids[*next] = id;
        *next += 1;
    }
    Ok((ids, next))
}

/// Sorts the members along the axis and finds the cuts that no block straddles: how many members
/// lie below each, and where it is.
fn cuts_along(
    axis: Axis,
    members: &mut [usize],
    blocks: &[Block],
    area: &Bounds,
) -> Vec<(usize, f64)> {
    let range = |id: usize| {
        let bounds = &blocks[id].bounds;
        match axis {
            Axis::Lon => (bounds.lon_min, bounds.lon_max),
            Axis::Lat => (bounds.lat_min, bounds.lat_max),
        }
    };
    members.sort_by(|a, b| range(*a).0.total_cmp(&range(*b).0));
    let lowest = match axis {
        Axis::Lon => area.lon_min,
        Axis::Lat => area.lat_min,
    };
    let mut reached = f64::NEG_INFINITY;
    let mut cuts = Vec::new();
    for (index, id) in members.iter().enumerate() {
        let (from, to) = range(*id);
        if index > 0 && from >= reached && from > lowest {
            cuts.push((index, from));
        }
        reached = reached.max(to);
    }
    cuts
}

/// The area below a cut and the area above it.
fn divided(axis: Axis, area: Bounds, cut: f64) -> (Bounds, Bounds) {
    match axis {
        Axis::Lon => (Bounds { lon_max: cut, ..area }, Bounds { lon_min: cut, ..area }),
        Axis::Lat => (Bounds { lat_max: cut, ..area }, Bounds { lat_min: cut, ..area }),
    }
}

fn untiled(area: &Bounds) -> Error {
    Error::data(format!(
        "the blocks in {}..{} x {}..{} do not tile it, expected one owner for every place",
        area.lon_min, area.lon_max, area.lat_min, area.lat_max
    ))
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("a tree has fewer than 2^31 links")
}
