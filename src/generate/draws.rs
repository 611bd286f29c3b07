//! Random bits by position: the value at a row of a column depends on the seed, the column's name
//! and the row number, and on nothing that was drawn before.
//!
//! So any slice of a table can be made alone. The bits are [`SplitMix64`], started once a value from a
//! key that is itself mixed: neighbouring rows share no state.

use crate::splitmix::{GAMMA, SplitMix64, hash, mix};

/// The random bits behind one value, as many as its law asks for.
pub(super) type Draws = SplitMix64;

/// A column of random values, known by the seed and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    key: u64,
}

impl Column {
    /// The column called `name`, which is unique among all generators: `people.table1.age`.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let key = name.bytes().fold(hash(seed), |key, byte| hash(key ^ u64::from(byte)));
        Self { key }
    }

    /// The random bits behind the value at `row`.
    #[inline]
    pub(super) fn at(self, row: u64) -> Draws {
        Draws::new(mix(self.key.wrapping_add(row.wrapping_mul(GAMMA))))
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_value_has_bits_of_its_own() {
        let first = |seed, name, row| Column::new(seed, name).at(row).next_u64();
        let mut seen: Vec<u64> = (0..1000).map(|row| first(1, "a.b", row)).collect();
        seen.extend((0..1000).map(|row| first(1, "a.c", row)));
        seen.extend((0..1000).map(|row| first(2, "a.b", row)));
        // the second draw of a row is not the first one of the next row
        seen.extend((0..1000).map(|row| {
            let mut draws = Column::new(1, "a.b").at(row);
            draws.next_u64();
            draws.next_u64()
        }));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4000);
    }
}
