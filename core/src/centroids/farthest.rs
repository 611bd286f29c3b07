//! The rows farthest from their nearest centroid: where an empty cluster moves to.
//!
//! Distinct rows, by squared distance descending, then values ascending (`total_cmp`); rows that lie
//! on a centroid are left out. Which rows these are does not depend on how a table is split.

use std::cmp::Ordering;

use bytes::{Buf, BufMut};

use super::sample::compare;
use crate::error::{Error, Result};

/// A row and its squared distance to the nearest centroid.
#[derive(Debug, Clone, PartialEq)]
pub struct FarRow {
    /// The squared distance, above zero.
    pub squared: f64,
    /// The coordinates, with +0.0 for -0.0.
    pub values: Vec<f64>,
}

impl FarRow {
    fn compare(&self, squared: f64, values: &[f64]) -> Ordering {
        squared.total_cmp(&self.squared).then_with(|| compare(&self.values, values))
    }
}

/// The `limit` farthest distinct rows of each model.
#[derive(Debug, Clone, PartialEq)]
pub struct Farthest {
    limit: usize,
    columns: usize,
    models: Vec<Vec<FarRow>>,
}

impl Farthest {
    /// No rows yet, for this many models.
    pub fn new(limit: usize, columns: usize, models: usize) -> Self {
        Self { limit, columns, models: vec![Vec::new(); models] }
    }

    /// The rows of model `number`, the farthest first.
    pub fn rows(&self, number: usize) -> &[FarRow] {
        &self.models[number]
    }

    /// How many models there are.
    pub fn models(&self) -> usize {
        self.models.len()
    }

    /// Whether a row this far away could belong to them; spares the caller its values.
    pub fn could_take(&self, number: usize, squared: f64) -> bool {
        let rows = &self.models[number];
        squared > 0.0 && rows.get(self.limit - 1).is_none_or(|last| squared >= last.squared)
    }

    /// Adds a row.
    pub fn add(&mut self, number: usize, squared: f64, values: &[f64]) {
        debug_assert_eq!(values.len(), self.columns);
        if !self.could_take(number, squared) {
            return;
        }
        let rows = &mut self.models[number];
        if let Err(place) = rows.binary_search_by(|row| row.compare(squared, values)) {
            rows.insert(place, FarRow { squared, values: values.to_vec() });
            rows.truncate(self.limit);
        }
    }

    /// Adds the farthest of other rows.
    ///
    /// # Errors
    /// Of rows of another query.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let shape = |far: &Self| (far.limit, far.columns, far.models.len());
        if shape(self) != shape(other) {
            return Err(Error::internal("far rows to merge are of another query"));
        }
        for (number, rows) in other.models.iter().enumerate() {
            rows.iter().for_each(|row| self.add(number, row.squared, &row.values));
        }
        Ok(())
    }

    /// Appends the state that travels between streams.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (number, rows) in self.models.iter().enumerate() {
            for row in rows {
                out.put_u64_le(number as u64);
                out.put_f64_le(row.squared);
                row.values.iter().for_each(|x| out.put_f64_le(*x));
            }
        }
    }

    /// Adds what [`Self::write`] wrote.
    ///
    /// # Errors
    /// Of bytes of another query.
    pub fn merge_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        let foreign = || Error::internal("a state of far rows is of another query");
        if !bytes.len().is_multiple_of(8 * (2 + self.columns)) {
            return Err(foreign());
        }
        let mut values = vec![0.0; self.columns];
        while bytes.has_remaining() {
            let number = usize::try_from(bytes.get_u64_le()).ok();
            let number = number.filter(|number| *number < self.models.len()).ok_or_else(foreign)?;
            let squared = bytes.get_f64_le();
            values.iter_mut().for_each(|x| *x = bytes.get_f64_le());
            self.add(number, squared, &values);
        }
        Ok(())
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        let row = size_of::<FarRow>() + 8 * self.columns;
        let rows: usize = self.models.iter().map(Vec::len).sum();
        size_of::<Self>() + self.models.len() * size_of::<Vec<FarRow>>() + rows * row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equally_far_rows_come_in_the_order_of_their_values() {
        let mut far = Farthest::new(3, 2, 1);
        for (squared, values) in
            [(4.0, [2.0, 1.0]), (9.0, [5.0, 5.0]), (4.0, [1.0, 7.0]), (4.0, [1.0, 7.0])]
        {
            far.add(0, squared, &values);
        }
        far.add(0, 4.0, &[1.0, 8.0]);
        far.add(0, 0.0, &[0.0, 0.0]);
        let found: Vec<_> = far.rows(0).iter().map(|row| (row.squared, &row.values[..])).collect();
        assert_eq!(found, [(9.0, &[5.0, 5.0][..]), (4.0, &[1.0, 7.0]), (4.0, &[1.0, 8.0])]);
    }
}
