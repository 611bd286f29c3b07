//! Crowded cells, halved again and again: a k-d tree each, made when first asked for.
//!
//! Most cells are decided by their hulls. Where a cell holds hundreds of rows and its hull does not
//! decide, the rows are split at the median of the longer side until [`LEAF`] are left, so that the
//! hulls of parts decide. Without this, large `min_points` and skewed data cost quadratic time.
//!
//! A [`Part`] is a whole cell, or a node of its tree. Which rows of the cell take part, all or the
//! core rows, is for the user of a forest to say.

use std::collections::HashMap;
use std::ops::Range;

use super::cells::{Cells, position};
use super::hull::{Hull, any_near};
use super::watch::Watch;

/// Rows of a part that is not split further.
const LEAF: usize = 64;
/// Cells with fewer rows are scanned as a whole: making the tree would cost more.
const CROWD: usize = 4 * LEAF;

/// Some rows of one cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// All its rows; the number of the cell.
    Cell(u32),
    /// Those under a node.
    Node(u32),
}

/// A cell as its forest sees it.
pub(super) trait CellRows<const D: usize> {
    /// The rows of cell `cell` that take part.
    fn rows(&self, cell: u32) -> Range<usize>;
    /// The box around them.
    fn hull(&self, cell: u32) -> &Hull<D>;
}

/// The trees of the crowded cells.
pub(super) struct Forest<'a, G, const D: usize> {
    cells: &'a Cells<D>,
    cell_rows: &'a G,
    /// Coordinates of the rows of all trees, each part together.
    columns: [Vec<f64>; D],
    /// The same rows, as rows of `cells`.
    rows: Vec<u32>,
    nodes: Vec<Node<D>>,
    roots: HashMap<u32, u32>,
    watch: Watch<'a>,
}

struct Node<const D: usize> {
    hull: Hull<D>,
    /// Rows in `columns` and `rows`.
    start: u32,
    end: u32,
    /// The second half; the first half is the next node. 0: not split.
    second: u32,
}

impl<'a, G: CellRows<D>, const D: usize> Forest<'a, G, D> {
    pub(super) fn new(cells: &'a Cells<D>, cell_rows: &'a G, watch: Watch<'a>) -> Self {
        Self {
            cells,
            cell_rows,
            columns: std::array::from_fn(|_| Vec::new()),
            rows: Vec::new(),
            nodes: Vec::new(),
            roots: HashMap::new(),
            watch,
        }
    }

    /// Adds the tree over `rows`, which it reorders. Once it has been asked to stop, it splits nothing
    /// more: its user notices before the tree matters.
    fn grow(&mut self, rows: &mut [u32]) {
        let place = |row: &u32| self.cells.place(*row as usize);
        let hull = Hull::around_places(rows.iter().map(place));
        let (side, axis) = hull.longest();
        let node = self.nodes.len();
        let start = position(self.rows.len());
        self.nodes.push(Node { hull, start, end: start, second: 0 });
        if rows.len() <= LEAF || side == 0.0 || self.watch.is_stopped() {
            for k in 0..D {
                self.columns[k].extend(rows.iter().map(|row| self.cells.place(*row as usize)[k]));
            }
            self.rows.extend_from_slice(rows);
        } else {
            let middle = rows.len() / 2;
            rows.select_nth_unstable_by(middle, |a, b| place(a)[axis].total_cmp(&place(b)[axis]));
            let (first, second) = rows.split_at_mut(middle);
            self.grow(first);
            self.nodes[node].second = position(self.nodes.len());
            self.grow(second);
        }
        self.nodes[node].end = position(self.rows.len());
    }

    /// The box around a part.
    #[inline]
    pub(super) fn hull(&self, part: Part) -> &Hull<D> {
        match part {
            Part::Cell(cell) => self.cell_rows.hull(cell),
            Part::Node(node) => &self.nodes[node as usize].hull,
        }
    }

    /// The two halves of a part that can be split. Makes the tree of a crowded cell.
    pub(super) fn halves(&mut self, part: Part) -> Option<[Part; 2]> {
        let node = match part {
            Part::Node(node) => node,
            Part::Cell(cell) => self.root(cell)?,
        };
        let second = self.nodes[node as usize].second;
        (second != 0).then_some([Part::Node(node + 1), Part::Node(second)])
    }

    /// The topmost node of a cell, if it is crowded.
    fn root(&mut self, cell: u32) -> Option<u32> {
        let rows = self.cell_rows.rows(cell);
        if rows.len() < CROWD {
            return None;
        }
        if let Some(root) = self.roots.get(&cell) {
            return Some(*root);
        }
        let root = position(self.nodes.len());
        self.roots.insert(cell, root);
        let mut rows: Vec<u32> = rows.map(position).collect();
        self.grow(&mut rows);
        Some(root)
    }

    /// Rows of a part.
    #[inline]
    pub(super) fn len(&self, part: Part) -> usize {
        match part {
            Part::Cell(cell) => self.cell_rows.rows(cell).len(),
            Part::Node(node) => self.span(node).len(),
        }
    }

    /// The coordinates of a part.
    #[inline]
    pub(super) fn columns(&self, part: Part) -> [&[f64]; D] {
        match part {
            Part::Cell(cell) => self.cells.columns(self.cell_rows.rows(cell)),
            Part::Node(node) => std::array::from_fn(|k| &self.columns[k][self.span(node)]),
        }
    }

    /// The coordinates of row `i` of a part.
    #[inline]
    pub(super) fn place(&self, part: Part, i: usize) -> [f64; D] {
        self.columns(part).map(|column| column[i])
    }

    /// Row `i` of a part, as a row of the cells.
    #[inline]
    pub(super) fn row(&self, part: Part, i: usize) -> usize {
        match part {
            Part::Cell(cell) => self.cell_rows.rows(cell).start + i,
            Part::Node(node) => self.rows[self.span(node)][i] as usize,
        }
    }

    /// Whether a row of a part is near `place`.
    pub(super) fn any_near(&mut self, part: Part, place: &[f64; D], eps_squared: f64) -> bool {
        let hull = self.hull(part);
        if hull.nearest(place) > eps_squared {
            return false;
        }
        if hull.farthest(place) <= eps_squared {
            return true;
        }
        // Where many rows are near, one of the first will be, and no tree is needed.
        let columns = self.columns(part);
        let few = columns[0].len().min(LEAF);
        if any_near(&columns.map(|column| &column[..few]), place, eps_squared) {
            return true;
        }
        match self.halves(part) {
            Some(halves) => halves.into_iter().any(|half| self.any_near(half, place, eps_squared)),
            None => any_near(&self.columns(part).map(|column| &column[few..]), place, eps_squared),
        }
    }

    #[inline]
    fn span(&self, node: u32) -> Range<usize> {
        let node = &self.nodes[node as usize];
        node.start as usize..node.end as usize
    }
}
