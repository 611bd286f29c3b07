//! The clusters near the rows that are not core, labels, and contacts with other blocks.
//!
//! A border row may be near several clusters. None is chosen here: which has the smallest number is
//! known when blocks are merged. A margin row is asked about as if it were not core; what it is, its
//! owner knows. One label for a copied row would not do: it can touch several clusters of a block
//! that only other blocks join.

use super::cells::{Cells, position};
use super::connect::Clusters;
use super::contact::{Contacts, Export, Point, Reach, Touch};
use super::core::Cores;
use super::density::Density;
use super::forest::{CellRows, Forest, Part};
use super::label::{Cluster, Label, Local};
use super::sort::sort;
use super::watch::Watch;
use super::window::Window;

/// Puts together what the block found out; `None` once it has been asked to stop.
pub(super) fn label<const D: usize>(
    cells: &Cells<D>,
    cores: &Cores<D>,
    clusters: &Clusters,
    density: &Density,
    copied: impl Fn(&[f64; D]) -> bool,
    watch: Watch<'_>,
) -> Option<Local<D>> {
    let first = clusters.first.iter();
    let mut collector = Collector {
        labels: vec![Label::NOISE; cells.own()],
        clusters: first.map(|first| Cluster { first: *first, cores: 0 }).collect(),
        exports: Vec::new(),
        open: Vec::new(),
        reaches: Vec::new(),
        touches: Vec::new(),
    };
    for cell in 0..position(cores.len()) {
        let cluster = clusters.of[cell as usize];
        collector.clusters[cluster as usize].cores += position(cores.rows(cell).len());
        watch.tick()?;
        for row in cores.rows(cell) {
            collector.core(cells.input(row), cells.place(row), cluster, &copied);
        }
    }
    let mut search = Search {
        cells,
        cores,
        clusters,
        eps_squared: density.eps_squared(),
        window: Window::around(),
        forest: Forest::new(cells, cores, watch),
        around: Vec::new(),
        near: Vec::new(),
    };
    let mut next = 0; // the next cell of `cores`
    for cell in 0..cells.len() {
        let mut rows = cells.rows_of(cell..cell + 1);
        let core = cores.index.get(next).is_some_and(|index| *index == cells.index()[cell]);
        let core = core.then_some(next);
        if let Some(core) = core {
            rows.start = cores.rows(position(core)).end;
            next += 1;
        }
        if rows.is_empty() {
            continue;
        }
        search.move_to(cell);
        let within = core.map(|core| clusters.of[core]);
        for row in rows {
            watch.tick()?;
            let place = cells.place(row);
            let near = search.clusters_near(&place, within);
            if cells.is_own(row) {
                collector.not_core(cells.input(row), place, near, &copied);
            } else {
                collector.margin(place, near);
            }
        }
    }
    collector.sorted(watch)
}

/// Looks for clusters near a row, cell by cell.
struct Search<'a, const D: usize> {
    cells: &'a Cells<D>,
    cores: &'a Cores<D>,
    clusters: &'a Clusters,
    eps_squared: f64,
    window: Window<D>,
    forest: Forest<'a, Cores<D>, D>,
    /// The cells of `cores` around the present cell, with their clusters.
    around: Vec<(u32, u32)>,
    near: Vec<u32>,
}

impl<const D: usize> Search<'_, D> {
    fn move_to(&mut self, cell: usize) {
        self.window.move_to(&self.cores.index, self.cells.index()[cell]);
        self.around.clear();
        let around = self.window.ranges().flatten();
        self.around.extend(around.map(|cell| (position(cell), self.clusters.of[cell])));
    }

    /// The clusters with a core row near a row of the present cell, of whose own cluster, `within`,
    /// every core row is.
    fn clusters_near(&mut self, place: &[f64; D], within: Option<u32>) -> &[u32] {
        self.near.clear();
        self.near.extend(within);
        for (cell, cluster) in &self.around {
            if !self.near.contains(cluster)
                && self.forest.any_near(Part::Cell(*cell), place, self.eps_squared)
            {
                self.near.push(*cluster);
            }
        }
        &self.near
    }
}

/// Labels and contacts as they come.
struct Collector<const D: usize> {
    labels: Vec<Label>,
    clusters: Vec<Cluster>,
    exports: Vec<Export<D>>,
    /// Open places, with the row.
    open: Vec<(Point<D>, u32)>,
    /// Open places with a cluster near.
    reaches: Vec<(Point<D>, u32)>,
    touches: Vec<Touch<D>>,
}

impl<const D: usize> Collector<D> {
    fn core(
        &mut self,
        row: u32,
        place: [f64; D],
        cluster: u32,
        copied: impl Fn(&[f64; D]) -> bool,
    ) {
        self.labels[row as usize] = Label::core(cluster);
        if copied(&place) {
            self.exports.push(Export { point: Point::at(place), cluster });
        }
    }

    fn not_core(
        &mut self,
        row: u32,
        place: [f64; D],
        near: &[u32],
        copied: impl Fn(&[f64; D]) -> bool,
    ) {
        if near.len() > 1 || copied(&place) {
            let place = Point::at(place);
            self.open.push((place, row));
            self.reaches.extend(near.iter().map(|cluster| (place, *cluster)));
        } else if let [cluster] = near {
            self.labels[row as usize] = Label::border(*cluster);
        }
    }

    fn margin(&mut self, place: [f64; D], near: &[u32]) {
        let point = Point::at(place);
        self.touches.extend(near.iter().map(|cluster| Touch { point, cluster: *cluster }));
    }

    /// Sorts the contacts by place and numbers the open places.
    fn sorted(mut self, watch: Watch<'_>) -> Option<Local<D>> {
        sort(&mut self.exports, watch)?;
        self.exports.dedup();
        sort(&mut self.touches, watch)?;
        self.touches.dedup();
        sort(&mut self.open, watch)?;
        let mut open: Vec<Point<D>> = Vec::with_capacity(self.open.len());
        for (place, row) in &self.open {
            if open.last() != Some(place) {
                open.push(*place);
            }
            self.labels[*row as usize] = Label::open(position(open.len() - 1));
        }
        drop(self.open);
        sort(&mut self.reaches, watch)?;
        self.reaches.dedup();
        let mut number = 0;
        let mut reaches = Vec::with_capacity(self.reaches.len());
        for (place, cluster) in &self.reaches {
            while open[number] != *place {
                number += 1;
            }
            reaches.push(Reach { open: position(number), cluster: *cluster });
        }
        Some(Local {
            labels: self.labels,
            clusters: self.clusters,
            contacts: Contacts { exports: self.exports, open, reaches, touches: self.touches },
        })
    }
}
