//! Joining what blocks found out about each other's rows, and numbering the clusters. Pure.
//!
//! Let block A own row p, with every row near A's rows in A's margin. Then
//!
//! 1. A's count of p is true: it alone knows whether p is core.
//! 2. If p is core and near a core row q of block B, then p is in B's margin, and B's touch of p
//!    names q's cluster. A reads it and joins the two clusters.
//! 3. If p is not core, the clusters near it are A's own set and those that touch p.
//!
//! Nothing else joins: not that p is clustered in both blocks, not that it is core in both. Clusters
//! are numbered 0, 1, 2, … in the order of their first core rows, and a border row takes the smallest
//! number near it, which is what scikit-learn's walk in row order comes to.

pub(crate) mod block_result; // what a block found, as words
pub(crate) mod block_results; // what all blocks found
pub(crate) mod join; // merged numbers to rows
pub(crate) mod row_labels; // labels in the order of the input
pub(crate) mod sizes; // rows, bounds and mean of a cluster; pure

use std::cmp::Ordering;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use pleiad_core::dbscan::{Contacts, Label, LabelKind, Touch, Watch, sort};

/// Clusters of all blocks on their way to numbers.
///
/// First [`add`](Self::add) every block, then let every owner [`meet`](Self::meet) the touches of
/// the others, then [`number`](Self::number). The order of blocks does not matter.
///
/// 16 bytes for each cluster of a block and each open place with a cluster near.
#[derive(Debug, Default)]
pub struct Merge {
    /// Where the clusters of each block begin in the two lists below.
    blocks: Vec<usize>,
    /// The smallest row number of a core row.
    first_rows: Vec<u64>,
    /// A union-find; the root has the smallest first row.
    parents: Vec<usize>,
    /// For each block: its number of open places, and an open place with a cluster near it.
    open: Vec<(usize, Vec<(u32, usize)>)>,
}

/// The cluster numbers of a whole table.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    blocks: Vec<usize>,
    /// The number of each cluster of each block.
    numbers: Vec<u64>,
    /// What is near each open place of each block.
    open: Vec<Vec<RowLabel>>,
    first_rows: Vec<u64>,
}

/// The label of a row in the whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLabel {
    /// A core row of this cluster.
    Core(u64),
    /// Not core, but near a core row.
    Border {
        /// The smallest number near.
        cluster: u64,
        /// Whether clusters with other numbers are near too.
        ambiguous: bool,
    },
    /// Near no core row.
    Noise,
}

impl RowLabel {
    /// The cluster number, as scikit-learn writes it: noise is -1.
    pub fn cluster(self) -> i64 {
        match self {
            Self::Core(cluster) | Self::Border { cluster, .. } => {
                i64::try_from(cluster).expect("there are fewer clusters than rows")
            }
            Self::Noise => -1,
        }
    }

    /// Another cluster is near a row that is not core.
    fn joined_by(self, number: u64) -> Self {
        match self {
            Self::Border { cluster, ambiguous } => Self::Border {
                cluster: cluster.min(number),
                ambiguous: ambiguous || cluster != number,
            },
            _ => Self::Border { cluster: number, ambiguous: false },
        }
    }
}

impl Merge {
    /// No blocks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a block: the smallest row number of each of its clusters
    /// ([`Local::first_rows`](pleiad_core::dbscan::Local::first_rows)), and its contacts. Answers its
    /// number, counted from 0.
    pub fn add<const D: usize>(&mut self, first_rows: &[u64], contacts: &Contacts<D>) -> usize {
        let begin = self.parents.len();
        self.blocks.push(begin);
        self.first_rows.extend_from_slice(first_rows);
        self.parents.extend(begin..begin + first_rows.len());
        let reaches = contacts.reaches.iter();
        let near = reaches.map(|reach| (reach.open, begin + reach.cluster as usize)).collect();
        self.open.push((contacts.open.len(), near));
        self.blocks.len() - 1
    }

    /// Gives block `owner` what block `from` touched: `touches` are those of `from` whose places
    /// `owner` owns, in their order, and `contacts` the owner's.
    ///
    /// # Errors
    /// A touched row that the owner does not have, or did not count among those that may have been
    /// copied: blocks and margins do not fit each other.
    ///
    /// # Panics
    /// If a block has not been added.
    pub fn meet<const D: usize>(
        &mut self,
        owner: usize,
        contacts: &Contacts<D>,
        from: usize,
        touches: &[Touch<D>],
    ) -> Result<()> {
        debug_assert!(touches.is_sorted_by_key(|touch| touch.point), "touches are in order");
        let mut exports = contacts.exports.iter().peekable();
        let mut open = (0..).zip(&contacts.open).peekable();
        for touch in touches {
            let touching = self.blocks[from] + touch.cluster as usize;
            while exports.next_if(|export| export.point < touch.point).is_some() {}
            while open.next_if(|(_, place)| **place < touch.point).is_some() {}
            if let Some(export) = exports.peek().filter(|export| export.point == touch.point) {
                self.join(self.blocks[owner] + export.cluster as usize, touching);
            } else if let Some((open, _)) = open.peek().filter(|(_, place)| **place == touch.point)
            {
                self.open[owner].1.push((*open, touching));
            } else {
                return Err(Error::internal(format!(
                    "block {from} has a margin row at {:?}, which block {owner}, its owner, does \
                     not know as copied",
                    touch.point.coordinates()
                )));
            }
        }
        Ok(())
    }

    /// Numbers the clusters by their smallest core rows; `None` once `stop` is true.
    ///
    /// # Errors
    /// The row number that two clusters begin with: row numbers are not unique.
    pub fn number(self, stop: &AtomicBool) -> Result<Option<Numbers>, u64> {
        self.numbers(Watch::new(stop)).transpose()
    }

    fn numbers(mut self, watch: Watch<'_>) -> Option<Result<Numbers, u64>> {
        let mut roots: Vec<usize> =
            (0..self.parents.len()).filter(|cluster| self.parents[*cluster] == *cluster).collect();
        sort::sort_by_key(&mut roots, watch, |root| self.first_rows[*root])?;
        let first_rows: Vec<u64> = roots.iter().map(|root| self.first_rows[*root]).collect();
        if let Some(twice) = first_rows.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(Err(twice[0]));
        }
        let mut numbers = vec![0; self.parents.len()];
        for (number, root) in (0..).zip(&roots) {
            numbers[*root] = number;
        }
        for cluster in 0..numbers.len() {
            watch.tick()?;
            numbers[cluster] = numbers[self.root(cluster)];
        }
        let label = |(places, near): (usize, Vec<(u32, usize)>)| {
            watch.tick()?;
            let mut labels = vec![RowLabel::Noise; places];
            for (open, cluster) in near {
                let label = &mut labels[open as usize];
                *label = label.joined_by(numbers[cluster]);
            }
            Some(labels)
        };
        let open = self.open.into_iter().map(label).collect::<Option<_>>()?;
        Some(Ok(Numbers { blocks: self.blocks, numbers, open, first_rows }))
    }

    fn root(&mut self, mut cluster: usize) -> usize {
        while self.parents[cluster] != cluster {
            self.parents[cluster] = self.parents[self.parents[cluster]];
            cluster = self.parents[cluster];
        }
        cluster
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        match self.first_rows[a].cmp(&self.first_rows[b]) {
            Ordering::Less => self.parents[b] = a,
            _ => self.parents[a] = b,
        }
    }
}

impl Numbers {
    /// The number of clusters.
    pub fn clusters(&self) -> usize {
        self.first_rows.len()
    }

    /// The smallest row number of a core row, for each cluster.
    pub fn first_rows(&self) -> &[u64] {
        &self.first_rows
    }

    /// The number of a cluster of a block.
    ///
    /// # Panics
    /// If the block has no such cluster.
    #[inline]
    pub fn number(&self, block: usize, cluster: u32) -> u64 {
        self.numbers[self.blocks[block] + cluster as usize]
    }

    /// What the rows at the open places of a block are, in the order of those.
    pub fn open(&self, block: usize) -> &[RowLabel] {
        &self.open[block]
    }

    /// The label in the whole table of a row that block `block` labelled so.
    ///
    /// # Panics
    /// If the block did not make this label.
    #[inline]
    pub fn label(&self, block: usize, label: Label) -> RowLabel {
        match label.kind() {
            LabelKind::Core(cluster) => RowLabel::Core(self.number(block, cluster)),
            LabelKind::Border(cluster) => {
                RowLabel::Border { cluster: self.number(block, cluster), ambiguous: false }
            }
            LabelKind::Open(place) => self.open[block][place as usize],
            LabelKind::Noise => RowLabel::Noise,
        }
    }
}
