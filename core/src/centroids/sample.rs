//! A sample that depends on the values of the rows only: the distinct rows of lowest hash.
//!
//! The hash of a row is `h = seed`, then `h = mix(h xor bits(x + 0.0))` for each column. No key, row
//! number or layout enters, so any split of a table gives the same sample. A row that is among the
//! lowest at the end was so in every part, hence its multiplicity is exact.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::{Buf, BufMut};

use super::kernel::{BLOCK, Lanes};
use crate::error::{Error, Result};
use crate::isa::Task;
use crate::splitmix::mix;

/// A row of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRow<'a> {
    /// The hash of its values.
    pub hash: u64,
    /// Its coordinates, with +0.0 for -0.0.
    pub values: &'a [f64],
    /// How many rows of the table have these values.
    pub rows: u64,
    /// Their quantised weights together; without a weight column as much as `rows`.
    pub weight: i128,
}

/// The `limit` distinct rows of lowest (hash, values).
#[derive(Debug, Clone)]
pub struct RowSample {
    limit: usize,
    columns: usize,
    /// Rows in the order they came; up to twice `limit`, then those that cannot stay are dropped.
    hashes: Vec<u64>,
    values: Vec<f64>,
    counts: Vec<(u64, i128)>,
    /// Where each hash is. Rows of equal hash are found under the hash of the hash, and so on.
    places: HashMap<u64, usize, BuildHasherDefault<Identity>>,
    /// No row of a higher hash can stay.
    highest: u64,
}

impl RowSample {
    /// The sample of no rows.
    pub fn new(limit: usize, columns: usize) -> Self {
        Self {
            limit,
            columns,
            hashes: Vec::new(),
            values: Vec::new(),
            counts: Vec::new(),
            places: HashMap::default(),
            highest: u64::MAX,
        }
    }

    /// The most rows it keeps.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a row of this hash could belong to the sample; spares the caller its values.
    pub fn could_take(&self, hash: u64) -> bool {
        hash <= self.highest
    }

    /// Adds rows of equal values.
    pub fn add(&mut self, row: &SampleRow<'_>) {
        debug_assert_eq!(row.values.len(), self.columns);
        if !self.could_take(row.hash) {
            return;
        }
        let mut key = row.hash;
        loop {
            match self.places.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(self.hashes.len());
                    break;
                }
                Entry::Occupied(place) => {
                    let place = *place.get();
                    if self.values_of(place) == row.values {
                        self.counts[place].0 += row.rows;
                        self.counts[place].1 += row.weight;
                        return;
                    }
                    key = mix(!key);
                }
            }
        }
        self.hashes.push(row.hash);
        self.values.extend_from_slice(row.values);
        self.counts.push((row.rows, row.weight));
        if self.hashes.len() >= self.limit.saturating_mul(2) {
            self.prune();
        }
    }

    /// Adds a sample of other rows.
    ///
    /// # Errors
    /// Of a sample of another number of columns or of fewer rows than this one keeps.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.columns != self.columns || other.limit != self.limit {
            return Err(Error::internal("a sample to merge is of another query"));
        }
        other.rows().iter().for_each(|row| self.add(row));
        Ok(())
    }

    /// The rows of the sample, by hash, then values.
    pub fn rows(&self) -> Vec<SampleRow<'_>> {
        self.lowest().into_iter().map(|place| self.row(place)).collect()
    }

    /// Appends the state that travels between streams.
    pub fn write(&self, out: &mut Vec<u8>) {
        for row in self.rows() {
            out.put_u64_le(row.hash);
            out.put_u64_le(row.rows);
            out.put_i128_le(row.weight);
            row.values.iter().for_each(|x| out.put_f64_le(*x));
        }
    }

    /// Adds what [`Self::write`] wrote.
    ///
    /// # Errors
    /// Of bytes of another number of columns.
    pub fn merge_bytes(&mut self, mut bytes: &[u8]) -> Result<()> {
        if !bytes.len().is_multiple_of(8 * (4 + self.columns)) {
            return Err(Error::internal("a state of sampled rows is of another query"));
        }
        let mut values = vec![0.0; self.columns];
        while bytes.has_remaining() {
            let (hash, rows) = (bytes.get_u64_le(), bytes.get_u64_le());
            let weight = bytes.get_i128_le();
            values.iter_mut().for_each(|x| *x = bytes.get_f64_le());
            self.add(&SampleRow { hash, values: &values, rows, weight });
        }
        Ok(())
    }

    /// How many bytes it occupies.
    pub fn bytes(&self) -> usize {
        // A place is a key, a value and a byte of control, in a table at most 7/8 full.
        let places = self.places.capacity() * 8 / 7 * (size_of::<(u64, usize)>() + 1);
        let rows = (self.hashes.capacity() + self.values.capacity()) * 8
            + self.counts.capacity() * size_of::<(u64, i128)>();
        size_of::<Self>() + places + rows
    }

    fn row(&self, place: usize) -> SampleRow<'_> {
        let (rows, weight) = self.counts[place];
        SampleRow { hash: self.hashes[place], values: self.values_of(place), rows, weight }
    }

    fn values_of(&self, place: usize) -> &[f64] {
        &self.values[place * self.columns..][..self.columns]
    }

    /// The places of the rows that stay, in order.
    fn lowest(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.hashes.len()).collect();
        places.sort_unstable_by(|a, b| {
            let by_hash = self.hashes[*a].cmp(&self.hashes[*b]);
            by_hash.then_with(|| compare(self.values_of(*a), self.values_of(*b)))
        });
        places.truncate(self.limit);
        places
    }

    /// Drops the rows that cannot stay. The buffers keep their size.
    fn prune(&mut self) {
        let mut kept = Self {
            hashes: Vec::with_capacity(self.hashes.capacity()),
            values: Vec::with_capacity(self.values.capacity()),
            counts: Vec::with_capacity(self.counts.capacity()),
            places: std::mem::take(&mut self.places),
            ..Self::new(self.limit, self.columns)
        };
        kept.places.clear();
        self.rows().iter().for_each(|row| kept.add(row));
        kept.highest = kept.hashes.last().copied().unwrap_or(u64::MAX);
        *self = kept;
    }
}

impl PartialEq for RowSample {
    fn eq(&self, other: &Self) -> bool {
        (self.limit, self.columns, self.rows()) == (other.limit, other.columns, other.rows())
    }
}

/// Column by column, by the total order of floats.
pub(super) fn compare(a: &[f64], b: &[f64]) -> Ordering {
    let columns = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    columns.fold(Ordering::Equal, Ordering::then)
}

/// Hashes the rows of a block.
pub struct HashRows<'a> {
    /// The coordinates, a column after another.
    pub x: &'a [Lanes<f64>],
    /// How many rows there are.
    pub rows: usize,
    /// Where every hash starts.
    pub seed: u64,
    /// The hashes.
    pub hashes: &'a mut Lanes<u64>,
}

impl Task for HashRows<'_> {
    #[inline(always)]
    fn run(self) {
        debug_assert!(self.rows <= BLOCK);
        let hashes = &mut self.hashes[..self.rows];
        hashes.fill(self.seed);
        for x in self.x {
            for (hash, x) in hashes.iter_mut().zip(x.iter()) {
                *hash = mix(*hash ^ (x + 0.0).to_bits());
            }
        }
    }
}

/// Hashes are keys as they are.
#[derive(Debug, Default, Clone, Copy)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_lowest_rows_stay_with_their_exact_counts(
            // Few hashes, so that unequal rows share one and rows repeat.
            rows in prop::collection::vec((0..24u64, 0..3u8), 0..200),
            limit in 1..12usize,
            cut in 0..200usize,
        ) {
            let mut all = BTreeMap::new();
            let mut samples = [RowSample::new(limit, 1), RowSample::new(limit, 1)];
            for (i, (hash, value)) in rows.iter().enumerate() {
                *all.entry((*hash, *value)).or_insert(0) += 1;
                let values = [f64::from(*value)];
                let row = SampleRow { hash: *hash, values: &values, rows: 1, weight: 3 };
                samples[usize::from(i >= cut)].add(&row);
            }
            let [mut sample, other] = samples;
            sample.merge(&other).unwrap();
            let found: Vec<_> = sample
                .rows()
                .iter()
                .map(|row| (row.hash, row.values[0], row.rows, row.weight))
                .collect();
            let expected: Vec<_> = all
                .iter()
                .take(limit)
                .map(|((hash, value), n)| (*hash, f64::from(*value), *n, 3 * i128::from(*n)))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
