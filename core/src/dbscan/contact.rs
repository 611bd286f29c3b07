//! What blocks must know of each other, keyed by position and not by row.
//!
//! Rows in one place have the same neighbours, hence the same facts: duplicate rows are safe, and
//! no row number is needed. The lists are sorted by place, so that merging is a walk along two of
//! them, and hold each fact once.

/// A position in space, by the bits of its coordinates.
///
/// The order is that of the bits, good for sorting only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point<const D: usize>([u64; D]);

impl<const D: usize> Point<D> {
    /// The position at finite coordinates; `-0.0` is `0.0`.
    #[inline]
    pub fn at(coordinates: [f64; D]) -> Self {
        Self(coordinates.map(|x| (x + 0.0).to_bits()))
    }

    /// Where it is; a driver finds the owner of a margin row by this.
    #[inline]
    pub fn coordinates(self) -> [f64; D] {
        self.0.map(f64::from_bits)
    }
}

/// Own core rows at a place that other blocks may have copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Export<const D: usize> {
    /// Where.
    pub point: Point<D>,
    /// The block's cluster of these rows.
    pub cluster: u32,
}

/// An own cluster that is near an open place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// The position in [`Contacts::open`].
    pub open: u32,
    /// The block's cluster.
    pub cluster: u32,
}

/// Margin rows at a place with an own core row near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch<const D: usize> {
    /// Where.
    pub point: Point<D>,
    /// The block's cluster that is near.
    pub cluster: u32,
}

/// All that a block exchanges with others. Every list is sorted and without repetition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contacts<const D: usize> {
    /// Own core rows that may be margin rows elsewhere.
    pub exports: Vec<Export<D>>,
    /// Places of own rows that are not core and whose label the block alone does not know: other
    /// blocks may have copied them, or several clusters are near.
    pub open: Vec<Point<D>>,
    /// Own clusters near the open places.
    pub reaches: Vec<Reach>,
    /// Own clusters near the margin rows: a message to the block that owns the row.
    pub touches: Vec<Touch<D>>,
}
