//! Half-open cells on one axis, found by comparing with one array of edges.

/// The edges `e[0] <= e[1] <= … <= e[n]` of `n` equal cells.
///
/// `e[i] = min + ((max - min) * i) / n` for `i < n` in this order of operations, and `e[n] = max`.
/// Cell `i` is `[e[i], e[i + 1])`, the last one closed. Two cells share one number, so no value
/// is in two cells or in none, whatever the rounding; division alone gets values on edges wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Edges {
    edges: Vec<f64>,
    min: f64,
    max: f64,
    per_degree: f64,
}

impl Edges {
    /// The edges of `cells` equal cells from `min` to `max`, both finite and in order.
    ///
    /// # Panics
    /// If there are no cells, or the ends are not finite and in order.
    pub fn equal(min: f64, max: f64, cells: u32) -> Self {
        assert!(cells > 0, "an axis has one cell at least");
        assert!(min.is_finite() && max.is_finite() && min <= max, "{min}..{max} is no range");
        let parts = f64::from(cells);
        let mut edges = Vec::with_capacity(cells as usize + 1);
        // The least of two: a width that was rounded up must not carry an edge past the end.
        edges.extend((0..cells).map(|i| (min + ((max - min) * f64::from(i)) / parts).min(max)));
        edges.push(max);
        Self { edges, min, max, per_degree: parts / (max - min) }
    }

    /// How many cells there are.
    #[expect(clippy::cast_possible_truncation, reason = "built from a u32")]
    pub fn cells(&self) -> u32 {
        (self.edges.len() - 1) as u32
    }

    /// The lower end of the first cell.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The upper end of the last cell.
    pub fn max(&self) -> f64 {
        self.max
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
        if self.min >= self.max {
            return last as u32;
        }
        let mut index = (((value - self.min) * self.per_degree) as u32 as usize).min(last);
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

    proptest! {
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
