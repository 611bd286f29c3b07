//! Which own rows are core: those with at least `min_points` rows near, themselves included.
//!
//! A cell with that many rows is core as a whole, no distance computed. If it and its neighbours
//! together hold fewer, none of it is. Otherwise rows are counted: over whole lines of neighbours
//! where these hold few rows, by hulls where they hold many. Margin rows are counted, never marked.

use std::ops::Range;

use super::cells::{Cells, Index, position};
use super::density::Density;
use super::forest::{CellRows, Forest, Part};
use super::hull::{Hull, count_near};
use super::watch::Watch;
use super::window::Window;

/// Neighbours with more rows than this, all together, are judged by their hulls first.
const FEW: usize = 256;

/// For every row of `cells` whether it is core; `None` once it has been asked to stop.
pub(super) fn mark_cores<const D: usize>(
    cells: &Cells<D>,
    density: &Density,
    watch: Watch<'_>,
) -> Option<Vec<bool>> {
    let hull = |cell| watch.tick().map(|()| cells.hull(cells.rows_of(cell..cell + 1)));
    let hulls = (0..cells.len()).map(hull).collect::<Option<_>>()?;
    let everyone = Everyone { cells, hulls };
    let mut marker = Marker {
        cells,
        density,
        core: vec![false; cells.rows_of(0..cells.len()).len()],
        forest: Forest::new(cells, &everyone, watch),
        watch,
        maybe: Vec::new(),
    };
    let mut window = Window::around();
    let mut lines = Vec::new();
    for cell in 0..cells.len() {
        watch.tick()?;
        let rows = cells.rows_of(cell..cell + 1);
        if !cells.is_own(rows.start) {
            continue; // own rows come first: this cell has none
        }
        if rows.len() >= density.min_points() {
            marker.mark_all(rows);
            continue;
        }
        window.move_to(cells.index(), cells.index()[cell]);
        lines.clear();
        lines.extend(window.ranges().filter(|line| !line.is_empty()));
        let around: usize = lines.iter().map(|line| cells.rows_of(line.clone()).len()).sum();
        if around < density.min_points() {
            continue;
        }
        if around <= FEW {
            lines.iter_mut().for_each(|line| *line = cells.rows_of(line.clone()));
            marker.count_lines(rows, &lines)?;
        } else {
            marker.count_crowd(position(cell), &lines)?;
        }
    }
    Some(marker.core)
}

/// Marks core rows, cell by cell.
struct Marker<'a, const D: usize> {
    cells: &'a Cells<D>,
    density: &'a Density,
    core: Vec<bool>,
    forest: Forest<'a, Everyone<'a, D>, D>,
    watch: Watch<'a>,
    /// A stack of parts that may hold rows near the part in question.
    maybe: Vec<Part>,
}

impl<const D: usize> Marker<'_, D> {
    /// All own rows of `rows` are core.
    fn mark_all(&mut self, rows: Range<usize>) {
        for row in rows {
            self.core[row] = self.cells.is_own(row);
        }
    }

    /// Counts the neighbours in `lines` (ranges of rows) for each of `rows`.
    fn count_lines(&mut self, rows: Range<usize>, lines: &[Range<usize>]) -> Option<()> {
        let enough = self.density.min_points();
        for row in rows.take_while(|row| self.cells.is_own(*row)) {
            self.watch.tick()?;
            let place = self.cells.place(row);
            let mut near = 0;
            self.core[row] = lines.iter().any(|line| {
                let line = self.cells.columns(line.clone());
                near += count_near(&line, &place, self.density.eps_squared());
                near >= enough
            });
        }
        Some(())
    }

    /// Decides a cell by the hulls of its neighbours in `lines` (ranges of cells).
    fn count_crowd(&mut self, cell: u32, lines: &[Range<usize>]) -> Option<()> {
        let others = lines.iter().cloned().flatten();
        self.maybe.extend(others.map(|other| Part::Cell(position(other))));
        self.decide(Part::Cell(cell), 0, 0)?;
        self.maybe.clear();
        Some(())
    }

    /// Decides a part: `sure` rows are near all of it, those on the stack from `from` may be.
    ///
    /// Leaves the stack as it was.
    fn decide(&mut self, part: Part, mut sure: usize, from: usize) -> Option<()> {
        self.watch.tick()?;
        let (enough, to) = (self.density.min_points(), self.maybe.len());
        let hull = *self.forest.hull(part);
        let mut unsure = 0;
        for i in from..to {
            self.sort_out(&hull, self.maybe[i], &mut sure, &mut unsure);
        }
        if sure >= enough {
            for i in 0..self.forest.len(part) {
                let row = self.forest.row(part, i);
                self.core[row] = self.cells.is_own(row);
            }
        } else if sure + unsure >= enough {
            if let Some(halves) = self.forest.halves(part) {
                for half in halves {
                    self.decide(half, sure, to)?;
                }
            } else {
                for i in 0..self.forest.len(part) {
                    self.watch.tick()?;
                    let row = self.forest.row(part, i);
                    self.core[row] = self.cells.is_own(row) && self.is_core(row, sure, to);
                }
            }
        }
        self.maybe.truncate(to);
        Some(())
    }

    /// Decides a single row, from the same two sources.
    fn is_core(&mut self, row: usize, mut sure: usize, from: usize) -> bool {
        let (enough, to) = (self.density.min_points(), self.maybe.len());
        let place = self.cells.place(row);
        let mut unsure = 0;
        for i in from..to {
            self.sort_out(&Hull::at(place), self.maybe[i], &mut sure, &mut unsure);
        }
        while sure < enough
            && sure + unsure >= enough
            && let Some(part) = (self.maybe.len() > to).then(|| self.maybe.pop()).flatten()
        {
            let rows = self.forest.columns(part);
            unsure -= rows[0].len();
            sure += count_near(&rows, &place, self.density.eps_squared());
        }
        self.maybe.truncate(to);
        sure >= enough
    }

    /// Adds the rows of `other` to those that are sure, or drops them, or, if its hull does not
    /// say, keeps on the stack those parts of it that are smaller than `hull`.
    fn sort_out(&mut self, hull: &Hull<D>, other: Part, sure: &mut usize, unsure: &mut usize) {
        let box_of_other = self.forest.hull(other);
        if hull.nearest_between(box_of_other) > self.density.eps_squared() {
            return;
        }
        if hull.farthest_between(box_of_other) <= self.density.eps_squared() {
            *sure += self.forest.len(other);
            return;
        }
        if box_of_other.longest().0 > hull.longest().0
            && let Some(halves) = self.forest.halves(other)
        {
            halves.into_iter().for_each(|half| self.sort_out(hull, half, sure, unsure));
            return;
        }
        *unsure += self.forest.len(other);
        self.maybe.push(other);
    }
}

/// All rows of all cells.
struct Everyone<'a, const D: usize> {
    cells: &'a Cells<D>,
    hulls: Vec<Hull<D>>,
}

impl<const D: usize> CellRows<D> for Everyone<'_, D> {
    fn rows(&self, cell: u32) -> Range<usize> {
        let cell = cell as usize;
        self.cells.rows_of(cell..cell + 1)
    }

    fn hull(&self, cell: u32) -> &Hull<D> {
        &self.hulls[cell as usize]
    }
}

/// The cells that hold core rows, in the order of the cells, with those rows only.
pub(super) struct Cores<const D: usize> {
    pub(super) index: Vec<Index<D>>,
    /// The rows of [`Cells`] where the core rows of a cell begin, and how many there are.
    starts: Vec<u32>,
    counts: Vec<u32>,
    hulls: Vec<Hull<D>>,
}

impl<const D: usize> Cores<D> {
    /// Moves the rows that are `core` to the front of their cells.
    /// `None` once it has been asked to stop.
    pub(super) fn gather(cells: &mut Cells<D>, core: &[bool], watch: Watch<'_>) -> Option<Self> {
        let holds_core = |cell: &usize| cells.rows_of(*cell..cell + 1).any(|row| core[row]);
        let count = (0..cells.len()).filter(holds_core).count();
        let mut cores = Self {
            index: Vec::with_capacity(count),
            starts: Vec::with_capacity(count),
            counts: Vec::with_capacity(count),
            hulls: Vec::with_capacity(count),
        };
        for cell in 0..cells.len() {
            watch.tick()?;
            let rows = cells.rows_of(cell..cell + 1);
            let found = cells.bring_forward(rows.clone(), core);
            if found > 0 {
                cores.index.push(cells.index()[cell]);
                cores.starts.push(position(rows.start));
                cores.counts.push(position(found));
                cores.hulls.push(cells.hull(rows.start..rows.start + found));
            }
        }
        Some(cores)
    }

    /// Cells with core rows.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

impl<const D: usize> CellRows<D> for Cores<D> {
    #[inline]
    fn rows(&self, cell: u32) -> Range<usize> {
        let start = self.starts[cell as usize] as usize;
        start..start + self.counts[cell as usize] as usize
    }

    #[inline]
    fn hull(&self, cell: u32) -> &Hull<D> {
        &self.hulls[cell as usize]
    }
}
