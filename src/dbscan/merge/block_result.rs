//! What a block found out, as lists of words: kept between phases, and for a run that goes on where
//! another was killed.

use super::sizes::{ClusterSize, Scale};
use crate::dbscan::options::Border;
use crate::error::{Error, Result};
use pleiad_core::dbscan::LabelKind;
use pleiad_core::dbscan::{Contacts, Export, Label, Local, Point, Reach, Touch};

/// The facts of a block, without its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockFacts<const D: usize> {
    /// The smallest row number of a core row of each cluster.
    pub(crate) first_rows: Vec<u64>,
    /// Each cluster, without the rows at open places.
    pub(crate) sizes: Vec<ClusterSize<D>>,
    /// How many own rows are at each open place.
    pub(crate) open_rows: Vec<u64>,
    pub(crate) contacts: Contacts<D>,
}

/// A block that is done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockResult<const D: usize> {
    /// The position of each own row in the input, and its label.
    pub(crate) rows: Vec<u64>,
    pub(crate) facts: BlockFacts<D>,
}

impl<const D: usize> BlockResult<D> {
    /// Of a block's own rows: their places, positions and ids, and what the core says of them.
    pub(crate) fn new(
        places: impl Iterator<Item = [f64; D]>,
        positions: &[u64],
        ids: &[u64],
        local: Local<D>,
        border: Border,
        scale: Scale,
    ) -> Self {
        let mut sizes = vec![ClusterSize::NONE; local.clusters.len()];
        let mut open_rows = vec![0; local.contacts.open.len()];
        for (size, cluster) in sizes.iter_mut().zip(&local.clusters) {
            size.cores = u64::from(cluster.cores);
        }
        for (place, label) in places.zip(&local.labels) {
            match label.kind() {
                LabelKind::Core(cluster) => sizes[cluster as usize].add(&place, 1, scale),
                LabelKind::Border(cluster) if border == Border::First => {
                    sizes[cluster as usize].add(&place, 1, scale);
                }
                LabelKind::Open(open) => open_rows[open as usize] += 1,
                LabelKind::Border(_) | LabelKind::Noise => {}
            }
        }
        let rows = positions.iter().zip(&local.labels);
        let rows = rows.flat_map(|(position, label)| [*position, u64::from(label.bits())]);
        Self {
            rows: rows.collect(),
            facts: BlockFacts {
                first_rows: local.first_rows(ids),
                sizes,
                open_rows,
                contacts: local.contacts,
            },
        }
    }

    /// The block as bytes: to be kept for a later run.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let facts = self.facts.to_words();
        let lengths = [MARK, self.rows.len() as u64, facts.len() as u64];
        lengths.iter().chain(&self.rows).chain(&facts).flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The block of [`Self::to_bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let mut reader = Reader { words: &words };
        let ([mark, rows, facts], true) = (reader.three()?, rest.is_empty()) else {
            return Err(damaged());
        };
        if mark != MARK {
            return Err(damaged());
        }
        let rows = reader.take(rows)?.to_vec();
        let (pairs, rest) = rows.as_chunks::<2>();
        if !rest.is_empty() || pairs.iter().any(|[_, label]| *label > LOW) {
            return Err(damaged());
        }
        let facts = BlockFacts::from_words(reader.take(facts)?)?;
        Ok(Self { rows, facts })
    }
}

/// `PLDBSC01` as a word.
const MARK: u64 = u64::from_le_bytes(*b"PLDBSC01");

/// The rows of [`BlockResult::rows`]: positions and labels.
pub(crate) fn rows_of(words: &[u64]) -> impl Iterator<Item = (u64, Label)> + '_ {
    words.as_chunks::<2>().0.iter().map(|[position, label]| {
        let bits = u32::try_from(*label).expect("a label has 32 bits");
        (*position, Label::from_bits(bits))
    })
}

impl<const D: usize> BlockFacts<D> {
    /// The facts as words.
    pub(crate) fn to_words(&self) -> Vec<u64> {
        let Contacts { exports, open, reaches, touches } = &self.contacts;
        let lengths =
            [self.first_rows.len(), open.len(), exports.len(), reaches.len(), touches.len()];
        let mut words: Vec<u64> = lengths.map(|length| length as u64).to_vec();
        words.extend(&self.first_rows);
        self.sizes.iter().for_each(|size| size.write(&mut words));
        words.extend(&self.open_rows);
        open.iter().for_each(|point| words.extend(point.coordinates().map(f64::to_bits)));
        for Export { point, cluster } in exports {
            words.extend(point.coordinates().map(f64::to_bits));
            words.push(u64::from(*cluster));
        }
        let pair = |reach: &Reach| u64::from(reach.open) << 32 | u64::from(reach.cluster);
        words.extend(reaches.iter().map(pair));
        words.extend(touch_words(touches));
        words
    }

    /// The facts of [`Self::to_words`].
    pub(crate) fn from_words(words: &[u64]) -> Result<Self> {
        let mut reader = Reader { words };
        let [clusters, open, exports] = reader.three()?;
        let [reaches, touches] = [reader.one()?, reader.one()?];
        let first_rows = reader.take(clusters)?.to_vec();
        let sizes = reader.groups(clusters, ClusterSize::<D>::WORDS)?;
        let sizes = sizes.chunks(ClusterSize::<D>::WORDS).map(ClusterSize::read).collect();
        let open_rows = reader.take(open)?.to_vec();
        let open = reader.groups(open, D)?.chunks(D).map(point).collect();
        let exports = reader.groups(exports, D + 1)?.chunks(D + 1);
        let exports = exports.map(|words| Export { point: point(words), cluster: half(words[D]) });
        let reach = |word: &u64| Reach { open: half(word >> 32), cluster: half(word & LOW) };
        let contacts = Contacts {
            open,
            exports: exports.collect(),
            reaches: reader.take(reaches)?.iter().map(reach).collect(),
            touches: touches_of(reader.groups(touches, D + 1)?),
        };
        Ok(Self { first_rows, sizes, open_rows, contacts })
    }
}

/// Touches as words.
pub(crate) fn touch_words<const D: usize>(touches: &[Touch<D>]) -> Vec<u64> {
    let words = touches.iter().flat_map(|Touch { point, cluster }| {
        point.coordinates().map(f64::to_bits).into_iter().chain([u64::from(*cluster)])
    });
    words.collect()
}

/// The touches of [`touch_words`].
pub(crate) fn touches_of<const D: usize>(words: &[u64]) -> Vec<Touch<D>> {
    let touch = |words: &[u64]| Touch { point: point(words), cluster: half(words[D]) };
    words.chunks(D + 1).map(touch).collect()
}

const LOW: u64 = u32::MAX as u64;

fn half(word: u64) -> u32 {
    u32::try_from(word & LOW).expect("the lower half of a word")
}

fn point<const D: usize>(words: &[u64]) -> Point<D> {
    Point::at(std::array::from_fn(|k| f64::from_bits(words[k])))
}

/// Words one after the other.
struct Reader<'a> {
    words: &'a [u64],
}

impl<'a> Reader<'a> {
    fn take(&mut self, words: u64) -> Result<&'a [u64]> {
        let words = usize::try_from(words).unwrap_or(usize::MAX);
        let (taken, rest) = self.words.split_at_checked(words).ok_or_else(damaged)?;
        self.words = rest;
        Ok(taken)
    }

    /// Groups of so many words each.
    fn groups(&mut self, groups: u64, words: usize) -> Result<&'a [u64]> {
        self.take(groups.checked_mul(words as u64).ok_or_else(damaged)?)
    }

    fn one(&mut self) -> Result<u64> {
        Ok(self.take(1)?[0])
    }

    fn three(&mut self) -> Result<[u64; 3]> {
        Ok([self.one()?, self.one()?, self.one()?])
    }
}

fn damaged() -> Error {
    Error::data("a saved block of the killed run is damaged: run without --resume")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use pleiad_core::dbscan::{Density, cluster};

    #[test]
    fn a_block_reads_back_and_half_a_block_does_not() {
        let rows: Vec<[f64; 2]> = (0..40).map(|i| [f64::from(i % 7), f64::from(i % 5)]).collect();
        let density = Density::new(1.0, 5).unwrap();
        let stop = AtomicBool::new(false);
        let local = cluster(rows.clone(), 30, &density, |p| p[0] > 2.0, &stop).unwrap().unwrap();
        let numbers: Vec<u64> = (100..130).collect();
        let own = rows[..30].iter().copied();
        let found =
            BlockResult::new(own, &numbers, &numbers, local, Border::First, Scale::new(9.0));
        assert!(
            !found.facts.contacts.touches.is_empty() && !found.facts.contacts.exports.is_empty()
        );
        let bytes = found.to_bytes();
        assert_eq!(BlockResult::from_bytes(&bytes).unwrap(), found);
        assert!(BlockResult::<2>::from_bytes(&bytes[..bytes.len() - 8]).is_err());
        assert!(BlockResult::<2>::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(BlockResult::<2>::from_bytes(b"steps").is_err());
    }
}
