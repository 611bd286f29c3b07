//! The cells at most two away, for one cell after another: cursors that only move forward.

use std::ops::Range;

use super::cells::{Index, key};

/// How far neighbours reach on each axis, in cells.
const REACH: i32 = 2;

/// Looks over a rising list of cells. A line is the cells that differ on the last axis only; the
/// neighbours of a cell lie on 5 (3-D: 25) lines, on each of them in a row.
pub(super) struct Window<const D: usize> {
    lines: Vec<CellLine>,
}

struct CellLine {
    /// From a cell's key to the first and past the last neighbour on this line.
    from: i128,
    to: i128,
    found: Range<u32>,
}

impl<const D: usize> Window<D> {
    /// All neighbours, the cell itself among them; the nearest lines first.
    pub(super) fn around() -> Self {
        Self::of(offsets::<D>(), |_| REACH)
    }

    /// The neighbours that come before the cell: each pair of cells is met once.
    pub(super) fn before() -> Self {
        let lines = offsets::<D>().into_iter().filter(|offset| *offset <= [0; D]).collect();
        Self::of(lines, |offset| if *offset == [0; D] { -1 } else { REACH })
    }

    /// Lines at `offsets`, each up to `last` on the last axis.
    fn of(mut offsets: Vec<[i32; D]>, last: impl Fn(&[i32; D]) -> i32) -> Self {
        offsets.sort_by_key(|offset| offset.iter().map(|o| o * o).sum::<i32>());
        let difference = |offset: &[i32; D], last: i32| {
            let line = offset.iter().fold(0i128, |sum, o| (sum << 32) + i128::from(*o));
            line + i128::from(last)
        };
        let line = |offset: &[i32; D]| CellLine {
            from: difference(offset, -REACH),
            to: difference(offset, last(offset) + 1),
            found: 0..0,
        };
        Self { lines: offsets.iter().map(line).collect() }
    }

    /// Moves on to the neighbours of `cell`, which comes after every cell asked for before.
    ///
    /// `cells` is the same list each time; the answers are ranges of it.
    #[inline]
    pub(super) fn move_to(&mut self, cells: &[Index<D>], cell: Index<D>) {
        let center = key(cell);
        for line in &mut self.lines {
            let Range { mut start, mut end } = line.found;
            while cells.get(start as usize).is_some_and(|other| key(*other) < center + line.from) {
                start += 1;
            }
            end = end.max(start);
            while cells.get(end as usize).is_some_and(|other| key(*other) < center + line.to) {
                end += 1;
            }
            line.found = start..end;
        }
    }

    /// The neighbours found, one range of the list for each line.
    #[inline]
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        self.lines.iter().map(|line| line.found.start as usize..line.found.end as usize)
    }
}

/// Every offset whose last part is 0 and whose others are within reach.
fn offsets<const D: usize>() -> Vec<[i32; D]> {
    (0..D - 1).fold(vec![[0; D]], |offsets, k| {
        let moved = |offset: [i32; D]| {
            (-REACH..=REACH).map(move |o| {
                let mut moved = offset;
                moved[k] = o;
                moved
            })
        };
        offsets.into_iter().flat_map(moved).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<const D: usize>(cells: &[Index<D>]) {
        let (mut around, mut before) = (Window::<D>::around(), Window::<D>::before());
        for (number, cell) in cells.iter().enumerate() {
            let near = |other: usize| (0..D).all(|k| cell[k].abs_diff(cells[other][k]) <= 2);
            around.move_to(cells, *cell);
            before.move_to(cells, *cell);
            let mut found: Vec<_> = around.ranges().flatten().collect();
            found.sort_unstable();
            assert_eq!(found, (0..cells.len()).filter(|other| near(*other)).collect::<Vec<_>>());
            let mut found: Vec<_> = before.ranges().flatten().collect();
            found.sort_unstable();
            assert_eq!(found, (0..number).filter(|other| near(*other)).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn it_finds_the_cells_at_most_two_away(
            flat in prop::collection::btree_set(prop::array::uniform2(2u32..12), 0..60),
            deep in prop::collection::btree_set(prop::array::uniform3(2u32..8), 0..60),
        ) {
            check(&flat.into_iter().collect::<Vec<_>>());
            check(&deep.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_works_at_both_ends_of_the_range() {
        check(&[[2, 2], [2, u32::MAX - 4], [u32::MAX - 4, 2], [u32::MAX - 4, u32::MAX - 4]]);
    }
}
