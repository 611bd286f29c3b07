//! The layouts that a partitioning can be written in.

use clap::ValueEnum;

/// What is written. [`publish`](super::publish) is the one place that distinguishes them.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Tables `blocks` and `margins`, Parquet by block.
    #[default]
    Blocks,
    /// A text file a block, own rows and then margin rows, and the properties text of 2017.
    Parts,
}

impl Layout {
    /// Whether values go out as they came in: lines of text are not read as numbers.
    pub fn keeps_text(self) -> bool {
        self == Self::Parts
    }

    /// Whether a row may be an own row of several blocks, as in 2017.
    pub fn repeats_rows(self) -> bool {
        self == Self::Parts
    }
}
