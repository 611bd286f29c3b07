//! Half-open cells on one axis, found by comparing with one array of edges, or with their formula.

/// The edges `e[0] <= e[1] <= … <= e[n]` of `n` equal cells.
///
/// `e[i] = min + ((max - min) * i) / n` for `i < n` in this order of operations, and `e[n] = max`.
/// Cell `i` is `[e[i], e[i + 1])`, the last one closed. Two cells share one number, so no value
/// is in two cells or in none, whatever the rounding; division alone gets values on edges wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges {
    edges: Vec<f64>,
    formula: Formula,
}

impl Edges {
    /// How many bytes they occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.edges)
    }

    /// The edges of `cells` equal cells from `min` to `max`, both finite and in order.
    ///
    /// # Panics
    /// If there are no cells, or the ends are not finite and in order.
    pub fn equal(min: f64, max: f64, cells: u32) -> Self {
        assert!(cells > 0, "an axis has one cell at least");
        assert!(min.is_finite() && max.is_finite() && min <= max, "{min}..{max} is not a range");
        let parts = f64::from(cells);
        let formula = Formula { min, max, parts, per_degree: parts / (max - min) };
        let mut edges = Vec::with_capacity(cells as usize + 1);
        edges.extend((0..cells).map(|i| formula.edge(f64::from(i))));
        edges.push(max);
        Self { edges, formula }
    }

    /// How many cells there are.
    #[expect(clippy::cast_possible_truncation, reason = "built from a u32")]
    pub fn cells(&self) -> u32 {
        (self.edges.len() - 1) as u32
    }

    /// The lower end of the first cell.
    pub fn min(&self) -> f64 {
        self.formula.min
    }

    /// The upper end of the last cell.
    pub fn max(&self) -> f64 {
        self.formula.max
    }

    /// The two ends of a cell.
    pub fn cell(&self, index: u32) -> (f64, f64) {
        (self.edges[index as usize], self.edges[index as usize + 1])
    }

    /// All edges, ascending.
    pub fn as_slice(&self) -> &[f64] {
        &self.edges
    }

    /// The cell that holds `value`; none outside the edges and for NaN.
    #[inline]
    pub fn index_of(&self, value: f64) -> Option<u32> {
        (value >= self.min() && value <= self.max()).then(|| self.nearest(value))
    }

    /// The cell that holds `value`, the first or last one if it lies outside.
    ///
    /// That is how many of `e[1]..e[n - 1]` are `<= value`: a guess by division, then steps
    /// while the edges disagree.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates, and the guess is clamped to the cells"
    )]
    pub(super) fn nearest(&self, value: f64) -> u32 {
        let last = self.edges.len() - 2;
        if self.min() >= self.max() {
            return last as u32;
        }
        let quotient = (value - self.min()) * self.formula.per_degree;
        let mut index = (quotient as u32 as usize).min(last);
        while index > 0 && value < self.edges[index] {
            index -= 1;
        }
        while index < last && value >= self.edges[index + 1] {
            index += 1;
        }
        index as u32
    }

    /// The cells that hold the values of a closed range, as a half-open range of indices.
    pub(super) fn holding(&self, from: f64, to: f64) -> std::ops::Range<u32> {
        if to < self.min() || from > self.max() {
            return 0..0;
        }
        self.nearest(from)..self.nearest(to) + 1
    }

    /// The edges as their formula, unless cells are so narrow that rounding moves an edge by more
    /// than a small part of a cell.
    pub(super) fn formula(&self) -> Option<Formula> {
        let Formula { min, max, per_degree, .. } = self.formula;
        // Cells of 2^-40 of the largest number at least; without a width this is infinite or NaN.
        (per_degree * min.abs().max(max.abs()) <= TWO_TO_40).then_some(self.formula)
    }
}

const TWO_TO_40: f64 = (1_u64 << 40) as f64;
/// From here on a float64 has no fraction: adding it rounds to the nearest whole number.
pub(super) const TWO_TO_52: f64 = (1_u64 << 52) as f64;

/// Equal edges without their array: for loops that become vector instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Formula {
    min: f64,
    max: f64,
    parts: f64,
    per_degree: f64,
}

impl Formula {
    /// How many cells there are.
    #[inline(always)]
    pub(super) fn cells(self) -> f64 {
        self.parts
    }

    /// Edge `index` below the last one.
    #[inline(always)]
    fn edge(self, index: f64) -> f64 {
        // The least of two: a width that was rounded up must not carry an edge past the end.
        (self.min + ((self.max - self.min) * index) / self.parts).min(self.max)
    }

    /// The cell that holds `value`, as [`Edges::index_of`] finds it, and whether one does; without
    /// branches and without loads. If none does, the number means nothing.
    ///
    /// One comparison is enough. Counted in cells, the quotient is wrong by less than 2^-8: some
    /// roundings of 2^-53 each of at most 2^32 cells. So is an edge: some roundings of 2^-53 each
    /// of numbers that [`Edges::formula`] keeps below 2^40 cells. So a value is less than three
    /// quarters of a cell from the edge nearest to its quotient, and in one of the two cells that
    /// share it. Beyond the last edge but one there is only the last cell.
    #[inline(always)]
    pub(super) fn index_of(self, value: f64) -> (f64, bool) {
        let quotient = (value - self.min) * self.per_degree;
        let last = self.parts - 1.0;
        let quotient = if quotient < last { quotient } else { last };
        let nearest = (quotient + TWO_TO_52) - TWO_TO_52;
        let below = if value < self.edge(nearest) { 1.0 } else { 0.0 };
        (nearest - below, (value >= self.min) & (value <= self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_axis_without_width_puts_all_in_the_last_cell() {
        let edges = Edges::equal(10.0, 10.0, 4);
        assert_eq!(edges.index_of(10.0), Some(3));
        assert_eq!(edges.holding(9.0, 10.0), 3..4);
    }

    #[test]
    fn values_outside_are_in_no_cell() {
        let edges = Edges::equal(0.0, 360.0, 16);
        for value in [-1e-300, 360.000_000_000_000_1, f64::NAN, f64::INFINITY] {
            assert_eq!(edges.index_of(value), None, "{value}");
        }
        assert_eq!(edges.index_of(360.0), Some(15));
    }

    /// Axes as they are, and narrow ones with an edge on most numbers between their ends.
    fn axis() -> impl Strategy<Value = Edges> {
        let min = prop_oneof![Just(0.0), Just(-90.0), -360.0..360.0f64];
        let width = prop_oneof![
            Just(0.0),
            Just(180.0),
            Just(360.0),
            0.0..360.0f64,
            (-50..0).prop_map(|exponent| 2.0_f64.powi(exponent)),
        ];
        let cells = prop_oneof![1..300_u32, Just(1 << 20)];
        (min, width, cells).prop_map(|(min, width, cells)| Edges::equal(min, min + width, cells))
    }

    #[test]
    fn an_axis_of_the_sky_has_a_formula_and_one_without_width_has_none() {
        assert!(Edges::equal(0.0, 360.0, 1 << 20).formula().is_some());
        assert!(Edges::equal(359.0, 360.0, 1 << 20).formula().is_some());
        for at in [0.0, -5.0, 360.0] {
            assert!(Edges::equal(at, at, 4).formula().is_none());
            assert!(Edges::equal(at, at.next_up(), 4).formula().is_none());
        }
    }

    proptest! {
        #[test]
        fn the_formula_finds_the_cells_of_the_array(
            edges in axis(), at in prop::collection::vec(-0.1..1.1f64, 100),
        ) {
            let Some(formula) = edges.formula() else { return Ok(()) };
            let width = edges.max() - edges.min();
            let step = edges.as_slice().len().div_ceil(1000);
            let on_edges = edges.as_slice().iter().step_by(step).copied();
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0, edges.max()];
            for value in at.iter().map(|at| edges.min() + width * at).chain(on_edges).chain(odd) {
                for value in [value.next_down(), value, value.next_up()] {
                    let (index, holds) = formula.index_of(value);
                    let found = holds.then_some(index);
                    prop_assert_eq!(found, edges.index_of(value).map(f64::from), "{}", value);
                }
            }
        }

        #[test]
        fn a_cell_holds_its_lower_edge_and_not_its_upper_one(
            min in -360.0..360.0f64, width in prop_oneof![0.0..360.0f64, 0.0..1e-12f64],
            cells in 1..300u32, at in 0.0..=1.0f64,
        ) {
            let edges = Edges::equal(min, min + width, cells);
            let mut values = edges.as_slice().to_vec();
            values.push((min + width * at).min(edges.max()));
            for value in values {
                let inner = &edges.as_slice()[1..cells as usize];
                let expected = inner.iter().filter(|edge| **edge <= value).count();
                prop_assert_eq!(edges.index_of(value), u32::try_from(expected).ok());
            }
        }
    }
}
