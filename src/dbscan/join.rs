//! From blocks to the whole table: clusters are joined and numbered, rows labelled and put back into
//! the order of the input, clusters measured.

use std::ops::Range;
use std::sync::Arc;

use super::blocks::{Findings, Lists};
use super::found::{Facts, rows_of, touches_of};
use super::input::id_of;
use super::merge::{Merge, Numbers, RowLabel};
use super::options::Border;
use super::shelf::{Gatherer, Shelf, Slip};
use super::sizes::{Scale, Size};
use super::threads::share;
use crate::error::{Error, Result};
use crate::session::Session;

/// Rows of a range: rows are put into order range by range. 2^21.
pub(super) const RANGE_ROWS: u64 = 1 << RANGE_BITS;
pub(super) const RANGE_BITS: u32 = 21;
const KIND_BITS: u32 = 2;

/// How many rows are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Core rows.
    pub core: u64,
    /// Rows that are not core, in the cluster of one that is.
    pub border: u64,
    /// Rows that are not core and have two clusters near: other tools decide them by chance.
    pub ambiguous: u64,
    /// Rows in no cluster.
    pub noise: u64,
}

/// What a row is, in its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    Skipped,
    Core(i64),
    Border(i64),
    Noise,
}

impl RowKind {
    /// The kind as it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Core(_) => "core",
            Self::Border(_) => "border",
            Self::Noise => "noise",
        }
    }

    /// The cluster as it is written: noise is -1, and what has no place has none.
    pub(super) fn cluster(self) -> Option<i64> {
        match self {
            Self::Skipped => None,
            Self::Core(cluster) | Self::Border(cluster) => Some(cluster),
            Self::Noise => Some(-1),
        }
    }

    /// The kind of the word of a row, its place in the range already taken off; 0 is skipped.
    fn of(word: u64) -> Self {
        let cluster = (word >> KIND_BITS).cast_signed();
        match word & 3 {
            0 => Self::Skipped,
            1 => Self::Core(cluster),
            2 => Self::Border(cluster),
            _ => Self::Noise,
        }
    }
}

fn word(label: RowLabel, border: Border) -> u64 {
    match label {
        RowLabel::Core(cluster) => cluster << KIND_BITS | 1,
        RowLabel::Border { cluster, .. } if border == Border::First => cluster << KIND_BITS | 2,
        RowLabel::Border { .. } | RowLabel::Noise => 3,
    }
}

/// Joins and numbers the clusters of all blocks. The number of a block in the answer is its index in
/// `findings`.
///
/// # Errors
/// Ids of the column `id` that are not unique.
pub(super) fn number<const D: usize>(findings: &Findings, id: Option<&str>) -> Result<Numbers> {
    let mut merge = Merge::new();
    let facts = |lists: &Lists| Facts::<D>::from_words(&findings.shelf.read(lists.facts)?);
    for lists in &findings.blocks {
        let facts = facts(lists)?;
        merge.add(&facts.first_rows, &facts.contacts);
    }
    let index = |block: u32| {
        let found = findings.blocks.binary_search_by_key(&block, |lists| lists.block);
        found.map_err(|_at| Error::internal(format!("block {block} owns no row, and is touched")))
    };
    let mut about: Vec<Vec<(usize, Slip)>> = vec![Vec::new(); findings.blocks.len()];
    for (from, lists) in findings.blocks.iter().enumerate() {
        for (owner, slip) in &lists.touches {
            about[index(*owner)?].push((from, *slip));
        }
    }
    for (owner, about) in about.into_iter().enumerate().filter(|(_, about)| !about.is_empty()) {
        let contacts = facts(&findings.blocks[owner])?.contacts;
        for (from, slip) in about {
            merge.meet(owner, &contacts, from, &touches_of(&findings.shelf.take(slip)?))?;
        }
    }
    merge.number().map_err(|twice| match id {
        Some(id) => Error::data(format!(
            "id column '{id}' is not unique: {} is there twice; pass another column, or no --id",
            id_of(twice)
        )),
        None => Error::internal(format!("row {twice} is there twice")),
    })
}

/// The clusters by their number.
pub(super) fn sizes<const D: usize>(
    findings: &Findings,
    numbers: &Numbers,
    border: Border,
    scale: Scale,
) -> Result<Vec<Size<D>>> {
    let mut all = vec![Size::NONE; numbers.clusters()];
    for (block, lists) in findings.blocks.iter().enumerate() {
        let facts = Facts::<D>::from_words(&findings.shelf.take(lists.facts)?)?;
        for (cluster, size) in (0..).zip(&facts.sizes) {
            all[at(numbers.number(block, cluster))].join(size);
        }
        let open = facts.contacts.open.iter().zip(&facts.open_rows).zip(numbers.open(block));
        for ((place, rows), label) in open {
            if let (RowLabel::Border { cluster, .. }, Border::First) = (label, border) {
                all[at(*cluster)].add(&place.coordinates(), *rows, scale);
            }
        }
    }
    Ok(all)
}

/// The labels of all rows, range by range.
pub(super) struct Ranges {
    shelf: Shelf,
    ranges: Vec<Vec<Slip>>,
    /// All rows, skipped ones too.
    pub(super) rows: u64,
}

/// Labels every row and sorts rows into ranges.
pub(super) async fn label(
    findings: Findings,
    numbers: Arc<Numbers>,
    border: Border,
    rows: u64,
    session: &Session,
) -> Result<(Ranges, Counts)> {
    let ranges = at(rows.div_ceil(RANGE_ROWS));
    let shelf = Arc::new(Shelf::new(session, "labels"));
    let (to, findings) = (Arc::clone(&shelf), Arc::new(findings));
    let parts = share(session.streams(), findings.blocks.len(), move |turns| {
        let mut gatherer = Gatherer::new(&to, ranges);
        let mut counts = Counts::default();
        while let Some(block) = turns.next() {
            let found = findings.shelf.take(findings.blocks[block].rows)?;
            for (position, label) in rows_of(&found) {
                let label = numbers.label(block, label);
                counts.add(label, border);
                let offset = position % RANGE_ROWS;
                gatherer.push(
                    at(position / RANGE_ROWS),
                    &[word(label, border) << RANGE_BITS | offset],
                )?;
            }
        }
        Ok((gatherer.finish()?, counts))
    });
    let (mut lists, mut counts) = (vec![Vec::new(); ranges], Counts::default());
    for (part, part_counts) in parts.await? {
        part.into_iter().for_each(|(range, slip)| lists[range].push(slip));
        counts.join(part_counts);
    }
    let shelf = Arc::into_inner(shelf).expect("the threads are over");
    Ok((Ranges { shelf, ranges: lists, rows }, counts))
}

impl Counts {
    fn add(&mut self, label: RowLabel, border: Border) {
        match label {
            RowLabel::Core(_) => self.core += 1,
            RowLabel::Border { ambiguous, .. } => {
                self.ambiguous += u64::from(ambiguous);
                match border {
                    Border::First => self.border += 1,
                    Border::Noise => self.noise += 1,
                }
            }
            RowLabel::Noise => self.noise += 1,
        }
    }

    fn join(&mut self, other: Self) {
        self.core += other.core;
        self.border += other.border;
        self.ambiguous += other.ambiguous;
        self.noise += other.noise;
    }
}

impl Ranges {
    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The rows of a range, in order. It stays.
    pub(super) fn range(&self, range: u64) -> Result<Labels> {
        let rows = (self.rows - range * RANGE_ROWS).min(RANGE_ROWS);
        let mut words = vec![0; at(rows)];
        for slip in &self.ranges[at(range)] {
            for word in self.shelf.read(*slip)?.iter() {
                words[at(word % RANGE_ROWS)] = word >> RANGE_BITS;
            }
        }
        Ok(Labels { words })
    }
}

/// A place in a list.
pub(super) fn at(place: u64) -> usize {
    usize::try_from(place).expect("ranges and their rows are counted in usize")
}

/// The labels of rows that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Labels {
    words: Vec<u64>,
}

impl Labels {
    /// The labels of all rows of the range.
    pub(super) fn kinds(&self) -> impl Iterator<Item = RowKind> + '_ {
        self.words.iter().map(|word| RowKind::of(*word))
    }

    /// The label of one row of the range.
    pub(super) fn kind(&self, row: u64) -> RowKind {
        RowKind::of(self.words[at(row)])
    }

    /// The labels of some rows of the range.
    pub(super) fn part(&self, rows: Range<u64>) -> impl Iterator<Item = RowKind> + '_ {
        self.words[at(rows.start)..at(rows.end)].iter().map(|word| RowKind::of(*word))
    }
}
