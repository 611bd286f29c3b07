//! What a block finds out about its own rows and clusters.

use super::contact::Contacts;

/// What a block knows of one own row, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(u32);

/// A [`Label`], taken apart. Clusters are numbers of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    /// A core row of this cluster.
    Core(u32),
    /// Not core, and near cores of this cluster only, whatever other blocks know.
    Border(u32),
    /// Not core; which clusters are near is known when blocks are merged: [`Contacts::open`] at
    /// this position.
    Open(u32),
    /// Not core, and near no core row, whatever other blocks know.
    Noise,
}

const KIND_SHIFT: u32 = 30;
const VALUE: u32 = (1 << KIND_SHIFT) - 1;

impl Label {
    pub(super) const NOISE: Self = Self(0);

    pub(super) fn core(cluster: u32) -> Self {
        Self(1 << KIND_SHIFT | cluster)
    }

    pub(super) fn border(cluster: u32) -> Self {
        Self(2 << KIND_SHIFT | cluster)
    }

    pub(super) fn open(number: u32) -> Self {
        Self(3 << KIND_SHIFT | number)
    }

    /// The label as a number.
    #[inline]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The label of [`Self::bits`].
    #[inline]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// What it says.
    #[inline]
    pub fn kind(self) -> LabelKind {
        let value = self.0 & VALUE;
        match self.0 >> KIND_SHIFT {
            0 => LabelKind::Noise,
            1 => LabelKind::Core(value),
            2 => LabelKind::Border(value),
            _ => LabelKind::Open(value),
        }
    }
}

/// A cluster as far as one block sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// The position of its first core row in the input of the block.
    pub first: u32,
    /// Own core rows.
    pub cores: u32,
}

/// A clustered block.
#[derive(Debug, Clone, PartialEq)]
pub struct Local<const D: usize> {
    /// What is known of each own row, in the order of the input.
    pub labels: Vec<Label>,
    /// The block's clusters, in the order of their first core rows.
    pub clusters: Vec<Cluster>,
    /// What other blocks need to know, and this block asks of them.
    pub contacts: Contacts<D>,
}

impl<const D: usize> Local<D> {
    /// The smallest row number of a core row, for each cluster; `ids` numbers the own rows.
    ///
    /// # Panics
    /// If there are not as many `ids` as own rows.
    pub fn first_rows(&self, ids: &[u64]) -> Vec<u64> {
        assert_eq!(ids.len(), self.labels.len(), "a row number for every own row");
        let mut first = vec![u64::MAX; self.clusters.len()];
        for (label, id) in self.labels.iter().zip(ids) {
            if let LabelKind::Core(cluster) = label.kind() {
                let first = &mut first[cluster as usize];
                *first = (*first).min(*id);
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_it_was_made_of() {
        let largest = VALUE - 1;
        assert_eq!(Label::core(0).kind(), LabelKind::Core(0));
        assert_eq!(Label::core(largest).kind(), LabelKind::Core(largest));
        assert_eq!(Label::border(largest).kind(), LabelKind::Border(largest));
        assert_eq!(Label::open(largest).kind(), LabelKind::Open(largest));
        assert_eq!(Label::NOISE.kind(), LabelKind::Noise);
    }
}
