//! The clusters of a block: cells with core rows, joined where a core row of one is near one of the
//! other.
//!
//! A union-find over cells, not rows, since the cores of a cell belong together. What costs least
//! comes first, so that most pairs are joined before they would have to be looked at: pairs whose
//! hulls say that they are near, then a glance at a few rows of each, which settles small pairs and
//! crowded ones with many rows near each other, then the other crowded ones, the largest first.

use std::cmp::Reverse;

use super::cells::{Cells, position};
use super::core::Cores;
use super::density::Density;
use super::forest::{CellRows, Forest, Part};
use super::hull::any_near;
use super::sort;
use super::watch::Watch;
use super::window::Window;

/// A glance at a pair of cells takes this many rows of each.
const FEW: usize = 64;

/// For every cell of `cores` the number of its cluster, and for every cluster its first core row.
///
/// Rows are positions in the input, and clusters are in the order of their first rows.
pub(super) struct Clusters {
    pub(super) of: Vec<u32>,
    pub(super) first: Vec<u32>,
}

/// Finds the clusters; `None` once it has been asked to stop.
pub(super) fn connect<const D: usize>(
    cells: &Cells<D>,
    cores: &Cores<D>,
    density: &Density,
    watch: Watch<'_>,
) -> Option<Clusters> {
    let mut sets = Sets::new(cores.len());
    join_by_hulls(cores, density, &mut sets, watch)?;
    let crowded = join_by_glance(cells, cores, density, &mut sets, watch)?;
    join_crowded(cells, cores, density, crowded, &mut sets, watch)?;
    number(cells, cores, sets, watch)
}

/// Joins the pairs that are near whichever rows are taken.
fn join_by_hulls<const D: usize>(
    cores: &Cores<D>,
    density: &Density,
    sets: &mut Sets,
    watch: Watch<'_>,
) -> Option<()> {
    let mut window = Window::before();
    for cell in 0..cores.len() {
        watch.tick()?;
        window.move_to(&cores.index, cores.index[cell]);
        let (cell, hull) = (position(cell), cores.hull(position(cell)));
        for other in window.ranges().flatten().map(position) {
            if hull.farthest_between(cores.hull(other)) <= density.eps_squared() {
                sets.join(cell, other);
            }
        }
    }
    Some(())
}

/// Looks at a few rows of the pairs that are not joined yet; answers the pairs this did not settle.
fn join_by_glance<const D: usize>(
    cells: &Cells<D>,
    cores: &Cores<D>,
    density: &Density,
    sets: &mut Sets,
    watch: Watch<'_>,
) -> Option<Vec<(u32, u32)>> {
    let mut crowded = Vec::new();
    let mut window = Window::before();
    for cell in 0..cores.len() {
        watch.tick()?;
        window.move_to(&cores.index, cores.index[cell]);
        let (cell, hull) = (position(cell), cores.hull(position(cell)));
        for other in window.ranges().flatten().map(position) {
            if hull.nearest_between(cores.hull(other)) > density.eps_squared()
                || sets.root(cell) == sets.root(other)
            {
                continue;
            }
            let few = |cell: u32| {
                let rows = cores.rows(cell);
                rows.start..rows.end.min(rows.start + FEW)
            };
            let (a, b) = (few(cell), few(other));
            let is_all = a == cores.rows(cell) && b == cores.rows(other);
            let b = cells.columns(b);
            let (hull, eps) = (cores.hull(other), density.eps_squared());
            let mut places = a.map(|row| cells.place(row));
            if places.any(|p| hull.nearest(&p) <= eps && any_near(&b, &p, eps)) {
                sets.join(cell, other);
            } else if !is_all {
                crowded.push((cell, other));
            }
        }
    }
    Some(crowded)
}

/// Looks at the crowded pairs that are not joined yet, the largest first.
fn join_crowded<const D: usize>(
    cells: &Cells<D>,
    cores: &Cores<D>,
    density: &Density,
    mut pairs: Vec<(u32, u32)>,
    sets: &mut Sets,
    watch: Watch<'_>,
) -> Option<()> {
    let size = |cell: u32| cores.rows(cell).len();
    sort::sort_by_key(&mut pairs, watch, |(a, b)| Reverse((size(*a).min(size(*b)), *a, *b)))?;
    let mut forest = Forest::new(cells, cores, watch);
    for (a, b) in pairs {
        if sets.root(a) != sets.root(b)
            && parts_near(&mut forest, (Part::Cell(a), Part::Cell(b)), density, watch)?
        {
            sets.join(a, b);
        }
    }
    Some(())
}

/// Whether a row of one part is near a row of the other.
fn parts_near<const D: usize>(
    forest: &mut Forest<'_, Cores<D>, D>,
    (a, b): (Part, Part),
    density: &Density,
    watch: Watch<'_>,
) -> Option<bool> {
    watch.tick()?;
    let eps = density.eps_squared();
    let (hull_a, hull_b) = (*forest.hull(a), *forest.hull(b));
    if hull_a.nearest_between(&hull_b) > eps {
        return Some(false);
    }
    if hull_a.farthest_between(&hull_b) <= eps {
        return Some(true);
    }
    let (halves_a, halves_b) = (forest.halves(a), forest.halves(b));
    let mut pairs = match (halves_a, halves_b) {
        (Some(halves), other) if other.is_none() || hull_a.longest().0 > hull_b.longest().0 => {
            halves.map(|half| (half, b))
        }
        (_, Some(halves)) => halves.map(|half| (a, half)),
        (_, None) => {
            let columns = forest.columns(b);
            let mut places = (0..forest.len(a)).map(|i| forest.place(a, i));
            return Some(places.any(|p| hull_b.nearest(&p) <= eps && any_near(&columns, &p, eps)));
        }
    };
    let gap = |(a, b): &(Part, Part)| forest.hull(*a).nearest_between(forest.hull(*b));
    pairs.sort_by(|one, other| gap(one).total_cmp(&gap(other)));
    for pair in pairs {
        if parts_near(forest, pair, density, watch)? {
            return Some(true);
        }
    }
    Some(false)
}

/// Numbers the sets by their first core rows.
fn number<const D: usize>(
    cells: &Cells<D>,
    cores: &Cores<D>,
    mut sets: Sets,
    watch: Watch<'_>,
) -> Option<Clusters> {
    let count = position(cores.len());
    let roots: Vec<u32> = (0..count).map(|cell| sets.root(cell)).collect();
    drop(sets);
    let mut firsts = vec![u32::MAX; cores.len()];
    for cell in 0..count {
        watch.tick()?;
        let first = cores.rows(cell).map(|row| cells.input(row)).min().unwrap_or(u32::MAX);
        let of_root = &mut firsts[roots[cell as usize] as usize];
        *of_root = first.min(*of_root);
    }
    let mut clusters: Vec<u32> = (0..count).filter(|cell| roots[*cell as usize] == *cell).collect();
    sort::sort_by_key(&mut clusters, watch, |root| firsts[*root as usize])?;
    let first = clusters.iter().map(|root| firsts[*root as usize]).collect();
    let mut number_of = firsts;
    for (number, root) in clusters.iter().enumerate() {
        number_of[*root as usize] = position(number);
    }
    let of = roots.iter().map(|root| number_of[*root as usize]).collect();
    Some(Clusters { of, first })
}

/// Disjoint sets of cells (Tarjan 1975), path halving, the smaller number on top.
struct Sets {
    parents: Vec<u32>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parents: (0..position(count)).collect() }
    }

    #[inline]
    fn root(&mut self, mut cell: u32) -> u32 {
        loop {
            let parent = self.parents[cell as usize];
            if parent == cell {
                return cell;
            }
            let above = self.parents[parent as usize];
            self.parents[cell as usize] = above;
            cell = above;
        }
    }

    #[inline]
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }
}
