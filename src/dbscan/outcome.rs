//! What a run has found: counts, clusters and blocks.

use arrow::array::RecordBatch;

use super::merge::RowLabel;
use super::options::Border;

/// What a run has found and, unless it was dry, published.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// All rows of the input.
    pub rows: u64,
    /// Rows without a usable position.
    pub skipped: u64,
    /// Rows by kind; zero in a dry run.
    pub counts: LabelCounts,
    /// The table `clusters`; none in a dry run.
    pub clusters: Option<RecordBatch>,
    /// The blocks.
    pub blocks: Vec<BlockSummary>,
}

/// What is reported of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSummary {
    /// Its number.
    pub block: u32,
    /// Its lower corner.
    pub lo: Vec<f64>,
    /// Its upper corner, which is outside.
    pub hi: Vec<f64>,
    /// Rows that it owns.
    pub own_rows: u64,
    /// Rows of others within eps of it; in a dry run an estimate.
    pub margin_rows: u64,
    /// What it may take to cluster it, as a part of all.
    pub cost_share: f64,
    /// What it needs of memory while it is clustered.
    pub bytes: u64,
}

impl Outcome {
    /// The number of clusters.
    pub fn clusters(&self) -> u64 {
        self.clusters.as_ref().map_or(0, |clusters| clusters.num_rows() as u64)
    }

    /// Copies in margins.
    pub fn margin_rows(&self) -> u64 {
        self.blocks.iter().map(|block| block.margin_rows).sum()
    }
}

/// Rows by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Core rows.
    pub core: u64,
    /// Rows that are not core, in the cluster of one that is.
    pub border: u64,
    /// Rows that are not core and have two clusters near: other tools decide them by chance.
    pub ambiguous: u64,
    /// Rows in no cluster.
    pub noise: u64,
}

impl LabelCounts {
    pub(crate) fn add(&mut self, label: RowLabel, border: Border) {
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

    pub(crate) fn join(&mut self, other: Self) {
        self.core += other.core;
        self.border += other.border;
        self.ambiguous += other.ambiguous;
        self.noise += other.noise;
    }
}
